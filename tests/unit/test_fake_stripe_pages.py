"""The fake Stripe's pages: what a browser can see and press, at checkout, in the portal, on an invoice."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
import stripe

from tests.merchant import DECLINED, FAILS_LATER, VISA, Merchant

RETURN = "https://shop.example/billing"


def press(url: str, **filled: str) -> httpx2.Response:
    return httpx2.post(url, data=filled, follow_redirects=False, timeout=30)


def portal(fake: Merchant, subscription: Any, offered: list[Any], **more: Any) -> Any:
    products = [{"product": price.product, "prices": [price.id]} for price in offered]
    features: dict[str, Any] = {
        "customer_update": {"enabled": True, "allowed_updates": ["name", "address"]},
        "invoice_history": {"enabled": True},
        "payment_method_update": {"enabled": True},
        "subscription_cancel": {"enabled": True, "mode": "at_period_end"},
        "subscription_update": {
            "enabled": True,
            "default_allowed_updates": ["price"],
            "products": products,
            "proration_behavior": "always_invoice",
            "schedule_at_period_end": {"conditions": [{"type": "decreasing_item_amount"}]},
        },
    }
    configuration = fake.api.billing_portal.configurations.create({"features": features})
    given = {"customer": subscription.customer, "configuration": configuration.id, "return_url": RETURN, **more}
    return fake.api.billing_portal.sessions.create(given)


def test_checkout_shows_what_is_bought_and_leads_back(fake: Merchant) -> None:
    session = fake.checkout(fake.price(4900), allow_promotion_codes=True)
    page = httpx2.get(session.url).text
    assert "Fake Stripe, no money moves" in page and "$49.00 / month" in page and 'name="promotion_code"' in page
    assert 'href="https://shop.example/"' in page
    paid = press(session.url, card="4242 4242 4242 4242", email="ada@example.com", country="US")
    assert (paid.status_code, paid.headers["location"]) == (303, f"https://shop.example/paid?s={session.id}")
    assert fake.api.checkout.sessions.retrieve(session.id).status == "complete"
    assert httpx2.get(session.url).status_code == 410
    assert press(session.url, card=VISA).headers["location"].endswith(session.id)


def test_a_declined_card_is_said_on_the_page(fake: Merchant) -> None:
    session = fake.checkout(fake.price(4900))
    refused = press(session.url, card=DECLINED, name="<b>Ada</b>")
    assert refused.status_code == 402 and "Your card was declined." in refused.text
    assert "<b>Ada</b>" not in refused.text and "&lt;b&gt;Ada" in refused.text
    assert press(session.url, card=VISA).status_code == 303


def test_a_session_that_nobody_pays_expires(fake: Merchant) -> None:
    session = fake.checkout(fake.price(4900))
    fake.pass_days(1.1)
    assert fake.api.checkout.sessions.retrieve(session.id).status == "expired"
    assert press(session.url, card=VISA).status_code == 410


def test_the_portal_changes_plan_card_and_end(fake: Merchant) -> None:
    cheap, dear = fake.price(3100), fake.price(6200)
    subscription = fake.subscribe(cheap)
    url = portal(fake, subscription, [cheap, dear]).url
    page = httpx2.get(url).text
    assert dear.id in page and cheap.id not in page and RETURN in page and "visa ending in 4242" in page
    assert press(url, action="change", subscription=subscription.id, price=dear.id).status_code == 303
    upgraded = fake.api.subscriptions.retrieve(subscription.id)
    assert upgraded["items"].data[0].price.id == dear.id
    assert press(url, action="change", subscription=subscription.id, price=cheap.id).status_code == 303
    assert fake.api.subscriptions.retrieve(subscription.id).schedule
    press(url, action="cancel", subscription=subscription.id)
    assert fake.api.subscriptions.retrieve(subscription.id).cancel_at_period_end
    press(url, action="resume", subscription=subscription.id)
    assert not fake.api.subscriptions.retrieve(subscription.id).cancel_at_period_end
    press(url, action="card", card="5555555555554444")
    assert "mastercard ending in 4444" in httpx2.get(url).text


def test_the_portal_changes_name_and_country(fake: Merchant) -> None:
    subscription = fake.subscribe(fake.price(3100))
    url = portal(fake, subscription, [fake.price(1)]).url
    press(url, action="details", name="Ada Lovelace", country="GB")
    customer = fake.api.customers.retrieve(subscription.customer)
    assert (customer.name, customer.address.country) == ("Ada Lovelace", "GB")
    assert 'value="Ada Lovelace"' in httpx2.get(url).text


def test_the_portal_pays_an_open_invoice_or_says_why_not(fake: Merchant) -> None:
    subscription = fake.subscribe(fake.price(3100))
    fake.do(f"customers/{subscription.customer}/card", number=FAILS_LATER)
    fake.pass_days(31.1)
    url = portal(fake, subscription, [fake.price(1)]).url
    invoice = fake.latest_invoice(subscription)
    refused = press(url, action="pay", invoice=invoice.id)
    assert refused.status_code == 402 and "declined" in refused.text
    press(url, action="card", card=VISA)
    assert press(url, action="pay", invoice=invoice.id).status_code == 303
    assert fake.api.invoices.retrieve(invoice.id).status == "paid"


def test_the_portal_touches_nothing_of_others(fake: Merchant) -> None:
    mine, theirs = fake.subscribe(fake.price(3100)), fake.subscribe(fake.price(6200))
    url = portal(fake, mine, [fake.price(1)]).url
    assert press(url, action="cancel", subscription=theirs.id).status_code == 402
    assert not fake.api.subscriptions.retrieve(theirs.id).cancel_at_period_end
    assert theirs.id not in httpx2.get(url).text


def test_a_flow_leads_back_when_it_is_done(fake: Merchant) -> None:
    subscription = fake.subscribe(fake.price(3100))
    after = {"type": "redirect", "redirect": {"return_url": f"{RETURN}?done"}}
    flow = {
        "type": "subscription_cancel",
        "subscription_cancel": {"subscription": subscription.id},
        "after_completion": after,
    }
    url = portal(fake, subscription, [fake.price(1)], flow_data=flow).url
    assert press(url, action="cancel", subscription=subscription.id).headers["location"] == f"{RETURN}?done"


def test_a_portal_needs_a_configuration(fake: Merchant) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="default configuration has not been created"):
        fake.api.billing_portal.sessions.create({"customer": fake.customer().id})


def test_an_invoice_is_a_page_and_a_pdf(fake: Merchant) -> None:
    invoice = fake.latest_invoice(fake.subscribe(fake.price(3100)))
    assert "$31.00" in httpx2.get(invoice.hosted_invoice_url).text
    pdf = httpx2.get(invoice.invoice_pdf)
    assert pdf.headers["content-type"] == "application/pdf"
    assert pdf.content.startswith(b"%PDF-1.4") and pdf.content.rstrip().endswith(b"%%EOF")
    start = int(pdf.content.split(b"startxref\n")[1].split()[0])
    assert pdf.content[start:].startswith(b"xref") and b"($31.00" in pdf.content.replace(b"Total:  ", b"(")
    assert httpx2.get(invoice.hosted_invoice_url[:-1]).status_code == 404
