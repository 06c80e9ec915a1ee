"""Whatever happens in whatever order, used + held + left is the limit: of requests, tokens and money, for the tenant
and for each of its keys. The scripts run in a real Redis, on a clock that the test moves.

QUOTA_EXAMPLES tries more of them.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import os
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import redis
from hypothesis import settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from billing import accounts, quota
from billing.accounts import Account
from billing.quota import Ask, Held
from tenants import keyspace
from tenants.limits import Limits
from tenants.principal import Principal

_LUA = Path(quota.__file__).parent / "lua"
_CLOCK = "redis.call('TIME')"
START = dt.datetime(2026, 1, 31, 23, 0, tzinfo=dt.UTC)
HOLD_TTL_S = 300
EXAMPLES = int(os.environ.get("QUOTA_EXAMPLES", "150"))
_tenant_ids = itertools.count(int(uuid.uuid4().int % 10**9))


class Redis:
    """The scripts on a clock of the test's own."""

    def __init__(self) -> None:
        self.client = redis.Redis.from_url(os.environ["REDIS_URL"], protocol=2)
        self._scripts = {name: (_LUA / f"{name}.lua").read_text() for name in ("admit", "settle")}
        assert all(_CLOCK in script for script in self._scripts.values())

    def run(self, name: str, now: float, keys: list[str], args: list[bytes]) -> Any:
        clock = f"{{'{int(now)}', '{round(now % 1 * 1e6)}'}}"
        return self.client.eval(self._scripts[name].replace(_CLOCK, clock), len(keys), *keys, *args)


@dataclasses.dataclass
class InFlight:
    account: Account
    ask: Ask
    held: Held
    expires: float
    given_back: bool = False


@dataclasses.dataclass
class Sums:
    requests: int = 0
    tokens: int = 0
    cost: int = 0
    day_cost: int = 0


def principal(tenant_id: int, key_id: int, limits: Limits, key_limits: Limits) -> Principal:
    return Principal(
        tenant_id,
        f"t_{tenant_id}",
        "acme",
        True,
        key_id,
        "k" * 12,
        b"",
        "test",
        limits,
        key_limits,
        period_anchor=START,
    )


@dataclasses.dataclass(frozen=True)
class Caps:
    requests: int | None
    tokens: int | None
    month_units: int | None
    day_units: int | None

    @property
    def limits(self) -> Limits:
        def usd(units: int | None) -> Decimal | None:
            return None if units is None else units * Decimal("1e-10")

        return Limits(
            monthly_requests=self.requests,
            monthly_tokens=self.tokens,
            monthly_budget_usd=usd(self.month_units),
            daily_budget_usd=usd(self.day_units),
        )


def caps() -> strategies.SearchStrategy[Caps]:
    def maybe(most: int) -> strategies.SearchStrategy[int | None]:
        return strategies.none() | strategies.integers(0, most)

    return strategies.builds(Caps, maybe(12), maybe(3_000), maybe(60_000), maybe(40_000))


class Books(RuleBasedStateMachine):
    """A model of the counters, and the ledger, beside the real ones."""

    @initialize(of_tenant=caps(), of_key=caps())
    def begin(self, of_tenant: Caps, of_key: Caps) -> None:
        self.redis = Redis()
        self.now = START.timestamp() + 60.0
        self.caps = {None: of_tenant, 1: of_key, 2: Caps(None, None, None, None)}
        tenant_id = next(_tenant_ids)
        self.principals = {
            key_id: principal(tenant_id, key_id, of_tenant.limits, self.caps[key_id].limits) for key_id in (1, 2)
        }
        # (period, key id or None) → what the ledger knows; the day's by day.
        self.ledger: dict[tuple[str, int | None], Sums] = {}
        self.by_day: dict[tuple[str, int | None, int], int] = {}
        self.flying: list[InFlight] = []
        # Calls that ended after their hold was gone, by period and key: nothing kept what they used from others.
        self.unheld: set[tuple[str, int | None]] = set()

    def account(self, key_id: int) -> Account:
        now = dt.datetime.fromtimestamp(self.now, dt.UTC)
        return accounts.account_of(self.principals[key_id], now, hold_ttl_s=HOLD_TTL_S)

    @property
    def day(self) -> int:
        return int(self.now) // 86400

    def _seed(self, account: Account) -> None:
        """As Quota._seed does, from the model's ledger."""
        for key_id in (None, 1, 2):
            booked = self.ledger.get((account.period.id, key_id), Sums())
            scope = "" if key_id is None else f"k{key_id}:"
            today = self.by_day.get((account.period.id, key_id, self.day), 0)
            values = {"r": booked.requests, "t": booked.tokens, "c": booked.cost, "dc": today, "D": self.day}
            for name, value in values.items():
                self.redis.client.hsetnx(account.quota_key, f"{scope}{name}", str(value))

    def _admit(self, account: Account, ask: Ask) -> Any:
        reply = self.redis.run("admit", self.now, *quota.question(account, ask))
        if reply[0] == b"seed":
            self._seed(account)
            reply = self.redis.run("admit", self.now, *quota.question(account, ask))
        # An admission gives back what has expired.
        for call in self.flying:
            if call.expires <= self.now and call.account.period == account.period:
                call.given_back = True
        return reply

    @rule(
        key_id=strategies.sampled_from((1, 2)),
        prompt=strategies.integers(0, 400),
        completion=strategies.none() | strategies.integers(0, 800),
        costs=strategies.none() | strategies.tuples(strategies.integers(0, 30), strategies.integers(0, 60)),
        again=strategies.booleans(),
    )
    def reserve(
        self, key_id: int, prompt: int, completion: int | None, costs: tuple[int, int] | None, again: bool
    ) -> None:
        account = self.account(key_id)
        ask = Ask(uuid.uuid4().hex, prompt, completion, None, None, b"{}", self.day, costs)
        reply = self._admit(account, ask)
        if reply[0] == b"hold":
            _, _, tokens, cap, cost = reply
            assert cap < 0 or tokens <= prompt + max(cap, 0)
            self.flying.append(InFlight(account, ask, Held(tokens, cost), self.now + HOLD_TTL_S))
            if again:
                # As after a reply that was lost.
                keys, args = quota.question(account, ask)
                assert self.redis.run("admit", self.now, keys, [*args, b"again"])[2:] == [tokens, cap, cost]
        else:
            assert reply[0] in (b"spent", b"held", b"unpriced")
            self._check_refusal(account, ask, reply)

    def _check_refusal(self, account: Account, ask: Ask, reply: Any) -> None:
        """Nobody is refused who could have been let in."""
        if reply[0] == b"unpriced":
            assert ask.unit_costs is None and account.has_budget
            return
        policy, used = account.policies[reply[2]], reply[3]
        key_id = account.principal.key_id if policy.of_key else None
        sums, held = self.expected(account, key_id), self.held(account, key_id)
        prompt_cost, completion_cost = ask.unit_costs or (0, 0)
        match policy.counter:
            case "r":
                assert used == sums.requests + held.requests and used + 1 > policy.limit
            case "t":
                assert used == sums.tokens and policy.limit - used - held.tokens - ask.prompt_tokens < 1
            case "c":
                left = policy.limit - sums.cost - held.cost - ask.prompt_tokens * prompt_cost
                assert used == sums.cost and left < max(completion_cost, 1)
            case "d":
                left = policy.limit - sums.day_cost - held.day_cost - ask.prompt_tokens * prompt_cost
                assert used == sums.day_cost and left < max(completion_cost, 1)

    def _settle(self, call: InFlight, tokens: int, cost: int, *, requests: int = 1, heard: bool = True) -> None:
        settled = quota.settlement(
            call.account,
            call.ask.id,
            held=call.held if heard else None,
            day=call.ask.day,
            requests=requests,
            tokens=tokens,
            cost=cost,
            event=b"{}",
        )
        done = self.redis.run("settle", self.now, settled.keys, settled.args)
        if done == -1:
            # As Quota.settle does.
            self._seed(call.account)
            done = self.redis.run("settle", self.now, settled.keys, settled.args)
        assert done == 1
        # Once more, as after a lost reply.
        assert self.redis.run("settle", self.now, settled.keys, settled.args) == 0
        # And so long after that Redis has forgotten it.
        self.redis.client.delete(settled.keys[6])
        assert self.redis.run("settle", self.now, settled.keys, settled.noting("old")) == 1
        self.flying.remove(call)
        for key_id in (None, call.account.principal.key_id):
            if call.given_back:
                self.unheld.add((call.account.period.id, key_id))
            sums = self.ledger.setdefault((call.account.period.id, key_id), Sums())
            sums.requests += requests
            sums.tokens += tokens
            sums.cost += cost
            day = (call.account.period.id, key_id, call.ask.day)
            self.by_day[day] = self.by_day.get(day, 0) + cost

    @rule(which=strategies.integers(0, 50), share=strategies.floats(0, 1), heard=strategies.booleans())
    def settle(self, which: int, share: float, heard: bool) -> None:
        """Unless it was heard, its process does not know that it was let in, and with what."""
        if self.flying:
            call = self.flying[which % len(self.flying)]
            self._settle(call, int(call.held.tokens * share), int(call.held.cost * share), heard=heard)

    @rule(which=strategies.integers(0, 50))
    def fail(self, which: int) -> None:
        if self.flying:
            self._settle(self.flying[which % len(self.flying)], 0, 0, requests=0)

    @rule(which=strategies.integers(0, 50))
    def crash(self, which: int) -> None:
        """Its process dies: nobody settles it, and its hold expires."""
        if self.flying:
            self.now = max(self.now, self.flying[which % len(self.flying)].expires)

    @rule(seconds=strategies.sampled_from((0.5, 7, 61, 299, 301, 3_600, 86_400, 12 * 86_400)))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def reset(self) -> None:
        """Redis forgets the period; the ledger does not. What was held is forgotten with it."""
        account = self.account(1)
        self.redis.client.delete(account.quota_key, account.holds_key)
        for call in self.flying:
            if call.account.period == account.period:
                call.given_back = True

    def expected(self, account: Account, key_id: int | None) -> Sums:
        sums = dataclasses.replace(self.ledger.get((account.period.id, key_id), Sums()))
        sums.day_cost = self.by_day.get((account.period.id, key_id, self.day), 0)
        return sums

    def held(self, account: Account, key_id: int | None) -> Sums:
        sums = Sums()
        for call in self.flying:
            if call.given_back or call.account.period != account.period:
                continue
            if key_id in (None, call.account.principal.key_id):
                sums.requests += 1
                sums.tokens += call.held.tokens
                sums.cost += call.held.cost
                sums.day_cost += call.held.cost if call.ask.day == self.day else 0
        return sums

    @invariant()
    def the_counters_are_those_of_the_model(self) -> None:
        if not hasattr(self, "redis"):
            return
        account = self.account(1)
        stored: Any = self.redis.client.hgetall(account.quota_key)
        counters = {name.decode(): int(value) for name, value in stored.items()}
        if not counters:
            return
        for key_id in (None, 1, 2):
            scope = "" if key_id is None else f"k{key_id}:"
            used, held = self.expected(account, key_id), self.held(account, key_id)
            real = {name: counters.get(f"{scope}{name}", 0) for name in ("r", "t", "c", "hr", "ht", "hc")}
            assert real == {
                "r": used.requests, "t": used.tokens, "c": used.cost,
                "hr": held.requests, "ht": held.tokens, "hc": held.cost,
            }  # fmt: skip
            if counters.get(f"{scope}D") == self.day:
                assert counters.get(f"{scope}dc", 0) == used.day_cost
                assert counters.get(f"{scope}dhc", 0) == held.day_cost
            if (account.period.id, key_id) in self.unheld:
                continue
            caps = self.caps[key_id]
            for limit, spent in (
                (caps.requests, used.requests + held.requests),
                (caps.tokens, used.tokens + held.tokens),
                (caps.month_units, used.cost + held.cost),
                (caps.day_units, used.day_cost + held.day_cost),
            ):
                assert limit is None or spent <= limit, f"{spent} of {limit}"


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=EXAMPLES, stateful_step_count=40, deadline=None)


def test_no_window_of_the_full_length_ever_holds_more_than_its_limit() -> None:
    """Whenever requests come: any 60 s (3,600 s, 86,400 s) hold at most the limit, and who waits as told is let in."""
    store = Redis()
    limits = Limits(requests_per_minute=5, requests_per_hour=40)
    of = principal(next(_tenant_ids), 1, limits, Limits())
    import random

    chance = random.Random(7)
    now = START.timestamp() + 1
    account = accounts.account_of(of, START, hold_ttl_s=HOLD_TTL_S)
    store.client.hset(account.quota_key, mapping={"r": 0, "t": 0, "c": 0, "D": 0})
    admitted: list[float] = []
    for _ in range(1_500):
        now += chance.choice((0.01, 0.3, 1.7, 4.99, 5.01, 11.0, 59.9))
        ask = Ask(uuid.uuid4().hex, 0, 0, None, None, b"{}", 0)
        reply = store.run("admit", now, *quota.question(account, ask))
        if reply[0] == b"rate":
            # Redis' clock counts microseconds.
            now += reply[3] / 1000 + 1e-5
            reply = store.run("admit", now, *quota.question(account, ask))
        assert reply[0] == b"hold"
        admitted.append(now)
        for window_s, limit in ((60, 5), (3600, 40)):
            assert sum(at > now - window_s for at in admitted) <= limit
    assert len(admitted) == 1_500


def test_a_bucket_fills_at_its_rate_and_lets_a_burst_through() -> None:
    store = Redis()
    of = principal(next(_tenant_ids), 1, Limits(requests_per_minute=60, request_burst=10), Limits())
    account = accounts.account_of(of, START, hold_ttl_s=HOLD_TTL_S)
    store.client.hset(account.quota_key, mapping={"r": 0, "t": 0, "c": 0, "D": 0})
    start = START.timestamp()

    def ask(now: float) -> Any:
        wanted = Ask(uuid.uuid4().hex, 0, 0, None, None, b"{}", 0)
        return store.run("admit", now, *quota.question(account, wanted))

    assert [ask(start)[0] for _ in range(11)] == [b"hold"] * 10 + [b"rate"]
    refused = ask(start)
    assert refused[3] == 1_000
    assert [ask(start + 3.0)[0] for _ in range(4)] == [b"hold"] * 3 + [b"rate"]
    assert [ask(start + 3_600)[0] for _ in range(11)] == [b"hold"] * 10 + [b"rate"]


def test_keys_of_one_call_share_a_slot_of_a_cluster() -> None:
    of = principal(next(_tenant_ids), 1, Limits(concurrency=1), Limits(concurrency=1))
    account = accounts.account_of(of, START, hold_ttl_s=HOLD_TTL_S)
    ask = Ask("a", 1, 1, keyspace.answer(of.tenant_id, "f"), None, b"", 0)
    keys, _ = quota.question(account, ask)
    assert len({key[: key.index("}") + 1] for key in keys}) == 1
