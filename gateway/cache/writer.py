"""Writes the rows of answers that are never compared by meaning: many at a time, a moment after.

Redis has such an answer already; its row says what it is, so that it can be explained, tagged and taken away. A process
that dies loses the rows of its last moment, and none of the answers.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from typing import Any

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from gateway.cache import entries
from gateway.cache.entries import Entry
from gateway.cache.seldom import SeldomLog
from gateway.metrics import CACHE_ROWS_LOST

logger = logging.getLogger(__name__)

# A row alone costs as much as the rest of a request; rows of this long together cost little more than one.
TOGETHER_S = 0.1
MANY = 200
# While Postgres is away, no more than these wait.
WAITING_AT_MOST = 5_000


class Writer:
    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool
        # By schema and fingerprint: the last answer to a request is the one that stays.
        self._waiting: dict[str, dict[str, Entry]] = {}
        self._count = 0
        self._task: asyncio.Task[None] | None = None
        self._left_out = SeldomLog(logger, "%d answers have no row: %s")

    def put(self, schema: str, entry: Entry) -> None:
        if self._count >= WAITING_AT_MOST:
            CACHE_ROWS_LOST.labels("waiting").inc()
            self._left_out.warn(asyncio.QueueFull(f"{self._count:,} wait for the database already"))
            return
        rows = self._waiting.setdefault(schema, {})
        self._count += entry.fingerprint not in rows
        rows[entry.fingerprint] = entry
        if self._task is None:
            # Not a part of the request that came first: it writes what all of them left.
            self._task = asyncio.get_running_loop().create_task(self._write(), context=contextvars.Context())

    async def close(self) -> None:
        """Waits for what is being written."""
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=5)

    async def _write(self) -> None:
        try:
            await asyncio.sleep(TOGETHER_S)
            while self._waiting:
                schema, waiting = self._waiting.popitem()
                self._count -= len(waiting)
                rows = list(waiting.values())
                for at in range(0, len(rows), MANY):
                    await self._write_some(schema, rows[at : at + MANY])
        finally:
            self._task = None

    async def _write_some(self, schema: str, rows: list[Entry]) -> None:
        try:
            async with self._pool.connection() as connection:
                await entries.store_many(connection, schema, rows)
        except (psycopg.Error, PoolTimeout) as error:
            CACHE_ROWS_LOST.labels("database").inc(len(rows))
            logger.warning("%d answers have no row: %s", len(rows), error)
        except Exception:
            CACHE_ROWS_LOST.labels("database").inc(len(rows))
            logger.exception("%d answers have no row", len(rows))
