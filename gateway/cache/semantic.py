"""The semantic tier: answers to questions that mean the same, in the tenant's own tables, ranked within one scope.

Similarity only proposes; `verify` decides. Anything that fails here is a miss, never an error for the client.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from gateway.cache import entries, privacy, verify
from gateway.cache.embedding.base import Embedder, EmbeddingError, TextRefused
from gateway.cache.entries import Embedded, Entry
from gateway.cache.learning import NEAR_MISS
from gateway.cache.search import FIRST, Row, Search
from gateway.cache.seldom import SeldomLog
from gateway.cache.writer import Writer
from gateway.metrics import GUARD_REFUSALS, SEMANTIC_SKIPPED
from gateway.types import Call, Meta

if TYPE_CHECKING:
    from gateway.cache.cross_encoder import CrossEncoder

logger = logging.getLogger(__name__)

# A lookup waits this long for answers of its own scope that are just being stored.
PENDING_WAIT_S = 0.01
UNAVAILABLE = "the semantic tier is not available"


class Found(NamedTuple):
    """An entry that may answer. `stale_s`: how long it is past its time."""

    body: bytes
    meta: Meta
    similarity: float
    prompt: str
    stale_s: float = 0.0


class Neighbour(NamedTuple):
    """What a lookup meets, and what the guards say of it."""

    entry_id: str
    prompt: str
    similarity: float
    guard: str | None
    reason: str | None


@dataclasses.dataclass(slots=True)
class Probe:
    """One question on its way through the tier: its vector is computed once, for the lookup and for the store."""

    embedded: Embedded | None = None
    # Why nothing was found, for X-Nexus-Cache-Reason.
    reason: str = ""
    # The most similar one that no guard refuses, though not similar enough.
    near_miss: Found | None = None


class SemanticCache:
    def __init__(self, pool: AsyncConnectionPool[Any], embedder: Embedder) -> None:
        self._pool = pool
        self._search = Search(pool)
        self._writer = Writer(pool)
        self._embedder = embedder
        # Where the operator brings one: asked last, and only about what would be served.
        self.second_reader: CrossEncoder | None = None
        self._pending: dict[str, set[asyncio.Task[None]]] = {}
        self._failures = SeldomLog(logger, "the cache goes without the database (%d times): %s")

    async def lookup(self, call: Call, probe: Probe) -> Found | None:
        """The best verified entry at or above the call's threshold. Never raises for a broken part."""
        question = call.request.question
        if call.scope is None or question is None or not call.rules.read_semantic:
            return None
        cacheability = privacy.classify(question, call.rules)
        if not cacheability.semantic:
            probe.reason = cacheability.reason
            return None
        try:
            probe.embedded = await self._embedded(question)
            await self._stored(call.scope)
            rows = await self._search.nearest(call, probe.embedded)
            found = await self._first_verified(question, rows, call.rules.threshold, probe)
            if found is None and len(rows) == FIRST and rows[-1].similarity >= call.rules.threshold:
                # All of these were refused. Whoever fills the cache with look-alikes must not hide the right one.
                rows = await self._search.nearest(call, probe.embedded, first=False)
                found = await self._first_verified(question, rows, call.rules.threshold, probe)
            return found
        except TextRefused as error:
            probe.reason = str(error)
            return None
        except EmbeddingError:
            SEMANTIC_SKIPPED.labels("embedding").inc()
            probe.reason = UNAVAILABLE
            return None
        except (psycopg.Error, PoolTimeout) as error:
            SEMANTIC_SKIPPED.labels("database").inc()
            self._failures.warn(error)
            probe.reason = UNAVAILABLE
            return None

    async def survey(self, call: Call) -> list[Neighbour]:
        """What a lookup would look at, best first. Raises EmbeddingError, psycopg.Error, PoolTimeout."""
        question = call.request.question or ""
        found = []
        for row in await self._search.nearest(call, await self._embedded(question)):
            guard, reason = verify.check(question, row.prompt, row.similarity) or (None, None)
            found.append(Neighbour(row.meta["entry_id"], row.prompt, round(row.similarity, 4), guard, reason))
        return found

    async def stand_in(self, call: Call, probe: Probe) -> Found | None:
        """For a provider that fails: an answer to the same request, or a verified one, that may be past its time."""
        accepted_s = call.rules.accept_stale_s
        if not accepted_s:
            return None
        try:
            rows = await self._search.same_request(call)
            if not rows and probe.embedded is not None and call.rules.read_semantic and not call.rules.shadow:
                rows = await self._search.nearest(call, probe.embedded, stale=True)
        except (psycopg.Error, PoolTimeout) as error:
            self._failures.warn(error)
            return None
        rows = [row for row in rows if row.stale_s <= accepted_s]
        return await self._first_verified(call.request.question or "", rows, call.rules.threshold, Probe())

    def store(self, call: Call, probe: Probe, body: bytes, meta: Meta, ttl_s: int) -> None:
        """Stores in the background; a lookup of the same scope waits for it a moment."""
        entry = entry_of(call, body, meta, ttl_s)
        if not entry.scope:
            self._writer.put(call.principal.schema, entry)
            return
        task = asyncio.create_task(self.keep(call.principal.schema, entry, probe.embedded))
        pending = self._pending.setdefault(entry.scope, set())
        pending.add(task)
        task.add_done_callback(lambda done: self._forget(entry.scope, done))

    async def keep(self, schema: str, entry: Entry, embedded: Embedded | None = None) -> None:
        """Writes an entry, with its vector if it may be compared and the embedder can.

        Without one it is found by its exact request only, until gateway.cache.reembedding comes by.
        """
        try:
            if entry.scope and embedded is None:
                try:
                    embedded = await self._embedded(entry.prompt)
                except TextRefused:
                    entry = entry._replace(scope="")
                except EmbeddingError:
                    SEMANTIC_SKIPPED.labels("store").inc()
            async with self._pool.connection() as connection:
                await entries.store(connection, schema, entry, embedded if entry.scope else None)
        except (psycopg.Error, PoolTimeout) as error:
            self._failures.warn(error)
        except Exception:
            logger.exception("answer not stored")

    async def _embedded(self, text: str) -> Embedded:
        """Raises EmbeddingError. A remote embedder's model may be another one after the next await."""
        return Embedded(await self._embedder.embed(text), self._embedder.name)

    async def close(self) -> None:
        """Waits for what is being stored."""
        tasks = [task for tasks in self._pending.values() for task in tasks]
        if tasks:
            await asyncio.wait(tasks, timeout=5)
        await self._writer.close()

    def _forget(self, scope: str, task: asyncio.Task[None]) -> None:
        if pending := self._pending.get(scope):
            pending.discard(task)
            if not pending:
                del self._pending[scope]

    async def _stored(self, scope: str) -> None:
        if pending := self._pending.get(scope):
            await asyncio.wait(set(pending), timeout=PENDING_WAIT_S)

    async def _first_verified(self, question: str, rows: list[Row], threshold: float, probe: Probe) -> Found | None:
        for row in rows:
            serves = row.similarity >= threshold
            if row.similarity < min(threshold, NEAR_MISS) or (not serves and probe.near_miss is not None):
                break
            reason = await self._refusal(question, row.prompt, row.similarity, serves=serves)
            if reason is not None:
                if serves:
                    probe.reason = probe.reason or reason
                continue
            found = Found(
                bytes(row.answer), Meta.read(row.meta), row.similarity, row.prompt, max(0.0, float(row.stale_s))
            )
            if serves:
                return found
            probe.near_miss = found
        return None

    async def _refusal(self, question: str, prompt: str, similarity: float, *, serves: bool) -> str | None:
        refusal = verify.check(question, prompt, similarity)
        if refusal is not None:
            if serves:
                GUARD_REFUSALS.add((refusal.guard,))
            return refusal.reason
        if serves and self.second_reader is not None and question != prompt:
            return await self.second_reader.differs(question, prompt)
        return None


def entry_of(call: Call, body: bytes, meta: Meta, ttl_s: int) -> Entry:
    """What is kept of this answer to this call."""
    question = call.request.question
    semantic = call.scope is not None and question is not None and privacy.classify(question, call.rules).semantic
    return Entry(
        scope=call.scope if semantic and call.scope else "",
        fingerprint=call.fingerprint,
        namespace=call.rules.namespace,
        tags=call.rules.tags,
        end_user=call.end_user,
        model=call.request.model,
        # Postgres keeps no zero byte in a text.
        prompt=privacy.kept_text((question or "").replace("\0", ""), call.rules),
        answer=body,
        meta=meta,
        ttl_s=ttl_s,
        stale_s=call.rules.keep_stale_s,
    )
