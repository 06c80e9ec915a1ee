"""Whether the ledger and what Stripe counts agree: through failures, late usage, and plans that come and go."""

from __future__ import annotations

import datetime as dt
import io
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import redis
from django.core.management import CommandError, call_command
from django.utils import timezone

from analytics import meters as book
from analytics import reconciler, reconciliation
from analytics.books import Sums
from analytics.reconciliation import Comparison
from analytics.signals import drift_found
from analytics.tasks import compare_all_books, compare_books, drain_usage
from billing import agreement
from billing.models import MeterReport, Reconciliation, Subscription
from billing.periods import Period, period_at
from billing.stripe import meters, owed
from billing.stripe.client import ask, v1
from billing.stripe.errors import Unavailable
from tests import usage
from tests.conftest import Workspace
from tests.management import call
from tests.paying import Payments, customer_of, subscribe, subscription_of, sync, wait_for
from tests.traffic import period_of, use

PAID_BY_US = {"cost_usd": Decimal("0.25"), "paid_by_platform": True}
EVENTS = "/v1/billing/meter_events"


@pytest.fixture
def client() -> Iterator[redis.Redis]:
    with usage.client() as connected:
        yield connected


@pytest.fixture
def metered(paid: Payments, buyer: Workspace) -> Workspace:
    subscribe(paid.stripe, buyer, "scale")
    paid.stripe.do("deliver")
    return buyer


@pytest.fixture
def moving(paid: Payments) -> Iterator[None]:
    """Moves Stripe's clock; the next test begins with another Stripe."""
    yield
    paid.stripe.do("reset")
    sync()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of an hour has passed."""
    monkeypatch.setattr(book, "LAG", dt.timedelta(0))


def compare(
    client: redis.Redis, workspace: Workspace, period: Period | None = None, *, ask_stripe: bool = True
) -> Comparison:
    return reconciliation.compare(client, workspace.tenant, period or period_of(workspace), ask_stripe=ask_stripe)


def used(workspace: Workspace, *calls: dict[str, Any], now: dt.datetime | None = None) -> None:
    use(workspace, *calls, now=now)
    drain_usage()


def reported(workspace: Workspace, *calls: dict[str, Any], now: dt.datetime | None = None) -> None:
    used(workspace, *calls, now=now)
    meters.report(workspace.tenant)


def send_by_hand(workspace: Workspace, requests: int) -> None:
    """Under an identifier of which we know nothing."""
    event = {
        "event_name": owed.REQUESTS,
        "identifier": uuid.uuid4().hex,
        "timestamp": int(owed.timestamp(period_of(workspace), timezone.now()).timestamp()),
        "payload": {"stripe_customer_id": customer_of(workspace), "value": str(requests)},
    }
    ask(v1().billing.meter_events.create, event)


def lose_reports(workspace: Workspace, *calls: dict[str, Any]) -> None:
    """Stripe takes them, and finds out later that they are about nobody."""
    customer = customer_of(workspace)
    rows = Subscription.objects.filter(tenant=workspace.tenant)
    rows.update(stripe_customer_id=f"cus_{uuid.uuid4().hex}")
    reported(workspace, *calls)
    rows.update(stripe_customer_id=customer)


def stripes(found: Comparison) -> Sums:
    """By how much Stripe's book differs from the ledger."""
    said = found.books["stripe"]
    assert isinstance(said, Sums), said
    return said.minus(found.ledger)


def test_what_was_reported_agrees_with_what_stripe_has_counted(
    paid: Payments, metered: Workspace, client: redis.Redis
) -> None:
    # An own key's cost is not metered, nor is a part of a millionth.
    reported(metered, PAID_BY_US, {}, {"cost_usd": Decimal("0.0000004"), "paid_by_platform": True})
    for ask_stripe in (False, True):
        found = compare(client, metered, ask_stripe=ask_stripe)
        assert found.books["stripe"] == found.ledger and found.drift == reconciliation.NOTHING
        assert found.parts["reported"] == Sums(3, 0, Decimal("0.25"))
        assert found.parts["uncharged"] == reconciliation.NOTHING
    assert meters.summaries(metered.tenant, period_of(metered)) == (3, Decimal("0.25"))


def test_usage_that_is_to_be_reported_differs_after_a_quarter_of_an_hour(
    paid: Payments, metered: Workspace, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported(metered, PAID_BY_US)
    used(metered, PAID_BY_US, PAID_BY_US)
    assert compare(client, metered).drift == reconciliation.NOTHING
    monkeypatch.setattr(book, "LAG", dt.timedelta(0))
    assert stripes(compare(client, metered)) == Sums(-2, 0, Decimal("-0.5"))
    meters.report(metered.tenant)
    assert compare(client, metered).drift == reconciliation.NOTHING


def test_a_report_that_does_not_get_through_differs_after_a_quarter_of_an_hour(
    paid: Payments, metered: Workspace, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    used(metered, {}, {})
    paid.stripe.do("fail", next=20, status=500, path=EVENTS)
    with pytest.raises(Unavailable):
        meters.report(metered.tenant)
    paid.stripe.do("fail", next=0)
    assert compare(client, metered).drift == reconciliation.NOTHING
    monkeypatch.setattr(book, "LAG", dt.timedelta(0))
    assert stripes(compare(client, metered, ask_stripe=False)) == Sums(-2)
    meters.report(metered.tenant)
    assert compare(client, metered).drift == reconciliation.NOTHING


def test_a_report_whose_answer_was_lost_is_no_difference(
    paid: Payments, metered: Workspace, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported(metered, PAID_BY_US)
    MeterReport.objects.filter(tenant=metered.tenant).update(sent_at=None)
    assert compare(client, metered).drift == reconciliation.NOTHING
    # Stripe has it, as it says itself.
    monkeypatch.setattr(book, "LAG", dt.timedelta(0))
    assert compare(client, metered).drift == reconciliation.NOTHING


def test_a_report_that_stripe_lost_differs_once_it_is_asked(
    paid: Payments, metered: Workspace, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported(metered, {}, PAID_BY_US)
    lose_reports(metered, {}, {}, PAID_BY_US)
    # It may be on its way through Stripe's own queues.
    assert compare(client, metered).drift == reconciliation.NOTHING
    monkeypatch.setattr(book, "LAG", dt.timedelta(0))
    assert compare(client, metered, ask_stripe=False).drift == reconciliation.NOTHING
    assert stripes(compare(client, metered)) == Sums(-3, 0, Decimal("-0.25"))


def test_what_was_sent_twice_differs_once_stripe_is_asked(
    paid: Payments, metered: Workspace, client: redis.Redis
) -> None:
    reported(metered, {}, {})
    send_by_hand(metered, 2)
    assert compare(client, metered, ask_stripe=False).drift == reconciliation.NOTHING
    assert stripes(compare(client, metered)) == Sums(2)


def test_a_difference_at_stripe_stays_and_is_told_until_stripe_says_otherwise(
    paid: Payments, metered: Workspace, client: redis.Redis
) -> None:
    told: list[Any] = []

    def listen(tenant: Any, comparison: Reconciliation, **_: Any) -> None:
        if tenant == metered.tenant:
            told.append(comparison)

    drift_found.connect(listen)
    try:
        reported(metered, {})
        compare_books()
        send_by_hand(metered, 3)
        compare_books()
        assert Reconciliation.objects.get(tenant=metered.tenant).drifting_since is None
        compare_all_books()
        first = Reconciliation.objects.get(tenant=metered.tenant)
        assert first.drift_requests == 3 and first.drifting_since is not None and not told
        # Minutes later. This round asks only where it has to.
        reported(metered, {})
        compare_books()
        assert [comparison.drift_requests for comparison in told] == [3]
        assert Reconciliation.objects.get(tenant=metered.tenant).drifting_since == first.drifting_since
        send_by_hand(metered, -3)
        reconciler.mark(client, [metered.tenant.pk])
        compare_books()
        assert Reconciliation.objects.get(tenant=metered.tenant).drifting_since is None and len(told) == 1
    finally:
        drift_found.disconnect(listen)


def test_while_stripe_does_not_answer_its_book_is_not_compared_and_asked_for_again(
    paid: Payments, metered: Workspace, client: redis.Redis
) -> None:
    reported(metered, {})
    paid.stripe.do("fail", next=20, status=500, path="/v1/billing/meters")
    row = reconciliation.keep(compare(client, metered))
    paid.stripe.do("fail", next=0)
    assert row.books["stripe"]["not_compared"].startswith("Stripe does not say: ") and row.drifting_since is None
    send_by_hand(metered, 1)
    reconciler.mark(client, [metered.tenant.pk])
    compare_books()
    assert Reconciliation.objects.get(tenant=metered.tenant).drift_requests == 1


def test_usage_after_the_periods_end_agrees_in_both_periods(
    paid: Payments, metered: Workspace, client: redis.Redis, impatient: None
) -> None:
    now = timezone.now()
    anchor = (now - dt.timedelta(hours=3)).replace(microsecond=0)
    earlier = period_at(anchor, anchor - dt.timedelta(days=1))
    Subscription.objects.filter(tenant=metered.tenant).update(anchor_at=anchor, metered_since=earlier.start)
    used(metered, {}, {}, PAID_BY_US, now=earlier.end - dt.timedelta(seconds=5))
    assert stripes(compare(client, metered, earlier)) == Sums(-3, 0, Decimal("-0.25"))
    reported(metered, {})
    for period, requests in ((earlier, 3), (period_of(metered), 1)):
        found = compare(client, metered, period)
        assert found.drift == reconciliation.NOTHING and found.ledger.requests == requests
        assert found.parts["reported"].requests == requests
    # On the next invoice.
    assert meters.summaries(metered.tenant, earlier) == (0, 0)
    assert meters.summaries(metered.tenant, period_of(metered)) == (4, Decimal("0.25"))


def test_reports_at_the_broken_minute_of_an_anchor_that_moved_agree(
    paid: Payments, metered: Workspace, client: redis.Redis, impatient: None
) -> None:
    """Stripe sums whole minutes: what is between them is in neither sum."""
    rows = Subscription.objects.filter(tenant=metered.tenant)
    rows.update(anchor_at=timezone.now() - dt.timedelta(hours=1))
    reported(metered, {})
    row = MeterReport.objects.get(tenant=metered.tenant)
    start, moved_at = row.period_start, row.at.replace(microsecond=0) + dt.timedelta(seconds=1)
    wait_for(lambda: timezone.now() > moved_at)
    rows.update(anchor_at=moved_at)
    for period in (Period(start, moved_at), period_of(metered)):
        found = compare(client, metered, period)
        assert found.drift.requests == 0, found.books


def test_what_was_used_before_the_plan_was_metered_is_said_to_be_uncharged(
    paid: Payments, buyer: Workspace, client: redis.Redis, impatient: None
) -> None:
    subscribe(paid.stripe, buyer, "pro")
    used(buyer, {}, PAID_BY_US)
    assert compare(client, buyer).books["stripe"] == "not metered"
    call(buyer, "POST", "/api/billing/change", {"plan": "scale"})
    reported(buyer, PAID_BY_US)
    found = compare(client, buyer)
    assert found.drift == reconciliation.NOTHING and found.ledger.requests == 3
    assert found.parts["uncharged"] == Sums(2, 0, Decimal("0.25"))
    assert found.parts["reported"] == Sums(1, 0, Decimal("0.25"))


def test_what_is_used_after_leaving_a_metered_plan_is_said_to_be_uncharged(
    paid: Payments, metered: Workspace, client: redis.Redis, impatient: None
) -> None:
    reported(metered, {}, {}, {})
    assert call(metered, "POST", "/api/billing/change", {"plan": "pro", "when": "now"}).status_code == 200
    used(metered, {}, PAID_BY_US)
    meters.report(metered.tenant)
    found = compare(client, metered)
    assert found.drift == reconciliation.NOTHING
    assert found.parts["reported"] == Sums(3)
    assert found.parts["uncharged"] == Sums(2, 0, Decimal("0.25"))
    reconciliation.keep(found)
    said = agreement.of(metered.tenant, found.period.start)
    assert said is not None and said.agrees
    (line,) = [each.says for each in said.books if each.name == "Stripe's meters"]
    assert line.startswith("agrees; 2 requests and $0.25 of models are not charged: ")
    # Back again, within the same period.
    call(metered, "POST", "/api/billing/change", {"plan": "scale"})
    reported(metered, {})
    found = compare(client, metered)
    assert found.drift == reconciliation.NOTHING
    assert (found.parts["reported"].requests, found.parts["uncharged"].requests) == (4, 2)


def test_a_period_that_ended_on_another_plan_is_not_missed_when_metering_begins_again(
    paid: Payments, metered: Workspace, client: redis.Redis, impatient: None
) -> None:
    reported(metered, {})
    call(metered, "POST", "/api/billing/change", {"plan": "pro", "when": "now"})
    used(metered, {}, {})
    call(metered, "POST", "/api/billing/change", {"plan": "scale"})
    # As if the period had ended between the two.
    MeterReport.objects.filter(tenant=metered.tenant, billable=False).delete()
    start = period_of(metered).start
    Subscription.objects.filter(tenant=metered.tenant).update(anchor_at=timezone.now(), metered_since=timezone.now())
    found = compare(client, metered, Period(start, period_of(metered).start))
    assert found.drift == reconciliation.NOTHING
    assert (found.parts["reported"].requests, found.parts["uncharged"].requests) == (1, 2)


@pytest.mark.parametrize("leave", [("change", {"plan": "pro", "when": "now"}), ("cancel", {"when": "now"})])
def test_what_waits_to_be_booked_is_on_the_invoice_of_who_leaves_now(
    paid: Payments, metered: Workspace, client: redis.Redis, impatient: None, leave: tuple[str, dict[str, Any]]
) -> None:
    use(metered, *[PAID_BY_US] * 8)
    since = subscription_of(metered).metered_since
    wait_for(lambda: since is not None and timezone.now() > since + dt.timedelta(seconds=2))
    path, body = leave
    assert call(metered, "POST", f"/api/billing/{path}", body).status_code == 200
    assert subscription_of(metered).metered_since is None
    found = compare(client, metered)
    assert found.drift == reconciliation.NOTHING and found.parts["uncharged"] == reconciliation.NOTHING
    assert found.parts["reported"] == Sums(8, 0, Decimal(2))
    (invoice,) = paid.stripe.api("invoices", customer=customer_of(metered), limit=1)["data"]
    assert 200 in [line["amount"] for line in invoice["lines"]["data"]]


def test_who_leaves_while_redis_is_away_is_not_kept_waiting(paid: Payments, metered: Workspace, settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert call(metered, "POST", "/api/billing/change", {"plan": "pro", "when": "now"}).json()["plan"] == "pro"


def test_the_last_minute_of_a_period_is_on_its_invoice_though_the_plan_was_left_with_it(
    paid: Payments, metered: Workspace, client: redis.Redis, moving: None
) -> None:
    reported(metered, {})
    assert call(metered, "POST", "/api/billing/change", {"plan": "pro", "when": "period_end"}).status_code == 200
    used(metered, PAID_BY_US, PAID_BY_US)
    paid.stripe.do("advance", to=int((subscription_of(metered).period_end or timezone.now()).timestamp()) + 60)
    wait_for(lambda: subscription_of(metered).plan_id == "pro")
    paid.stripe.do("deliver")
    assert subscription_of(metered).metered_since is None
    meters.report(metered.tenant)
    found = compare(client, metered)
    assert found.parts["reported"] == Sums(3, 0, Decimal("0.5"))
    assert found.parts["uncharged"] == reconciliation.NOTHING and found.drift == reconciliation.NOTHING
    paid.stripe.pass_days(0.1)
    invoice = paid.stripe.api("invoices", customer=customer_of(metered), limit=1)["data"][0]
    assert invoice["status"] == "paid" and invoice["total"] == 2_900 + 50
    # What comes now is charged to nobody.
    used(metered, {})
    meters.report(metered.tenant)
    assert compare(client, metered).parts["uncharged"].requests == 1


def test_who_cancels_for_the_periods_end_pays_what_was_used_until_then(
    paid: Payments, metered: Workspace, client: redis.Redis, moving: None
) -> None:
    assert call(metered, "POST", "/api/billing/cancel", {"when": "period_end"}).status_code == 200
    used(metered, PAID_BY_US)
    paid.stripe.do("advance", to=int((subscription_of(metered).period_end or timezone.now()).timestamp()) + 60)
    wait_for(lambda: subscription_of(metered).plan_id == "free")
    meters.report(metered.tenant)
    assert compare(client, metered).parts["reported"] == Sums(1, 0, Decimal("0.25"))
    paid.stripe.pass_days(0.1)
    invoice = paid.stripe.api("invoices", customer=customer_of(metered), limit=1)["data"][0]
    assert invoice["total"] == 25


def test_the_command_prints_what_stripe_says(paid: Payments, metered: Workspace, client: redis.Redis) -> None:
    def printed(*options: str) -> list[list[str]]:
        text = io.StringIO()
        try:
            call_command("reconcile", "--tenant", metered.tenant.slug, *options, stdout=text, no_color=True)
        except CommandError as error:
            text.write(str(error))
        return [line.split() for line in text.getvalue().splitlines()]

    reported(metered, PAID_BY_US, {**PAID_BY_US, "billed_tokens": 1_000})
    lines = printed()
    assert ["stripe", "2", "1,030", "0.5000000000"] in lines
    assert ["of", "which", "reported", "2", "0", "0.5000000000"] in lines
    assert ["All", "books", "agree."] in lines
    send_by_hand(metered, 5)
    lines = printed("--repair")
    assert ["stripe", "7", "1,030", "0.5000000000", "differs"] in lines
    assert lines[-1][:4] == ["Periods", "that", "differ:", "1;"]
    assert Reconciliation.objects.get(tenant=metered.tenant).drift_requests == 5


def test_a_repair_of_counters_does_not_hide_a_difference_at_stripe(
    paid: Payments, metered: Workspace, client: redis.Redis
) -> None:
    from tenants import keyspace

    reported(metered, {})
    send_by_hand(metered, 5)
    client.hincrby(keyspace.quota(metered.tenant.pk, period_of(metered).id), "t", 1_000)
    with pytest.raises(CommandError, match="differ: 1"):
        call_command("reconcile", "--tenant", metered.tenant.slug, "--repair", stdout=io.StringIO())
    row = Reconciliation.objects.get(tenant=metered.tenant)
    assert (row.drift_requests, row.drift_tokens) == (5, 0)


def test_a_stripe_that_forgot_everything_differs(
    paid: Payments, metered: Workspace, client: redis.Redis, impatient: None
) -> None:
    reported(metered, {}, PAID_BY_US)
    paid.stripe.do("reset")
    assert str(compare(client, metered).books["stripe"]).startswith("Stripe does not say: Stripe has no meter")
    sync()
    assert stripes(compare(client, metered)) == Sums(-2, 0, Decimal("-0.25"))
