"""Metered usage: what the ledger says reaches Stripe once, whoever dies on the way, however late a row is."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from analytics.tasks import drain_usage
from billing import tasks
from billing.closing import end_of
from billing.models import LedgerEntry, MeterReport, Subscription
from billing.periods import Period, period_at
from billing.stripe import meters, owed
from billing.stripe.errors import Refused, Unavailable
from billing.tasks import report_meters
from tenants.db import alone
from tests.conftest import Workspace
from tests.management import call
from tests.paying import Payments, customer_of, subscribe, subscription_of
from tests.together import at_once
from tests.usage import miss, send, stream_of


def use(workspace: Workspace, requests: int, cost_usd: str = "0", start: dt.datetime | None = None) -> LedgerEntry:
    """Books it, as the drain does."""
    found = Subscription.objects.get(tenant=workspace.tenant)
    now = timezone.now()
    return LedgerEntry.objects.create(
        tenant=workspace.tenant,
        key_id=workspace.api_key.pk,
        batch=uuid.uuid4(),
        period_start=start or period_at(found.anchor_at, now).start,
        day=now.date(),
        requests=requests,
        tokens=0,
        cost_usd=Decimal(cost_usd),
        saved_usd=0,
        platform_cost_usd=Decimal(cost_usd),
    )


def this_period(workspace: Workspace) -> Period:
    return period_at(subscription_of(workspace).anchor_at, timezone.now())


def counted(workspace: Workspace, period: Period | None = None) -> tuple[int, Decimal]:
    """By Stripe."""
    return meters.summaries(workspace.tenant, period or this_period(workspace))


@pytest.fixture
def metered(paid: Payments, buyer: Workspace) -> Workspace:
    subscribe(paid.stripe, buyer, "scale")
    paid.stripe.do("deliver")
    return buyer


def test_usage_reaches_stripe_and_the_invoice(paid: Payments, metered: Workspace) -> None:
    use(metered, 1_500_000, "12.345678")
    assert report_meters() >= 1
    assert counted(metered) == (1_500_000, Decimal("12.345678"))
    assert meters.reported(metered.tenant, this_period(metered)) == counted(metered)
    paid.stripe.pass_days(32)
    invoice = paid.stripe.api("invoices", customer=customer_of(metered), limit=1)["data"][0]
    lines = {line["pricing"]["price_details"]["price"]: line["amount"] for line in invoice["lines"]["data"]}
    # 500,000 beyond the included million at 0.01 cents; 12.345678 USD of models; the next month.
    assert sum(lines.values()) == invoice["total"] == 5_000 + 1_235 + 24_900


def test_what_is_reported_is_not_reported_again(paid: Payments, metered: Workspace) -> None:
    for _ in range(3):
        use(metered, 10)
        meters.report(metered.tenant)
        meters.report(metered.tenant)
    assert counted(metered)[0] == 30
    assert MeterReport.objects.filter(tenant=metered.tenant).count() == 3


def test_several_workers_at_once_count_once(paid: Payments, metered: Workspace) -> None:
    use(metered, 100, "1.5")

    at_once(*[lambda: meters.report(metered.tenant)] * 8)
    assert counted(metered) == (100, Decimal("1.5"))


def test_a_row_that_is_committed_late_is_reported(paid: Payments, metered: Workspace) -> None:
    """It has a lower id than what was reported meanwhile."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(pg_get_serial_sequence('billing_ledgerentry', 'id'))")
        early = cursor.fetchone()[0]
    later = use(metered, 5)
    assert later.pk > early
    meters.report(metered.tenant)
    row = use(metered, 7)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE billing_ledgerentry DISABLE TRIGGER append_only")
        cursor.execute("UPDATE billing_ledgerentry SET id = %s WHERE id = %s", [early, row.pk])
        cursor.execute("ALTER TABLE billing_ledgerentry ENABLE TRIGGER append_only")
    meters.report(metered.tenant)
    assert counted(metered)[0] == 12


def test_fractions_of_a_millionth_are_carried(paid: Payments, metered: Workspace) -> None:
    for _ in range(5):
        use(metered, 0, "0.0000004")
        meters.report(metered.tenant)
    assert counted(metered)[1] == Decimal("0.000002")


def test_a_worker_that_dies_before_it_sends_loses_nothing(paid: Payments, metered: Workspace) -> None:
    use(metered, 42)
    paid.stripe.do("fail", next=20, status=500, path="/v1/billing/meter_events")
    with pytest.raises(Unavailable):
        meters.report(metered.tenant)
    assert meters.waiting(metered.tenant).requests == 42 and counted(metered)[0] == 0
    use(metered, 8)
    with pytest.raises(Unavailable):
        meters.report(metered.tenant)
    # One report waits, and no other is made meanwhile.
    assert MeterReport.objects.filter(tenant=metered.tenant).count() == 1
    paid.stripe.do("fail", next=0)
    meters.report(metered.tenant)
    assert counted(metered)[0] == 50 and meters.waiting(metered.tenant).requests == 0


def test_a_worker_that_dies_after_it_sent_counts_once(paid: Payments, metered: Workspace) -> None:
    use(metered, 42, "0.25")
    meters.report(metered.tenant)
    MeterReport.objects.filter(tenant=metered.tenant).update(sent_at=None)
    meters.report(metered.tenant)
    assert counted(metered) == (42, Decimal("0.25"))
    assert meters.waiting(metered.tenant) == (0, 0)


def test_an_answer_that_is_lost_counts_once(paid: Payments, metered: Workspace) -> None:
    use(metered, 42)
    paid.stripe.do("fail", next=3, status=500, when="after", path="/v1/billing/meter_events")
    try:
        meters.report(metered.tenant)
    except Unavailable:
        paid.stripe.do("fail", next=0)
        meters.report(metered.tenant)
    paid.stripe.do("fail", next=0)
    assert counted(metered)[0] == 42


def test_a_report_older_than_stripes_memory_is_looked_up_first(paid: Payments, metered: Workspace) -> None:
    use(metered, 42)
    meters.report(metered.tenant)
    reports = MeterReport.objects.filter(tenant=metered.tenant)
    reports.update(sent_at=None, created_at=timezone.now() - dt.timedelta(days=2), identifier=uuid.uuid4().hex)
    meters.report(metered.tenant)
    assert counted(metered)[0] == 42 and meters.waiting(metered.tenant).requests == 0
    # This one never arrived.
    use(metered, 8)
    paid.stripe.do("fail", next=20, status=500, path="/v1/billing/meter_events")
    with pytest.raises(Unavailable):
        meters.report(metered.tenant)
    paid.stripe.do("fail", next=0)
    reports.filter(sent_at=None).update(created_at=timezone.now() - dt.timedelta(days=2))
    meters.report(metered.tenant)
    assert counted(metered)[0] == 50


def test_what_stripe_refuses_waits_with_its_reason(paid: Payments, metered: Workspace) -> None:
    use(metered, 42)
    paid.stripe.do("fail", next=1, status=400, path="/v1/billing/meter_events")
    with pytest.raises(Refused):
        meters.report(metered.tenant)
    assert MeterReport.objects.get(tenant=metered.tenant).error
    meters.report(metered.tenant)
    assert MeterReport.objects.get(tenant=metered.tenant).error == "" and counted(metered)[0] == 42


def test_use_before_the_plan_was_metered_is_not_charged(paid: Payments, buyer: Workspace) -> None:
    subscribe(paid.stripe, buyer, "pro")
    use(buyer, 1_000, "3")
    meters.report(buyer.tenant)
    assert not MeterReport.objects.filter(tenant=buyer.tenant).exists()
    call(buyer, "POST", "/api/billing/change", {"plan": "scale"})
    use(buyer, 5, "0.5")
    meters.report(buyer.tenant)
    assert counted(buyer) == (5, Decimal("0.5"))


def test_use_that_waits_to_be_booked_when_a_metered_plan_begins_is_not_charged(
    paid: Payments, buyer: Workspace
) -> None:
    subscribe(paid.stripe, buyer, "pro")
    send(stream_of(buyer), *(miss(buyer, cost_usd=Decimal(1), paid_by_platform=True) for _ in range(3)))
    assert call(buyer, "POST", "/api/billing/change", {"plan": "scale"}).status_code == 200
    drain_usage()
    use(buyer, 5, "0.5")
    meters.report(buyer.tenant)
    assert LedgerEntry.objects.filter(tenant=buyer.tenant).count() == 2
    assert counted(buyer) == (5, Decimal("0.5"))


def test_use_until_the_change_is_on_its_invoice(paid: Payments, metered: Workspace) -> None:
    """And what comes afterwards, on a plan that is not metered, is charged to nobody."""
    use(metered, 2_000_000, "7")
    assert call(metered, "POST", "/api/billing/change", {"plan": "pro", "when": "now"}).status_code == 200
    assert counted(metered) == (2_000_000, Decimal(7))
    use(metered, 50, "1")
    meters.report(metered.tenant)
    assert counted(metered) == (2_000_000, Decimal(7))
    call(metered, "POST", "/api/billing/change", {"plan": "scale"})
    use(metered, 3)
    meters.report(metered.tenant)
    assert counted(metered) == (2_000_003, Decimal(7))


def test_timestamps_are_where_the_invoice_looks() -> None:
    start = dt.datetime(2026, 3, 10, 12, 0, 20, tzinfo=dt.UTC)
    period = Period(start, start + dt.timedelta(days=31))
    second = dt.timedelta(seconds=1)
    window = owed.whole_minutes(period)
    assert (window.start.second, window.end.second) == (0, 0)
    assert start <= window.start and window.end <= period.end
    for now, expected in (
        (start, window.start),
        (start + dt.timedelta(days=3), start + dt.timedelta(days=3)),
        (period.end - second, window.end - second),
        (period.end + dt.timedelta(minutes=29), window.end - second),
        # The invoice of the period may be closed by then: the next one has it.
        (period.end + dt.timedelta(hours=5), period.end + dt.timedelta(hours=5)),
    ):
        assert owed.timestamp(period, now) == expected


def test_what_is_reported_before_a_change_has_a_time_that_its_invoice_covers() -> None:
    start = dt.datetime(2026, 3, 10, 12, 0, 20, tzinfo=dt.UTC)
    began = start + dt.timedelta(days=3, microseconds=1)
    subscription = Subscription(anchor_at=start, metered_since=began)
    for after_s, expected_s in ((0.5, 1), (70, 1), (110, 99), (3_600, 3_579)):
        at = owed.before_change(subscription, began + dt.timedelta(seconds=after_s))
        assert at == began.replace(microsecond=0) + dt.timedelta(seconds=expected_s)
    # Another period than that in which it began.
    now = start + dt.timedelta(days=40)
    assert owed.before_change(subscription, now) == now.replace(second=0) - dt.timedelta(seconds=1)


def test_a_period_that_an_anchor_cut_short_ends_there_for_reports_too() -> None:
    start = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
    moved = start + dt.timedelta(days=12, hours=1)
    period = owed.period_of(Subscription(anchor_at=moved), start)
    assert period == (start, moved) == (start, end_of(moved, start))
    # Later than that its invoice is closed, and nothing of it waits a month for its end.
    assert owed.is_too_late(period, moved - dt.timedelta(seconds=1), moved + owed.LATE)
    assert owed.timestamp(period, moved + dt.timedelta(minutes=1)) < moved


def test_usage_that_is_booked_after_the_period_is_on_the_next_invoice(paid: Payments, metered: Workspace) -> None:
    now = timezone.now()
    # As if it had subscribed two months ago.
    anchor = period_at(now - dt.timedelta(hours=3), now).start
    earlier = period_at(anchor, anchor - dt.timedelta(days=1))
    Subscription.objects.filter(tenant=metered.tenant).update(anchor_at=anchor, metered_since=earlier.start)
    use(metered, 11, start=earlier.start)
    use(metered, 4)
    meters.report(metered.tenant)
    rows = {row.period_start: row for row in MeterReport.objects.filter(tenant=metered.tenant)}
    assert rows[earlier.start].value == 11 and rows[earlier.start].at >= anchor
    assert meters.reported(metered.tenant, period_at(anchor, now)).requests == 15
    assert meters.reported(metered.tenant, earlier).requests == 0
    assert counted(metered, period_at(anchor, now))[0] == 15


def test_who_is_not_metered_costs_no_call(paid: Payments, make_workspace: Callable[..., Workspace]) -> None:
    bob = make_workspace("scale")
    use(bob, 10)
    assert bob.tenant not in meters.tenants_with_work()
    meters.report(bob.tenant)
    assert not MeterReport.objects.filter(tenant=bob.tenant).exists()
    assert meters.summaries(bob.tenant, this_period(bob)) == (0, 0)


def test_one_worker_at_a_time_reports_and_no_longer_than_a_while(
    paid: Payments, metered: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slow Stripe is: the others book usage meanwhile."""
    use(metered, 5)

    def elsewhere() -> None:
        assert report_meters() == 0

    with alone(tasks.METERS_LOCK) as is_first:
        assert is_first
        at_once(elsewhere)
    monkeypatch.setattr(tasks, "ROUND_S", 0.0)
    assert report_meters() == 0 and counted(metered)[0] == 0
    monkeypatch.undo()
    assert report_meters() >= 1 and counted(metered)[0] == 5


def test_without_a_key_nothing_is_reported(settings: Any) -> None:
    settings.STRIPE_SECRET_KEY = ""
    assert report_meters() == 0
