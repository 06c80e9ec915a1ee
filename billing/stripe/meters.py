"""Reports metered usage to Stripe: written down first, then sent under one identifier until Stripe has it.

Stripe counts an identifier once. So a process may die between any two lines here, and nothing is lost or charged twice.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from decimal import Decimal
from typing import NamedTuple

from django.db import transaction
from django.db.models import Q, QuerySet, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from billing import subscriptions
from billing.models import MeterReport, Subscription
from billing.periods import Period, period_at
from billing.stripe import owed
from billing.stripe.client import ask, v1
from billing.stripe.errors import BillingError, Conflict, NotSynced, Refused
from tenants.models import Tenant

logger = logging.getLogger(__name__)

# Stripe remembers identifiers for 24 hours at least. After this, it is asked whether it has counted a report.
REMEMBERED = dt.timedelta(hours=23)
# Usage of a period that is booked later than this after the period began is not looked for.
LOOKED_BACK = dt.timedelta(days=70)
# Stripe says that it has an event before its sums have it. Somebody waits for a page.
COUNTED_WITHIN_S, LOOK_AGAIN_S = 5.0, 0.5
A_MINUTE = dt.timedelta(minutes=1)
_SAYS_DUPLICATE = "already exists with identifier"


class Usage(NamedTuple):
    requests: int
    cost_usd: Decimal


def report(tenant: Tenant, *, before_change: bool = False) -> None:
    """Brings Stripe up to what the ledger says now. Raises BillingError; what was written is sent the next time.

    `before_change`: the plan is about to change, and what is new is to be on the invoice for that.
    """
    send(tenant)
    # Its own transaction, committed before anything is sent: a report that is sent can never be forgotten.
    with transaction.atomic(durable=True):
        subscription = subscriptions.locked(tenant)
        now = timezone.now()
        for start in _periods(subscription):
            is_open = period_at(subscription.anchor_at, now).start == start
            at = owed.before_change(subscription, now) if before_change and is_open else None
            owed.write(subscription, start, billable=True, at=at)
    send(tenant)


def send(tenant: Tenant) -> None:
    """Sends what is written and not known to have arrived. Raises BillingError at the first that fails."""
    if not _to_send(tenant).exists():
        return
    failed: BillingError | None = None
    with transaction.atomic(durable=True):
        # Two workers would send the same: harmless, and for nothing.
        subscription = subscriptions.locked(tenant)
        for row in _to_send(tenant).order_by("pk"):
            try:
                _send(subscription, row)
            except BillingError as error:
                row.error, failed = str(error)[:300], error
                row.save(update_fields=["error"])
                break
    if failed is not None:
        raise failed


def wait_until_counted(tenant: Tenant) -> None:
    """Until Stripe's sums have what was sent of this period: what they lack is not on an invoice that is made now.
    Raises Conflict when that takes too long; BillingError.
    """
    subscription, now = Subscription.objects.get(tenant=tenant), timezone.now()
    start = period_at(subscription.anchor_at, now).start
    # Broken minutes, too: there are times of reports in both.
    window = Period(start.replace(second=0), now.replace(second=0, microsecond=0) + A_MINUTE)
    sent = MeterReport.objects.filter(
        tenant=tenant, sent_at__isnull=False, at__gte=window.start, at__lt=window.end
    ).values_list("meter")
    until = time.monotonic() + COUNTED_WITHIN_S
    for meter, value in sent.annotate(Sum("value")).order_by():
        while _summary(subscription, meter, window) < value:
            if time.monotonic() >= until:
                raise Conflict(
                    "usage_not_counted",
                    _(
                        "Stripe has not counted all of the latest use yet, and would not invoice it. Try again in a"
                        " minute, or choose the end of the period."
                    ),
                )
            time.sleep(LOOK_AGAIN_S)


def tenants_with_work() -> QuerySet[Tenant]:
    unsent = MeterReport.objects.filter(billable=True, sent_at=None).values("tenant_id")
    return Tenant.objects.filter(Q(subscription__metered_since__isnull=False) | Q(pk__in=unsent))


def _to_send(tenant: Tenant) -> QuerySet[MeterReport]:
    return MeterReport.objects.filter(tenant=tenant, billable=True, sent_at=None)


def _periods(subscription: Subscription) -> set[dt.datetime]:
    """Starts of those that may have unreported usage: this one, the one before, and all that were reported lately."""
    if subscription.metered_since is None:
        return set()
    now = timezone.now()
    current = period_at(subscription.anchor_at, now)
    starts = {current.start}
    before = period_at(subscription.anchor_at, current.start - dt.timedelta(seconds=1))
    if before.end > subscription.metered_since:
        starts.add(before.start)
    lately = MeterReport.objects.filter(tenant=subscription.tenant_id, period_start__gt=now - LOOKED_BACK)
    # Not those from before an interruption, in which nothing is charged.
    starts.update(lately.filter(created_at__gte=subscription.metered_since).values_list("period_start", flat=True))
    return starts


def _send(subscription: Subscription, row: MeterReport) -> None:
    now = timezone.now()
    if owed.is_too_late(owed.period_of(subscription, row.period_start), row.at, now):
        row.at = now
    if now - row.created_at < REMEMBERED or not _is_counted(subscription, row):
        _deliver(subscription, row)
    row.sent_at, row.error = now, ""
    row.save(update_fields=["at", "sent_at", "error"])


def _deliver(subscription: Subscription, row: MeterReport) -> None:
    event = {
        "event_name": row.meter,
        "identifier": row.identifier,
        "timestamp": int(row.at.timestamp()),
        "payload": {"stripe_customer_id": subscription.stripe_customer_id or "", "value": str(row.value)},
    }
    try:
        ask(v1().billing.meter_events.create, event)
    except Refused as error:
        if _SAYS_DUPLICATE not in str(error):
            raise
        logger.info("Stripe had %s already", row.identifier)


def _is_counted(subscription: Subscription, row: MeterReport) -> bool:
    """Whether Stripe's sums have a report whose identifier it may have forgotten."""
    stored = MeterReport.objects.get(pk=row.pk)
    period = owed.period_of(subscription, row.period_start)
    start, end = owed.whole_minutes(period)
    if stored.at >= period.end:
        start, end = owed.whole_minutes(Period(period.end, timezone.now()))
    sent = MeterReport.objects.filter(
        tenant=row.tenant_id, meter=row.meter, sent_at__isnull=False, at__range=(start, end)
    )
    known = sent.aggregate(sum=Sum("value"))["sum"] or 0
    return _summary(subscription, row.meter, Period(start, end)) >= known + row.value


def reported(tenant: Tenant, period: Period) -> Usage:
    """What Stripe must have counted with a time in the period: late usage is in the next one."""
    window = owed.whole_minutes(period)
    rows = MeterReport.objects.filter(
        tenant=tenant, sent_at__isnull=False, at__gte=window.start, at__lt=window.end
    ).values("meter")
    return _usage({row["meter"]: row["sum"] for row in rows.annotate(sum=Sum("value")).order_by()})


def waiting(tenant: Tenant) -> Usage:
    """What is written down, and not known to have arrived."""
    rows = _to_send(tenant).values("meter").annotate(sum=Sum("value")).order_by()
    return _usage({row["meter"]: row["sum"] for row in rows})


def summaries(tenant: Tenant, period: Period) -> Usage:
    """What Stripe has counted; it takes in events within minutes. Raises BillingError."""
    subscription = Subscription.objects.get(tenant=tenant)
    if not subscription.stripe_customer_id:
        return _usage({})
    window = owed.whole_minutes(period)
    try:
        return _usage({meter: _summary(subscription, meter, window) for meter in (owed.REQUESTS, owed.MODEL_COST)})
    except Refused as error:
        # Of a customer that Stripe does not know it has counted nothing.
        if error.stripe_code != "resource_missing":
            raise
        return _usage({})


def _summary(subscription: Subscription, meter: str, window: Period) -> int:
    meters = ask(v1().billing.meters.list, {"status": "active", "limit": 100})["data"]
    ids = [each["id"] for each in meters if each["event_name"] == meter]
    if not ids:
        raise NotSynced(f"meter {meter}")
    asked = {
        "customer": subscription.stripe_customer_id,
        "start_time": int(window.start.timestamp()),
        "end_time": int(window.end.timestamp()),
    }
    found = ask(v1().billing.meters.event_summaries.list, ids[0], asked)["data"]
    return sum(int(each["aggregated_value"]) for each in found)


def _usage(values: dict[str, int]) -> Usage:
    return Usage(values.get(owed.REQUESTS, 0), Decimal(values.get(owed.MODEL_COST, 0)) / owed.MICRO)
