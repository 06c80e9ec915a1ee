"""How much of a tenant's usage Stripe is owed: the ledger's sums, and what was reported or need not be."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal

from django.db.models import Sum
from django.utils import timezone

from billing.closing import end_of
from billing.models import LedgerEntry, MeterReport, Subscription
from billing.periods import Period, period_at
from tenants.models import Tenant

REQUESTS, MODEL_COST = MeterReport.Meter.REQUESTS.value, MeterReport.Meter.MODEL_COST.value
MICRO = 1_000_000
# Stripe keeps an invoice open for an hour after its period; half of that is left for delivery and our own delays.
LATE = dt.timedelta(minutes=30)


def total(tenant: Tenant, period_start: dt.datetime, *, until: dt.datetime | None = None) -> dict[str, int]:
    """Of all that is booked in a period, or was booked before `until`: by meter, in its whole units."""
    entries = LedgerEntry.objects.filter(tenant=tenant, period_start=period_start)
    if until is not None:
        entries = entries.filter(created_at__lt=until)
    sums = entries.aggregate(requests=Sum("requests"), cost_usd=Sum("platform_cost_usd"))
    # Of the whole sum, so that parts of a micro-USD wait for more instead of being lost.
    micro = int((sums["cost_usd"] or Decimal(0)) * MICRO)
    return {REQUESTS: sums["requests"] or 0, MODEL_COST: micro}


def write(
    subscription: Subscription, period_start: dt.datetime, *, billable: bool, at: dt.datetime | None = None
) -> None:
    """Rows for what the ledger has more than all rows before; none where there is nothing new.

    From sums, not from rows after the last: a row with a lower id may be committed later. To be called with the
    subscription `locked`.
    """
    tenant, period = subscription.tenant, period_of(subscription, period_start)
    reports = MeterReport.objects.filter(tenant=tenant, period_start=period_start)
    before = {row["meter"]: row["sum"] for row in reports.values("meter").annotate(sum=Sum("value")).order_by()}
    MeterReport.objects.bulk_create(
        MeterReport(
            tenant=tenant,
            meter=meter,
            period_start=period_start,
            value=value - before.get(meter, 0),
            billable=billable,
            identifier=f"nexus-{tenant.pk}-{uuid.uuid4()}",
            at=at or timestamp(period, timezone.now()),
        )
        for meter, value in total(tenant, period_start).items()
        if value > before.get(meter, 0)
    )


def begin(subscription: Subscription) -> None:
    """From now on usage is charged. What the period has so far is not."""
    write(subscription, period_at(subscription.anchor_at, timezone.now()).start, billable=False)


def finish(subscription: Subscription, period_end: dt.datetime) -> None:
    """A metered plan was left as a period ended. What is booked of it by now is on its invoice, while that is open."""
    if timezone.now() < period_end + LATE:
        last = period_at(subscription.anchor_at, period_end - dt.timedelta(seconds=1))
        write(subscription, last.start, billable=True)


def period_of(subscription: Subscription, start: dt.datetime) -> Period:
    """The period that began at `start`, also under an earlier anchor: the same that is closed and compared."""
    return Period(start, end_of(subscription.anchor_at, start))


def timestamp(period: Period, now: dt.datetime) -> dt.datetime:
    """For usage of a period: inside it, until shortly after its end; later, now, which is on the next invoice."""
    window = whole_minutes(period)
    if now < period.end + LATE:
        return min(max(now, window.start), window.end - dt.timedelta(seconds=1))
    return now


def before_change(subscription: Subscription, now: dt.datetime) -> dt.datetime:
    """For usage until a change of plan that is made now: its invoice ends before this second, perhaps this minute."""
    start = period_at(subscription.anchor_at, now).start
    began = max(start, subscription.metered_since or start)
    last = now.replace(second=0, microsecond=0) - dt.timedelta(seconds=1)
    if last >= began + dt.timedelta(minutes=1):
        return last
    return began.replace(microsecond=0) + dt.timedelta(seconds=bool(began.microsecond))


def is_too_late(period: Period, at: dt.datetime, now: dt.datetime) -> bool:
    """Whether a timestamp that was right once is on an invoice that is closed by now."""
    return at < period.end and now >= period.end + LATE


def whole_minutes(period: Period) -> Period:
    """Stripe sums up by whole minutes only: timestamps keep off the parts of minutes at both ends."""
    start, end = (time.replace(second=0, microsecond=0) for time in period)
    return Period(start if start == period.start else start + dt.timedelta(minutes=1), end)
