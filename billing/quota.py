"""What a caller may still use: rate limits, quotas and holds, each question one Lua call in Redis.

Reserve, then settle: `admit` holds the worst case, `settle` gives back what was not used. Refuses to guess when Redis
is away (`RedisAway`); `billing.outage` says what happens then.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import redis.asyncio
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from billing.periods import Period, period_at
from tenants import keyspace
from tenants.lane import Lane
from tenants.principal import Limits, Principal

logger = logging.getLogger(__name__)

_LUA = Path(__file__).parent / "lua"
# Redis is left alone for this long after so many failures in a row, rather than making each request wait.
FAILURES_TO_OPEN, OPEN_S = 3, 1.0
# A period's counters outlive it, for late settlements and questions.
AFTERLIFE_S = 7 * 86400


class RedisAway(Exception):
    """Redis did not answer in time. Nothing is known about what it did."""


@dataclasses.dataclass(frozen=True, slots=True)
class Account:
    """Where a caller's counters are in one period; made once per caller and period."""

    principal: Principal
    period: Period
    quota_key: str
    holds_key: str
    rates_key: str
    stream: str
    facts: bytes


class Ask(NamedTuple):
    """`completion_tokens` is the client's own bound, or None. `answer_key` is looked up; None skips the exact cache."""

    id: str
    prompt_tokens: int
    completion_tokens: int | None
    answer_key: str | None
    max_age_s: float | None
    hit_event: bytes


class Window(NamedTuple):
    """Limit, what is left of it, and milliseconds until it is whole again; -1 where there is no limit."""

    requests_limit: int
    requests_left: int
    requests_reset_ms: int
    tokens_limit: int
    tokens_left: int
    tokens_reset_ms: int


NO_WINDOW = Window(-1, -1, 0, -1, -1, 0)


class Hit(NamedTuple):
    window: Window
    meta: bytes
    body: bytes


class Hold(NamedTuple):
    """`held` tokens, or None when nothing could be held; `completion_cap` where the quota bounds the answer."""

    window: Window
    held: int | None
    completion_cap: int | None


class RateLimited(NamedTuple):
    window: Window
    what: str
    retry_after_ms: int


class QuotaSpent(NamedTuple):
    """`what` is "requests", "tokens", or "held": enough is left, but calls in flight hold it."""

    window: Window
    what: str
    used: int
    limit: int


Verdict = Hit | Hold | RateLimited | QuotaSpent


class Settlement(NamedTuple):
    """All that one settle call needs; plain values, so that it can wait in a file while Redis is away."""

    keys: list[str]
    args: list[bytes]

    def without_answer(self) -> Settlement:
        """To be kept for a while."""
        return Settlement(self.keys[:5], [compact(arg) for arg in self.args[:3]])


def compact(data: bytes) -> bytes:
    """A copy in no more memory than it needs: behind a short text, orjson leaves all of its buffer, 4 KB and more."""
    return bytes(memoryview(data))


class Answer(NamedTuple):
    """An exact cache entry to store with the settlement."""

    key: str
    meta: bytes
    body: bytes
    ttl_s: int


class Replay(NamedTuple):
    """The answer to an Idempotency-Key, to keep with the settlement."""

    key: str
    meta: bytes
    body: bytes
    outcome: str
    ttl_s: int


# What the ledger says of a period: (key id, or None for the tenant's sum) → (requests, tokens).
Used = dict[int | None, tuple[int, int]]
ReadLedger = Callable[[Principal, Period], Awaitable[Used]]


def account_of(principal: Principal, now: dt.datetime, *, hold_ttl_s: int) -> Account:
    period = period_at(principal.period_anchor, now)
    tenant_id = principal.tenant_id
    return Account(
        principal=principal,
        period=period,
        quota_key=keyspace.quota(tenant_id, period.id),
        holds_key=keyspace.holds(tenant_id, period.id),
        rates_key=keyspace.rates(tenant_id),
        stream=keyspace.usage_stream(keyspace.partition(tenant_id)),
        facts=compact(
            orjson.dumps(
                {
                    "k": principal.key_id,
                    "t": _limits(principal.limits),
                    "u": _limits(principal.key_limits),
                    "h": hold_ttl_s,
                    "x": int(period.end.timestamp()),
                }
            )
        ),
    )


def _limits(limits: Limits) -> list[int]:
    return [
        -1 if limit is None else limit
        for limit in (
            limits.requests_per_minute,
            limits.tokens_per_minute,
            limits.monthly_requests,
            limits.monthly_tokens,
        )
    ]


def settlement(
    account: Account,
    ask_id: str,
    *,
    held: int | None,
    requests: int,
    tokens: int,
    event: bytes,
    answer: Answer | None = None,
    replay: Replay | None = None,
) -> Settlement:
    keys = [
        account.quota_key,
        account.holds_key,
        account.rates_key,
        account.stream,
        keyspace.settled(account.principal.tenant_id, ask_id),
    ]
    call: dict[str, Any] = {"id": ask_id, "h": -1 if held is None else held, "r": requests, "t": tokens}
    kept = answer or replay
    if kept is None:
        return Settlement(keys, [account.facts, orjson.dumps(call), event])
    if answer is not None:
        keys.append(answer.key)
        call["l"] = answer.ttl_s
    if replay is not None:
        keys.append(replay.key)
        call |= {"i": replay.ttl_s, "o": replay.outcome}
    return Settlement(keys, [account.facts, orjson.dumps(call), event, kept.meta, kept.body])


class Quota:
    """The Lua calls, behind one switch that leaves a dead Redis alone for a moment."""

    def __init__(self, lane: Lane, client: redis.asyncio.Redis, read_ledger: ReadLedger) -> None:
        self._lane = lane
        self._redis = client
        self._read_ledger = read_ledger
        self._scripts = {name: (_LUA / f"{name}.lua").read_bytes() for name in ("admit", "settle")}
        self._shas: dict[str, str] = {}
        self._failures = 0
        self._closed_until = 0.0
        self.swallowed_errors = 0
        # Called at once when a connection breaks: what Redis was told last may be lost (billing.outage).
        self.on_break: Callable[[], None] = lambda: None
        # Moving average of a call's time: an exact hit's event is written before its own time is known.
        self.round_trip_ms = 0.5

    async def admit(self, account: Account, ask: Ask) -> Verdict:
        """Raises `RedisAway`. Seeds the period's counters from the ledger when Redis does not have them."""
        keys = [account.quota_key, account.holds_key, account.rates_key, account.stream]
        if ask.answer_key is not None:
            keys.append(ask.answer_key)
        call = orjson.dumps(
            {
                "id": ask.id,
                "p": ask.prompt_tokens,
                "c": -1 if ask.completion_tokens is None else ask.completion_tokens,
                "a": -1 if ask.max_age_s is None else ask.max_age_s,
            }
        )
        for _ in range(3):
            started = time.perf_counter()
            reply = await self._call("admit", keys, [account.facts, call, ask.hit_event])
            if reply[0] != b"seed":
                self.round_trip_ms += ((time.perf_counter() - started) * 1000 - self.round_trip_ms) * 0.05
                return _verdict(reply)
            await self._seed(account)
        raise RedisAway("the period's counters do not stay")

    async def settle(self, settlement: Settlement) -> bool:
        """False when it was settled before. Raises `RedisAway`."""
        return bool(await self._call("settle", settlement.keys, settlement.args))

    async def used(self, account: Account) -> tuple[int, int]:
        """Requests and tokens used in the account's period, those in flight included. Raises `RedisAway`."""
        for _ in range(2):
            try:
                counters = await self._redis.hmget(account.quota_key, ["r", "hr", "t", "ht"])
            except (RedisError, OSError) as error:
                raise RedisAway from error
            if counters[0] is not None:
                requests, held_requests, tokens, held_tokens = (int(c or 0) for c in counters)
                return requests + held_requests, tokens + held_tokens
            await self._seed(account)
        raise RedisAway("the period's counters do not stay")

    async def append(self, stream: str, fields: dict[bytes | str, bytes]) -> None:
        """Writes a usage event once more. Raises `RedisAway`."""
        try:
            await self._redis.xadd(stream, fields)  # type: ignore[arg-type]
        except (RedisError, OSError) as error:
            raise RedisAway from error

    async def is_up(self) -> bool:
        try:
            return bool(await self._redis.ping())
        except (RedisError, OSError):
            return False

    async def _seed(self, account: Account) -> None:
        """From the ledger. Who comes second changes nothing: HSETNX."""
        used = await self._read_ledger(account.principal, account.period)
        used.setdefault(account.principal.key_id, (0, 0))
        try:
            async with self._redis.pipeline(transaction=True) as pipe:
                for key_id, (requests, tokens) in sorted(used.items(), key=lambda item: item[0] is None):
                    scope = "" if key_id is None else f"k{key_id}:"
                    pipe.hsetnx(account.quota_key, f"{scope}r", str(requests))
                    pipe.hsetnx(account.quota_key, f"{scope}t", str(tokens))
                pipe.expireat(account.quota_key, int(account.period.end.timestamp()) + AFTERLIFE_S)
                pipe.expireat(account.holds_key, int(account.period.end.timestamp()) + AFTERLIFE_S)
                await pipe.execute()
        except (RedisError, OSError) as error:
            raise RedisAway from error

    async def _call(self, script: str, keys: list[str], args: list[bytes]) -> Any:
        if self._closed_until and time.monotonic() < self._closed_until:
            raise RedisAway("left alone for a moment")
        try:
            reply = await self._evaluate(script, keys, args)
        except (RedisError, OSError, TimeoutError) as error:
            self.swallowed_errors += 1
            self._failures += 1
            if self._failures >= FAILURES_TO_OPEN:
                self._closed_until = time.monotonic() + OPEN_S
            raise RedisAway(str(error)) from error
        self._failures, self._closed_until = 0, 0.0
        return reply

    async def _evaluate(self, script: str, keys: list[str], args: list[bytes]) -> Any:
        """Once more when an idle connection turns out to be cut: both scripts may run twice for one id."""
        for attempt in (1, 2):
            try:
                sha = self._shas.get(script) or await self._load(script)
                return await self._lane.call("EVALSHA", sha, len(keys), *keys, *args)
            except ResponseError as error:
                if not str(error).startswith("NOSCRIPT"):
                    raise
                self._shas.pop(script, None)
            except RedisConnectionError:
                self.on_break()
                if attempt == 2:
                    raise
        raise RedisConnectionError(f"Redis does not keep the {script} script")

    async def _load(self, script: str) -> str:
        sha: bytes = await self._lane.call("SCRIPT", "LOAD", self._scripts[script])
        self._shas[script] = sha.decode()
        return self._shas[script]


def _verdict(reply: list[Any]) -> Verdict:
    kind, window = reply[0], Window(*reply[1])
    if kind == b"hit":
        return Hit(window, reply[2], reply[3])
    if kind == b"hold":
        return Hold(window, reply[2], None if reply[3] < 0 else reply[3])
    if kind == b"rate":
        return RateLimited(window, reply[2].decode(), reply[3])
    return QuotaSpent(window, kind.decode(), reply[2], reply[3])
