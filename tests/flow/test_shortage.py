"""What is used up, or nearly, is said on the pages that one would look at, and by the live feed; then how to go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.utils import timezone

from analytics.tasks import drain_usage
from billing import budgets, shortage, subscriptions
from tests.conftest import Workspace
from tests.sockets import live_feed, session_of, update
from tests.usage import miss, send, stream_of

NO_BUDGET: Any = {"daily_budget_usd": None, "monthly_budget_usd": None, "budget_mode": "hard", "unpriced": "refuse"}


def use(workspace: Workspace, requests: int = 1, **facts: Any) -> None:
    """Each of 30 tokens and 0.0000135 USD, unless `facts` say else."""
    send(stream_of(workspace), *(miss(workspace, **facts) for _ in range(requests)))
    drain_usage()


def told(workspace: Workspace) -> list[tuple[str, str]]:
    return [(each.kind, each.title) for each in shortage.of(workspace.tenant, timezone.now())]


def pages_of(workspace: Workspace) -> list[str]:
    client, base = session_of(workspace.owner), f"/t/{workspace.tenant.slug}/"
    return [" ".join(client.get(f"{base}{path}").content.decode().split()) for path in ("", "billing/")]


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({"monthly_requests": 6}, []),
        ({"monthly_requests": 5}, [("warning", "80 % of the 5 requests of this period are used.")]),
        ({"monthly_requests": 4}, [("error", "The 4 requests of this period are used up.")]),
        ({"monthly_requests": 3}, [("error", "The 3 requests of this period are used up.")]),
        ({"monthly_requests": 0}, [("error", "The 0 requests of this period are used up.")]),
        ({"monthly_tokens": 121}, [("warning", "99 % of the 121 tokens of this period are used.")]),
        ({"monthly_tokens": 120}, [("error", "The 120 tokens of this period are used up.")]),
        (
            {"monthly_requests": 4, "monthly_tokens": 130},
            [
                ("error", "The 4 requests of this period are used up."),
                ("warning", "92 % of the 130 tokens of this period are used."),
            ],
        ),
        ({}, []),
    ],
)
def test_four_requests_of_thirty_tokens_against_limits(
    make_workspace: Callable[..., Workspace], limits: dict[str, int], says: list[tuple[str, str]]
) -> None:
    alice = make_workspace("scale", **limits)
    use(alice, 4)
    assert told(alice) == says


@pytest.mark.parametrize(
    ("budget", "says"),
    [
        ({"monthly_budget_usd": 2}, []),
        ({"monthly_budget_usd": "1.30"}, [("warning", "96 % of this period's budget of $1.30 is spent.")]),
        ({"monthly_budget_usd": 1}, [("error", "This period's budget of $1.00 is spent.")]),
        ({"daily_budget_usd": 1}, [("error", "Today's budget of $1.00 is spent.")]),
        ({"daily_budget_usd": 1, "budget_mode": "warn"}, []),
    ],
)
def test_a_dollar_and_a_quarter_against_budgets(
    alice: Workspace, budget: dict[str, Any], says: list[tuple[str, str]]
) -> None:
    budgets.change(alice.tenant, NO_BUDGET | budget, actor=alice.owner, ip=None)
    use(alice, cost_usd="1.25")
    assert told(alice) == says


def test_the_live_page_and_billing_say_it_and_lead_to_the_plans(make_workspace: Callable[..., Workspace]) -> None:
    alice = make_workspace("free")
    assert not any("refused with 402" in page for page in pages_of(alice))
    use(alice, 100)
    for page in pages_of(alice):
        assert "The 100 requests of this period are used up." in page
        assert "every request is refused with 402." in page
        assert f'/t/{alice.tenant.slug}/billing/#plans-title">See plans' in page
    subscriptions.change_plan(alice.tenant, "pro")
    assert not any("refused with 402" in page for page in pages_of(alice))


async def test_an_open_live_page_is_told(make_workspace: Callable[..., Workspace]) -> None:
    alice = await database_sync_to_async(make_workspace)("scale", monthly_tokens=30)
    async with live_feed(alice.tenant, alice.owner) as feed:
        assert (await update(feed))["short"] == ""
        await database_sync_to_async(use)(alice)
        assert "The 30 tokens of this period are used up." in (await update(feed))["short"]
