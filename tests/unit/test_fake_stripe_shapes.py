"""The fake Stripe's objects have the fields that the SDK declares, and dj-stripe stores them."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterator
from typing import Any

import pytest
import stripe
from djstripe import models
from stripe import ListObject, StripeObject

from tests.merchant import KEY, Merchant, Receiver, merchant

# By the object's name: what the SDK calls it.
CLASSES: dict[str, Any] = {
    "account": stripe.Account,
    "billing.meter": stripe.billing.Meter,
    "billing_portal.configuration": stripe.billing_portal.Configuration,
    "billing_portal.session": stripe.billing_portal.Session,
    "charge": stripe.Charge,
    "checkout.session": stripe.checkout.Session,
    "coupon": stripe.Coupon,
    "customer": stripe.Customer,
    "discount": stripe.Discount,
    "event": stripe.Event,
    "invoice": stripe.Invoice,
    "invoice_payment": stripe.InvoicePayment,
    "invoiceitem": stripe.InvoiceItem,
    "line_item": stripe.InvoiceLineItem,
    "payment_intent": stripe.PaymentIntent,
    "payment_method": stripe.PaymentMethod,
    "plan": stripe.Plan,
    "price": stripe.Price,
    "product": stripe.Product,
    "promotion_code": stripe.PromotionCode,
    "setup_intent": stripe.SetupIntent,
    "subscription": stripe.Subscription,
    "subscription_item": stripe.SubscriptionItem,
    "subscription_schedule": stripe.SubscriptionSchedule,
    "tax_id": stripe.TaxId,
    "webhook_endpoint": stripe.WebhookEndpoint,
}


@pytest.fixture(scope="module")
def fake() -> Iterator[Merchant]:
    with merchant() as running:
        yield running


@pytest.fixture(scope="module")
def paid(fake: Merchant) -> Any:
    """A session that was paid with a discount, tax, and usage beside the fee, and changed afterwards."""
    coupon = fake.api.coupons.create({"percent_off": 10, "duration": "forever"})
    fake.api.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "TEN"})
    usage = fake.metered_price("tokens", [{"up_to": "inf", "unit_amount_decimal": "0.5"}])
    more = {"allow_promotion_codes": True, "automatic_tax": {"enabled": True}, "tax_id_collection": {"enabled": True}}
    session = fake.checkout(fake.price(4900), usage, **more)
    fake.do(f"sessions/{session.id}/pay", promotion_code="TEN", country="DE", tax_id="DE123456789")
    done = fake.api.checkout.sessions.retrieve(session.id, {"expand": ["subscription"]})
    item = done.subscription["items"].data[0]
    fake.pass_days(3)
    items = [{"id": item.id, "price": fake.price(9900).id}]
    fake.api.subscriptions.update(done.subscription.id, {"items": items, "proration_behavior": "always_invoice"})
    fake.api.subscription_schedules.create({"from_subscription": done.subscription.id})
    configuration = fake.api.billing_portal.configurations.create({"features": {"invoice_history": {"enabled": True}}})
    fake.api.billing_portal.sessions.create({"customer": done.customer, "configuration": configuration.id})
    method = {"payment_method": "pm_card_visa", "customer": done.customer, "confirm": True}
    fake.api.setup_intents.create(method)
    return done


def _every_object(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        if isinstance(value.get("object"), str) and value["object"] in CLASSES:
            yield value
        for part in value.values():
            yield from _every_object(part)
    elif isinstance(value, list):
        for part in value:
            yield from _every_object(part)


def _problems(value: Any, declared: Any, path: str) -> Iterator[str]:
    """Fields that the SDK does not know, or that it says are always there and are not."""
    hints = {name: hint for name, hint in declared.__annotations__.items() if name != "OBJECT_NAME"}
    for name in value:
        if name not in hints and name != "id":
            yield f"{path}.{name} is unknown"
    for name, hint in hints.items():
        if name not in value and not _optional(hint):
            yield f"{path}.{name} is missing"
        inner = _inner(declared, hint)
        parts = value.get(name) if isinstance(value.get(name), list) else [value.get(name)]
        for part in parts or []:
            if inner and isinstance(part, dict) and "object" not in part:
                yield from _problems(part, inner, f"{path}.{name}")


def _optional(hint: Any) -> bool:
    return type(None) in typing.get_args(hint)


def _inner(declared: Any, hint: Any) -> Any:
    """The class that the SDK nests for a field, if there is one."""
    found = [
        hint,
        *typing.get_args(hint),
        *(inner for each in typing.get_args(hint) for inner in typing.get_args(each)),
    ]
    for each in found:
        nested = isinstance(each, type) and not isinstance(each, types.GenericAlias) and issubclass(each, StripeObject)
        if (
            nested
            and not issubclass(each, ListObject)
            and each.__annotations__
            and "object" not in each.__annotations__
        ):
            return each
    return None


def test_every_object_has_the_fields_that_the_sdk_declares(fake: Merchant, paid: Any) -> None:
    seen: dict[str, int] = {}
    problems: set[str] = set()
    told = [event["data"]["object"] for event in fake.control("GET", "events")["events"]]
    asked = [
        fake.api.accounts.retrieve_current(),
        paid,
        fake.api.billing.meters.list(),
        fake.api.billing_portal.configurations.list(),
        fake.api.events.list(),
        fake.api.webhook_endpoints.create({"url": "http://127.0.0.1:1/", "enabled_events": ["coupon.created"]}),
        fake.api.billing_portal.sessions.create({"customer": paid.customer}),
    ]
    for found in _every_object([told, [each.to_dict() for each in asked]]):
        seen[found["object"]] = seen.get(found["object"], 0) + 1
        upcoming = found["object"] == "invoice" and "id" not in found
        if not upcoming:
            problems |= set(_problems(found, CLASSES[found["object"]], found["object"]))
    assert not problems
    assert set(CLASSES) == set(seen)


@pytest.fixture
def djstripe(fake: Merchant, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Merchant:
    """dj-stripe, talking to the fake."""
    settings.STRIPE_SECRET_KEY = KEY
    monkeypatch.setattr(stripe, "api_base", fake.url)
    return fake


STORED: list[tuple[Any, str]] = [
    (models.Product, "products"),
    (models.Price, "prices"),
    (models.Coupon, "coupons"),
    (models.PromotionCode, "promotion_codes"),
    (models.Customer, "customers"),
    (models.PaymentMethod, "payment_methods"),
    (models.PaymentIntent, "payment_intents"),
    (models.Charge, "charges"),
    (models.Subscription, "subscriptions"),
    (models.SubscriptionItem, "subscription_items"),
    (models.SubscriptionSchedule, "subscription_schedules"),
    (models.Invoice, "invoices"),
    (models.Session, "checkout.sessions"),
]


@pytest.mark.parametrize(("model", "resource"), STORED, ids=[model.__name__ for model, _ in STORED])
def test_djstripe_stores_what_is_listed(djstripe: Merchant, paid: Any, model: Any, resource: str) -> None:
    service = djstripe.api
    for name in resource.split("."):
        service = getattr(service, name)
    narrow = {
        "payment_methods": {"customer": paid.customer},
        "subscription_items": {"subscription": paid.subscription.id},
    }
    listed = service.list(narrow.get(resource, {})).data
    assert listed
    for each in listed:
        expand = [field for field in model.expand_fields if model in (models.Invoice, models.Price, models.Customer)]
        whole = service.retrieve(each.id, {"expand": expand} if expand else {})
        stored = model.sync_from_stripe_data(whole, api_key=KEY)
        assert stored.id == each.id and stored.djstripe_owner_account.id.startswith("acct_")
        assert model.objects.get(id=each.id).stripe_data["object"] == each.object


def test_djstripe_knows_the_lines_and_the_discounts_of_an_invoice(djstripe: Merchant, paid: Any) -> None:
    invoice = djstripe.api.invoices.retrieve(paid.invoice, {"expand": models.Invoice.expand_fields})
    models.Invoice.sync_from_stripe_data(invoice, api_key=KEY)
    lines = models.LineItem.objects.filter(id__in=[line.id for line in invoice.lines.data])
    assert sum(line.amount for line in lines) == invoice.subtotal
    assert models.Discount.objects.filter(id__in=[each.id for each in invoice.discounts]).count() == 1


def test_a_webhook_endpoint_is_stored_with_its_secret(djstripe: Merchant) -> None:
    made = djstripe.api.webhook_endpoints.create({"url": "http://127.0.0.1:1/", "enabled_events": ["invoice.paid"]})
    stored = models.WebhookEndpoint.sync_from_stripe_data(made, api_key=KEY)
    again = djstripe.api.webhook_endpoints.retrieve(made.id)
    models.WebhookEndpoint.sync_from_stripe_data(again, api_key=KEY)
    assert models.WebhookEndpoint.objects.get(pk=stored.pk).secret == made.secret


def test_djstripe_processes_every_event(djstripe: Merchant, paid: Any) -> None:
    with Receiver().listening() as receiver:
        djstripe.api.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})
        known = [event["id"] for event in djstripe.control("GET", "events")["events"]]
        djstripe.do("deliver", ids=known)
        for body, _ in receiver.received:
            assert models.Event.process(json.loads(body), api_key=KEY).id in known
