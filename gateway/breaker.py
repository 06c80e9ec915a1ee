"""Circuit breakers by provider and model: who failed too often of late is left alone for a while.

Shared through Redis, so that one process's failures spare the others theirs; while Redis is away each process counts
for itself. A closed breaker costs a call nothing but a look at a dictionary.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from redis.exceptions import RedisError

from gateway import labels
from gateway.types import Candidate, ProviderConfig
from tenants import keyspace
from tenants.cluster import AnyLane
from tenants.lane import Script

logger = logging.getLogger(__name__)

# Opens at so many failures within one to two windows, if they are this share of all calls.
WINDOW_S, FAILURES_TO_OPEN, SHARE_TO_OPEN = 15.0, 5, 0.5
# Each probe that fails doubles the time.
COOLDOWN_S, MAX_COOLDOWN_S = 5.0, 120.0
# Who probes and dies holds the others up no longer than this.
PROBE_S = 20.0
MAX_STATES = 10_000
_SCRIPT = Script((Path(__file__).parent / "lua" / "breaker.lua").read_bytes())


@dataclasses.dataclass(slots=True)
class _State:
    """`open_until` on the monotonic clock; 0 is closed."""

    open_until: float = 0.0
    # The provider's kind, where a call of this process has told it.
    kind: str = ""
    # Calls that succeeded since a failure was last reported.
    successes: int = 0
    probing_until: float = 0.0
    # What this process counts for itself, while Redis is away.
    window_from: float = 0.0
    window_failures: int = 0
    window_successes: int = 0
    cooldown_s: float = 0.0


class Breakers:
    def __init__(self, lane: AnyLane, announce: Callable[[str], Any]) -> None:
        """`announce` publishes a message to all processes, which hand it to `learn`."""
        self._lane = lane
        self._announce = announce
        self._states: dict[str, _State] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    async def lets_through(self, candidate: Candidate) -> bool:
        """Closed, or this call is the one that tries whether it can be closed again."""
        key = _key(candidate)
        state = self._states.get(key)
        if state is None or not state.open_until:
            return True
        state.kind = candidate.provider.kind
        now = time.monotonic()
        if now < max(state.open_until, state.probing_until):
            return False
        state.probing_until = now + PROBE_S
        try:
            allowed, wait_ms = await self._run(key, "probe", int(PROBE_S * 1000))
        except (RedisError, OSError):
            return True
        if not allowed:
            state.probing_until = now + wait_ms / 1000
        return bool(allowed)

    def opens_in_s(self, candidate: Candidate) -> float:
        """Until the next try; 0 when it is closed."""
        state = self._states.get(_key(candidate))
        if state is None or not state.open_until:
            return 0.0
        return max(0.0, max(state.open_until, state.probing_until) - time.monotonic())

    def state_of(self, candidate: Candidate) -> str:
        """`closed`, `open`, or `half-open`: the next call tries."""
        state = self._states.get(_key(candidate))
        if state is None or not state.open_until:
            return "closed"
        return "open" if self.opens_in_s(candidate) else "half-open"

    def not_closed(self, provider: ProviderConfig) -> dict[str, str]:
        """The provider's models whose breaker is open or half-open, with which of the two."""
        theirs = _key(Candidate(provider, ""))
        opened = [key for key, state in self._states.items() if state.open_until and key.startswith(theirs)]
        models = sorted(key.removeprefix(theirs) for key in opened)
        return {model: self.state_of(Candidate(provider, model)) for model in models}

    def opened(self) -> dict[str, float]:
        """All that are not closed, as Redis has their names, and the seconds until the next try."""
        now = time.monotonic()
        return {key: max(0.0, state.open_until - now) for key, state in self._states.items() if state.open_until}

    def standing(self) -> list[tuple[str, str]]:
        """Of each that is not closed: the provider's kind, and whether it is open or half_open. From any thread."""
        now = time.monotonic()
        states = [state for state in list(self._states.values()) if state.open_until]
        return [
            (labels.provider(state.kind), "open" if now < max(state.open_until, state.probing_until) else "half_open")
            for state in states
        ]

    def succeeded(self, candidate: Candidate) -> None:
        key = _key(candidate)
        state = self._states.get(key)
        if state is None:
            if len(self._states) < MAX_STATES:
                self._states[key] = _State(successes=1)
            return
        state.successes += 1
        if state.open_until:
            self._states[key] = _State()
            logger.warning("breaker of %s closes", key)
            self._spawn(self._close(key))

    async def failed(self, candidate: Candidate) -> None:
        """Counts a failure that says something about the provider's health."""
        key = _key(candidate)
        state = self._states.setdefault(key, _State())
        state.kind = candidate.provider.kind
        now = time.monotonic()
        successes, state.successes = state.successes, 0
        state.probing_until = 0.0
        try:
            opened, open_ms = await self._run(
                key, "fail", successes, int(WINDOW_S * 1000), FAILURES_TO_OPEN, SHARE_TO_OPEN,
                int(COOLDOWN_S * 1000), int(MAX_COOLDOWN_S * 1000),
            )  # fmt: skip
        except (RedisError, OSError):
            self._count_alone(key, state, successes, now)
            return
        state.open_until = now + open_ms / 1000 if open_ms else 0.0
        if opened:
            logger.warning("breaker of %s opens for %g s", key, open_ms / 1000)
            self._spawn(self._announce(f"breaker:{open_ms}:{key}"))

    def learn(self, message: str) -> None:
        """What another process announced."""
        kind, _, rest = message.partition(":")
        if kind != "breaker":
            return
        open_ms, _, key = rest.partition(":")
        if int(open_ms):
            state = self._states.setdefault(key, _State())
            state.open_until = max(state.open_until, time.monotonic() + int(open_ms) / 1000)
        else:
            self._states.pop(key, None)

    def forget(self, owner: str) -> None:
        """A tenant's providers have changed: what was known of them may be wrong."""
        theirs = keyspace.breakers(owner)
        for key in [key for key in self._states if key.startswith(theirs)]:
            del self._states[key]

    def _count_alone(self, key: str, state: _State, successes: int, now: float) -> None:
        if state.open_until:
            if now < state.open_until:
                return
            state.cooldown_s = min(2 * state.cooldown_s, MAX_COOLDOWN_S)
        else:
            if now - state.window_from > WINDOW_S:
                state.window_from, state.window_failures, state.window_successes = now, 0, 0
            state.window_failures += 1
            state.window_successes += successes
            calls = state.window_failures + state.window_successes
            if state.window_failures < FAILURES_TO_OPEN or state.window_failures < SHARE_TO_OPEN * calls:
                return
            state.cooldown_s = COOLDOWN_S
        state.open_until = now + state.cooldown_s
        logger.warning("breaker of %s opens for %g s, in this process alone", key, state.cooldown_s)

    async def _close(self, key: str) -> None:
        try:
            await self._run(key, "close")
            await self._announce(f"breaker:0:{key}")
        except (RedisError, OSError) as error:
            logger.warning("breaker of %s is closed in this process alone: %s", key, error)

    async def _run(self, key: str, *words: Any) -> list[int]:
        reply: list[int] = await self._lane.evaluate(_SCRIPT, [key], words)
        return reply

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.warning("other processes were not told of a breaker: %s", error)


def _key(candidate: Candidate) -> str:
    """As Redis has it. A provider with another address or credential is another one: its breaker is closed."""
    provider = candidate.provider
    return keyspace.breaker(provider.owner, f"{provider.name}@{provider.version}", candidate.model)
