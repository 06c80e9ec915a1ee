"""Rate limits, quotas and holds against a real Redis: the Lua scripts, and what they refuse."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import itertools
import os
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio

from billing import quota
from billing.periods import period_at
from billing.quota import Ask, Hit, Hold, Quota, QuotaSpent, RateLimited
from tenants import keyspace
from tenants.db import make_redis
from tenants.lane import Lane
from tenants.principal import Limits, Principal

_tenant_ids = itertools.count(int(uuid.uuid4().int % 10**9))
NOW = dt.datetime.now(dt.UTC)


def principal(limits: Limits, key_limits: Limits = Limits(), key_id: int = 7) -> Principal:  # noqa: B008
    tenant_id = next(_tenant_ids)
    return Principal(tenant_id, f"t_{tenant_id}", "acme", True, key_id, "k" * 12, b"", "test", limits, key_limits)


def account(limits: Limits, key_limits: Limits = Limits()) -> quota.Account:  # noqa: B008
    return quota.account_of(principal(limits, key_limits), dt.datetime.now(dt.UTC), hold_ttl_s=300)


def ask(prompt_tokens: int = 10, completion_tokens: int | None = None, **changes: Any) -> Ask:
    return Ask(uuid.uuid4().hex, prompt_tokens, completion_tokens, None, None, b"{}")._replace(**changes)


@pytest.fixture
async def client() -> AsyncIterator[redis.asyncio.Redis]:
    client = make_redis(os.environ["REDIS_URL"], timeout_s=5)
    yield client
    await client.aclose()


@pytest.fixture
async def lane() -> AsyncIterator[Lane]:
    lane = Lane(os.environ["REDIS_URL"], timeout_s=5)
    yield lane
    await lane.aclose()


@pytest.fixture
def limits(lane: Lane, client: redis.asyncio.Redis) -> Quota:
    async def nothing_booked(*_: Any) -> quota.Used:
        return {None: (0, 0)}

    return Quota(lane, client, nothing_booked)


async def settle(
    limits: Quota, of: quota.Account, asked: Ask, hold: Hold, *, tokens: int, requests: int = 1, event: bytes = b"{}"
) -> bool:
    return await limits.settle(
        quota.settlement(of, asked.id, held=hold.held, requests=requests, tokens=tokens, event=event, answer=None)
    )


async def test_requests_beyond_the_rate_are_refused_with_the_time_to_wait(limits: Quota) -> None:
    of = account(Limits(requests_per_minute=3))
    for _ in range(3):
        assert isinstance(await limits.admit(of, ask()), Hold)
    refused = await limits.admit(of, ask())
    assert isinstance(refused, RateLimited)
    assert refused.what == "requests"
    assert 0 < refused.retry_after_ms <= 120_000
    assert refused.window.requests_limit == 3 and refused.window.requests_left == 0


async def test_a_key_of_its_own_rate_does_not_use_up_the_tenants(limits: Quota) -> None:
    of = account(Limits(requests_per_minute=100), Limits(requests_per_minute=1))
    assert isinstance(await limits.admit(of, ask()), Hold)
    assert isinstance(await limits.admit(of, ask()), RateLimited)
    other = quota.account_of(dataclasses.replace(of.principal, key_id=8, key_limits=Limits()), NOW, hold_ttl_s=300)
    assert isinstance(await limits.admit(other, ask()), Hold)


async def test_exactly_the_months_requests_are_admitted_when_500_come_at_once(limits: Quota) -> None:
    of = account(Limits(monthly_requests=100))
    verdicts = await asyncio.gather(*(limits.admit(of, ask()) for _ in range(500)))
    assert sum(isinstance(verdict, Hold) for verdict in verdicts) == 100
    assert sum(isinstance(verdict, QuotaSpent) and verdict.what == "requests" for verdict in verdicts) == 400


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
    assert isinstance(waiting, QuotaSpent) and waiting.what == "held"
    await settle(limits, of, asked, hold, tokens=95)
    spent = await limits.admit(of, ask())
    assert isinstance(spent, QuotaSpent) and spent.what == "tokens" and spent.used == 95


async def test_settling_gives_back_what_was_not_used(limits: Quota) -> None:
    of = account(Limits(monthly_tokens=1_000, monthly_requests=10))
    asked = ask(prompt_tokens=10, completion_tokens=900)
    hold = await limits.admit(of, asked)
    assert isinstance(hold, Hold)
    assert await limits.used(of) == (1, 910)
    await settle(limits, of, asked, hold, tokens=50)
    assert await limits.used(of) == (1, 50)


async def test_a_failed_call_costs_nothing(limits: Quota) -> None:
    of = account(Limits(monthly_tokens=1_000, monthly_requests=10))
    asked = ask()
    hold = await limits.admit(of, asked)
    assert isinstance(hold, Hold)
    await settle(limits, of, asked, hold, tokens=0, requests=0)
    assert await limits.used(of) == (0, 0)


async def test_settling_twice_counts_once(limits: Quota, client: redis.asyncio.Redis) -> None:
    of = account(Limits(monthly_tokens=1_000))
    asked = ask()
    hold = await limits.admit(of, asked)
    assert isinstance(hold, Hold)
    before = await client.xlen(of.stream)
    assert await settle(limits, of, asked, hold, tokens=20)
    assert not await settle(limits, of, asked, hold, tokens=20)
    assert await limits.used(of) == (1, 20)
    assert await client.xlen(of.stream) == before + 1


async def test_asking_again_after_a_lost_reply_holds_once(limits: Quota) -> None:
    of = account(Limits(monthly_tokens=1_000))
    asked = ask(completion_tokens=100)
    await limits.admit(of, asked)
    await limits.admit(of, asked)
    assert await limits.used(of) == (1, 110)


async def test_a_hold_of_a_process_that_died_is_given_back(limits: Quota, client: redis.asyncio.Redis) -> None:
    of = account(Limits(monthly_tokens=1_000))
    await limits.admit(of, ask(completion_tokens=900))
    member: Any
    (member,) = await client.zrange(of.holds_key, 0, -1)
    await client.zadd(of.holds_key, {member: 1})
    assert isinstance(await limits.admit(of, ask(completion_tokens=900)), Hold)
    assert await limits.used(of) == (1, 910)


async def test_a_period_begins_with_what_the_ledger_says(lane: Lane, client: redis.asyncio.Redis) -> None:
    async def booked(*_: Any) -> quota.Used:
        return {None: (9, 400), 7: (4, 100)}

    limits = Quota(lane, client, booked)
    of = account(Limits(monthly_requests=10), Limits(monthly_requests=5))
    assert isinstance(await limits.admit(of, ask()), Hold)
    spent = await limits.admit(of, ask())
    assert isinstance(spent, QuotaSpent) and spent.limit == 10


async def test_an_exact_hit_costs_a_request_and_no_tokens(limits: Quota, client: redis.asyncio.Redis) -> None:
    of = account(Limits(monthly_requests=2, monthly_tokens=1))
    key = keyspace.answer(of.principal.tenant_id, "f")
    await client.hset(key, mapping={"m": b'{"created_at": 1}', "b": b"body"})
    before = await client.xlen(of.stream)
    hit = await limits.admit(of, ask(answer_key=key, hit_event=b'{"id": "1"}'))
    assert isinstance(hit, Hit) and hit.body == b"body"
    assert await limits.used(of) == (1, 0)
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
    assert isinstance(refused, RateLimited) and refused.what == "tokens"
    await settle(limits, of, asked, hold, tokens=20)
    assert isinstance(await limits.admit(of, ask(prompt_tokens=10, completion_tokens=500)), Hold)


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
