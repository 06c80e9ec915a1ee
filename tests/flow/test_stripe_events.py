"""Stripe's events: whatever their order, number and age, the end is what Stripe says now.

STRIPE_EVENTS says how many are shuffled.
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import random
import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
import stripe
from django.test import Client
from djstripe.models import Event, WebhookEndpoint, WebhookEventTrigger

from billing import signals, subscriptions
from billing.models import Subscription
from billing.stripe import state
from billing.tasks import purge_events, refresh_subscriptions
from tenants.models import User
from tests.conftest import Workspace
from tests.management import call, manages
from tests.paying import (
    DECLINED,
    VISA,
    Payments,
    actions,
    checkout,
    customer_of,
    subscribe,
    subscription_of,
    wait_for,
)

EVENTS = int(os.environ.get("STRIPE_EVENTS", "200"))
WHEN_READ = {"stripe_read_at", "id", "tenant_id", "metered_since", "checkout_session_id"}


def as_it_is(workspace: Workspace) -> dict[str, Any]:
    values = Subscription.objects.values().get(tenant=workspace.tenant)
    return {name: value for name, value in values.items() if name not in WHEN_READ}


def endpoint() -> WebhookEndpoint:
    return WebhookEndpoint.objects.exclude(secret="").latest("djstripe_created")


def post(
    event: dict[str, Any], *, secret: str | None = None, at: float | None = None, to: WebhookEndpoint | None = None
) -> int:
    """As Stripe would. Threads give the endpoint: they have no connection to the database."""
    to, at_s = to or endpoint(), int(at or time.time())
    body = json.dumps(event)
    signed = stripe.WebhookSignature._compute_signature(f"{at_s}.{body}", secret or to.secret)
    headers = {"Stripe-Signature": f"t={at_s},v1={signed}", "Content-Type": "application/json"}
    return httpx2.post(to.url, content=body, headers=headers, timeout=60).status_code


def test_a_forged_old_or_changed_event_is_refused(paid: Payments, buyer: Workspace) -> None:
    subscribe(paid.stripe, buyer)
    event = paid.stripe.customer_events(customer_of(buyer))[-1]
    fresh = {**event, "id": f"evt_{uuid.uuid4().hex}"}
    paid.stripe.do("deliver")
    before = len(paid.stripe.get("calls")["calls"])
    assert post(fresh, secret="whsec_of_somebody_else") == 400
    assert post(fresh, at=time.time() - 400) == 400
    assert httpx2.post(endpoint().url, content=json.dumps(fresh)).status_code == 400
    assert httpx2.post(endpoint().url, content="{", headers={"Stripe-Signature": "t=1,v1=x"}).status_code == 400
    nowhere = endpoint().url.replace(str(endpoint().djstripe_uuid), str(uuid.uuid4()))
    assert httpx2.post(nowhere, content="{}", headers={"Stripe-Signature": "t=1,v1=x"}).status_code == 404
    assert not Event.objects.filter(id=fresh["id"]).exists()
    assert len(paid.stripe.get("calls")["calls"]) == before
    assert post(fresh) == 200 and Event.objects.filter(id=fresh["id"]).exists()


def test_an_event_comes_twice_and_counts_once(paid: Payments, buyer: Workspace) -> None:
    subscribe(paid.stripe, buyer)
    event = {**paid.stripe.customer_events(customer_of(buyer))[-1], "id": f"evt_{uuid.uuid4().hex}"}
    to = endpoint()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: post(event, to=to), range(8))) == {200}
    assert Event.objects.filter(id=event["id"]).count() == 1


def test_an_event_is_not_believed_but_looked_into(paid: Payments, buyer: Workspace) -> None:
    """It says that all is well; Stripe says that the subscription has ended."""
    subscribe(paid.stripe, buyer)
    events = paid.stripe.customer_events(customer_of(buyer))
    said = next(event for event in events if event["type"] == "customer.subscription.created")
    assert call(buyer, "POST", "/api/billing/cancel", {"when": "now"}).json()["plan"] == "free"
    replayed = {**said, "id": f"evt_{uuid.uuid4().hex}"}
    assert post(replayed) == 200
    assert (subscription_of(buyer).plan_id, subscription_of(buyer).status) == ("free", "canceled")


def test_an_event_about_a_stranger_is_taken_and_ignored(paid: Payments, buyer: Workspace) -> None:
    made = httpx2.post(
        f"{paid.stripe.url}/v1/customers",
        data={"email": "stranger@example.com"},
        headers={"Authorization": "Bearer sk_test_x"},
    ).json()
    wait_for(lambda: any(e["data"]["object"]["id"] == made["id"] for e in paid.stripe.get("events")["events"]))
    event = {
        "id": f"evt_{uuid.uuid4().hex}",
        "object": "event",
        "api_version": stripe.api_version,
        "created": 1,
        "livemode": False,
        "type": "customer.updated",
        "data": {"object": made},
        "request": None,
        "pending_webhooks": 0,
    }
    before = as_it_is(buyer)
    assert post(event) == 200
    assert as_it_is(buyer) == before


def test_many_events_in_any_order_end_as_in_order(
    paid: Payments, buyer: Workspace, make_workspace: Callable[..., Workspace]
) -> None:
    """Two workspaces live through the same; of one all events are lost, and come later: shuffled, and many times."""
    late = manages(make_workspace("free"))
    subscribe(paid.stripe, late)
    subscribe(paid.stripe, buyer)
    sessions = [buyer, late]
    paid.stripe.do("deliver")
    paid.stripe.do("webhooks", deliver="hold")
    try:
        for workspace in sessions:
            customer = customer_of(workspace)
            paid.stripe.do(f"customers/{customer}/card", number=DECLINED)
        paid.stripe.pass_days(32)
        for workspace in sessions:
            paid.stripe.do(f"customers/{customer_of(workspace)}/card", number=VISA)
        paid.stripe.pass_days(10)
        for workspace in sessions:
            found = subscription_of(workspace).stripe_subscription_id
            httpx2.post(
                f"{paid.stripe.url}/v1/subscriptions/{found}",
                data={"cancel_at_period_end": "true"},
                headers={"Authorization": "Bearer sk_test_x"},
            )
        paid.stripe.pass_days(5)
        in_order = [event["id"] for event in paid.stripe.customer_events(customer_of(buyer))]
        paid.stripe.do("deliver", ids=in_order)
        ids = [event["id"] for event in paid.stripe.customer_events(customer_of(late))]
        bodies = {event["id"]: event for event in paid.stripe.get("events")["events"]}
        many = (ids * (EVENTS // len(ids) + 1))[:EVENTS]
        random.Random(5).shuffle(many)
        to = endpoint()
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            # Half of them as new events with old contents: dj-stripe cannot drop those as known.
            answers = set(
                pool.map(lambda at: post(_again(bodies[many[at]], renamed=at % 2 == 0), to=to), range(EVENTS))
            )
    finally:
        paid.stripe.do("webhooks", deliver="now")
    assert answers == {200}
    own = {"stripe_customer_id", "stripe_subscription_id"}
    ordered, shuffled = ({k: v for k, v in as_it_is(w).items() if k not in own} for w in sessions)
    times = {"anchor_at", "period_start", "period_end", "cancel_at", "grace_until"}
    assert {k: v for k, v in ordered.items() if k not in times} == {k: v for k, v in shuffled.items() if k not in times}
    for name in times:
        # They subscribed a second apart.
        assert (ordered[name] is None) == (shuffled[name] is None), name
    before = as_it_is(late)
    state.refresh(late.tenant)
    assert as_it_is(late) == before


def _again(event: dict[str, Any], *, renamed: bool) -> dict[str, Any]:
    plain = {name: value for name, value in event.items() if name != "attempts"}
    return {**plain, "id": f"evt_{uuid.uuid4().hex}"} if renamed else plain


def test_news_that_a_look_has_seen_needs_no_other(paid: Payments, buyer: Workspace) -> None:
    subscribe(paid.stripe, buyer)
    paid.stripe.do("deliver")
    heard_at = state.database_now()
    state.refresh(buyer.tenant, heard_at=heard_at)
    counts = paid.stripe.get("calls")["counts"]
    state.refresh(buyer.tenant, heard_at=heard_at)
    assert paid.stripe.get("calls")["counts"] == counts
    state.refresh(buyer.tenant, heard_at=state.database_now())
    assert paid.stripe.get("calls")["counts"] != counts


def test_stripe_down_while_an_event_comes_means_it_comes_again(paid: Payments, buyer: Workspace) -> None:
    session = checkout(buyer)
    with paid.stripe.silent():
        paid.stripe.do(f"sessions/{session['session_id']}/pay")
        paid.stripe.do("fail", next=60, status=500)
        event = _completed(paid, buyer)
        assert post(event) == 500
        assert subscription_of(buyer).plan_id == "free"
        assert not Event.objects.filter(id=event["id"]).exists()
        assert WebhookEventTrigger.objects.filter(webhook_endpoint=endpoint(), processed=False).exists()
        paid.stripe.do("fail", next=0)
        assert post(event) == 200
        assert subscription_of(buyer).plan_id == "pro"


def _completed(paid: Payments, workspace: Workspace) -> dict[str, Any]:
    events = paid.stripe.customer_events(customer_of(workspace))
    return _again(next(e for e in events if e["type"] == "checkout.session.completed"), renamed=False)


def test_a_mirror_that_fails_keeps_nobody_from_what_they_paid_for(paid: Payments, buyer: Workspace) -> None:
    session = checkout(buyer)
    with paid.stripe.silent():
        paid.stripe.do(f"sessions/{session['session_id']}/pay")
        # What dj-stripe asks for, and we do not.
        paid.stripe.do("fail", next=60, status=500, path="/v1/checkout/sessions/")
        assert post(_completed(paid, buyer)) == 500
        assert subscription_of(buyer).plan_id == "pro"
        paid.stripe.do("fail", next=0)


def test_who_is_not_heard_of_for_a_day_is_looked_at(paid: Payments, buyer: Workspace) -> None:
    session = checkout(buyer)
    with paid.stripe.silent():
        paid.stripe.do(f"sessions/{session['session_id']}/pay")
        Subscription.objects.filter(tenant=buyer.tenant).update(stripe_read_at="2020-01-01T00:00Z")
        assert refresh_subscriptions() >= 1
        assert subscription_of(buyer).plan_id == "pro"


def test_what_an_operator_gives_stays_unless_stripe_decides(paid: Payments, buyer: Workspace) -> None:
    subscriptions.change_plan(buyer.tenant, "scale")
    checkout(buyer, "pro")
    assert state.refresh(buyer.tenant).plan_id == "scale"
    subscriptions.change_plan(buyer.tenant, "free")
    subscribe(paid.stripe, buyer, "pro")
    with pytest.raises(subscriptions.StripeDecides):
        subscriptions.change_plan(buyer.tenant, "scale")
    subscriptions.change_plan(buyer.tenant, "pro", overrides={"monthly_requests": 5})
    call(buyer, "POST", "/api/billing/cancel", {"when": "now"})
    subscriptions.change_plan(buyer.tenant, "scale")
    assert state.refresh(buyer.tenant).plan_id == "scale"
    assert actions(buyer).count("plan.changed") >= 5


def test_the_apps_above_are_told_once(paid: Payments, buyer: Workspace) -> None:
    told: list[tuple[str, dict[str, Any]]] = []

    def receive(name: str) -> Callable[..., None]:
        def receiver(tenant: Any, **facts: Any) -> None:
            if tenant == buyer.tenant:
                told.append((name, facts))

        return receiver

    names = ("plan_changed", "payment_failed", "payment_recovered", "trial_ends")
    receivers = {name: receive(name) for name in names}
    for name, receiver in receivers.items():
        getattr(signals, name).connect(receiver)
    try:
        session = checkout(buyer)
        with paid.stripe.silent():
            paid.stripe.do(f"sessions/{session['session_id']}/pay")
            for _ in range(3):
                state.refresh(buyer.tenant)
            assert [name for name, _ in told] == ["plan_changed"]
            assert (told[0][1]["before"], told[0][1]["after"]) == ("free", "pro")
            paid.stripe.do(f"customers/{customer_of(buyer)}/card", number=DECLINED)
            paid.stripe.pass_days(15)
            for _ in range(3):
                state.refresh(buyer.tenant)
            paid.stripe.do(f"customers/{customer_of(buyer)}/card", number=VISA)
            paid.stripe.pass_days(6)
            for _ in range(3):
                state.refresh(buyer.tenant)
    finally:
        for name, receiver in receivers.items():
            getattr(signals, name).disconnect(receiver)
    assert [name for name, _ in told] == ["plan_changed", "payment_failed", "payment_recovered"]
    facts = told[1][1]
    assert facts["amount_usd"] == 29 and facts["invoice_url"].startswith("http") and facts["grace_until"]


def test_old_events_are_let_go(paid: Payments, buyer: Workspace) -> None:
    subscribe(paid.stripe, buyer)
    paid.stripe.do("deliver")
    events = Event.objects.filter(id__in=[event["id"] for event in paid.stripe.customer_events(customer_of(buyer))])
    old, new = events.order_by("id")[:2]
    Event.objects.filter(pk=old.pk).update(djstripe_created="2020-01-01T00:00Z")
    WebhookEventTrigger.objects.filter(event=old).update(created="2020-01-01T00:00Z")
    assert purge_events() >= 2
    assert list(events.filter(pk__in=[old.pk, new.pk])) == [new]


def test_the_admin_shows_that_stripe_decides(paid: Payments, buyer: Workspace) -> None:
    admin_client = operator()
    found = subscription_of(buyer)
    url = f"/admin/billing/subscription/{found.pk}/change/"
    assert 'name="plan"' in admin_client.get(url).content.decode()
    subscribe(paid.stripe, buyer)
    page = admin_client.get(url).content.decode()
    assert 'name="plan"' not in page and customer_of(buyer) in page
    chosen = {"action": "change_to_scale", "_selected_action": [found.pk]}
    said = admin_client.post("/admin/billing/subscription/", chosen, follow=True).content.decode()
    assert "pays through Stripe" in said and subscription_of(buyer).plan_id == "pro"
    asked = {"action": "look_at_stripe", "_selected_action": [found.pk]}
    said = admin_client.post("/admin/billing/subscription/", asked, follow=True).content.decode()
    assert "1 of 1 are what Stripe says now" in said


def operator() -> Client:
    """Not pytest-django's, whose transaction the gateway would not see into."""
    person, _ = User.objects.get_or_create(email="stripe-operator@example.com", is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(person)
    return client
