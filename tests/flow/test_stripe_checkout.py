"""Buying a plan: from the key to the paid page, and the limits that come with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from billing.stripe import checkout, portal, state
from tenants.models import AuditEvent
from tests.calls import chat
from tests.conftest import Workspace
from tests.management import call, manages, refused
from tests.paying import Payments, actions, customer_of, status_is, subscribe, subscription_of, wait_for
from tests.paying import checkout as open_checkout
from tests.sockets import session_of
from tests.together import at_once


def limits_of(gateway: str, workspace: Workspace) -> tuple[int, int]:
    usage = httpx2.get(f"{gateway}/v1/usage", headers={"Authorization": f"Bearer {workspace.key}"}).json()
    return usage["requests"]["limit"], usage["tokens"]["limit"]


def test_who_pays_has_the_plans_limits_within_a_second(paid: Payments, buyer: Workspace) -> None:
    assert limits_of(paid.gateway, buyer) == (100, 5_000)
    session = open_checkout(buyer)
    assert session["checkout_url"].startswith(f"{paid.stripe.url}/c/pay/cs_test_")
    paid.stripe.do(f"sessions/{session['session_id']}/pay")
    wait_for(lambda: limits_of(paid.gateway, buyer) == (10_000, 5_000_000))
    found = subscription_of(buyer)
    assert (found.plan_id, found.status, found.card_brand, found.card_last4) == ("pro", "trialing", "visa", "4242")
    assert found.anchor_at == found.period_start and found.trial_end == found.period_end
    assert actions(buyer)[-2:] == ["checkout.opened", "plan.changed"]
    last = AuditEvent.objects.filter(tenant=buyer.tenant).latest("at")
    before, after = last.before or {}, last.after or {}
    assert (last.actor_label, before["plan"], after["plan"]) == ("stripe", "free", "pro")
    assert chat(paid.gateway, buyer.key, "gpt-4o-mini").status_code == 200


def test_a_workspace_gets_one_trial(paid: Payments, buyer: Workspace) -> None:
    subscribe(paid.stripe, buyer, trial=True)
    assert subscription_of(buyer).status == "trialing"
    assert call(buyer, "POST", "/api/billing/cancel", {"when": "now"}).json()["plan"] == "free"
    subscribe(paid.stripe, buyer, trial=True)
    assert subscription_of(buyer).status == "active"


def test_clicking_twice_opens_one_page(paid: Payments, buyer: Workspace) -> None:
    opened = at_once(*[lambda: open_checkout(buyer)["session_id"]] * 5)
    assert len(set(opened)) == 1
    assert len(paid.stripe.api("checkout/sessions", customer=customer_of(buyer))["data"]) == 1


def test_only_the_page_for_the_last_plan_can_be_paid(paid: Payments, buyer: Workspace) -> None:
    first = open_checkout(buyer, "pro")
    second = open_checkout(buyer, "scale")
    statuses = {
        each["id"]: each["status"] for each in paid.stripe.api("checkout/sessions", customer=customer_of(buyer))["data"]
    }
    assert statuses == {first["session_id"]: "expired", second["session_id"]: "open"}


def test_who_pays_already_is_sent_to_change(paid: Payments, buyer: Workspace) -> None:
    subscribe(paid.stripe, buyer)
    same = call(buyer, "POST", "/api/checkout", {"plan": "pro"})
    assert (same.status_code, same.json()["error"]["code"]) == (409, "already_on_plan")
    other = call(buyer, "POST", "/api/checkout", {"plan": "scale"})
    assert (other.status_code, other.json()["error"]["code"]) == (409, "already_subscribed")
    assert "/api/billing/change" in other.json()["error"]["message"]


def test_a_payment_of_which_nobody_told_is_not_made_twice(paid: Payments, buyer: Workspace) -> None:
    session = open_checkout(buyer)
    with paid.stripe.silent():
        paid.stripe.do(f"sessions/{session['session_id']}/pay")
        assert subscription_of(buyer).plan_id == "free"
        assert call(buyer, "POST", "/api/checkout", {"plan": "scale"}).json()["error"]["code"] == "already_subscribed"


def test_coming_back_from_the_page_is_enough(paid: Payments, buyer: Workspace) -> None:
    session = open_checkout(buyer)
    with paid.stripe.silent():
        paid.stripe.do(f"sessions/{session['session_id']}/pay")
        url = f"{paid.gateway}/billing/return?session_id={session['session_id']}"
        back = httpx2.get(url, follow_redirects=False)
        assert back.headers["location"] == f"/t/{buyer.tenant.slug}/billing/bought"
        assert subscription_of(buyer).plan_id == "pro"
    assert state.refresh(buyer.tenant).plan_id == "pro"


def test_coming_back_while_stripe_is_away_leads_to_a_page_that_explains(paid: Payments, buyer: Workspace) -> None:
    session = open_checkout(buyer)
    with paid.stripe.silent():
        paid.stripe.do(f"sessions/{session['session_id']}/pay")
        paid.stripe.do("fail", next=40, status=500, path="/v1/")
        url = f"{paid.gateway}/billing/return?session_id={session['session_id']}"
        back = httpx2.get(url, follow_redirects=False, timeout=60)
        bought = f"/t/{buyer.tenant.slug}/billing/bought"
        assert back.headers["location"] == bought
        page = session_of(buyer.owner).get(bought).content.decode()
        paid.stripe.do("fail", next=0)
        assert "the payment is being confirmed" in page and "nothing has to be paid twice" in page
    wait_for(lambda: subscription_of(buyer).plan_id == "pro")


@pytest.mark.parametrize("session_id", ["", "cs_test_unknown", "x" * 5000, "%00", "../.."])
def test_coming_back_with_a_strange_session_asks_nobody(paid: Payments, session_id: str) -> None:
    paid.stripe.do("deliver")
    before = len(paid.stripe.get("calls")["calls"])
    back = httpx2.get(f"{paid.gateway}/billing/return?session_id={session_id}", follow_redirects=False)
    assert back.status_code in {302, 400}
    assert len(paid.stripe.get("calls")["calls"]) == before
    assert checkout.buyer(session_id) is None and back.headers["location"] == "/workspaces/"


@pytest.mark.parametrize("plan", ["gold", "free", "", "x" * 33, None, 7, "pro\x00"])
def test_a_plan_that_is_not_for_sale_is_named(paid: Payments, buyer: Workspace, plan: Any) -> None:
    refused(call(buyer, "POST", "/api/checkout", {"plan": plan}), 400, "plan")


def test_any_key_may_open_a_page_but_only_an_admins_changes_things(
    paid: Payments, make_workspace: Callable[..., Workspace]
) -> None:
    bob = make_workspace("free")
    assert call(bob, "POST", "/api/checkout", {"plan": "pro"}).status_code == 201
    assert call(bob, "GET", "/api/billing/subscription").json()["plan"] == "free"
    for path in ("change", "preview", "cancel", "resume", "portal"):
        assert call(bob, "POST", f"/api/billing/{path}", {}).status_code == 403
    assert call(bob, "PUT", "/api/billing/budget", {}).status_code == 403
    assert call(None, "POST", "/api/checkout", {"plan": "pro"}).status_code == 401


def test_mallory_sees_and_changes_her_own_only(
    paid: Payments, buyer: Workspace, make_workspace: Callable[..., Workspace]
) -> None:
    subscribe(paid.stripe, buyer)
    mallory = manages(make_workspace("free"))
    assert call(mallory, "GET", "/api/billing/subscription").json()["status"] == "none"
    assert call(mallory, "GET", "/api/billing/invoices").json()["data"] == []
    invoice = call(buyer, "GET", "/api/billing/invoices").json()["data"][0]["id"]
    call(mallory, "POST", "/api/checkout", {"plan": "pro"})
    refused(call(mallory, "GET", f"/api/billing/invoices?after={invoice}"), 400, "after")
    for path in ("cancel", "resume"):
        assert call(mallory, "POST", f"/api/billing/{path}", {}).json()["error"]["code"] == "not_subscribed"
    assert call(mallory, "POST", "/api/billing/change", {"plan": "scale"}).json()["error"]["code"] == "not_subscribed"
    assert subscription_of(buyer).status == "active"
    assert customer_of(buyer) not in call(mallory, "POST", "/api/billing/portal").content.decode()


def test_invoices_come_a_page_at_a_time(paid: Payments, buyer: Workspace) -> None:
    assert call(buyer, "GET", "/api/billing/invoices").json() == {"object": "list", "data": [], "has_more": False}
    subscribe(paid.stripe, buyer)
    call(buyer, "POST", "/api/billing/change", {"plan": "scale"})
    page = call(buyer, "GET", "/api/billing/invoices?limit=1").json()
    assert page["has_more"] and page["data"][0]["status"] == "paid"
    rest = call(buyer, "GET", f"/api/billing/invoices?limit=1&after={page['data'][0]['id']}").json()
    (first,) = rest["data"]
    assert (first["total_usd"], first["due_usd"], rest["has_more"]) == ("29", "0", False)
    assert first["number"] and first["url"] and first["pdf_url"]
    refused(call(buyer, "GET", "/api/billing/invoices?limit=0"), 400, "limit")
    refused(call(buyer, "GET", "/api/billing/invoices?after=cus_1"), 400, "after")


def test_the_portal_opens_for_the_workspaces_customer(paid: Payments, buyer: Workspace) -> None:
    assert call(buyer, "POST", "/api/billing/portal").json()["url"].startswith(paid.stripe.url)
    customer = paid.stripe.api(f"customers/{customer_of(buyer)}")
    assert customer["email"] == buyer.tenant.email and customer["metadata"]["tenant"] == str(buyer.tenant.pk)
    assert portal.open_portal(buyer.tenant).startswith(paid.stripe.url)
    assert len(paid.stripe.api("customers", email=buyer.tenant.email)["data"]) == 1


def test_plans_say_what_they_cost(paid: Payments, buyer: Workspace) -> None:
    plans = {plan["code"]: plan for plan in call(buyer, "GET", "/api/billing/plans").json()["data"]}
    assert set(plans) >= {"free", "pro", "scale"}
    assert (plans["pro"]["price_usd"], plans["scale"]["request_usd"]) == ("29.00", "0.0001")


def test_taxes_are_stripes_to_work_out(paid: Payments, buyer: Workspace, settings: Any) -> None:
    settings.STRIPE_TAX = True
    session = paid.stripe.api(f"checkout/sessions/{open_checkout(buyer)['session_id']}")
    assert session["automatic_tax"]["enabled"] and session["tax_id_collection"]["enabled"]
    assert session["allow_promotion_codes"]


def test_a_card_that_is_refused_leaves_all_as_it_was(paid: Payments, buyer: Workspace) -> None:
    session = open_checkout(buyer)
    answer = httpx2.post(
        f"{paid.stripe.url}/_fake/sessions/{session['session_id']}/pay", json={"card": "4000000000000002"}
    )
    assert answer.status_code == 402
    assert state.refresh(buyer.tenant).plan_id == "free"
    assert open_checkout(buyer)["session_id"] == session["session_id"]
    assert status_is(buyer, "none")()
