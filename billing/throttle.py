"""What all workspaces together may ask for in a minute. Tickets are leased from Redis in small blocks, so that no
request but the first of a block waits for it; what a process leases and does not hand out is lost, never handed out
twice.
"""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from redis.exceptions import RedisError

from tenants import keyspace
from tenants.cluster import AnyLane
from tenants.lane import Script

if TYPE_CHECKING:
    from psycopg_pool import AsyncConnectionPool

logger = logging.getLogger(__name__)

WINDOW_S = 60
_LEASE = Script((Path(__file__).parent / "lua" / "lease.lua").read_bytes())


class PlatformLimits(NamedTuple):
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


class Throttle:
    def __init__(self, lane: AnyLane) -> None:
        self._requests = _Block(lane, "requests")
        self._tokens = _Block(lane, "tokens")
        self._limits = PlatformLimits()
        self.is_on = False

    @property
    def limits(self) -> PlatformLimits:
        return self._limits

    @limits.setter
    def limits(self, limits: PlatformLimits) -> None:
        self._limits = limits
        self.is_on = limits != PlatformLimits()

    async def take(self, tokens: int) -> float:
        """For one request. 0 when it may pass, else the seconds to wait."""
        requests_limit, tokens_limit = self._limits
        if requests_limit is not None:
            wait_s = await self._requests.take(1, requests_limit)
            if wait_s > 0:
                return wait_s
        if tokens_limit is not None:
            wait_s = await self._tokens.take(tokens, tokens_limit)
            if wait_s > 0:
                self._requests.give_back(1)
                return wait_s
        return 0.0


class _Block:
    """Tickets of this process, for a moment."""

    def __init__(self, lane: AnyLane, what: str) -> None:
        self._lane = lane
        self._key = keyspace.throttle(what)
        self._left = 0
        self._until = 0.0
        self._leasing = asyncio.Lock()

    async def take(self, needed: int, limit: int) -> float:
        if self._spend(needed):
            return 0.0
        async with self._leasing:
            # Somebody before us in the line may have brought enough for all.
            if self._spend(needed):
                return 0.0
            try:
                granted, milliseconds = await self._lease(needed, limit)
            except (RedisError, OSError, TimeoutError) as error:
                # As all limits, it gives way when it cannot be asked: answering is worth more.
                logger.warning("the platform's limit is not kept while Redis is away: %s", error)
                return 0.0
            if not granted:
                return float(milliseconds) / 1000
            now = time.monotonic()
            self._left = granted + (self._left if now < self._until else 0)
            self._until = now + milliseconds / 1000
            # A request larger than the limit has all there is.
            self._left -= min(needed, self._left)
        return 0.0

    def give_back(self, tickets: int) -> None:
        self._left += tickets

    def _spend(self, needed: int) -> bool:
        if time.monotonic() >= self._until or self._left < needed:
            return False
        self._left -= needed
        return True

    async def _lease(self, needed: int, limit: int) -> tuple[int, int]:
        """A second's worth, or what is needed now."""
        words = (str(limit), str(WINDOW_S), str(needed), str(max(needed, limit // WINDOW_S)))
        granted, milliseconds = await self._lane.evaluate(_LEASE, [self._key], words)
        return granted, milliseconds


async def fetch_limits(pool: AsyncConnectionPool[Any]) -> PlatformLimits:
    query = "SELECT requests_per_minute, tokens_per_minute FROM public.billing_platformlimits"
    async with pool.connection() as connection:
        row = await (await connection.execute(query)).fetchone()
    return PlatformLimits(*row) if row else PlatformLimits()
