"""What a caller may still use: rate limits, quotas and holds, each question one Lua call in Redis.

Reserve, then settle: `admit` holds the worst case, `settle` gives back what was not used. Refuses to guess when Redis
is away (`RedisAway`); `billing.outage` says what happens then.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from billing.accounts import Account, compact
from billing.ledger import Booked, Used
from billing.policies import Policy
from tenants import keyspace
from tenants.cluster import AnyLane
from tenants.lane import Script
from tenants.shared import Shared

logger = logging.getLogger(__name__)

_LUA = Path(__file__).parent / "lua"
# A period's counters outlive it, for late settlements and questions.
AFTERLIFE_S = 7 * 86400
# settle.lua remembers for 900 s what it has counted; some of that may pass on the way there.
REMEMBERED_S = 800.0


class RedisAway(Exception):
    """Redis did not answer in time. Nothing is known about what it did."""


class Ask(NamedTuple):
    """`completion_tokens` is the client's own bound, or None. `answer_key` is looked up; None skips the exact cache.

    `unit_costs` are the most that one prompt token and one completion token may cost, in units; None: no known price.
    """

    id: str
    prompt_tokens: int
    completion_tokens: int | None
    answer_key: str | None
    max_age_s: float | None
    hit_event: bytes
    day: int
    unit_costs: tuple[int, int] | None = None


class Window(NamedTuple):
    """Limit, what is left of it, milliseconds until it is whole again, and the number of its policy in the account;
    that of the tightest limit; -1 where there is none.
    """

    requests_limit: int
    requests_left: int
    requests_reset_ms: int
    requests_policy: int
    tokens_limit: int
    tokens_left: int
    tokens_reset_ms: int
    tokens_policy: int


NO_WINDOW = Window(-1, -1, 0, -1, -1, -1, 0, -1)


class Hit(NamedTuple):
    window: Window
    meta: bytes
    body: bytes


class Hold(NamedTuple):
    """`held` tokens and `cost` units; `completion_cap` where a quota or budget bounds the answer."""

    window: Window
    held: int
    completion_cap: int | None
    cost: int


class RateLimited(NamedTuple):
    window: Window
    policy: Policy
    retry_after_ms: int


class Busy(NamedTuple):
    """As many requests are in flight as may be."""

    window: Window
    policy: Policy


class Spent(NamedTuple):
    """A quota or budget is used up; or only `held`: enough is left, but calls in flight hold it."""

    window: Window
    policy: Policy
    used: int
    held: bool


class Unpriced(NamedTuple):
    """A budget applies, and nobody knows what the model costs."""

    window: Window


Verdict = Hit | Hold | RateLimited | Busy | Spent | Unpriced


class Settlement(NamedTuple):
    """All that one settle call needs; plain values, so that it can wait in a file while Redis is away. `at`: since when
    Redis may have been told. `of_hold`: whether the call was given a hold by Redis.
    """

    keys: list[str]
    args: list[bytes]
    at: float
    of_hold: bool = False

    def without_answer(self) -> Settlement:
        """To be kept for a while."""
        return Settlement(self.keys[:7], [compact(arg) for arg in self.args[:3]], self.at)

    def noting(self, word: str) -> list[bytes]:
        """The arguments, with this said of the call."""
        facts, call, *rest = self.args
        return [facts, orjson.dumps({**orjson.loads(call), word: True}), *rest]


class Held(NamedTuple):
    """What a call was given at admission: tokens, and units of money."""

    tokens: int
    cost: int


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


# By tenant and the period's start, and the day of now.
ReadLedger = Callable[[int, dt.datetime, dt.date], Awaitable[Used]]


class Standing(NamedTuple):
    """What one key, or the tenant, has used and holds in a period; money in units, `day` is that of today."""

    requests: int = 0
    tokens: int = 0
    cost: int = 0
    day_cost: int = 0
    held_requests: int = 0
    held_tokens: int = 0
    held_cost: int = 0
    held_day_cost: int = 0


_STANDING = ("r", "t", "c", "dc", "hr", "ht", "hc", "dhc")


def question(account: Account, ask: Ask) -> tuple[list[str], list[bytes]]:
    """What admit.lua is given: its keys and arguments."""
    keys = [
        account.quota_key,
        account.holds_key,
        account.rates_key,
        account.stream,
        *account.in_flight_keys,
        keyspace.settled(account.principal.tenant_id, ask.id),
    ]
    if ask.answer_key is not None:
        keys.append(ask.answer_key)
    prompt_cost, completion_cost = ask.unit_costs or (-1, -1)
    call = orjson.dumps(
        {
            "id": ask.id,
            "p": ask.prompt_tokens,
            "c": -1 if ask.completion_tokens is None else ask.completion_tokens,
            "a": -1 if ask.max_age_s is None else ask.max_age_s,
            "d": ask.day,
            "f": prompt_cost,
            "g": completion_cost,
        }
    )
    return keys, [account.facts, call, ask.hit_event]


def settlement(
    account: Account,
    ask_id: str,
    *,
    held: Held | None,
    day: int,
    requests: int,
    tokens: int,
    cost: int,
    event: bytes,
    answer: Answer | None = None,
    replay: Replay | None = None,
    undone: bool = False,
) -> Settlement:
    """`day` is that of the call, `cost` in units; `undone` calls are taken out of the rates again, too."""
    keys = [
        account.quota_key,
        account.holds_key,
        account.rates_key,
        account.stream,
        *account.in_flight_keys,
        keyspace.settled(account.principal.tenant_id, ask_id),
    ]
    # Units as text: Lua's numbers are exact up to 2**53 only.
    call: dict[str, Any] = {"id": ask_id, "h": -1, "m": 0, "d": day, "r": requests, "t": tokens, "c": str(cost)}
    if held is not None:
        call |= {"h": held.tokens, "m": held.cost}
    if undone:
        call["u"] = True
    now, kept = time.time(), answer or replay
    if kept is None:
        return Settlement(keys, [account.facts, orjson.dumps(call), event], now, held is not None)
    if answer is not None:
        keys.append(answer.key)
        call["l"] = answer.ttl_s
    if replay is not None:
        keys.append(replay.key)
        call |= {"i": replay.ttl_s, "o": replay.outcome}
    return Settlement(keys, [account.facts, orjson.dumps(call), event, kept.meta, kept.body], now, held is not None)


class Quota:
    """The Lua calls. The lane leaves a dead Redis alone for a moment."""

    def __init__(self, lane: AnyLane, read_ledger: ReadLedger) -> None:
        self._lane = lane
        self._read_ledger = read_ledger
        self._seeding = Shared(self._seed)
        self._scripts = {name: Script((_LUA / f"{name}.lua").read_bytes()) for name in ("admit", "settle")}
        self.swallowed_errors = 0
        # Moving average of a call's time: an exact hit's event is written before its own time is known.
        self.round_trip_ms = 0.5

    async def admit(self, account: Account, ask: Ask) -> Verdict:
        """Raises `RedisAway`. Seeds the period's counters from the ledger when Redis does not have them."""
        keys, args = question(account, ask)
        for _ in range(3):
            started = time.perf_counter()
            reply = await self._call("admit", keys, args)
            if reply[0] != b"seed":
                self.round_trip_ms += ((time.perf_counter() - started) * 1000 - self.round_trip_ms) * 0.05
                return _verdict(account, reply)
            await self._seeding.answer((account.quota_key, account.facts))
        raise RedisAway("the period's counters do not stay")

    async def settle(self, settlement: Settlement) -> bool:
        """False when it was settled before. Raises `RedisAway`, also while nobody can read what to count on from.

        What Redis may have counted and forgotten about is booked, and not counted: workers add what its counters lack
        (analytics.reconciler).
        """
        if time.time() - settlement.at > REMEMBERED_S:
            return bool(await self._call("settle", settlement.keys, settlement.noting("old")))
        done: int = await self._call("settle", settlement.keys, settlement.args)
        if done >= 0:
            return bool(done)
        await self._seeding.answer((settlement.keys[0], settlement.args[0]))
        # Counters that have expired do not stay: then the ledger alone has it.
        return bool(await self._call("settle", settlement.keys, settlement.noting("late")))

    async def standing(self, account: Account) -> tuple[Standing, Standing]:
        """Of the tenant and of the key in the account's period. Raises `RedisAway`."""
        today = _day(dt.datetime.now(dt.UTC))
        scopes = ("", f"k{account.principal.key_id}:")
        names = [f"{scope}{name}" for scope in scopes for name in (*_STANDING, "D")]
        for _ in range(2):
            try:
                counters = await self._lane.call("HMGET", account.quota_key, *names)
            except (RedisError, OSError) as error:
                raise RedisAway from error
            if counters[0] is not None:
                width = len(_STANDING) + 1
                tenant, key = (_standing(counters[at : at + width], today) for at in (0, width))
                return tenant, key
            await self._seeding.answer((account.quota_key, account.facts))
        raise RedisAway("the period's counters do not stay")

    async def append(self, stream: str, event: bytes, meta: bytes) -> None:
        """Writes an exact hit's usage event once more. Raises `RedisAway`."""
        try:
            await self._lane.call("XADD", stream, "*", "e", event, "m", meta)
        except (RedisError, OSError) as error:
            raise RedisAway from error

    async def is_up(self, tag: str) -> bool:
        """Whether the node answers that has the keys of this hash tag."""
        try:
            await self._lane.call("EXISTS", f"{{{tag}}}")
        except (RedisError, OSError):
            return False
        return True

    async def _seed(self, counters: tuple[str, bytes]) -> None:
        """The counters of a key, for an account: from the ledger. Who comes second changes nothing: HSETNX."""
        quota_key, facts = counters[0], orjson.loads(counters[1])
        now = dt.datetime.now(dt.UTC)
        used = await self._read_ledger(facts["i"], dt.datetime.fromtimestamp(facts["p"], dt.UTC), now.date())
        used.setdefault(facts["k"], Booked())
        commands: list[tuple[str | int, ...]] = []
        for key_id, booked in used.items():
            scope = "" if key_id is None else f"k{key_id}:"
            for name, value in zip(("r", "t", "c", "dc", "a"), booked, strict=True):
                commands.append(("HSETNX", quota_key, f"{scope}{name}", str(value)))
            commands.append(("HSETNX", quota_key, f"{scope}D", str(_day(now))))
        commands.append(("EXPIREAT", quota_key, facts["x"] + AFTERLIFE_S))
        try:
            await self._lane.transaction(*commands)
        except (RedisError, OSError) as error:
            raise RedisAway from error

    async def _call(self, script: str, keys: list[str], args: list[bytes]) -> Any:
        """Once more when an idle connection turns out to be cut: both scripts may run twice for one id."""
        try:
            try:
                return await self._lane.evaluate(self._scripts[script], keys, args)
            except RedisConnectionError:
                if script == "admit":
                    args = [*args, b"again"]
                return await self._lane.evaluate(self._scripts[script], keys, args)
        except (RedisError, OSError) as error:
            self.swallowed_errors += 1
            raise RedisAway(str(error)) from error


def _standing(counters: Sequence[bytes | None], today: int) -> Standing:
    *counted, day = (int(counter or 0) for counter in counters)
    standing = Standing(*counted)
    return standing if day == today else standing._replace(day_cost=0, held_day_cost=0)


def _day(at: dt.datetime) -> int:
    """Days since 1970, UTC."""
    return int(at.timestamp()) // 86400


def _verdict(account: Account, reply: list[Any]) -> Verdict:
    kind, window = reply[0], Window(*reply[1])
    match kind:
        case b"hit":
            return Hit(window, reply[2], reply[3])
        case b"hold":
            return Hold(window, reply[2], None if reply[3] < 0 else reply[3], reply[4])
        case b"rate":
            return RateLimited(window, account.policies[reply[2]], reply[3])
        case b"busy":
            return Busy(window, account.policies[reply[2]])
        case b"unpriced":
            return Unpriced(window)
    return Spent(window, account.policies[reply[2]], reply[3], held=kind == b"held")
