"""Puts a sample of what the semantic tier finds aside, to be judged in the background: hits, near misses, shadow hits.

A sample that cannot be written is left out: nothing waits for it, and nobody is told.
"""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from typing import Any

import orjson
import psycopg
from psycopg import sql
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from gateway.cache import privacy
from gateway.cache.semantic import Found
from gateway.dialects.simple_chat import text_of
from gateway.types import CacheRules, Call
from tenants.db import table

logger = logging.getLogger(__name__)

# Judges read no more; nobody's table fills up with one long text.
KEPT_CHARACTERS = 8_000
# Of a tenant, so that a judge who is away does not leave a mountain.
WAITING_AT_MOST = 500


_PUT = """
INSERT INTO {verdicts} (id, at, kind, similarity, weight, entry_id, end_user, question, prompt, cached_answer,
                        fresh_answer, source, note)
SELECT %(id)s, now(), %(kind)s, %(similarity)s, %(weight)s, %(entry_id)s, %(end_user)s, %(question)s, %(prompt)s,
       %(cached_answer)s, %(fresh_answer)s, '', ''
WHERE (
    SELECT count(*) FROM (
        SELECT FROM {verdicts} WHERE "right" IS NULL AND judged_at IS NULL LIMIT %(most)s
    ) waiting
) < %(most)s
"""


class Sampler:
    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool
        self._tasks: set[asyncio.Task[None]] = set()

    def offer(self, call: Call, kind: str, share: float, found: Found, fresh: bytes | None) -> None:
        """`kind` of gateway.models.Verdict; `fresh` is the provider's own answer, where there is one."""
        if random.random() >= share:
            return
        task = asyncio.create_task(self._put(call, kind, share, found, fresh))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=5)

    async def _put(self, call: Call, kind: str, share: float, found: Found, fresh: bytes | None) -> None:
        values = {
            "id": uuid.uuid4(),
            "kind": kind,
            "similarity": found.similarity,
            "weight": 1 / share,
            "entry_id": found.meta.entry_id,
            "end_user": call.end_user,
            "question": _kept(call.request.question or "", call.rules),
            "prompt": _kept(found.prompt, call.rules),
            "cached_answer": _said(found.body, call.rules),
            "fresh_answer": "" if fresh is None else _said(fresh, call.rules),
            "most": WAITING_AT_MOST,
        }
        query = sql.SQL(_PUT).format(verdicts=table(call.principal.schema, "gateway_verdict"))
        try:
            async with self._pool.connection() as connection:
                await connection.execute(query, values)
        except (psycopg.Error, PoolTimeout) as error:
            logger.info("no sample kept of %s: %s", call.request_id, error)


def _kept(text: str, rules: CacheRules) -> str:
    # Cut afterwards: half an address is none that a rule knows.
    return privacy.kept_text(text, rules)[:KEPT_CHARACTERS].replace("\0", "")


def _said(body: bytes, rules: CacheRules) -> str:
    return _kept(text_of(orjson.loads(body)), rules)
