"""Finds a scope's most similar vectors in Postgres: all compared in a small scope, by the HNSW index in a large one.

HNSW knows nothing of scopes. In a small one it costs a hundred times as much, and loses hits; and Postgres would choose
it there. So the gateway chooses, by counting (docs/vectors.md).
"""

from __future__ import annotations

import functools
import time
from collections import OrderedDict
from decimal import Decimal
from typing import Any, NamedTuple

from psycopg import AsyncConnection, sql
from psycopg_pool import AsyncConnectionPool

from gateway.cache import entries
from gateway.cache.entries import Embedded
from gateway.models import INDEXED_DIMENSIONS
from gateway.types import Call
from tenants.db import table

# As many are looked at: at first a few, with their answers, and the others only when all of those are refused.
CANDIDATES, FIRST = 30, 5
# Of as many vectors each is compared: 12 ms of Postgres at most, by the vectors' length.
ONE_BY_ONE = ((384, 20_000), (768, 10_000), (4_000, 4_000))
# A scope is counted again after this.
COUNTED_S = 60.0
MAX_COUNTS = 20_000


class Row(NamedTuple):
    prompt: str
    answer: bytes
    meta: dict[str, Any]
    similarity: float
    # Negative: it has so long to go.
    stale_s: Decimal


_NEAREST = """
SELECT entry.prompt, entry.answer, entry.meta, 1 - near.distance AS similarity,
       extract(epoch FROM now() - entry.expires_at) AS stale_s
FROM (
    SELECT entry_id, {distance} AS distance FROM {vectors}
    WHERE scope = %(scope)s AND embedder = %(embedder)s AND dimensions = {dimensions} AND {ends_at} > now()
        AND created_at >= now() - make_interval(secs => %(max_age_s)s)
    ORDER BY {distance} LIMIT %(neighbours)s
) near
JOIN {entries} entry ON entry.id = near.entry_id
ORDER BY near.distance OFFSET %(skipped)s LIMIT %(candidates)s
"""
# Without their length: so it is the index without vectors that is read.
_COUNT = """
SELECT count(*) FROM (SELECT FROM {vectors} WHERE scope = %(scope)s AND embedder = %(embedder)s LIMIT %(most)s) counted
"""
_SAME_REQUEST = """
SELECT prompt, answer, meta, 1::float8, extract(epoch FROM now() - expires_at) FROM {entries}
WHERE fingerprint = %(fingerprint)s AND stale_until > now()
"""
_ANY_AGE_S = 10 * 366 * 86400.0


class Search:
    """Lookups are sent unprepared: a general plan is one for a scope of average size, which nobody has."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool
        # (schema, scope, embedder) → whether it is large, and until when that holds.
        self._large: OrderedDict[tuple[str, str, str], tuple[bool, float]] = OrderedDict()

    async def nearest(self, call: Call, embedded: Embedded, *, first: bool = True, stale: bool = False) -> list[Row]:
        """The `FIRST` most similar of the call's scope, or those after them. Raises psycopg.Error, PoolTimeout."""
        schema, scope = call.principal.schema, call.scope or ""
        values = {
            "vector": entries.half(embedded.vector),
            "scope": scope,
            "embedder": embedded.embedder,
            "max_age_s": _ANY_AGE_S if call.rules.max_age_s is None else call.rules.max_age_s,
            "neighbours": CANDIDATES,
            "skipped": 0 if first else FIRST,
            "candidates": FIRST if first else CANDIDATES - FIRST,
        }
        async with self._pool.connection() as connection:
            large = await self._is_large(connection, schema, scope, embedded)
            query = _nearest_query(schema, len(embedded.vector), large, stale)
            cursor = await connection.execute(query, values, prepare=False)
            return [Row(*row) for row in await cursor.fetchall()]

    async def same_request(self, call: Call) -> list[Row]:
        """The answer to this very request, past its time or not. Raises psycopg.Error, PoolTimeout."""
        query = sql.SQL(_SAME_REQUEST).format(entries=table(call.principal.schema, "gateway_cacheentry"))
        async with self._pool.connection() as connection:
            cursor = await connection.execute(query, {"fingerprint": call.fingerprint})
            return [Row(*row) for row in await cursor.fetchall()]

    async def _is_large(self, connection: AsyncConnection[Any], schema: str, scope: str, embedded: Embedded) -> bool:
        dimensions = len(embedded.vector)
        if dimensions not in INDEXED_DIMENSIONS:
            return False
        key = (schema, scope, embedded.embedder)
        known = self._large.get(key)
        now = time.monotonic()
        if known is not None and now < known[1]:
            return known[0]
        limit = next(count for longest, count in ONE_BY_ONE if dimensions <= longest)
        query = sql.SQL(_COUNT).format(vectors=table(schema, "gateway_cachevector"))
        values = {"scope": scope, "embedder": embedded.embedder, "most": limit + 1}
        cursor = await connection.execute(query, values, prepare=False)
        row = await cursor.fetchone()
        large = row is not None and row[0] > limit
        self._large[key] = (large, now + COUNTED_S)
        self._large.move_to_end(key)
        if len(self._large) > MAX_COUNTS:
            self._large.popitem(last=False)
        return large


@functools.lru_cache(maxsize=4096)
def _nearest_query(schema: str, dimensions: int, large: bool, stale: bool) -> bytes:
    # As the index has it, word by word; and as it does not, so that Postgres cannot use it.
    vectors = f"(embedding::halfvec({dimensions}))" if large else "embedding"
    query = sql.SQL(_NEAREST).format(
        distance=sql.SQL(f"{vectors} <=> %(vector)s"),
        dimensions=sql.Literal(dimensions),
        ends_at=sql.SQL("stale_until" if stale else "expires_at"),
        vectors=table(schema, "gateway_cachevector"),
        entries=table(schema, "gateway_cacheentry"),
    )
    return query.as_bytes(None)
