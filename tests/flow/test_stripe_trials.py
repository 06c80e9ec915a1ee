"""Trials: what is used in one is on no invoice, so none goes on with a plan that charges for use."""

from __future__ import annotations

from decimal import Decimal

from billing.models import Plan, Subscription
from billing.stripe import state
from tests.conftest import Workspace
from tests.flow.test_stripe_changes import code_of, invoices
from tests.management import call
from tests.paying import DECLINED, Payments, subscribe, subscription_of, sync


def test_a_metered_plan_ends_the_trial_and_is_charged_at_once(paid: Payments, buyer: Workspace) -> None:
    """What a trial uses is on no invoice: Scale for nothing it is not."""
    subscribe(paid.stripe, buyer, trial=True)
    seen = call(buyer, "POST", "/api/billing/preview", {"plan": "scale"}).json()
    assert (Decimal(seen["due_now_usd"]), seen["monthly_usd"], seen["ends_trial"]) == (249, "249.00", True)
    assert subscription_of(buyer).status == "trialing"
    assert call(buyer, "POST", "/api/billing/change", {"plan": "scale"}).json()["plan"] == "scale"
    found = subscription_of(buyer)
    assert (found.status, found.trial_end) == ("active", None)
    assert found.metered_since is not None and found.anchor_at == found.period_start
    assert sum(invoice["amount_paid"] for invoice in invoices(paid, buyer)) == 24_900


def test_a_metered_plan_that_waits_for_the_end_of_a_trial_leaves_the_trial(paid: Payments, buyer: Workspace) -> None:
    subscribe(paid.stripe, buyer, trial=True)
    asked = {"plan": "scale", "when": "period_end"}
    seen = call(buyer, "POST", "/api/billing/preview", asked).json()
    assert (seen["due_now_usd"], seen["ends_trial"]) == ("0", False)
    answer = call(buyer, "POST", "/api/billing/change", asked).json()
    assert (answer["plan"], answer["status"], answer["pending"]["plan"]) == ("pro", "trialing", "scale")
    assert answer["pending"]["at"] == answer["trial_end"]


def test_a_trial_whose_card_is_refused_goes_on(paid: Payments, buyer: Workspace) -> None:
    subscribe(paid.stripe, buyer, trial=True, card=DECLINED)
    assert code_of(call(buyer, "POST", "/api/billing/change", {"plan": "scale"})) == (402, "payment_failed")
    found = state.refresh(buyer.tenant)
    assert (found.plan_id, found.status, found.metered_since) == ("pro", "trialing", None)


def test_a_plan_with_a_trial_of_its_own_lets_it_go_on(paid: Payments, buyer: Workspace) -> None:
    Plan.objects.create(code="squad", name="Squad", price_usd=59, trial_days=14, position=8)
    try:
        sync()
        subscribe(paid.stripe, buyer, trial=True)
        ends = subscription_of(buyer).trial_end
        seen = call(buyer, "POST", "/api/billing/preview", {"plan": "squad"}).json()
        assert (seen["due_now_usd"], seen["monthly_usd"], seen["ends_trial"]) == ("0", "59.00", False)
        assert call(buyer, "POST", "/api/billing/change", {"plan": "squad"}).json()["plan"] == "squad"
        assert subscription_of(buyer).trial_end == ends
        assert sum(invoice["amount_paid"] for invoice in invoices(paid, buyer)) == 0
        call(buyer, "POST", "/api/billing/cancel", {"when": "now"})
        paid.stripe.do("deliver")
    finally:
        Subscription.objects.filter(plan="squad").update(plan="free")
        Plan.objects.filter(code="squad").delete()
