"""The semantic tier: answers to questions that mean the same, in the tenant's own table, ranked within one scope.

Similarity only proposes; `verify` decides. Anything that fails here is a miss, never an error for the client.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import uuid
from typing import Any, NamedTuple

import numpy as np
import psycopg
from pgvector import HalfVector
from psycopg import sql
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from gateway.cache import policy, verify
from gateway.cache.embedding.base import Embedder, EmbeddingError, Vector
from gateway.types import Call, Meta
from tenants.db import table

logger = logging.getLogger(__name__)

CANDIDATES = 5
# A lookup waits this long for answers of its own scope that are just being stored.
PENDING_WAIT_S = 0.01


class Found(NamedTuple):
    """An entry that may answer."""

    body: bytes
    meta: Meta
    similarity: float
    prompt: str


@dataclasses.dataclass(slots=True)
class Probe:
    """One question on its way through the tier: its vector is computed once, for the lookup and for the store."""

    vector: Vector | None = None
    # Why nothing was found, for X-Nexus-Cache-Reason.
    reason: str = ""


_LOOKUP = """
SELECT prompt, answer, meta, 1 - (embedding <=> %(vector)s) AS similarity FROM {entries}
WHERE scope = %(scope)s AND expires_at > now() AND created_at >= now() - make_interval(secs => %(max_age_s)s)
ORDER BY embedding <=> %(vector)s LIMIT %(limit)s
"""
_STORE = """
INSERT INTO {entries} (id, scope, fingerprint, prompt, embedding, answer, meta, created_at, expires_at)
VALUES (%(id)s, %(scope)s, %(fingerprint)s, %(prompt)s, %(vector)s, %(answer)s, %(meta)s, to_timestamp(%(created_at)s),
        to_timestamp(%(created_at)s) + make_interval(secs => %(ttl_s)s))
ON CONFLICT (fingerprint) DO UPDATE SET id = excluded.id, scope = excluded.scope, embedding = excluded.embedding,
    answer = excluded.answer, meta = excluded.meta, created_at = excluded.created_at, expires_at = excluded.expires_at
"""
_ANY_AGE_S = 10 * 366 * 86400.0


class SemanticCache:
    def __init__(self, pool: AsyncConnectionPool[Any], embedder: Embedder) -> None:
        self._pool = pool
        self._embedder = embedder
        self._pending: dict[str, set[asyncio.Task[None]]] = {}

    async def lookup(self, call: Call, probe: Probe) -> Found | None:
        """The best verified entry at or above the call's threshold. Never raises for a broken part."""
        question = call.request.question
        if call.scope is None or question is None or not call.rules.read_semantic:
            return None
        cacheability = policy.classify(question)
        if not cacheability.semantic:
            probe.reason = cacheability.reason
            return None
        try:
            probe.vector = await self._embedder.embed(question)
            await self._stored(call.scope)
            rows = await self._nearest(call, probe.vector)
        except (EmbeddingError, psycopg.Error, PoolTimeout) as error:
            logger.warning("semantic tier skipped: %s", error)
            probe.reason = "the semantic tier is not available"
            return None
        return _first_verified(question, rows, call.rules.threshold, probe)

    def store(self, call: Call, probe: Probe, body: bytes, meta: Meta, ttl_s: int) -> None:
        """Stores in the background; a lookup of the same scope waits for it a moment."""
        question = call.request.question
        if call.scope is None or question is None or not policy.classify(question).semantic:
            return
        task = asyncio.create_task(self._store(call, question, probe, body, meta, ttl_s))
        pending = self._pending.setdefault(call.scope, set())
        pending.add(task)
        task.add_done_callback(lambda done: self._forget(call.scope, done))

    async def close(self) -> None:
        """Waits for what is being stored."""
        tasks = [task for tasks in self._pending.values() for task in tasks]
        if tasks:
            await asyncio.wait(tasks, timeout=5)

    def _forget(self, scope: str | None, task: asyncio.Task[None]) -> None:
        if scope is not None and (pending := self._pending.get(scope)):
            pending.discard(task)
            if not pending:
                del self._pending[scope]

    async def _stored(self, scope: str) -> None:
        if pending := self._pending.get(scope):
            await asyncio.wait(set(pending), timeout=PENDING_WAIT_S)

    async def _nearest(self, call: Call, vector: Vector) -> list[Any]:
        query = sql.SQL(_LOOKUP).format(entries=table(call.principal.schema, "gateway_cacheentry"))
        max_age_s = _ANY_AGE_S if call.rules.max_age_s is None else call.rules.max_age_s
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                query, {"vector": _half(vector), "scope": call.scope, "max_age_s": max_age_s, "limit": CANDIDATES}
            )
            rows: list[Any] = await cursor.fetchall()
            return rows

    async def _store(self, call: Call, question: str, probe: Probe, body: bytes, meta: Meta, ttl_s: int) -> None:
        try:
            vector = probe.vector if probe.vector is not None else await self._embedder.embed(question)
            query = sql.SQL(_STORE).format(entries=table(call.principal.schema, "gateway_cacheentry"))
            async with self._pool.connection() as connection:
                await connection.execute(
                    query,
                    {
                        "id": uuid.UUID(meta.entry_id),
                        "scope": call.scope,
                        "fingerprint": call.fingerprint,
                        "prompt": question,
                        "vector": _half(vector),
                        "answer": body,
                        "meta": Jsonb(meta._asdict()),
                        "created_at": meta.created_at,
                        "ttl_s": ttl_s,
                    },
                )
        except (EmbeddingError, psycopg.Error, PoolTimeout) as error:
            logger.warning("answer not stored in the semantic tier: %s", error)
        except Exception:
            logger.exception("answer not stored in the semantic tier")


def _half(vector: Vector) -> HalfVector:
    return HalfVector(vector.astype(np.float16))


def _first_verified(question: str, rows: list[Any], threshold: float, probe: Probe) -> Found | None:
    for prompt, answer, meta, similarity in rows:
        if similarity < threshold:
            break
        refusal = verify.check(question, prompt)
        if refusal is None:
            return Found(bytes(answer), Meta.read(meta), similarity, prompt)
        probe.reason = probe.reason or refusal.reason
    return None
