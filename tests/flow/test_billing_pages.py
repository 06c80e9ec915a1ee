"""A workspace's billing pages without a browser: who may do what, each state in words, and what strangers send."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from billing import budgets
from billing.models import ClosedPeriod, Plan, Reconciliation, Subscription
from billing.periods import period_at
from tenants.models import AuditEvent, Membership, Role
from tests.conftest import Workspace
from tests.paying import KEY, Payments, checkout, subscribe, subscription_of, wait_for
from tests.sockets import session_of
from tests.usage import miss, send, stream_of

NOW = timezone.now()
SOON, BEFORE = NOW + dt.timedelta(days=5), NOW - dt.timedelta(days=5)
ACTS = ("buy", "change", "cancel", "resume", "portal", "budget")
BUDGET = {"daily_budget_usd": "", "monthly_budget_usd": "", "budget_mode": "hard", "unpriced": "refuse"}


@pytest.fixture
def for_sale(settings: Any) -> None:
    """Stripe is configured. Nobody here is its customer, so nobody asks it."""
    settings.STRIPE_SECRET_KEY = KEY


def billing(workspace: Workspace, what: str = "") -> str:
    return f"/t/{workspace.tenant.slug}/billing/{what}"


def page_of(workspace: Workspace, what: str = "") -> str:
    answer = session_of(workspace.owner).get(billing(workspace, what))
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def make_it(workspace: Workspace, **values: Any) -> None:
    Subscription.objects.filter(tenant=workspace.tenant).update(**values)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"status": "past_due", "grace_until": SOON}, ["A payment failed.", "You keep Pro until", "Update card"]),
        ({"status": "past_due", "grace_until": BEFORE}, ["the time to pay is over", "Those of Free, until", "of 100<"]),
        ({"status": "unpaid", "plan_id": "free"}, ["Several payments failed.", "limits are those of Free"]),
        ({"status": "active", "cancel_at": SOON}, ["The subscription is canceled.", "Keep Pro", "From"]),
        ({"status": "active", "pending_plan": "scale", "pending_at": SOON}, ["The plan will change.", "Then Scale"]),
        ({"status": "trialing", "trial_end": SOON}, ["There is no card yet.", "Add card"]),
        ({"status": "trialing", "trial_end": SOON, "card_last4": "4242"}, ["Cancel before, and it costs nothing."]),
        ({"status": "paused"}, ["The trial ended without a card.", "Resume"]),
        ({"status": "incomplete", "plan_id": "free"}, ["Not paid yet.", "Start 14-day trial"]),
        ({"status": "canceled", "plan_id": "free", "trial_used_at": BEFORE}, ["Upgrade to Pro", "Upgrade to Scale"]),
        ({"status": "active"}, ["Upgrade to Scale", "Downgrade to Free", "Next invoice"]),
        ({"status": "active", "plan_id": "scale"}, ["Downgrade to Pro", "$0.10 for each 1,000 requests beyond"]),
    ],
)
def test_each_state_says_what_it_means_and_what_to_do(
    for_sale: None, make_workspace: Callable[..., Workspace], values: dict[str, Any], words: list[str]
) -> None:
    alice = make_workspace("pro")
    make_it(alice, period_end=SOON, **values)
    page = page_of(alice)
    for each in words:
        assert each in page, each


@pytest.mark.parametrize("role", [Role.DEVELOPER, Role.VIEWER])
def test_developers_and_viewers_look_and_are_told_why_not_more(
    for_sale: None, alice: Workspace, mallory: Workspace, role: str
) -> None:
    Membership.objects.create(user=mallory.owner, tenant=alice.tenant, role=role)
    client = session_of(mallory.owner)
    page = client.get(billing(alice))
    assert page.status_code == 200 and "owners, admins and finance may change it" in page.content.decode()
    assert "Save budget" not in page.content.decode() and "/billing/buy" not in page.content.decode()
    for act in ACTS:
        refused = client.post(billing(alice, act), {"plan": "pro", **BUDGET})
        assert refused.status_code == 403 and "Owner, Admin, Finance" in refused.content.decode(), act
    for asking in ("change?plan=pro", "cancel"):
        assert client.get(billing(alice, asking)).status_code == 403
    assert client.get(billing(alice, "ledger.csv")).status_code == 200


@pytest.mark.parametrize("role", [Role.OWNER, Role.ADMIN, Role.FINANCE])
def test_owners_admins_and_finance_set_the_budget(alice: Workspace, mallory: Workspace, role: str) -> None:
    Membership.objects.create(user=mallory.owner, tenant=alice.tenant, role=role)
    given = {**BUDGET, "daily_budget_usd": "2.50", "unpriced": "allow"}
    assert session_of(mallory.owner).post(billing(alice, "budget"), given).status_code == 302
    kept = budgets.of(subscription_of(alice))
    assert (kept["daily_budget_usd"], kept["monthly_budget_usd"], kept["unpriced"]) == (Decimal("2.50"), None, "allow")
    event = AuditEvent.objects.filter(tenant=alice.tenant, action="budget.changed").latest("at")
    assert event.actor == mallory.owner


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("daily_budget_usd", value) for value in ("-1", "NaN", "Infinity", "1e400", "900001", "1.001", "x" * 5000)),
        ("monthly_budget_usd", "\x00"),
        ("budget_mode", "soft"),
        ("unpriced", ""),
    ],
)
def test_a_budget_that_cannot_be_is_refused_beside_its_field(alice: Workspace, field: str, value: str) -> None:
    answer = session_of(alice.owner).post(billing(alice, "budget"), {**BUDGET, field: value})
    assert answer.status_code == 400
    assert f'id="budget_{field}_error"' in answer.content.decode()
    assert budgets.of(subscription_of(alice))["daily_budget_usd"] is None


def test_another_site_changes_nothing_for_a_member(alice: Workspace) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice.owner)
    for act in ACTS:
        assert client.post(billing(alice, act), BUDGET).status_code == 403
        assert act in ("change", "cancel") or client.get(billing(alice, act)).status_code == 405


@pytest.mark.parametrize("plan", ["", "free", "gold", "x" * 5000, "pro\x00", "../pro", "Pró"])
def test_a_plan_that_cannot_be_bought_leads_back_with_a_sentence(for_sale: None, alice: Workspace, plan: str) -> None:
    client = session_of(alice.owner)
    for answer in (
        client.post(billing(alice, "buy"), {"plan": plan}, follow=True),
        client.get(billing(alice, "change"), {"plan": plan}, follow=True),
    ):
        assert answer.status_code == 200 and answer.redirect_chain
        assert "There is no plan" in answer.content.decode() or plan == "free"


def test_without_stripe_every_act_says_so(alice: Workspace) -> None:
    client = session_of(alice.owner)
    for act in ("buy", "change", "cancel", "resume", "portal"):
        answer = client.post(billing(alice, act), {"plan": "pro"}, follow=True)
        assert "takes no payments yet" in answer.content.decode() and answer.status_code == 200, act
    assert "Not confirmed yet" in page_of(alice, "bought")


def test_the_smaller_budget_counts_and_one_that_warns_says_so(make_workspace: Callable[..., Workspace]) -> None:
    alice = make_workspace("pro")
    make_it(alice, daily_budget_usd="50", overrides={"daily_budget_usd": "20.5"}, monthly_budget_usd="900")
    page = page_of(alice)
    assert "of $20.50 budget<" in page and "of $900.00 budget<" in page
    make_it(alice, budget_mode="warn")
    page = page_of(alice)
    assert "of $20.50 budget<" in page and "of $900.00 budget that only warns" in page


def test_what_differs_between_the_books_is_said_by_book(alice: Workspace) -> None:
    ledger = {"requests": 1_000, "tokens": 20, "cost_usd": "1.0000000000"}
    Reconciliation.objects.create(
        tenant=alice.tenant,
        period_start=period_at(subscription_of(alice).anchor_at, timezone.now()).start,
        compared_at=NOW,
        drifting_since=BEFORE,
        books={
            "ledger": ledger,
            "redis": {**ledger, "requests": 2_234},
            "records": ledger,
            "rollups": {**ledger, "cost_usd": "0.9999999999"},
            "closed": {"not_compared": "not closed"},
            "stripe": {"not_compared": "Stripe does not say: <b>"},
        },
    )
    page = page_of(alice)
    assert "The books differ since" in page and "+1,234 requests" in page and "−$0.0000000001" in page
    assert "the period is still open" in page and "Stripe does not say: &lt;b&gt;" in page


def test_days_and_closed_periods_are_sums_of_the_ledger(alice: Workspace) -> None:
    from analytics.tasks import drain_usage

    send(stream_of(alice), miss(alice, cost_usd=Decimal("0.5")), miss(alice, cost_usd=None, saved_usd=None))
    drain_usage()
    start = NOW - dt.timedelta(days=40)
    sums = {"requests": 12_345, "tokens": 6, "cost_usd": 7, "saved_usd": 8, "platform_cost_usd": 0, "unpriced": 9}
    end = start + dt.timedelta(days=30)
    ClosedPeriod.objects.create(tenant=alice.tenant, period_start=start, period_end=end, plan_code="pro", **sums)
    page = page_of(alice)
    assert "$0.500000" in page and "Period so far" in page
    assert "12,345" in page and ", Pro" in page and "$7.000000" in page


def test_a_budget_of_nothing_is_used_up(alice: Workspace) -> None:
    make_it(alice, daily_budget_usd="0")
    assert "of $0.00 budget" in page_of(alice) and "100.0 %" in page_of(alice)


def test_a_plan_that_people_cannot_choose_is_not_offered(for_sale: None, alice: Workspace) -> None:
    Plan.objects.create(code="house-only", name="House only", price_usd=1, is_public=False)
    try:
        assert "House only" not in page_of(alice)
    finally:
        Plan.objects.filter(code="house-only").delete()


def test_what_an_act_ends_is_said_before_it(paid: Payments, buyer: Workspace) -> None:
    subscribe(paid.stripe, buyer, trial=True)
    assert "Ends your trial" in page_of(buyer)
    change = page_of(buyer, "change?plan=scale")
    assert "you will be charged <strong>$249.00 today" in change and "Your trial ends with it." in change
    cancel = page_of(buyer, "cancel")
    assert "We recommend the end of the period" in cancel and "<strong>nothing is paid back</strong>" in cancel


def test_the_page_is_there_while_stripe_is_not(paid: Payments, buyer: Workspace) -> None:
    subscribe(paid.stripe, buyer)
    # Nobody else asks from here on.
    paid.stripe.do("deliver")
    assert "PDF of" in page_of(buyer)
    paid.stripe.do("fail", next=1, status=500, path="/v1/invoices")
    page = page_of(buyer)
    assert "The invoices cannot be shown now." in page and "Upgrade to Scale" in page
    assert "The invoices cannot be shown now." in page_of(buyer, "?after=in_nobodys")


def test_an_act_that_stripe_cannot_do_now_changes_nothing_and_says_so(paid: Payments, buyer: Workspace) -> None:
    subscribe(paid.stripe, buyer)
    paid.stripe.do("deliver")
    client = session_of(buyer.owner)
    for act in ("change", "cancel", "resume", "portal", "look"):
        paid.stripe.do("fail", next=20, status=500, path="/v1/")
        send_it = client.get if act == "look" else client.post
        answer = send_it(billing(buyer, act), {"plan": "scale"}, follow=True)
        paid.stripe.do("fail", next=0)
        assert "Stripe, which handles payments, does not answer" in answer.content.decode(), act
    assert subscription_of(buyer).plan_id == "pro"


def test_pages_speak_of_pages_where_the_api_speaks_of_paths(paid: Payments, buyer: Workspace) -> None:
    client = session_of(buyer.owner)
    nothing = client.post(billing(buyer, "resume"), follow=True).content.decode()
    assert "Choose a plan below" in nothing and "POST /api" not in nothing
    subscribe(paid.stripe, buyer)
    again = client.post(billing(buyer, "buy"), {"plan": "scale"}, follow=True).content.decode()
    assert "pays already" in again and "POST /api" not in again


def test_who_paid_a_moment_ago_is_not_told_otherwise(paid: Payments, buyer: Workspace) -> None:
    session = checkout(buyer)
    assert "Not confirmed yet" in page_of(buyer, "bought")
    with paid.stripe.silent():
        paid.stripe.do(f"sessions/{session['session_id']}/pay")
        assert "Pro is yours" in page_of(buyer, "bought")
    wait_for(lambda: subscription_of(buyer).status == "trialing")


def test_a_card_that_is_refused_for_an_upgrade_leaves_the_plan(paid: Payments, buyer: Workspace) -> None:
    subscribe(paid.stripe, buyer)
    customer = subscription_of(buyer).stripe_customer_id
    paid.stripe.do(f"customers/{customer}/card", number="4000000000000341")
    answer = session_of(buyer.owner).post(billing(buyer, "change"), {"plan": "scale", "when": "now"}, follow=True)
    assert "The payment failed, and nothing was changed" in answer.content.decode()
    assert subscription_of(buyer).plan_id == "pro"
