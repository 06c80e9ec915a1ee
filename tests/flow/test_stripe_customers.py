"""Customers that Stripe does not have: deleted there, or never heard of by a key of another account or mode."""

from __future__ import annotations

import uuid

import httpx2
import pytest
from django.utils import timezone

from billing import tasks
from billing.models import Subscription
from billing.stripe import state
from billing.stripe.errors import UnknownCustomer
from billing.tasks import refresh_subscriptions
from tenants import registration
from tenants.models import Tenant
from tests.conftest import PASSWORD, Workspace
from tests.flow.test_stripe_events import as_it_is, operator
from tests.management import call, manages
from tests.paying import (
    Payments,
    actions,
    checkout,
    customer_of,
    status_is,
    subscribe,
    subscription_of,
    wait_for,
)


def test_a_deleted_workspace_is_not_looked_at_and_keeps_nobody_waiting(
    paid: Payments, buyer: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = checkout(buyer)
    others = Subscription.objects.exclude(tenant=buyer.tenant)
    gone = others.filter(tenant__status=Tenant.Status.DELETED)
    ours = _deleted_customers(3)
    others.exclude(pk__in=gone.values("pk")).exclude(stripe_customer_id=None).update(stripe_read_at=timezone.now())
    monkeypatch.setattr(tasks, "LOOKS", 1)
    with paid.stripe.silent():
        paid.stripe.do(f"sessions/{session['session_id']}/pay")
        Subscription.objects.filter(tenant=buyer.tenant).update(stripe_read_at="2020-01-01T00:00Z")
        assert refresh_subscriptions() == 1
        assert subscription_of(buyer).plan_id == "pro"
    assert not gone.filter(tenant__in=ours, stripe_read_at__gt="2020-01-02T00:00Z").exists()


def _deleted_customers(number: int) -> list[Tenant]:
    """Workspaces of which nobody heard for longer than of any other."""
    made = []
    for _ in range(number):
        tenant = registration.register(f"{uuid.uuid4().hex[:12]}@example.com", password=PASSWORD).tenant
        customer = {"stripe_customer_id": f"cus_{uuid.uuid4().hex}", "stripe_read_at": "2019-01-01T00:00Z"}
        Subscription.objects.filter(tenant=tenant).update(**customer)
        Tenant.objects.filter(pk=tenant.pk).update(status=Tenant.Status.DELETED)
        made.append(tenant)
    return made


def test_a_key_of_another_account_takes_nothing_from_who_pays(
    paid: Payments, buyer: Workspace, mallory: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    """With a key of the other mode Stripe has heard of nobody."""
    subscribe(paid.stripe, buyer)
    manages(mallory)
    paid.stripe.do("deliver")
    theirs = customer_of(buyer)
    elsewhere = f"cus_{uuid.uuid4().hex}"
    Subscription.objects.filter(tenant=buyer.tenant).update(stripe_customer_id=elsewhere, stripe_read_at=None)
    before = as_it_is(buyer)
    with pytest.raises(UnknownCustomer, match="whose mode is test"):
        state.refresh(buyer.tenant)
    refused = call(buyer, "POST", "/api/billing/change", {"plan": "scale"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "stripe_customer_unknown")
    # The round goes on with the next.
    session = checkout(mallory)
    with paid.stripe.silent():
        paid.stripe.do(f"sessions/{session['session_id']}/pay")
        Subscription.objects.filter(tenant=mallory.tenant).update(stripe_read_at=None)
        assert refresh_subscriptions() >= 1
        assert subscription_of(mallory).plan_id == "pro"
    assert as_it_is(buyer) == before and f"Stripe knows no customer {elsewhere}" in caplog.text
    # With the right key all is as it was.
    Subscription.objects.filter(tenant=buyer.tenant).update(stripe_customer_id=theirs)
    assert state.refresh(buyer.tenant).plan_id == "pro"


def test_an_operator_lets_go_of_a_customer_that_stripe_does_not_know(paid: Payments, buyer: Workspace) -> None:
    subscribe(paid.stripe, buyer)
    paid.stripe.do("deliver")
    found = subscription_of(buyer)
    let_go = {"action": "forget_customer", "_selected_action": [found.pk]}
    said = operator().post("/admin/billing/subscription/", let_go, follow=True).content.decode()
    assert "Stripe knows the customer" in said and customer_of(buyer) == found.stripe_customer_id
    Subscription.objects.filter(pk=found.pk).update(stripe_customer_id=f"cus_{uuid.uuid4().hex}")
    said = operator().post("/admin/billing/subscription/", let_go, follow=True).content.decode()
    assert "is on Free, and may buy again" in said
    assert (customer_of(buyer), subscription_of(buyer).plan_id) == ("", "free")
    assert "customer.forgotten" in actions(buyer)
    checkout(buyer)


def test_a_customer_deleted_at_stripe_falls_to_free_and_may_come_again(paid: Payments, buyer: Workspace) -> None:
    subscribe(paid.stripe, buyer)
    old = customer_of(buyer)
    httpx2.delete(f"{paid.stripe.url}/v1/customers/{old}", headers={"Authorization": "Bearer sk_test_x"})
    wait_for(status_is(buyer, "canceled"))
    assert subscription_of(buyer).plan_id == "free"
    checkout(buyer)
    assert customer_of(buyer) not in {"", old}
