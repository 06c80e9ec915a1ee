"""Gives entries a vector of today's embedding model: after a change of the model, and where the embedder was away.

Until then they are found by their exact request only; the old model's vectors lie beside the new ones, and go with
their entries. Any number of processes may work at it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import Any

import psycopg
from psycopg import AsyncConnection, sql
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from gateway.cache import entries
from gateway.cache.embedding.base import Embedder, EmbeddingError, EmbeddingUnavailable, TextRefused, Vector
from tenants.db import table

logger = logging.getLogger(__name__)

EVERY_S = 60.0
BATCH = 64
# Live questions wait behind no more than these.
AT_ONCE = 8

_SCHEMAS = "SELECT schema_name FROM public.tenants_tenant WHERE status <> 'deleted' ORDER BY id"
# An entry that somebody else is embedding, or replacing, is left to them.
_WITHOUT = """
SELECT id, prompt FROM {entries}
WHERE scope <> '' AND (embedder < %(embedder)s OR embedder > %(embedder)s) AND expires_at > now()
LIMIT %(batch)s FOR UPDATE SKIP LOCKED
"""
_PUT = """
WITH entry AS (UPDATE {entries} SET embedder = %(embedder)s WHERE id = %(id)s
               RETURNING id, scope, created_at, expires_at, stale_until)
INSERT INTO {vectors} (entry_id, scope, embedder, dimensions, embedding, created_at, expires_at, stale_until)
SELECT id, scope, %(embedder)s, %(dimensions)s, %(vector)s, created_at, expires_at, stale_until FROM entry
ON CONFLICT (entry_id, embedder) DO NOTHING
"""


class Reembedder:
    def __init__(self, pool: AsyncConnectionPool[Any], embedder: Embedder) -> None:
        self._pool = pool
        self._embedder = embedder

    async def run(self) -> None:
        """For ever. What fails is tried again."""
        while True:
            await asyncio.sleep(EVERY_S * random.uniform(0.5, 1))
            try:
                if count := await self.catch_up():
                    logger.info("%d cached prompts were embedded by %s", count, self._embedder.name)
            except (EmbeddingError, psycopg.Error, PoolTimeout) as error:
                logger.warning("cached prompts wait for their vectors: %s", error)

    async def catch_up(self) -> int:
        """All tenants' entries that have no vector of the embedder's. Raises EmbeddingError, psycopg.Error."""
        if not self._embedder.name:
            # A remote one that has not been reached yet.
            return 0
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_SCHEMAS)
            schemas = [row[0] for row in await cursor.fetchall()]
        count = 0
        for schema in schemas:
            while done := await self._batch(schema):
                count += done
        return count

    async def _batch(self, schema: str) -> int:
        started = time.perf_counter()
        embedder = self._embedder.name
        tables = {"entries": table(schema, "gateway_cacheentry"), "vectors": table(schema, "gateway_cachevector")}
        async with self._pool.connection() as connection, connection.transaction():
            cursor = await connection.execute(
                sql.SQL(_WITHOUT).format(**tables), {"embedder": embedder, "batch": BATCH}
            )
            rows = await cursor.fetchall()
            for at in range(0, len(rows), AT_ONCE):
                some = rows[at : at + AT_ONCE]
                vectors = await asyncio.gather(*(self._vector(prompt, embedder) for _, prompt in some))
                for (entry_id, _), vector in zip(some, vectors, strict=True):
                    await self._put(connection, tables, entry_id, embedder, vector)
        # Half of the time is others'.
        await asyncio.sleep(time.perf_counter() - started if rows else 0)
        return len(rows)

    async def _vector(self, prompt: str, embedder: str) -> Vector | None:
        try:
            vector = await self._embedder.embed(prompt)
        except TextRefused:
            return None
        if self._embedder.name != embedder:
            raise EmbeddingUnavailable(f"The model is now {self._embedder.name}.")
        return vector

    async def _put(
        self,
        connection: AsyncConnection[Any],
        tables: dict[str, sql.Identifier],
        entry_id: Any,
        embedder: str,
        vector: Vector | None,
    ) -> None:
        if vector is None:
            # Never to be read by this model: not asked for again.
            await connection.execute(
                sql.SQL("UPDATE {entries} SET scope = '' WHERE id = %(id)s").format(**tables), {"id": entry_id}
            )
            return
        await connection.execute(
            sql.SQL(_PUT).format(**tables),
            {"id": entry_id, "embedder": embedder, "dimensions": len(vector), "vector": entries.half(vector)},
        )
