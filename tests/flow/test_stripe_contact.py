"""Stripe's customer follows the workspace's name and its address for letters."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.test import Client

from billing import tasks
from billing.models import Subscription
from billing.stripe import customers
from tenants.models import Tenant, User
from tests.conftest import Workspace
from tests.flow.test_accounts import NOBODY_LISTENS
from tests.paying import Payments, checkout, customer_of
from tests.post import run_waiting, waiting


def change(workspace: Workspace, **values: str) -> None:
    client = Client()
    client.force_login(workspace.owner)
    known = Tenant.objects.get(pk=workspace.tenant.pk)
    body = {"name": known.name, "email": known.email, **values}
    assert client.post(f"/t/{known.slug}/settings/workspace", body).status_code == 302


def address() -> str:
    return f"{uuid.uuid4().hex[:12]}@example.com"


@pytest.fixture
def customer(paid: Payments, buyer: Workspace) -> str:
    """Who went to pay, with the workspace's name."""
    checkout(buyer)
    run_waiting(tasks.update_customer)
    return customer_of(buyer)


def at_stripe(paid: Payments, customer: str) -> Any:
    return paid.stripe.api(f"customers/{customer}")


def test_a_new_address_and_name_are_stripes_too(paid: Payments, buyer: Workspace, customer: str) -> None:
    new = address()
    change(buyer, email=new, name="Tea & Co")
    assert at_stripe(paid, customer)["email"] == buyer.tenant.email, "no request waits for Stripe"
    run_waiting(tasks.update_customer)
    found = at_stripe(paid, customer)
    assert (found["email"], found["name"]) == (new, "Tea & Co")
    assert found["metadata"]["workspace"] == buyer.tenant.slug
    # Back again: the same words are not taken for a repetition of the first.
    change(buyer, email=buyer.tenant.email)
    run_waiting(tasks.update_customer)
    change(buyer, email=new)
    run_waiting(tasks.update_customer)
    assert at_stripe(paid, customer)["email"] == new


def test_a_name_that_was_given_at_stripe_stays(paid: Payments, buyer: Workspace, customer: str) -> None:
    known = buyer.tenant.name
    change(buyer, name="Tea & Co")
    run_waiting(tasks.update_customer)
    # As if it were entered on the page that takes the card.
    customers.update(buyer.tenant, {"name": "Tea & Co"}, "1")
    Tenant.objects.filter(pk=buyer.tenant.pk).update(name="Tea Company Ltd.")
    customers.update(buyer.tenant, {"name": "Tea & Co"}, "2")
    Tenant.objects.filter(pk=buyer.tenant.pk).update(name="Tea & Co")
    change(buyer, name=known, email=(new := address()))
    run_waiting(tasks.update_customer)
    found = at_stripe(paid, customer)
    assert (found["name"], found["email"]) == ("Tea Company Ltd.", new)


def test_an_operators_change_is_one_too(paid: Payments, buyer: Workspace, customer: str) -> None:
    client, new = Client(), address()
    client.force_login(User.objects.create_superuser(address()))
    there = f"/admin/tenants/tenant/{buyer.tenant.pk}/change/"
    inlines = {f"{name}-{field}": "0" for name in ("memberships", "keys") for field in ("TOTAL_FORMS", "INITIAL_FORMS")}
    assert client.post(there, {"name": buyer.tenant.name, "email": new, **inlines}).status_code == 302
    run_waiting(tasks.update_customer)
    assert at_stripe(paid, customer)["email"] == new


def test_who_never_went_to_pay_and_what_changes_nothing_ask_nobody(
    paid: Payments, mallory: Workspace, buyer: Workspace, customer: str
) -> None:
    change(mallory, email=address())
    change(buyer)
    assert waiting(tasks.update_customer) == []


def test_without_the_queue_stripe_is_asked_at_once(
    paid: Payments, buyer: Workspace, customer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CELERY_BROKER_WRITE_URL", NOBODY_LISTENS)
    change(buyer, email=(new := address()))
    assert at_stripe(paid, customer)["email"] == new


def test_stripe_that_refuses_is_in_the_log_and_keeps_nobody_from_a_new_address(
    paid: Payments, buyer: Workspace, customer: str, caplog: pytest.LogCaptureFixture
) -> None:
    Subscription.objects.filter(tenant=buyer.tenant).update(stripe_customer_id=f"cus_{uuid.uuid4().hex}")
    change(buyer, email=(new := address()))
    run_waiting(tasks.update_customer)
    assert Tenant.objects.get(pk=buyer.tenant.pk).email == new
    assert "Stripe has the name and address that" in caplog.text
