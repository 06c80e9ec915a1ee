"""Rate limits, quotas and holds against a real Redis: the Lua scripts, and what they refuse."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import itertools
import os
import uuid
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from billing import accounts, quota
from billing.ledger import Booked, Used
from billing.periods import period_at
from billing.quota import Ask, Busy, Held, Hit, Hold, Quota, RateLimited, RedisAway, Spent, Standing, Unpriced
from tenants import keyspace
from tenants.lane import Lane
from tenants.limits import Limits
from tenants.principal import Principal

_tenant_ids = itertools.count(int(uuid.uuid4().int % 10**9))
NOW = dt.datetime.now(dt.UTC)
TODAY = int(NOW.timestamp()) // 86400


def principal(limits: Limits, key_limits: Limits = Limits(), key_id: int = 7) -> Principal:  # noqa: B008
    tenant_id = next(_tenant_ids)
    return Principal(tenant_id, f"t_{tenant_id}", "acme", True, key_id, "k" * 12, b"", "test", limits, key_limits)


def account(limits: Limits, key_limits: Limits = Limits()) -> accounts.Account:  # noqa: B008
    return accounts.account_of(principal(limits, key_limits), dt.datetime.now(dt.UTC), hold_ttl_s=300)


def ask(prompt_tokens: int = 10, completion_tokens: int | None = None, **changes: Any) -> Ask:
    return Ask(uuid.uuid4().hex, prompt_tokens, completion_tokens, None, None, b"{}", TODAY)._replace(**changes)


@pytest.fixture
async def client() -> AsyncIterator[redis.asyncio.Redis]:
    client = redis.asyncio.Redis.from_url(os.environ["REDIS_URL"], protocol=2)
    yield client
    await client.aclose()


@pytest.fixture
async def lane() -> AsyncIterator[Lane]:
    lane = Lane(os.environ["REDIS_URL"], timeout_s=5)
    yield lane
    await lane.aclose()


@pytest.fixture
def limits(lane: Lane) -> Quota:
    async def nothing_booked(*_: Any) -> Used:
        return {None: Booked()}

    return Quota(lane, nothing_booked)


async def settle(
    limits: Quota, of: accounts.Account, asked: Ask, hold: Hold, *, tokens: int, requests: int = 1, cost: int = 0
) -> bool:
    held = Held(hold.held, hold.cost)
    return await limits.settle(
        quota.settlement(
            of, asked.id, held=held, day=asked.day, requests=requests, tokens=tokens, cost=cost, event=b"{}"
        )
    )


async def used(limits: Quota, of: accounts.Account) -> tuple[int, int]:
    """Requests and tokens, those in flight included."""
    tenant, _ = await limits.standing(of)
    return tenant.requests + tenant.held_requests, tenant.tokens + tenant.held_tokens


async def test_requests_beyond_the_rate_are_refused_with_the_time_to_wait(limits: Quota) -> None:
    of = account(Limits(requests_per_minute=3))
    for _ in range(3):
        assert isinstance(await limits.admit(of, ask()), Hold)
    refused = await limits.admit(of, ask())
    assert isinstance(refused, RateLimited)
    assert refused.policy.name == "requests-per-minute"
    assert 0 < refused.retry_after_ms <= 65_000
    assert refused.window.requests_limit == 3 and refused.window.requests_left == 0


async def test_a_key_of_its_own_rate_does_not_use_up_the_tenants(limits: Quota) -> None:
    of = account(Limits(requests_per_minute=100), Limits(requests_per_minute=1))
    assert isinstance(await limits.admit(of, ask()), Hold)
    assert isinstance(await limits.admit(of, ask()), RateLimited)
    other = accounts.account_of(dataclasses.replace(of.principal, key_id=8, key_limits=Limits()), NOW, hold_ttl_s=300)
    assert isinstance(await limits.admit(other, ask()), Hold)


async def test_exactly_the_months_requests_are_admitted_when_500_come_at_once(limits: Quota) -> None:
    of = account(Limits(monthly_requests=100))
    verdicts = await asyncio.gather(*(limits.admit(of, ask()) for _ in range(500)))
    assert sum(isinstance(verdict, Hold) for verdict in verdicts) == 100
    assert sum(isinstance(verdict, Spent) and verdict.policy.what == "requests" for verdict in verdicts) == 400


async def test_the_ledger_is_read_once_for_all_who_come_first(lane: Lane) -> None:
    """Else a burst fills the pool of connections, and who waits too long there is let in without a limit."""
    read: list[int] = []

    async def ledger(tenant_id: int, *_: Any) -> Used:
        read.append(tenant_id)
        await asyncio.sleep(0.05)
        return {None: Booked(requests=40)}

    limits, of = Quota(lane, ledger), account(Limits(monthly_requests=100))
    verdicts = await asyncio.gather(*(limits.admit(of, ask()) for _ in range(500)))
    assert sum(isinstance(verdict, Hold) for verdict in verdicts) == 60
    assert read == [of.principal.tenant_id]


async def test_a_hold_is_never_more_than_what_is_left(limits: Quota) -> None:
    of = account(Limits(monthly_tokens=100))
    hold = await limits.admit(of, ask(prompt_tokens=30, completion_tokens=500))
    assert isinstance(hold, Hold)
    assert hold.completion_cap == 70 and hold.held == 100


async def test_an_answer_without_a_bound_leaves_something_for_others(limits: Quota) -> None:
    of = account(Limits(monthly_tokens=5_000))
    first = await limits.admit(of, ask())
    second = await limits.admit(of, ask())
    assert isinstance(first, Hold) and isinstance(second, Hold)
    assert first.completion_cap == 1_247


async def test_tokens_in_flight_are_told_apart_from_tokens_spent(limits: Quota) -> None:
    of = account(Limits(monthly_tokens=100))
    asked = ask(completion_tokens=1_000)
    hold = await limits.admit(of, asked)
    assert isinstance(hold, Hold)
    waiting = await limits.admit(of, ask())
    assert isinstance(waiting, Spent) and waiting.held
    await settle(limits, of, asked, hold, tokens=95)
    spent = await limits.admit(of, ask())
    assert isinstance(spent, Spent) and spent.policy.what == "tokens" and not spent.held and spent.used == 95


async def test_settling_gives_back_what_was_not_used(limits: Quota) -> None:
    of = account(Limits(monthly_tokens=1_000, monthly_requests=10))
    asked = ask(prompt_tokens=10, completion_tokens=900)
    hold = await limits.admit(of, asked)
    assert isinstance(hold, Hold)
    assert await used(limits, of) == (1, 910)
    await settle(limits, of, asked, hold, tokens=50)
    assert await used(limits, of) == (1, 50)


async def test_a_failed_call_costs_nothing(limits: Quota) -> None:
    of = account(Limits(monthly_tokens=1_000, monthly_requests=10))
    asked = ask()
    hold = await limits.admit(of, asked)
    assert isinstance(hold, Hold)
    await settle(limits, of, asked, hold, tokens=0, requests=0)
    assert await used(limits, of) == (0, 0)


async def test_settling_twice_counts_once(limits: Quota, client: redis.asyncio.Redis) -> None:
    of = account(Limits(monthly_tokens=1_000))
    asked = ask()
    hold = await limits.admit(of, asked)
    assert isinstance(hold, Hold)
    before = await client.xlen(of.stream)
    assert await settle(limits, of, asked, hold, tokens=20)
    assert not await settle(limits, of, asked, hold, tokens=20)
    assert await used(limits, of) == (1, 20)
    assert await client.xlen(of.stream) == before + 1


async def test_what_is_told_again_when_redis_has_forgotten_that_it_was_counted_is_booked_and_not_counted(
    limits: Quota, client: redis.asyncio.Redis
) -> None:
    of = account(Limits(monthly_tokens=1_000, monthly_budget_usd=Decimal(1)))
    asked = ask(unit_costs=(1, 1))
    hold = await limits.admit(of, asked)
    assert isinstance(hold, Hold)
    held = Held(hold.held, hold.cost)
    told = quota.settlement(of, asked.id, held=held, day=TODAY, requests=1, tokens=20, cost=7, event=b"{}")
    assert await limits.settle(told)
    counted = await limits.standing(of)
    before = await client.xlen(of.stream)
    await client.delete(told.keys[6])
    assert await limits.settle(told._replace(at=told.at - 801))
    assert await limits.standing(of) == counted
    assert await client.xlen(of.stream) == before + 1


async def test_what_waited_long_and_was_never_counted_is_left_to_the_workers_unless_its_hold_is_there(
    limits: Quota, client: redis.asyncio.Redis
) -> None:
    of = account(Limits(monthly_tokens=1_000))
    for expired, tokens in ((False, 20), (True, 0)):
        before, (counted, _) = await client.xlen(of.stream), await limits.standing(of)
        asked = ask()
        hold = await limits.admit(of, asked)
        assert isinstance(hold, Hold)
        if expired:
            member: Any
            (member,) = await client.zrange(of.holds_key, 0, -1)
            await client.zadd(of.holds_key, {member: 1})
            other = ask()
            assert isinstance(await limits.admit(of, other), Hold)
        held = Held(hold.held, hold.cost)
        told = quota.settlement(of, asked.id, held=held, day=TODAY, requests=1, tokens=20, cost=0, event=b"{}")
        assert await limits.settle(told._replace(at=told.at - 801))
        tenant, _ = await limits.standing(of)
        assert tenant.tokens - counted.tokens == tokens
        assert tenant.held_requests == int(expired)
        assert await client.xlen(of.stream) == before + 1


async def test_a_call_that_is_not_let_in_after_all_takes_nothing_from_any_limit(limits: Quota) -> None:
    for of in (
        account(Limits(requests_per_minute=1, tokens_per_minute=1_000, concurrency=1, monthly_requests=1)),
        account(Limits(requests_per_minute=1, request_burst=1, tokens_per_minute=1_000, token_burst=1_000)),
    ):
        for _ in range(3):
            asked = ask(completion_tokens=900)
            hold = await limits.admit(of, asked)
            assert isinstance(hold, Hold)
            held = Held(hold.held, hold.cost)
            undone = quota.settlement(
                of, asked.id, held=held, day=TODAY, requests=0, tokens=0, cost=0, event=b"", undone=True
            )
            assert await limits.settle(undone)
        assert await used(limits, of) == (0, 0)


async def test_the_holds_of_a_period_go_with_its_counters(limits: Quota, client: redis.asyncio.Redis) -> None:
    of = account(Limits(monthly_tokens=5_000))
    for _ in range(2):
        asked = ask()
        hold = await limits.admit(of, asked)
        assert isinstance(hold, Hold)
        left_s = await client.ttl(of.quota_key)
        assert left_s > 0 and left_s - 5 <= await client.ttl(of.holds_key) <= left_s
        # The last hold takes the key with it.
        await settle(limits, of, asked, hold, tokens=1)
        assert not await client.exists(of.holds_key)


async def test_a_hold_of_a_process_that_died_is_given_back(limits: Quota, client: redis.asyncio.Redis) -> None:
    of = account(Limits(monthly_tokens=1_000))
    await limits.admit(of, ask(completion_tokens=900))
    member: Any
    (member,) = await client.zrange(of.holds_key, 0, -1)
    await client.zadd(of.holds_key, {member: 1})
    assert isinstance(await limits.admit(of, ask(completion_tokens=900)), Hold)
    assert await used(limits, of) == (1, 910)


async def test_a_period_begins_with_what_the_ledger_says(lane: Lane, client: redis.asyncio.Redis) -> None:
    async def booked(*_: Any) -> Used:
        return {None: Booked(9, 400), 7: Booked(4, 100)}

    limits = Quota(lane, booked)
    of = account(Limits(monthly_requests=10), Limits(monthly_requests=5))
    assert isinstance(await limits.admit(of, ask()), Hold)
    spent = await limits.admit(of, ask())
    assert isinstance(spent, Spent) and spent.policy.limit == 10


async def test_a_call_that_ends_before_the_periods_counters_are_there_is_counted(
    lane: Lane, client: redis.asyncio.Redis
) -> None:
    """As when Postgres was away when it was let in. What is seeded later from the ledger would lack it."""
    readable = False

    async def booked(*_: Any) -> Used:
        if not readable:
            raise RedisAway("the ledger cannot be read")
        return {None: Booked(9, 400), 7: Booked(4, 100)}

    limits = Quota(lane, booked)
    of = account(Limits(monthly_requests=10))
    settled = quota.settlement(of, uuid.uuid4().hex, held=None, day=TODAY, requests=1, tokens=30, cost=5, event=b"{}")
    before = await client.xlen(of.stream)
    with pytest.raises(RedisAway):
        await limits.settle(settled)
    assert await client.xlen(of.stream) == before
    readable = True
    assert await limits.settle(settled) and not await limits.settle(settled)
    tenant, key = await limits.standing(of)
    assert (tenant.requests, tenant.tokens, tenant.cost, key.requests) == (10, 430, 5, 5)
    assert await client.xlen(of.stream) == before + 1


async def test_what_ends_long_after_its_period_is_left_to_the_ledger(
    limits: Quota, client: redis.asyncio.Redis
) -> None:
    past = quota_of_last_year()
    settled = quota.settlement(
        past, uuid.uuid4().hex, held=None, day=TODAY - 400, requests=1, tokens=30, cost=5, event=b"{}"
    )
    before = await client.xlen(past.stream)
    assert await limits.settle(settled)
    assert await client.xlen(past.stream) == before + 1 and not await client.exists(past.quota_key)


def quota_of_last_year() -> accounts.Account:
    return accounts.account_of(principal(Limits()), NOW - dt.timedelta(days=400), hold_ttl_s=300)


async def test_an_exact_hit_costs_a_request_and_no_tokens(limits: Quota, client: redis.asyncio.Redis) -> None:
    of = account(Limits(monthly_requests=2, monthly_tokens=1))
    key = keyspace.answer(of.principal.tenant_id, "f")
    await client.hset(key, mapping={"m": b'{"created_at": 1}', "b": b"body"})
    before = await client.xlen(of.stream)
    hit = await limits.admit(of, ask(answer_key=key, hit_event=b'{"id": "1"}'))
    assert isinstance(hit, Hit) and hit.body == b"body"
    assert await used(limits, of) == (1, 0)
    assert await client.xlen(of.stream) == before + 1
    newest: Any = await client.xrevrange(of.stream, count=1)
    assert newest[0][1] == {b"e": b'{"id": "1"}', b"m": b'{"created_at": 1}'}


async def test_an_entry_older_than_the_client_accepts_is_no_hit(limits: Quota, client: redis.asyncio.Redis) -> None:
    of = account(Limits())
    key = keyspace.answer(of.principal.tenant_id, "f")
    await client.hset(key, mapping={"m": b'{"created_at": 1}', "b": b"body"})
    assert isinstance(await limits.admit(of, ask(answer_key=key, max_age_s=60)), Hold)


async def test_tokens_a_minute_are_charged_with_the_hold_and_corrected_by_the_use(limits: Quota) -> None:
    of = account(Limits(tokens_per_minute=1_000))
    asked = ask(prompt_tokens=10, completion_tokens=890)
    hold = await limits.admit(of, asked)
    assert isinstance(hold, Hold)
    refused = await limits.admit(of, ask(prompt_tokens=10, completion_tokens=500))
    assert isinstance(refused, RateLimited) and refused.policy.what == "tokens"
    await settle(limits, of, asked, hold, tokens=20)
    assert isinstance(await limits.admit(of, ask(prompt_tokens=10, completion_tokens=500)), Hold)


async def test_no_more_calls_are_in_flight_than_may_be(limits: Quota) -> None:
    of = account(Limits(concurrency=2))
    asked = ask()
    first = await limits.admit(of, asked)
    assert isinstance(first, Hold) and isinstance(await limits.admit(of, ask()), Hold)
    busy = await limits.admit(of, ask())
    assert isinstance(busy, Busy) and busy.policy.name == "concurrency"
    await settle(limits, of, asked, first, tokens=5)
    assert isinstance(await limits.admit(of, ask()), Hold)


async def test_a_key_of_its_own_concurrency_leaves_the_tenants_places_to_others(limits: Quota) -> None:
    of = account(Limits(concurrency=2), Limits(concurrency=1))
    assert isinstance(await limits.admit(of, ask()), Hold)
    busy = await limits.admit(of, ask())
    assert isinstance(busy, Busy) and busy.policy.name == "key-concurrency"
    other = accounts.account_of(dataclasses.replace(of.principal, key_id=8, key_limits=Limits()), NOW, hold_ttl_s=300)
    assert isinstance(await limits.admit(other, ask()), Hold)


# 1 USD is 10**10 units.
ONE_USD = Limits(monthly_budget_usd=Decimal("1.00"))


async def test_a_budget_holds_the_most_that_the_call_may_cost_and_keeps_what_it_cost(limits: Quota) -> None:
    of = account(ONE_USD)
    asked = ask(prompt_tokens=1_000, completion_tokens=1_000, unit_costs=(10**6, 4 * 10**6))
    hold = await limits.admit(of, asked)
    assert isinstance(hold, Hold) and hold.cost == 5 * 10**9
    await settle(limits, of, asked, hold, tokens=1_100, cost=14 * 10**8)
    tenant, key = await limits.standing(of)
    assert (tenant.cost, tenant.held_cost, tenant.day_cost, key.cost) == (14 * 10**8, 0, 14 * 10**8, 14 * 10**8)


async def test_a_budget_bounds_the_answer_to_what_is_left(limits: Quota) -> None:
    of = account(ONE_USD)
    hold = await limits.admit(of, ask(prompt_tokens=500, completion_tokens=10_000, unit_costs=(10**6, 10**7)))
    assert isinstance(hold, Hold)
    assert hold.completion_cap == 950 and hold.cost == 10**10
    waiting = await limits.admit(of, ask(prompt_tokens=1, unit_costs=(10**6, 10**7)))
    assert isinstance(waiting, Spent) and waiting.held and waiting.policy.name == "budget-per-month"


async def test_a_spent_budget_refuses_calls_that_cost_and_lets_free_ones_pass(limits: Quota) -> None:
    of = account(ONE_USD)
    asked = ask(prompt_tokens=10, completion_tokens=100, unit_costs=(10**6, 10**8))
    hold = await limits.admit(of, asked)
    assert isinstance(hold, Hold)
    await settle(limits, of, asked, hold, tokens=110, cost=10**10)
    spent = await limits.admit(of, ask(unit_costs=(1, 1)))
    assert isinstance(spent, Spent) and not spent.held and spent.used == 10**10
    assert isinstance(await limits.admit(of, ask(unit_costs=(0, 0))), Hold)


async def test_a_spent_budget_still_answers_from_the_cache(limits: Quota, client: redis.asyncio.Redis) -> None:
    of = account(Limits(daily_budget_usd=Decimal(0)))
    key = keyspace.answer(of.principal.tenant_id, "f")
    await client.hset(key, mapping={"m": b'{"created_at": 1}', "b": b"body"})
    assert isinstance(await limits.admit(of, ask(unit_costs=(1, 1))), Spent)
    assert isinstance(await limits.admit(of, ask(unit_costs=(1, 1), answer_key=key)), Hit)


async def test_the_days_budget_begins_anew_on_the_next_day(limits: Quota) -> None:
    of = account(Limits(daily_budget_usd=Decimal(1)))
    asked = ask(prompt_tokens=1, completion_tokens=99, unit_costs=(10**8, 10**8))
    hold = await limits.admit(of, asked)
    assert isinstance(hold, Hold)
    await settle(limits, of, asked, hold, tokens=100, cost=10**10)
    assert isinstance(await limits.admit(of, ask(unit_costs=(1, 1))), Spent)
    assert isinstance(await limits.admit(of, ask(unit_costs=(1, 1), day=TODAY + 1)), Hold)
    # What was held before midnight and ends after it is yesterday's.
    assert isinstance(await limits.admit(of, ask(unit_costs=(10**9, 10**9), day=TODAY + 1)), Spent)


async def test_a_model_without_a_price_is_refused_under_a_budget_unless_the_tenant_allows_it(limits: Quota) -> None:
    of = account(ONE_USD)
    assert isinstance(await limits.admit(of, ask()), Unpriced)
    allowed = dataclasses.replace(of.principal, refuse_unpriced=False)
    hold = await limits.admit(accounts.account_of(allowed, NOW, hold_ttl_s=300), ask())
    assert isinstance(hold, Hold) and hold.cost == 0
    assert isinstance(await limits.admit(account(Limits(monthly_tokens=9_000)), ask()), Hold)


async def test_who_is_refused_waits_for_the_slowest_of_the_limits(limits: Quota) -> None:
    of = account(Limits(requests_per_minute=1, requests_per_day=1))
    assert isinstance(await limits.admit(of, ask()), Hold)
    refused = await limits.admit(of, ask())
    assert isinstance(refused, RateLimited)
    assert refused.policy.name == "requests-per-day" and refused.retry_after_ms > 3_600_000


async def test_a_lost_reply_neither_holds_nor_counts_twice(limits: Quota, client: redis.asyncio.Redis) -> None:
    of = account(Limits(requests_per_minute=10, monthly_tokens=10_000, concurrency=3))
    asked = ask()
    keys, args = quota.question(of, asked)
    first = await limits.admit(of, asked)
    script = (Path(quota.__file__).parent / "lua" / "admit.lua").read_text()
    again: Any = await client.eval(script, len(keys), *keys, *args, b"again")
    assert isinstance(first, Hold) and again[2] == first.held
    tenant, _ = await limits.standing(of)
    assert tenant.held_requests == 1
    assert await client.zcard(of.in_flight_keys[0]) == 1


@pytest.mark.parametrize("is_late", [True, False])
async def test_a_hit_that_its_caller_never_heard_of_and_the_free_answer_in_its_place_count_once(
    limits: Quota, client: redis.asyncio.Redis, is_late: bool
) -> None:
    """Redis was slow, was given up, and did what it had been told before, or after, the other answer was settled."""
    of = account(Limits(monthly_requests=10))
    key = keyspace.answer(of.principal.tenant_id, "f")
    await client.hset(key, mapping={"m": b'{"created_at": 1}', "b": b"body"})
    asked, before = ask(answer_key=key, hit_event=b'{"id": "1"}'), await client.xlen(of.stream)
    free = quota.settlement(of, asked.id, held=None, day=asked.day, requests=1, tokens=0, cost=0, event=b"{}")
    if is_late:
        await limits.admit(of, ask())  # there are counters
        counted = (await used(limits, of))[0]
        assert await limits.settle(free)
        assert isinstance(await limits.admit(of, asked), Hit)
    else:
        counted = 0
        assert isinstance(await limits.admit(of, asked), Hit)
        assert not await limits.settle(free)
    assert not await limits.settle(free)
    assert (await used(limits, of))[0] == counted + 1
    assert await client.xlen(of.stream) == before + 1


async def test_a_hit_that_its_caller_never_heard_of_does_not_hide_what_a_provider_was_paid(
    limits: Quota, client: redis.asyncio.Redis
) -> None:
    of = account(Limits(monthly_requests=10))
    key = keyspace.answer(of.principal.tenant_id, "f")
    await client.hset(key, mapping={"m": b'{"created_at": 1}', "b": b"body"})
    asked = ask(answer_key=key, hit_event=b'{"id": "1"}')
    assert isinstance(await limits.admit(of, asked), Hit)
    paid = quota.settlement(of, asked.id, held=None, day=asked.day, requests=1, tokens=20, cost=5, event=b"{}")
    assert await limits.settle(paid)
    assert not await limits.settle(paid)
    assert await used(limits, of) == (2, 20)


async def test_a_hold_that_its_caller_never_heard_of_is_given_back_when_the_call_has_ended(limits: Quota) -> None:
    """Redis paused, was given up, and then did what it had been told."""
    of = account(Limits(monthly_requests=10, monthly_tokens=1000, monthly_budget_usd=Decimal(1), concurrency=2))
    for _ in range(5):
        asked = ask(10, 40, unit_costs=(1000, 1000))
        assert isinstance(await limits.admit(of, asked), Hold)
        unheard = quota.settlement(
            of, asked.id, held=None, day=asked.day, requests=1, tokens=20, cost=20_000, event=b"{}"
        )
        assert await limits.settle(unheard)
    tenant, key = await limits.standing(of)
    assert tenant == key == Standing(requests=5, tokens=100, cost=100_000, day_cost=100_000)


def test_periods_begin_on_the_anchor_or_the_months_last_day() -> None:
    anchor = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
    period = period_at(anchor, dt.datetime(2026, 3, 1, tzinfo=dt.UTC))
    assert period.start == dt.datetime(2026, 2, 28, 12, tzinfo=dt.UTC)
    assert period.end == dt.datetime(2026, 3, 31, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize("days", range(0, 800, 13))
def test_periods_follow_each_other_without_gap(days: int) -> None:
    anchor = dt.datetime(2026, 1, 30, 23, 59, tzinfo=dt.UTC)
    period = period_at(anchor, anchor + dt.timedelta(days=days))
    assert period.start <= anchor + dt.timedelta(days=days) < period.end
    assert period_at(anchor, period.end).start == period.end
