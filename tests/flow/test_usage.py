"""GET /v1/usage: what is left of quotas and budgets, of the workspace and of the key that asks."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import httpx2

from analytics.overview import ENDPOINTS
from analytics.tasks import drain_usage
from gateway import passthrough
from gateway.dialects import (
    anthropic_messages,
    openai_chat,
    openai_embeddings,
    openai_responses,
    playground_chat,
    prompt_chat,
    simple_chat,
    socket_chat,
)
from tenants import apikeys
from tests.calls import chat
from tests.conftest import Workspace
from tests.management import manages


def usage_of(server: str, key: str) -> dict[str, Any]:
    answer = httpx2.get(f"{server}/v1/usage", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_what_is_used_and_left_is_told(server: str, make_workspace: Any) -> None:
    limits = {"monthly_requests": 10, "monthly_tokens": 1_000_000, "monthly_budget_usd": "5.00"}
    workspace = manages(make_workspace("scale", **limits))
    assert chat(server, workspace.key, "gpt-4o-mini").status_code == 200
    usage = usage_of(server, workspace.key)
    assert usage["plan"] == "scale"
    assert usage["requests"] == {"used": 1, "limit": 10, "remaining": 9, "percent": 10.0}
    assert usage["tokens"]["limit"] == 1_000_000 and 0 < usage["tokens"]["used"] < 1_000
    period = [dt.datetime.fromisoformat(usage["period"][name]) for name in ("start", "end")]
    assert period[0] < dt.datetime.now(dt.UTC) < period[1]
    month, day = usage["budget"]["monthly"], usage["budget"]["daily"]
    assert month["limit"] == "5.0000000000" and day["limit"] is None and month["used"] == day["used"]
    assert Decimal(month["used"]) + Decimal(month["remaining"]) == 5
    assert usage["limits"]["monthly_budget_usd"] == "5.00" and usage["limits"]["concurrency"] is None
    assert usage["rates"] == [
        {
            "name": "requests-per-minute",
            "of": "workspace",
            "unit": "requests",
            "limit": 1000,
            "window_s": 60,
            "burst": None,
        }
    ]


def test_a_key_is_told_what_is_its_own(server: str, alice: Workspace) -> None:
    other = apikeys.issue(alice.tenant, monthly_requests=3, requests_per_hour=50, daily_budget_usd=Decimal("1.50"))
    assert chat(server, alice.key, "gpt-4o-mini").status_code == 200
    assert chat(server, other.text, "gpt-4o-mini").status_code == 200
    usage = usage_of(server, other.text)
    assert usage["requests"]["used"] == 2 and usage["requests"]["limit"] is None
    assert usage["key"]["id"] == other.key.public_id
    assert usage["key"]["requests"] == {"used": 1, "limit": 3, "remaining": 2, "percent": 33.33}
    assert usage["key"]["budget"]["daily"]["limit"] == "1.5000000000"
    assert usage["key"]["limits"]["requests_per_hour"] == 50
    assert [rate["name"] for rate in usage["rates"] if rate["of"] == "key"] == ["key-requests-per-hour"]


def test_a_key_without_the_scope_is_told_the_quotas_and_not_the_money(server: str, make_workspace: Any) -> None:
    workspace = make_workspace("scale", monthly_requests=10, monthly_budget_usd="5.00", daily_budget_usd="1.00")
    other = apikeys.issue(workspace.tenant, monthly_budget_usd=Decimal("2.00"))
    viewer = apikeys.issue(workspace.tenant, scopes=["figures"])
    assert chat(server, workspace.key, "gpt-4o-mini").status_code == 200
    usage = usage_of(server, other.text)
    assert usage["requests"] == {"used": 1, "limit": 10, "remaining": 9, "percent": 10.0}
    assert usage["tokens"]["used"] > 0 and "budget" not in usage
    assert "concurrency" in usage["limits"] and not {name for name in usage["limits"] if "budget" in name}
    # Its own money is its own.
    assert usage["key"]["budget"]["monthly"] == {
        "used": "0.0000000000", "limit": "2.0000000000", "remaining": "2.0000000000", "percent": 0.0
    }  # fmt: skip
    seen = usage_of(server, viewer.text)
    assert seen["budget"]["monthly"]["limit"] == "5.0000000000" and Decimal(seen["budget"]["monthly"]["used"]) > 0
    assert seen["limits"]["daily_budget_usd"] == "1.00"


def test_usage_and_costs_agree_once_all_is_booked(server: str, alice: Workspace) -> None:
    manages(alice)
    question = "How many are in a dozen?"
    for _ in range(2):
        assert chat(server, alice.key, "gpt-4o-mini", question).status_code == 200
    drain_usage()
    headers = {"Authorization": f"Bearer {alice.key}"}
    costs = httpx2.get(f"{server}/v1/usage/costs", headers=headers).json()
    usage = usage_of(server, alice.key)
    assert usage["requests"]["used"] == costs["totals"]["requests"] == 2
    assert usage["budget"]["monthly"]["used"] == costs["totals"]["cost_usd"]
    assert costs["totals"]["hits"]["exact"] == 1


def test_every_dialect_has_its_endpoint() -> None:
    modules = (
        anthropic_messages, openai_chat, openai_embeddings, openai_responses, passthrough, playground_chat,
        prompt_chat, simple_chat, socket_chat,
    )  # fmt: skip
    assert set(ENDPOINTS) == {module.NAME for module in modules}
