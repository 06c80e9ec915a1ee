"""Limits as an app meets them: rates, places in flight and budgets, of the workspace and of one key, changed live."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import httpx2
import pytest
import redis
from django.conf import settings
from django.core.exceptions import ValidationError

from billing import subscriptions
from billing.ledger import UNIT_USD
from billing.models import PlatformLimits, Subscription
from tenants import keyspace
from tests.calls import body_of, chat, records
from tests.conftest import Workspace
from tests.management import call, refused
from tests.quotas import standing

Configure = Callable[[Workspace], Workspace]
Limited = Callable[..., Workspace]
PRICED, UNPRICED = "gpt-4o-mini", "ok"


@pytest.fixture
def limited(make_workspace: Callable[..., Workspace], with_provider: Configure) -> Callable[..., Workspace]:
    """`limited(concurrency=3)`: a workspace on Scale with the fake provider, and with these limits from the start."""
    return lambda **limits: with_provider(make_workspace("scale", **limits))


def change_key(workspace: Workspace, **limits: Any) -> None:
    for name, value in limits.items():
        setattr(workspace.api_key, name, value)
    workspace.api_key.save()


def change_subscription(workspace: Workspace, **values: Any) -> None:
    subscription = Subscription.objects.get(tenant=workspace.tenant)
    for name, value in values.items():
        setattr(subscription, name, value)
    subscription.save()


def soon(server: str, workspace: Workspace, status: int, model: str = PRICED) -> httpx2.Response:
    """The first answer with that status: what was changed is in effect within a second."""
    until = time.monotonic() + 5
    while (answer := chat(server, workspace.key, model)).status_code != status:
        assert time.monotonic() < until, answer.text
    return answer


def refusal(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_answers_tell_of_the_tightest_limit_in_openais_headers_and_the_ietfs(server: str, limited: Limited) -> None:
    fake = limited(requests_per_minute=50, requests_per_hour=20, tokens_per_day=90_000)
    headers = chat(server, fake.key, max_tokens=10).headers
    assert headers["x-ratelimit-limit-requests"] == "20"
    assert headers["x-ratelimit-remaining-requests"] == "19"
    policies = headers["ratelimit-policy"].split(", ")
    assert policies == [
        '"requests-per-minute";q=50;w=60', '"requests-per-hour";q=20;w=3600', '"tokens-per-day";q=90000;w=86400',
    ]  # fmt: skip
    requests, tokens = headers["ratelimit"].split(", ")
    assert requests.startswith('"requests-per-hour";r=19;t=')
    assert tokens.startswith('"tokens-per-day";r=8')


def test_a_burst_passes_at_once_and_then_the_rate_applies(server: str, limited: Limited) -> None:
    fake = limited(requests_per_minute=6, request_burst=4)
    answers = [chat(server, fake.key) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 4 + [429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 10
    assert "bursts of 4" in answers[-1].json()["error"]["message"]


def test_no_more_requests_are_in_flight_than_may_be(server: str, limited: Limited) -> None:
    fake = limited(concurrency=3)

    async def at_once(calls: int) -> list[int]:
        async with httpx2.AsyncClient(timeout=30) as client:
            headers = {"Authorization": f"Bearer {fake.key}"}
            url = f"{server}/v1/chat/completions"
            posts = (client.post(url, json=body_of("slow", uuid.uuid4().hex), headers=headers) for _ in range(calls))
            return sorted(answer.status_code for answer in await asyncio.gather(*posts))

    assert asyncio.run(at_once(8)) == [200] * 3 + [429] * 5


def test_a_budget_is_never_exceeded_and_says_when_it_begins_anew(server: str, limited: Limited) -> None:
    fake = limited(daily_budget_usd="0.01")
    answers = []
    # 0.60 USD a million tokens: each of these holds the whole budget, and gives most of it back.
    for _ in range(3):
        answers.append(chat(server, fake.key, PRICED, max_tokens=16_000))
    assert [answer.status_code for answer in answers] == [200] * 3
    change_subscription(fake, daily_budget_usd=Decimal(0))
    spent = soon(server, fake, 402)
    assert refusal(spent) == (402, "budget_exceeded")
    message = spent.json()["error"]["message"]
    assert "$0.00 a day" in message and "00:00 UTC" in message and f"/t/{fake.tenant.slug}/billing/" in message


def test_a_keys_own_budget_leaves_the_others_theirs(server: str, limited: Limited) -> None:
    fake = limited()
    change_key(fake, monthly_budget_usd=Decimal(0))
    spent = soon(server, fake, 402)
    assert refusal(spent) == (402, "budget_exceeded") and "for this key" in spent.json()["error"]["message"]
    change_key(fake, monthly_budget_usd=None)
    soon(server, fake, 200)


def test_a_budget_that_only_warns_refuses_nothing(server: str, limited: Limited) -> None:
    fake = limited(monthly_budget_usd="0", budget_mode="warn")
    assert chat(server, fake.key, PRICED).status_code == 200


def test_the_smaller_of_the_plans_budget_and_the_workspaces_own_counts(server: str, limited: Limited) -> None:
    fake = limited(monthly_budget_usd="50")
    assert chat(server, fake.key, PRICED).status_code == 200
    change_subscription(fake, monthly_budget_usd=Decimal(0))
    assert refusal(soon(server, fake, 402)) == (402, "budget_exceeded")


def test_a_model_without_a_price_is_refused_under_a_budget_unless_allowed(server: str, limited: Limited) -> None:
    fake = limited(monthly_budget_usd="50")
    refused = chat(server, fake.key, UNPRICED)
    assert refusal(refused) == (402, "unpriced_model")
    change_subscription(fake, unpriced=Subscription.Unpriced.ALLOW)
    answer = soon(server, fake, 200, UNPRICED)
    assert answer.headers["x-nexus-cost-usd"] == "unknown"
    (record,) = records(fake, 1)
    assert record.cost_usd is None


def test_what_is_passed_on_has_no_price_beforehand(server: str, limited: Limited) -> None:
    fake = limited(monthly_budget_usd="50")
    headers = {"Authorization": f"Bearer {fake.key}"}
    made = httpx2.post(f"{server}/v1/images/generations", json={"model": "dall-e-3", "prompt": "x"}, headers=headers)
    assert refusal(made) == (402, "unpriced_model")


def test_what_a_call_cost_is_in_redis_what_it_is_in_the_record(server: str, limited: Limited) -> None:
    fake = limited(monthly_budget_usd="50")
    for _ in range(5):
        assert chat(server, fake.key, PRICED).status_code == 200
    cost = sum((record.cost_usd or Decimal(0) for record in records(fake, 5)), Decimal(0))
    assert cost > 0
    tenant, key = standing(fake)
    assert tenant.cost * UNIT_USD == key.cost * UNIT_USD == cost
    assert (tenant.held_cost, tenant.held_tokens, tenant.held_requests) == (0, 0, 0)


def test_a_limit_is_changed_while_calls_go_on(server: str, limited: Limited) -> None:
    fake = limited(requests_per_hour=2)
    assert [chat(server, fake.key).status_code for _ in range(3)] == [200, 200, 429]
    subscriptions.change_plan(fake.tenant, "scale", overrides={"requests_per_hour": 4})
    soon(server, fake, 200)
    assert [chat(server, fake.key).status_code for _ in range(2)] == [200, 429]


# --- more than anybody expects ----------------------------------------------------------------------------------------


def test_tools_are_paid_for_and_so_held(server: str, limited: Limited) -> None:
    """100 KB of them are 0.015 USD, if each byte were a token."""
    fake = limited(monthly_budget_usd="0.01")
    assert chat(server, fake.key, PRICED, max_tokens=5).status_code == 200
    tool = {"type": "function", "function": {"name": "weather", "description": "x" * 100_000}}
    assert refusal(chat(server, fake.key, PRICED, max_tokens=5, tools=[tool])) == (402, "budget_exceeded")


@pytest.mark.parametrize("name", ["daily_budget_usd", "monthly_budget_usd"])
def test_a_budget_is_no_larger_than_can_be_counted(server: str, buyer: Workspace, name: str) -> None:
    refused(call(buyer, "PUT", "/api/billing/budget", {name: "900000.01"}), 400, name)
    with pytest.raises(ValidationError, match=name):
        Subscription(tenant=buyer.tenant, plan_id="free", **{name: Decimal("1844674407.38")}).clean_fields()
    assert call(buyer, "PUT", "/api/billing/budget", {name: "900000"}).status_code == 200
    soon(server, buyer, 200)


# --- the platform's own -----------------------------------------------------------------------------------------------

Operate = Callable[..., None]


@pytest.fixture
def operate(server: str, alice: Workspace) -> Iterator[Operate]:
    """`operate(requests_per_minute=3)`: as an operator does it in the admin. Removed again at the end."""

    def change(**limits: int | None) -> None:
        # What a test before has leased is not this one's.
        with redis.Redis.from_url(settings.REDIS_URL, protocol=2) as client:
            client.delete(keyspace.throttle("requests"), keyspace.throttle("tokens"))
        nothing = {"requests_per_minute": None, "tokens_per_minute": None}
        PlatformLimits.objects.update_or_create(id=1, defaults={**nothing, **limits})

    yield change
    change()
    soon(server, alice, 200)


def test_the_platforms_limits_are_in_effect_at_once_and_say_that_it_is_busy(
    server: str, limited: Limited, operate: Operate
) -> None:
    fake = limited(concurrency=1)
    assert chat(server, fake.key, content="the same").status_code == 200
    operate(requests_per_minute=0)
    busy = soon(server, fake, 429)
    assert refusal(busy) == (429, "platform_busy")
    assert "The gateway as a whole" in busy.json()["error"]["message"] and int(busy.headers["retry-after"]) > 0
    # Nothing of it is left on the workspace; and what is in the cache, costs the platform nothing.
    tenant, _ = standing(fake)
    assert (tenant.held_requests, tenant.held_tokens) == (0, 0)
    assert refusal(chat(server, fake.key)) == (429, "platform_busy")
    assert chat(server, fake.key, content="the same").headers["x-cache"] == "HIT-EXACT"
    operate(requests_per_minute=60)
    soon(server, fake, 200)


def test_a_key_that_is_refused_takes_nothing_of_the_platforms(server: str, limited: Limited, operate: Operate) -> None:
    fake, spent = limited(), limited(monthly_requests=0)
    operate(requests_per_minute=0)
    soon(server, fake, 429)
    operate(requests_per_minute=3, tokens_per_minute=100_000)
    soon(server, fake, 200)
    for _ in range(10):
        assert refusal(chat(server, spent.key, max_tokens=9_000_000)) == (402, "quota_exceeded")
    assert chat(server, fake.key, content="the same").status_code == 200
    for _ in range(5):
        assert chat(server, fake.key, content="the same").headers["x-cache"] == "HIT-EXACT"
    assert chat(server, fake.key, max_tokens=500, n=100).status_code == 200
    assert refusal(chat(server, fake.key)) == (429, "platform_busy")


def test_each_of_several_answers_is_among_what_the_platform_limits(
    server: str, limited: Limited, operate: Operate
) -> None:
    fake = limited()
    operate(requests_per_minute=0)
    soon(server, fake, 429)
    operate(tokens_per_minute=100_000)
    soon(server, fake, 200)
    assert chat(server, fake.key, max_tokens=1_000, n=90).status_code == 200
    assert refusal(chat(server, fake.key, max_tokens=1_000, n=90)) == (429, "platform_busy")
