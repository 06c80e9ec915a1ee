"""How many calls a provider gets at the same time: places, given by priority and arrival, over all processes.

Only providers with a limit have any of this. While Redis is away each process keeps the limit for itself.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

from django.conf import settings
from redis.exceptions import RedisError

from gateway.types import ProviderConfig
from tenants import keyspace
from tenants.cluster import AnyLane
from tenants.lane import Script

logger = logging.getLogger(__name__)

RANKS = {"high": 0, "default": 1, "low": 2}
# A place freed in this process is noticed at once, one freed elsewhere by asking again.
POLL_S, MAX_POLL_S = 0.02, 0.1
GONE_MS = 2000
_SCRIPT = Script((Path(__file__).parent / "lua" / "slots.lua").read_bytes())


class Slots:
    def __init__(self, lane: AnyLane) -> None:
        self._lane = lane
        self._alone: dict[str, _Alone] = defaultdict(_Alone)
        self._freed: dict[str, asyncio.Event] = {}

    async def enter(self, provider: ProviderConfig, call_id: str, priority: str, *, wait: bool) -> bool:
        """Whether the call is in. With `wait`, returns only when it is; the caller sets the deadline."""
        name = _name(provider)
        poll_s = POLL_S
        try:
            while not await self._ask(provider, call_id, RANKS[priority], wait):
                if not wait:
                    return False
                freed = self._freed.setdefault(name, asyncio.Event())
                try:
                    await asyncio.wait_for(freed.wait(), random.uniform(poll_s / 2, poll_s))
                except TimeoutError:
                    poll_s = min(poll_s * 1.5, MAX_POLL_S)
            return True
        except asyncio.CancelledError:
            # It may be in by now, for all that is known.
            await asyncio.shield(self.leave(provider, call_id))
            raise

    async def leave(self, provider: ProviderConfig, call_id: str) -> None:
        name = _name(provider)
        self._alone[name].leave(call_id)
        try:
            await self._run(provider, "leave", call_id)
        except (RedisError, OSError) as error:
            logger.warning("a place at %s was not given back, and will expire: %s", name, error)
        if event := self._freed.pop(name, None):
            event.set()

    async def _ask(self, provider: ProviderConfig, call_id: str, rank: int, wait: bool) -> bool:
        limit = provider.max_concurrency or 0
        lives_ms = int(settings.CALL_DEADLINE_S * 1000) + 10_000
        try:
            return bool(await self._run(provider, "enter", call_id, limit, rank, lives_ms, GONE_MS if wait else 0))
        except (RedisError, OSError):
            return self._alone[_name(provider)].enter(call_id, limit, rank, wait)

    async def _run(self, provider: ProviderConfig, *words: Any) -> Any:
        return await self._lane.evaluate(_SCRIPT, keyspace.slots(provider.owner, provider.name), words)


class _Alone:
    """The same in one process's memory."""

    def __init__(self) -> None:
        self._inside: set[str] = set()
        self._waiting: dict[str, tuple[int, int]] = {}
        self._arrivals = itertools.count()

    def enter(self, call_id: str, limit: int, rank: int, wait: bool) -> bool:
        free = limit - len(self._inside)
        if wait:
            order = self._waiting.setdefault(call_id, (rank, next(self._arrivals)))
            before = sum(other < order for other in self._waiting.values())
        else:
            before = len(self._waiting)
        if before >= free:
            return False
        self._waiting.pop(call_id, None)
        self._inside.add(call_id)
        return True

    def leave(self, call_id: str) -> None:
        self._inside.discard(call_id)
        self._waiting.pop(call_id, None)


def _name(provider: ProviderConfig) -> str:
    return f"{provider.owner}|{provider.name}"
