"""The fake Stripe, driven by the official SDK: calls, errors, idempotency, pages of lists, checkout, webhooks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import stripe

from tests.merchant import DECLINED, FAILS_LATER, VISA, Merchant, Receiver
from tests.servers import ROOT


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver().listening() as listening:
        yield listening


def test_a_key_is_needed(fake: Merchant) -> None:
    addresses: Any = {"api": fake.url}
    with pytest.raises(stripe.AuthenticationError) as refused:
        stripe.StripeClient("sk_live_" + "x" * 24, base_addresses=addresses).v1.products.list()
    assert refused.value.http_status == 401


@pytest.mark.parametrize(
    ("given", "code", "param"),
    [
        ({"name": "A", "colour": "red"}, "parameter_unknown", "colour"),
        ({}, "parameter_missing", "name"),
        ({"name": ""}, "parameter_invalid_empty", "name"),
        ({"name": "A", "active": "maybe"}, None, "active"),
        ({"name": "A", "metadata": {"k": "v" * 501}}, None, "metadata[k]"),
    ],
)
def test_a_wrong_parameter_is_named(fake: Merchant, given: Any, code: str | None, param: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        fake.api.products.create(given)
    assert (refused.value.http_status, refused.value.code, refused.value.param) == (400, code, param)
    assert (refused.value.request_id or "").startswith("req_")


def test_what_does_not_exist_is_a_404(fake: Merchant) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="No such customer: 'cus_nobody'") as refused:
        fake.api.customers.retrieve("cus_nobody")
    assert (refused.value.http_status, refused.value.code) == (404, "resource_missing")


def test_a_key_is_carried_out_once(fake: Merchant) -> None:
    options = {"idempotency_key": "once"}
    first = fake.api.products.create({"name": "A"}, options)
    again = fake.api.products.create({"name": "A"}, options)
    assert first.id == again.id and again.last_response.headers["idempotent-replayed"] == "true"
    assert len(fake.api.products.list().data) == 1
    with pytest.raises(stripe.IdempotencyError) as refused:
        fake.api.products.create({"name": "B"}, options)
    assert refused.value.http_status == 400


def test_lists_come_in_pages_newest_first(fake: Merchant) -> None:
    made = [fake.api.products.create({"name": str(number)}).id for number in range(7)]
    first = fake.api.products.list({"limit": 3})
    assert first.has_more and [each.id for each in first.data] == made[:3:-1]
    assert [each.id for each in fake.api.products.list({"limit": 3}).auto_paging_iter()] == made[::-1]
    before = fake.api.products.list({"limit": 3, "ending_before": made[0]})
    assert before.has_more and [each.id for each in before.data] == made[3:0:-1]


def test_a_lookup_key_moves_only_when_told(fake: Merchant) -> None:
    old = fake.price(1000, lookup_key="pro")
    with pytest.raises(stripe.InvalidRequestError, match="already uses that lookup key"):
        fake.price(2000, lookup_key="pro")
    new = fake.price(2000, lookup_key="pro", transfer_lookup_key=True)
    assert [each.id for each in fake.api.prices.list({"lookup_keys": ["pro"]}).data] == [new.id]
    assert fake.api.prices.retrieve(old.id).lookup_key is None


def test_expand_shows_objects_and_hidden_fields(fake: Merchant) -> None:
    price = fake.metered_price(
        "tokens", [{"up_to": 10, "unit_amount": 0}, {"up_to": "inf", "unit_amount_decimal": "0.5"}]
    )
    assert "tiers" not in price
    shown = fake.api.prices.retrieve(price.id, {"expand": ["tiers", "product", "currency_options"]})
    assert shown.product.name == "tokens" and [tier.up_to for tier in shown.tiers] == [10, None]
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        fake.api.prices.retrieve(price.id, {"expand": ["nothing"]})


def test_a_paid_checkout_makes_customer_subscription_and_invoice(fake: Merchant) -> None:
    price, usage = fake.price(4900), fake.metered_price("tokens", [{"up_to": "inf", "unit_amount": 1}])
    data = {"metadata": {"tenant": "7"}}
    session = fake.checkout(price, usage, client_reference_id="7", subscription_data=data, metadata={"a": "b"})
    assert (session.status, session.amount_total, session.payment_status) == ("open", 4900, "unpaid")
    fake.do(f"sessions/{session.id}/pay", card=VISA, email="ada@example.com")
    done = fake.api.checkout.sessions.retrieve(
        session.id, {"expand": ["subscription.latest_invoice.payments", "customer"]}
    )
    assert (done.status, done.payment_status, done.customer.email) == ("complete", "paid", "ada@example.com")
    subscription = done.subscription
    assert (subscription.status, subscription.metadata.to_dict()) == ("active", {"tenant": "7"})
    invoice = subscription.latest_invoice
    assert (invoice.status, invoice.total, invoice.billing_reason) == ("paid", 4900, "subscription_create")
    assert invoice.parent.subscription_details.subscription == subscription.id
    intent = fake.api.payment_intents.retrieve(invoice.payments.data[0].payment.payment_intent)
    assert (intent.status, intent.amount_received) == ("succeeded", 4900)
    assert {"customer.created", "invoice.paid", "checkout.session.completed"} <= set(fake.event_types())


@pytest.mark.parametrize("card", [DECLINED, FAILS_LATER, "4111111111111111"])
def test_a_declined_checkout_leaves_only_the_open_session(fake: Merchant, card: str) -> None:
    session = fake.checkout(fake.price(4900))
    refused = fake.control("POST", f"sessions/{session.id}/pay", card=card)
    assert (refused["status_code"], refused["error"]["type"]) == (402, "card_error")
    assert fake.api.checkout.sessions.retrieve(session.id).status == "open"
    assert not fake.api.customers.list().data and not fake.api.subscriptions.list({"status": "all"}).data


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"allow_promotion_codes": True, "discounts": [{"coupon": "none"}]}, "discounts"),
        ({"mode": "payment"}, "mode"),
        ({"expires_at": 1}, "expires_at"),
        ({"customer": "cus_nobody"}, "customer"),
    ],
)
def test_checkout_refuses_what_stripe_refuses(fake: Merchant, more: Any, param: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        fake.checkout(fake.price(100), **more)
    assert refused.value.param == param


def test_a_metered_line_has_no_quantity(fake: Merchant) -> None:
    price = fake.metered_price("tokens", [{"up_to": "inf", "unit_amount": 1}])
    items = [{"price": price.id, "quantity": 1}]
    with pytest.raises(stripe.InvalidRequestError, match="Quantity should not be specified"):
        fake.api.checkout.sessions.create(
            {"mode": "subscription", "line_items": items, "success_url": "https://x.example/"}
        )


def test_events_come_signed_in_order_and_once_each(fake: Merchant, receiver: Receiver) -> None:
    events: list[Any] = ["product.created", "product.updated"]
    endpoint = fake.api.webhook_endpoints.create({"url": receiver.url, "enabled_events": events})
    product = fake.api.products.create({"name": "A"})
    fake.api.prices.create({"product": product.id, "currency": "usd", "unit_amount": 1})
    fake.api.products.update(product.id, {"name": "B"})
    fake.do("deliver")
    created, updated = receiver.events(endpoint.secret)
    assert (created.type, updated.type) == ("product.created", "product.updated")
    assert updated.data.previous_attributes["name"] == "A"
    assert fake.api.webhook_endpoints.retrieve(endpoint.id).to_dict().get("secret") is None
    assert fake.api.events.retrieve(updated.id).pending_webhooks == 0


def test_a_refused_event_comes_again(fake: Merchant, receiver: Receiver) -> None:
    receiver.answers = [500, 503]
    endpoint = fake.api.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})
    fake.api.products.create({"name": "A"})
    fake.do("deliver")
    events = receiver.events(endpoint.secret)
    assert len({event.id for event in events}) == 1 and len(events) == 3
    attempts = fake.control("GET", "events")["events"][0]["attempts"]
    assert [attempt["status"] for attempt in attempts] == [500, 503, 200]


def test_events_can_be_held_and_sent_in_any_order(fake: Merchant, receiver: Receiver) -> None:
    fake.do("webhooks", deliver="hold")
    endpoint = fake.api.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})
    for name in "AB":
        fake.api.products.create({"name": name})
    assert not receiver.received
    first, second = (event["id"] for event in fake.control("GET", "events")["events"])
    fake.do("deliver", ids=[second, first, second])
    assert [event.id for event in receiver.events(endpoint.secret)] == [second, first, second]


def test_calls_fail_as_told_and_are_counted(fake: Merchant) -> None:
    fake.do("fail", next=1, status=500, path="/v1/products")
    fake.api.customers.list()
    with pytest.raises(stripe.APIError):
        fake.api.products.create({"name": "A"})
    fake.do("fail", next=1, status=503, when="after")
    with pytest.raises(stripe.APIError):
        fake.api.products.create({"name": "B"}, {"idempotency_key": "lost"})
    again = fake.api.products.create({"name": "B"}, {"idempotency_key": "lost"})
    assert [each.id for each in fake.api.products.list().data] == [again.id]
    assert fake.control("GET", "calls")["counts"]["POST /v1/products"] == 3


def test_bin_up_does_not_put_the_fake_in_place_of_real_payments() -> None:
    command = [sys.executable, "-m", "nexus.up", "--with-fake-stripe"]
    live = {**os.environ, "STRIPE_SECRET_KEY": "sk_live_" + "x" * 24}
    refused = subprocess.run(command, cwd=ROOT, env=live, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 1 and "STRIPE_SECRET_KEY is a live key" in refused.stderr
