"""Other plans, ends, and what becomes of who does not pay."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx2
import pytest
from django.utils import timezone

from billing.models import Plan, Subscription
from billing.stripe import changes, configuration, state
from tenants import revocations
from tests.conftest import Workspace
from tests.management import call, refused
from tests.paying import (
    DECLINED,
    VISA,
    Payments,
    actions,
    customer_of,
    status_is,
    subscribe,
    subscription_of,
    wait_for,
)
from tests.sockets import session_of


def invoices(paid: Payments, workspace: Workspace) -> list[Any]:
    return list(paid.stripe.api("invoices", customer=customer_of(workspace), limit=100)["data"])


def limit_of(gateway: str, workspace: Workspace) -> int:
    usage = httpx2.get(f"{gateway}/v1/usage", headers={"Authorization": f"Bearer {workspace.key}"}).json()
    return int(usage["requests"]["limit"] or 0)


def code_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_an_upgrade_is_charged_at_once_for_the_rest(paid: Payments, buyer: Workspace) -> None:
    subscribe(paid.stripe, buyer)
    anchor = subscription_of(buyer).anchor_at
    seen = call(buyer, "POST", "/api/billing/preview", {"plan": "scale"}).json()
    assert Decimal(seen["due_now_usd"]) == Decimal("220") and Decimal(seen["monthly_usd"]) == 249
    assert subscription_of(buyer).plan_id == "pro"
    answer = call(buyer, "POST", "/api/billing/change", {"plan": "scale"})
    assert answer.status_code == 200 and answer.json()["plan"] == "scale"
    newest = invoices(paid, buyer)[0]
    assert newest["status"] == "paid" and newest["amount_paid"] == 22_000
    found = subscription_of(buyer)
    assert found.anchor_at == anchor and found.metered_since is not None
    assert actions(buyer)[-2:] == ["subscription.changed", "plan.changed"]
    items = paid.stripe.api(f"subscriptions/{found.stripe_subscription_id}")["items"]["data"]
    assert sorted(item["price"]["lookup_key"] for item in items) == [
        "nexus_scale_cost", "nexus_scale_monthly", "nexus_scale_requests",
    ]  # fmt: skip


def test_a_downgrade_now_is_credited(paid: Payments, buyer: Workspace) -> None:
    subscribe(paid.stripe, buyer, "scale")
    assert Decimal(call(buyer, "POST", "/api/billing/preview", {"plan": "pro"}).json()["due_now_usd"]) == -220
    assert call(buyer, "POST", "/api/billing/change", {"plan": "pro", "when": "now"}).json()["plan"] == "pro"
    assert subscription_of(buyer).metered_since is None
    assert paid.stripe.api(f"customers/{customer_of(buyer)}")["balance"] == -22_000


def test_a_downgrade_waits_for_the_end_of_the_period(paid: Payments, buyer: Workspace) -> None:
    subscribe(paid.stripe, buyer, "scale")
    asked = {"plan": "pro", "when": "period_end"}
    assert call(buyer, "POST", "/api/billing/preview", asked).json()["due_now_usd"] == "0"
    answer = call(buyer, "POST", "/api/billing/change", asked).json()
    assert (answer["plan"], answer["pending"]["plan"]) == ("scale", "pro")
    assert answer["pending"]["at"] == answer["period_end"]
    paid.stripe.pass_days(32)
    wait_for(lambda: subscription_of(buyer).plan_id == "pro")
    paid.stripe.do("deliver")
    found = subscription_of(buyer)
    assert (found.pending_plan, found.status, found.anchor_at) == ("", "active", found.anchor_at)
    assert invoices(paid, buyer)[0]["total"] == 2_900


def test_a_waiting_change_is_taken_back(paid: Payments, buyer: Workspace) -> None:
    subscribe(paid.stripe, buyer, "scale")
    call(buyer, "POST", "/api/billing/change", {"plan": "pro", "when": "period_end"})
    assert call(buyer, "POST", "/api/billing/resume").json()["pending"] is None
    assert code_of(call(buyer, "POST", "/api/billing/resume")) == (409, "nothing_to_resume")
    call(buyer, "POST", "/api/billing/change", {"plan": "pro", "when": "period_end"})
    # To want what one has takes it back, too.
    assert call(buyer, "POST", "/api/billing/change", {"plan": "scale"}).json()["pending"] is None
    assert code_of(call(buyer, "POST", "/api/billing/change", {"plan": "scale"})) == (409, "already_on_plan")


def test_one_waiting_change_replaces_the_other(paid: Payments, buyer: Workspace) -> None:
    subscribe(paid.stripe, buyer, "scale")
    call(buyer, "POST", "/api/billing/cancel")
    answer = call(buyer, "POST", "/api/billing/change", {"plan": "pro", "when": "period_end"}).json()
    assert (answer["cancel_at"], answer["pending"]["plan"]) == (None, "pro")
    answer = call(buyer, "POST", "/api/billing/change", {"plan": "free", "when": "period_end"}).json()
    assert answer["cancel_at"] == answer["period_end"] and answer["pending"] is None


def test_who_cancels_keeps_what_is_paid_for_until_the_end(paid: Payments, buyer: Workspace) -> None:
    subscribe(paid.stripe, buyer)
    answer = call(buyer, "POST", "/api/billing/cancel", {}).json()
    assert (answer["plan"], answer["cancel_at"]) == ("pro", answer["period_end"])
    assert call(buyer, "POST", "/api/billing/resume").json()["cancel_at"] is None
    call(buyer, "POST", "/api/billing/cancel", {"when": "period_end"})
    anchor = subscription_of(buyer).anchor_at
    paid.stripe.pass_days(32)
    wait_for(status_is(buyer, "canceled"))
    found = subscription_of(buyer)
    assert (found.plan_id, found.anchor_at) == ("free", anchor)
    assert code_of(call(buyer, "POST", "/api/billing/resume")) == (409, "not_subscribed")


def test_who_cancels_now_is_paid_nothing_back(paid: Payments, buyer: Workspace) -> None:
    subscribe(paid.stripe, buyer)
    seen = call(buyer, "POST", "/api/billing/preview", {"plan": "free"}).json()
    assert (seen["due_now_usd"], seen["monthly_usd"]) == ("0", "0")
    assert [line["description"] for line in seen["lines"]] == ["Nothing is paid back for the rest of the period"]
    later = call(buyer, "POST", "/api/billing/preview", {"plan": "free", "when": "period_end"}).json()
    assert later["effective_at"] == call(buyer, "GET", "/api/billing/subscription").json()["period_end"]
    assert call(buyer, "POST", "/api/billing/cancel", {"when": "now"}).json()["plan"] == "free"
    assert paid.stripe.api(f"customers/{customer_of(buyer)}")["balance"] == 0
    # To leave and to buy again is not a new month's quota for cents.
    subscribe(paid.stripe, buyer)
    assert invoices(paid, buyer)[0]["amount_paid"] == 2_900
    assert code_of(call(buyer, "POST", "/api/billing/change", {"plan": "pro"})) == (409, "already_on_plan")


def test_who_leaves_without_having_paid_gets_no_credit_for_it(paid: Payments, buyer: Workspace) -> None:
    subscribe(paid.stripe, buyer)
    paid.stripe.do(f"customers/{customer_of(buyer)}/card", number=DECLINED)
    paid.stripe.pass_days(31.5)
    wait_for(status_is(buyer, "past_due"))
    assert call(buyer, "POST", "/api/billing/cancel", {"when": "now"}).json()["plan"] == "free"
    assert paid.stripe.api(f"customers/{customer_of(buyer)}")["balance"] == 0


def test_there_is_no_end_to_preview_without_a_subscription(paid: Payments, buyer: Workspace) -> None:
    assert code_of(call(buyer, "POST", "/api/billing/preview", {"plan": "free"})) == (409, "not_subscribed")


def test_who_pays_an_old_price_is_shown_that(paid: Payments, buyer: Workspace) -> None:
    subscribe(paid.stripe, buyer)
    Plan.objects.filter(code="pro").update(price_usd=349)
    try:
        assert call(buyer, "GET", "/api/billing/subscription").json()["price_usd"] == "29.00"
        page = session_of(buyer.owner).get(f"/t/{buyer.tenant.slug}/billing/").content.decode()
        assert "$29.00" in page and "$349.00" not in page and "Upgrade to Scale" in page
        # More is paid from now on, whatever the plan of before costs others: it is charged at once.
        call(buyer, "POST", "/api/billing/change", {"plan": "scale"})
        assert invoices(paid, buyer)[0]["amount_paid"] == 22_000
        assert call(buyer, "GET", "/api/billing/subscription").json()["price_usd"] == "249.00"
        call(buyer, "POST", "/api/billing/cancel", {"when": "now"})
        assert call(buyer, "GET", "/api/billing/subscription").json()["price_usd"] == "0.00"
    finally:
        Plan.objects.filter(code="pro").update(price_usd=29)


def test_a_failed_payment_has_grace_then_frees_limits_then_all_comes_back(paid: Payments, buyer: Workspace) -> None:
    subscribe(paid.stripe, buyer)
    paid.stripe.do("settings", dunning_end="past_due")
    paid.stripe.do(f"customers/{customer_of(buyer)}/card", number=DECLINED)
    paid.stripe.pass_days(31.5)
    wait_for(status_is(buyer, "past_due"))
    found = subscription_of(buyer)
    owed = dt.datetime.fromtimestamp(invoices(paid, buyer)[0]["status_transitions"]["finalized_at"], dt.UTC)
    assert found.plan_id == "pro" and found.grace_until == owed + dt.timedelta(days=7)
    assert limit_of(paid.gateway, buyer) == 10_000
    assert code_of(call(buyer, "POST", "/api/billing/change", {"plan": "scale"})) == (409, "payment_due")
    # The clock of the gateway is not Stripe's.
    Subscription.objects.filter(pk=found.pk).update(grace_until=timezone.now())
    revocations.publish(f"tenant:{buyer.tenant.pk}")
    wait_for(lambda: limit_of(paid.gateway, buyer) == 100)
    assert call(buyer, "GET", "/api/billing/subscription").json()["limits_of"] == "free"
    state.refresh(buyer.tenant)
    assert limit_of(paid.gateway, buyer) == 100
    paid.stripe.do(f"customers/{customer_of(buyer)}/card", number=VISA)
    paid.stripe.pass_days(8)
    wait_for(status_is(buyer, "active"))
    wait_for(lambda: limit_of(paid.gateway, buyer) == 10_000)
    assert subscription_of(buyer).grace_until is None


def test_who_never_pays_ends_on_free(paid: Payments, buyer: Workspace) -> None:
    subscribe(paid.stripe, buyer)
    paid.stripe.do("settings", dunning_end="unpaid")
    paid.stripe.do(f"customers/{customer_of(buyer)}/card", number=DECLINED)
    paid.stripe.pass_days(60)
    wait_for(status_is(buyer, "unpaid"))
    assert subscription_of(buyer).plan_id == "free"


def test_an_upgrade_that_the_card_refuses_changes_nothing(paid: Payments, buyer: Workspace) -> None:
    subscribe(paid.stripe, buyer)
    paid.stripe.do(f"customers/{customer_of(buyer)}/card", number=DECLINED)
    before = actions(buyer)
    answer = call(buyer, "POST", "/api/billing/change", {"plan": "scale"})
    assert code_of(answer) == (402, "payment_failed")
    assert (state.refresh(buyer.tenant).plan_id, subscription_of(buyer).status) == ("pro", "active")
    assert actions(buyer) == before
    # Nor is a change forgotten that waits.
    waiting = call(buyer, "POST", "/api/billing/change", {"plan": "scale", "when": "period_end"}).json()["pending"]
    assert code_of(call(buyer, "POST", "/api/billing/change", {"plan": "scale"})) == (402, "payment_failed")
    state.refresh(buyer.tenant)
    assert call(buyer, "GET", "/api/billing/subscription").json()["pending"] == waiting
    paid.stripe.do(f"customers/{customer_of(buyer)}/card", number=VISA)
    paid.stripe.pass_days(32)
    wait_for(lambda: subscription_of(buyer).plan_id == "scale")


def test_a_change_now_takes_back_an_end_that_was_set_at_stripe(paid: Payments, buyer: Workspace) -> None:
    subscribe(paid.stripe, buyer)
    found = subscription_of(buyer)
    assert found.period_end is not None
    at_stripe = f"{paid.stripe.url}/v1/subscriptions/{found.stripe_subscription_id}"
    ends = int(found.period_end.timestamp()) - 86_400
    httpx2.post(at_stripe, data={"cancel_at": str(ends)}, headers={"Authorization": "Bearer sk_test_x"})
    assert state.refresh(buyer.tenant).cancel_at is not None
    assert call(buyer, "POST", "/api/billing/change", {"plan": "scale"}).json()["cancel_at"] is None


def test_periods_are_those_that_are_invoiced(paid: Payments, buyer: Workspace) -> None:
    """A trial has a period of its own; the first paid one begins when it ends."""
    subscribe(paid.stripe, buyer, trial=True)
    began = subscription_of(buyer)
    assert began.anchor_at == began.period_start
    paid.stripe.pass_days(15)
    wait_for(status_is(buyer, "active"))
    found = subscription_of(buyer)
    assert found.anchor_at == began.trial_end == found.period_start
    quota = call(buyer, "GET", "/api/billing/subscription").json()["quota"]
    assert dt.datetime.fromisoformat(quota["period_start"]).day == found.anchor_at.day


@pytest.mark.parametrize(("failure", "status"), [({"status": 500}, 502), ({"status": 429}, 502), ({"hang_s": 6}, 502)])
def test_without_stripe_nothing_is_half_done(
    paid: Payments, buyer: Workspace, settings: Any, failure: dict[str, Any], status: int
) -> None:
    subscribe(paid.stripe, buyer)
    paid.stripe.do("deliver")
    settings.STRIPE_TIMEOUT_S = 1.0
    before = Subscription.objects.values().get(tenant=buyer.tenant), actions(buyer)
    calls = [
        ("POST", "checkout", {"plan": "scale"}),
        ("POST", "billing/change", {"plan": "scale"}),
        ("POST", "billing/preview", {"plan": "scale"}),
        ("POST", "billing/cancel", {}),
        ("POST", "billing/portal", None),
        ("GET", "billing/invoices", None),
    ]
    for method, path, body in calls if "hang_s" not in failure else calls[1:2]:
        paid.stripe.do("fail", next=20, **failure)
        assert code_of(call(buyer, method, f"/api/{path}", body)) == (status, "stripe_unavailable"), path
    paid.stripe.do("fail", next=0)
    assert (Subscription.objects.values().get(tenant=buyer.tenant), actions(buyer)) == before
    assert call(buyer, "GET", "/api/billing/subscription").json()["plan"] == "pro"


def test_an_answer_that_is_lost_is_looked_up_again(paid: Payments, buyer: Workspace) -> None:
    """Stripe has done it, and failed to say so. The next call finds it done."""
    subscribe(paid.stripe, buyer)
    with paid.stripe.silent():
        paid.stripe.do("fail", next=3, status=500, when="after", path="/v1/subscriptions/sub_")
        first = call(buyer, "POST", "/api/billing/change", {"plan": "scale"})
        paid.stripe.do("fail", next=0)
        if first.status_code != 200:
            assert code_of(call(buyer, "POST", "/api/billing/change", {"plan": "scale"})) == (409, "already_on_plan")
        assert state.refresh(buyer.tenant).plan_id == "scale"
    assert len([each for each in invoices(paid, buyer) if each["amount_paid"] == 22_000]) == 1


def test_without_a_key_the_gateway_says_what_to_set(buyer: Workspace, settings: Any) -> None:
    settings.STRIPE_SECRET_KEY = ""
    assert not configuration.configured()
    (lacking,) = configuration.missing()
    assert lacking.setting == "STRIPE_SECRET_KEY"
    for path, body in (("checkout", {"plan": "pro"}), ("billing/change", {"plan": "pro"}), ("billing/portal", None)):
        answer = call(buyer, "POST", f"/api/{path}", body)
        assert code_of(answer) == (503, "stripe_not_configured")
        assert "STRIPE_SECRET_KEY" in answer.json()["error"]["message"]
    assert call(buyer, "GET", "/api/billing/subscription").json()["status"] == "none"
    assert call(buyer, "GET", "/api/billing/invoices").json()["data"] == []


def test_a_key_that_stripe_refuses_is_the_operators_affair(paid: Payments, buyer: Workspace, settings: Any) -> None:
    settings.STRIPE_SECRET_KEY = "not-a-key"
    assert code_of(call(buyer, "POST", "/api/checkout", {"plan": "pro"})) == (503, "stripe_key_refused")


def test_a_workspaces_budget_is_its_own(buyer: Workspace) -> None:
    none = {"daily_budget_usd": None, "monthly_budget_usd": None, "budget_mode": "hard", "unpriced": "refuse"}
    assert call(buyer, "GET", "/api/billing/budget").json() == none
    wish = {"daily_budget_usd": "2.50", "monthly_budget_usd": 40, "budget_mode": "warn", "unpriced": "allow"}
    changed = call(buyer, "PUT", "/api/billing/budget", wish).json()
    assert changed == {**wish, "monthly_budget_usd": "40.00"}
    assert call(buyer, "GET", "/api/billing/subscription").json()["budget"] == changed
    assert call(buyer, "PUT", "/api/billing/budget", changed).status_code == 200
    assert actions(buyer).count("budget.changed") == 1
    assert call(buyer, "PUT", "/api/billing/budget", {}).json() == none


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("daily_budget_usd", -1),
        ("daily_budget_usd", "much"),
        ("monthly_budget_usd", "1e30"),
        ("monthly_budget_usd", "0.001"),
        ("budget_mode", "soft"),
        ("unpriced", None),
        ("plan", "scale"),
    ],
)
def test_a_bad_budget_is_named(buyer: Workspace, name: str, value: Any) -> None:
    refused(call(buyer, "PUT", "/api/billing/budget", {name: value}), 400, name)


@pytest.mark.parametrize("when", ["later", None, 3, "NOW"])
def test_a_bad_moment_is_named(buyer: Workspace, when: Any) -> None:
    refused(call(buyer, "POST", "/api/billing/change", {"plan": "pro", "when": when}), 400, "when")


def test_pages_may_use_the_same_functions(paid: Payments, make_workspace: Callable[..., Workspace]) -> None:
    bob = make_workspace("free")
    seen = changes.preview(bob.tenant, "scale")
    assert (seen.plan, seen.due_now_usd, seen.monthly_usd) == ("scale", Decimal(249), Decimal(249))
    assert changes.preview(bob.tenant, "pro").due_now_usd == 0
