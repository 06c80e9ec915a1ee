"""The fake Stripe's clock and money: renewals, usage, dunning, prorations, schedules, discounts, trials, tax."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import stripe

from tests.merchant import DAY_S, FAILS_LATER, VISA, Merchant


@pytest.fixture
def fake(fake: Merchant) -> Merchant:
    # A 15th of January, in no leap year: the first period has 31 days, the second 28.
    year = dt.datetime.now(dt.UTC).year + 1
    start = dt.datetime(year + (year % 4 == 0), 1, 15, 12, tzinfo=dt.UTC)
    fake.do("advance", to=int(start.timestamp()))
    return fake


def lines_of(invoice: Any) -> list[tuple[int, int]]:
    return [(line.quantity, line.amount) for line in invoice.lines.data]


def report(fake: Merchant, customer: str, value: int, identifier: str, **more: Any) -> Any:
    payload = {"stripe_customer_id": customer, "value": str(value)}
    event = {"event_name": "tokens", "identifier": identifier, "payload": payload, **more}
    return fake.api.billing.meter_events.create(event)


def test_a_subscription_renews_with_the_calendar(fake: Merchant) -> None:
    subscription = fake.subscribe(fake.price(4900))
    first = subscription["items"].data[0]
    assert first.current_period_end - first.current_period_start == 31 * DAY_S
    fake.pass_days(31.1)
    second = fake.api.subscriptions.retrieve(subscription.id)["items"].data[0]
    assert second.current_period_start == first.current_period_end
    invoice = fake.latest_invoice(subscription)
    assert (invoice.status, invoice.billing_reason, invoice.total) == ("paid", "subscription_cycle", 4900)
    assert "invoice.upcoming" in fake.event_types()


def test_a_renewals_invoice_is_a_draft_for_an_hour(fake: Merchant) -> None:
    subscription = fake.subscribe(fake.price(4900))
    fake.pass_days(31.01)
    assert fake.latest_invoice(subscription).status == "draft"
    fake.do("advance", seconds=3600)
    assert fake.latest_invoice(subscription).status == "paid"


def test_usage_is_billed_by_graduated_tiers_when_its_period_is_over(fake: Merchant) -> None:
    tiers = [{"up_to": 1000, "unit_amount": 0}, {"up_to": "inf", "unit_amount_decimal": "0.012345678912"}]
    usage = fake.metered_price("tokens", tiers)
    subscription = fake.subscribe(fake.price(4900), usage)
    report(fake, subscription.customer, 60_000, "a")
    report(fake, subscription.customer, 41_000, "b")
    assert lines_of(fake.latest_invoice(subscription)) == [(1, 4900)]
    fake.pass_days(31.1)
    # 100,000 × 0.012345678912 = 1234.57 cents
    invoice = fake.latest_invoice(subscription)
    assert lines_of(invoice) == [(1, 4900), (1000, 0), (100_000, 1235)] and invoice.amount_paid == 6135
    fake.pass_days(31)
    assert lines_of(fake.latest_invoice(subscription)) == [(1, 4900), (0, 0)]


def test_usage_that_comes_while_the_invoice_is_a_draft_is_on_it(fake: Merchant) -> None:
    subscription = fake.subscribe(fake.metered_price("tokens", [{"up_to": "inf", "unit_amount": 1}]))
    assert (subscription.status, subscription.latest_invoice) == ("active", None)
    end = subscription["items"].data[0].current_period_end
    fake.do("advance", to=end + 60)
    report(fake, subscription.customer, 700, "late", timestamp=end - 1)
    report(fake, subscription.customer, 5, "next")
    fake.pass_days(0.1)
    assert fake.latest_invoice(subscription).total == 700


def test_a_meter_event_counts_once_and_in_time(fake: Merchant) -> None:
    subscription = fake.subscribe(fake.metered_price("tokens", [{"up_to": "inf", "unit_amount": 1}]))
    sent = report(fake, subscription.customer, 5, "one")
    with pytest.raises(stripe.InvalidRequestError, match="An event already exists with identifier one"):
        report(fake, subscription.customer, 5, "one")
    now = sent.timestamp
    for timestamp in (now - 36 * DAY_S, now + 400):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            report(fake, subscription.customer, 5, "two", timestamp=timestamp)
        assert refused.value.param == "timestamp"
    report(fake, "cus_nobody", 5, "three")
    assert fake.control("GET", "meter_errors")["errors"][0]["code"] == "meter_event_customer_not_found"
    meter = fake.api.billing.meters.list().data[0].id
    start = now // 60 * 60
    asked = {"customer": subscription.customer, "start_time": start, "end_time": start + 120}
    assert fake.api.billing.meters.event_summaries.list(meter, asked).data[0].aggregated_value == 5.0


@pytest.mark.parametrize("end", ["unpaid", "canceled", "past_due"])
def test_a_card_that_fails_is_tried_again_and_then_the_subscription_ends(fake: Merchant, end: str) -> None:
    fake.do("settings", dunning_days=[3, 5, 7], dunning_end=end)
    subscription = fake.subscribe(fake.price(4900))
    fake.do(f"customers/{subscription.customer}/card", number=FAILS_LATER)
    fake.pass_days(31.1)
    assert fake.status(subscription) == "past_due"
    for attempts, days in ((2, 3), (3, 5), (4, 7)):
        fake.pass_days(days)
        assert fake.latest_invoice(subscription).attempt_count == attempts
    assert fake.status(subscription) == end
    invoice = fake.latest_invoice(subscription)
    assert (invoice.status, invoice.next_payment_attempt) == ("open", None)
    assert fake.event_types().count("invoice.payment_failed") == 4


def test_a_new_card_pays_what_is_open(fake: Merchant) -> None:
    subscription = fake.subscribe(fake.price(4900))
    fake.do(f"customers/{subscription.customer}/card", number=FAILS_LATER)
    fake.pass_days(31.1)
    invoice = fake.latest_invoice(subscription)
    with pytest.raises(stripe.CardError) as refused:
        fake.api.invoices.pay(invoice.id)
    assert refused.value.code == "card_declined"
    fake.do(f"customers/{subscription.customer}/card", number=VISA)
    assert fake.api.invoices.pay(invoice.id).status == "paid"
    assert fake.status(subscription) == "active"


def test_an_upgrade_in_the_middle_of_a_period_is_prorated(fake: Merchant) -> None:
    subscription = fake.subscribe(fake.price(3100))
    item = subscription["items"].data[0]
    fake.do("advance", to=item.current_period_start + 10 * DAY_S)
    items = [{"id": item.id, "price": fake.price(6200).id}]
    later = fake.api.invoices.create_preview(
        {
            "subscription": subscription.id,
            "subscription_details": {"items": items, "proration_behavior": "always_invoice"},
        }
    )
    given: dict[str, Any] = {"items": items, "proration_behavior": "always_invoice"}
    fake.api.subscriptions.update(subscription.id, given)
    invoice = fake.latest_invoice(subscription)
    # 21 of 31 days are left: 2100 cents of the old price come back, 4200 of the new one are due.
    credit, debit = (line.amount for line in invoice.lines.data)
    assert abs(credit + 2100) <= 1 and abs(debit - 4200) <= 1
    assert (invoice.status, invoice.billing_reason) == ("paid", "subscription_update")
    assert abs(later.total - invoice.total) <= 1
    assert all(line.parent.subscription_item_details.proration for line in invoice.lines.data)


def test_prorations_wait_for_the_next_invoice_or_are_not_made(fake: Merchant) -> None:
    cheap, dear = fake.price(3100), fake.price(6200)
    waiting, free = fake.subscribe(cheap), fake.subscribe(cheap)
    fake.pass_days(10)
    for subscription, behavior in ((waiting, "create_prorations"), (free, "none")):
        items = [{"id": subscription["items"].data[0].id, "price": dear.id}]
        fake.api.subscriptions.update(subscription.id, {"items": items, "proration_behavior": behavior})
    fake.pass_days(21.1)
    assert len(fake.latest_invoice(waiting).lines.data) == 3
    assert lines_of(fake.latest_invoice(free)) == [(1, 6200)]


def test_a_declined_upgrade_changes_nothing_when_told_so(fake: Merchant) -> None:
    subscription = fake.subscribe(fake.price(3100))
    fake.do(f"customers/{subscription.customer}/card", number=FAILS_LATER)
    before = fake.event_types()
    items = [{"id": subscription["items"].data[0].id, "price": fake.price(9900).id}]
    with pytest.raises(stripe.CardError):
        fake.api.subscriptions.update(
            subscription.id,
            {"items": items, "proration_behavior": "always_invoice", "payment_behavior": "error_if_incomplete"},
        )
    after = fake.api.subscriptions.retrieve(subscription.id)
    assert after["items"].data[0].price.unit_amount == 3100 and after.status == "active"
    assert [type_ for type_ in fake.event_types() if type_.startswith("invoice")] == [
        type_ for type_ in before if type_.startswith("invoice")
    ]


def test_another_interval_begins_a_period_at_once(fake: Merchant) -> None:
    subscription = fake.subscribe(fake.price(3100))
    fake.pass_days(10)
    items = [{"id": subscription["items"].data[0].id, "price": fake.price(31000, interval="year").id}]
    after = fake.api.subscriptions.update(subscription.id, {"items": items})["items"].data[0]
    assert after.current_period_end - after.current_period_start == 365 * DAY_S
    amounts = [line.amount for line in fake.latest_invoice(subscription).lines.data]
    assert amounts[0] == 31000 and abs(amounts[1] + 2100) <= 1


def test_a_downgrade_by_schedule_waits_for_the_periods_end(fake: Merchant) -> None:
    dear, cheap = fake.price(6200), fake.price(3100)
    subscription = fake.subscribe(dear)
    item = subscription["items"].data[0]
    schedule = fake.api.subscription_schedules.create({"from_subscription": subscription.id})
    phases = [
        {
            "items": [{"price": dear.id, "quantity": 1}],
            "start_date": schedule.phases[0].start_date,
            "end_date": item.current_period_end,
        },
        {"items": [{"price": cheap.id, "quantity": 1}], "duration": {"interval": "month", "interval_count": 1}},
    ]
    fake.api.subscription_schedules.update(schedule.id, {"phases": phases, "end_behavior": "release"})
    with pytest.raises(stripe.InvalidRequestError, match="managed by the subscription schedule"):
        fake.api.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    fake.pass_days(31.1)
    after = fake.api.subscriptions.retrieve(subscription.id)
    assert after["items"].data[0].price.id == cheap.id and after.schedule == schedule.id
    assert lines_of(fake.latest_invoice(subscription)) == [(1, 3100)]
    fake.pass_days(31.1)
    assert fake.api.subscriptions.retrieve(subscription.id).schedule is None
    assert fake.api.subscription_schedules.retrieve(schedule.id).status == "released"
    assert fake.latest_invoice(subscription).total == 3100


def test_a_promotion_code_takes_its_part_for_its_months(fake: Merchant) -> None:
    coupon = fake.api.coupons.create({"percent_off": 25, "duration": "repeating", "duration_in_months": 2})
    fake.api.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "SPRING"})
    session = fake.checkout(fake.price(1001), allow_promotion_codes=True)
    wrong = fake.control("POST", f"sessions/{session.id}/pay", promotion_code="AUTUMN")
    assert wrong["status_code"] == 400
    fake.do(f"sessions/{session.id}/pay", promotion_code="spring")
    done = fake.api.checkout.sessions.retrieve(session.id, {"expand": ["subscription.discounts"]})
    assert (done.amount_total, done.total_details.amount_discount) == (751, 250)
    assert done.subscription.discounts[0].source.coupon == coupon.id
    for total in (751, 1001):
        fake.pass_days(31)
        assert fake.latest_invoice(done.subscription).total == total


def test_an_amount_off_once_is_gone_after_one_invoice(fake: Merchant) -> None:
    coupon = fake.api.coupons.create({"amount_off": 500, "currency": "usd", "duration": "once"})
    subscription = fake.subscribe(fake.price(2000), discounts=[{"coupon": coupon.id}])
    assert fake.latest_invoice(subscription).total == 1500
    assert fake.api.subscriptions.retrieve(subscription.id).discounts == []
    assert fake.api.coupons.retrieve(coupon.id).times_redeemed == 1


def test_a_trial_bills_when_it_is_over(fake: Merchant) -> None:
    usage = fake.metered_price("tokens", [{"up_to": "inf", "unit_amount": 1}])
    session = fake.checkout(fake.price(4900), usage, subscription_data={"trial_period_days": 14})
    done = fake.do(f"sessions/{session.id}/pay", card=FAILS_LATER)
    assert done["payment_status"] == "no_payment_required"
    subscription = fake.api.subscriptions.retrieve(done["subscription"])
    assert (subscription.status, fake.latest_invoice(subscription).total) == ("trialing", 0)
    report(fake, subscription.customer, 1000, "free")
    fake.pass_days(12)
    assert "customer.subscription.trial_will_end" in fake.event_types()
    fake.do(f"customers/{subscription.customer}/card", number=VISA)
    fake.pass_days(2.1)
    assert fake.status(subscription) == "active" and fake.latest_invoice(subscription).total == 4900


def test_a_trial_without_a_card_pauses_until_it_is_resumed(fake: Merchant) -> None:
    customer = fake.api.customers.create({"email": "ada@example.com"})
    paused = {"end_behavior": {"missing_payment_method": "pause"}}
    subscription = fake.subscribe(fake.price(4900), customer=customer, trial_period_days=7, trial_settings=paused)
    fake.pass_days(7.1)
    assert fake.status(subscription) == "paused"
    assert fake.api.subscriptions.resume(subscription.id).status == "paused"
    fake.do(f"customers/{customer.id}/card", number=VISA)
    assert fake.api.subscriptions.resume(subscription.id).status == "active"
    assert fake.latest_invoice(subscription).amount_paid == 4900


def test_a_cancelation_waits_for_the_end_and_bills_the_last_usage(fake: Merchant) -> None:
    usage = fake.metered_price("tokens", [{"up_to": "inf", "unit_amount": 1}])
    subscription = fake.subscribe(fake.price(4900), usage)
    report(fake, subscription.customer, 300, "a")
    ending = fake.api.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    assert ending.cancel_at == ending["items"].data[0].current_period_end
    fake.pass_days(31.1)
    assert fake.status(subscription) == "canceled"
    last = fake.latest_invoice(subscription)
    assert (last.total, last.status) == (300, "paid")
    with pytest.raises(stripe.InvalidRequestError):
        fake.api.subscriptions.update(subscription.id, {"cancel_at_period_end": False})


def test_a_cancelation_now_gives_back_and_credits_the_next_invoice(fake: Merchant) -> None:
    customer = fake.customer()
    subscription = fake.subscribe(fake.price(3100), customer=customer)
    fake.do("advance", to=subscription["items"].data[0].current_period_start + 10 * DAY_S)
    fake.api.subscriptions.cancel(subscription.id, {"prorate": True, "invoice_now": True})
    balance = fake.api.customers.retrieve(customer.id).balance
    assert abs(balance + 2100) <= 1
    again = fake.subscribe(fake.price(3100), customer=customer)
    assert fake.latest_invoice(again).amount_paid == 3100 + balance


def test_tax_is_added_by_country(fake: Merchant) -> None:
    session = fake.checkout(fake.price(1000), automatic_tax={"enabled": True}, tax_id_collection={"enabled": True})
    done = fake.do(f"sessions/{session.id}/pay", country="DE", tax_id="DE123456789")
    assert (done["amount_total"], done["automatic_tax"]["status"]) == (1190, "complete")
    invoice = fake.api.invoices.retrieve(done["invoice"])
    assert (invoice.total_excluding_tax, invoice.total_taxes[0].amount) == (1000, 190)
    assert invoice.customer_tax_ids[0].value == "DE123456789"


def test_without_a_place_no_taxed_invoice_is_finalized(fake: Merchant) -> None:
    fake.subscribe(fake.price(1000), automatic_tax={"enabled": True})
    assert "invoice.finalization_failed" in fake.event_types()


def test_a_preview_leaves_nothing_behind(fake: Merchant) -> None:
    subscription = fake.subscribe(fake.price(4900))
    events = fake.event_types()
    preview = fake.api.invoices.create_preview({"subscription": subscription.id})
    assert preview.id.startswith("upcoming_in_") and preview.total == 4900
    assert fake.event_types() == events and len(fake.api.invoices.list().data) == 1
    fake.api.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    with pytest.raises(stripe.InvalidRequestError, match="No upcoming invoices"):
        fake.api.invoices.create_preview({"subscription": subscription.id})
