"""What Stripe was told of a tenant's usage, as a book to compare with the ledger."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from django.conf import settings
from django.db.models import Q, QuerySet, Sum
from django.utils import timezone

from analytics.books import Sums
from billing.models import MeterReport, Subscription
from billing.periods import Period
from billing.stripe import meters, owed
from billing.stripe.errors import BillingError
from tenants.models import Tenant

# Reports follow the ledger, and Stripe's sums follow the reports, within minutes.
LAG = dt.timedelta(minutes=15)
NOT_METERED = "not metered"
NOTHING = Sums()


class Metered(NamedTuple):
    """`book` is the ledger with what Stripe has too much or too little. Of the ledger, `reported` is what is charged,
    and `uncharged` what never will be: used outside a metered plan, or booked after it was left.
    """

    book: Sums | str
    reported: Sums = NOTHING
    uncharged: Sums = NOTHING


def ask(tenant: Tenant, period: Period) -> Sums | str | None:
    """What Stripe has counted with a time in the period, or why it does not say; None where there is nothing to ask.

    To be called before the books are read: then whatever Stripe has is written down in them.
    """
    window = owed.whole_minutes(period)
    of_period = Q(period_start=period.start) | Q(at__gte=window.start, at__lt=window.end)
    if not settings.STRIPE_SECRET_KEY or not MeterReport.objects.filter(of_period, tenant=tenant).exists():
        return None
    try:
        counted = meters.summaries(tenant, period)
    except BillingError as error:
        return str(error)
    return Sums(counted.requests, 0, counted.cost_usd)


def read(tenant: Tenant, period: Period, ledger: Sums, counted: Sums | str | None) -> Metered:
    """Tokens are not metered, and of the cost only what the platform's account paid. `counted`: as `ask` says."""
    rows = MeterReport.objects.filter(tenant=tenant, period_start=period.start)
    since = Subscription.objects.get(tenant=tenant).metered_since
    is_charged = since is not None and since < period.end
    if not is_charged and not rows.exists():
        return Metered(NOT_METERED)
    written, free = _sum(rows), _sum(rows.filter(billable=False))
    apart = written.minus(_sums(owed.total(tenant, period.start)))
    reported, uncharged = written.minus(free), free
    if not is_charged:
        uncharged = uncharged.minus(_least(apart, NOTHING))
    if isinstance(counted, str):
        return Metered(f"Stripe does not say: {counted}", reported, uncharged)
    apart = _most(apart, NOTHING)
    due_before = timezone.now() - LAG
    if is_charged:
        due = written.minus(_sums(owed.total(tenant, period.start, until=due_before)))
        apart = apart.plus(_least(due, NOTHING))
    apart = apart.minus(_sum(rows.filter(billable=True, sent_at=None, created_at__lt=due_before)))
    if counted is not None:
        apart = apart.plus(_beyond(tenant, period, counted, due_before))
    return Metered(ledger.plus(apart), reported, uncharged)


def _beyond(tenant: Tenant, period: Period, counted: Sums, due_before: dt.datetime) -> Sums:
    """What Stripe has counted and was never sent; less than zero where something is missing."""
    sent = meters.reported(tenant, period)
    window = owed.whole_minutes(period)
    rows = MeterReport.objects.filter(tenant=tenant, billable=True, at__gte=window.start, at__lt=window.end)
    # Some were sent a moment ago, and of some we do not know yet that they have arrived.
    least = NOTHING.minus(_sum(rows.filter(sent_at__gt=due_before)))
    most = _sum(rows.filter(sent_at=None, created_at__gt=due_before))
    apart = counted.minus(Sums(sent.requests, 0, sent.cost_usd))
    return apart.minus(_least(_most(apart, least), most))


def _sum(rows: QuerySet[MeterReport]) -> Sums:
    return _sums({row["meter"]: row["sum"] for row in rows.values("meter").annotate(sum=Sum("value")).order_by()})


def _sums(values: Mapping[str, int]) -> Sums:
    return Sums(values.get(owed.REQUESTS, 0), 0, Decimal(values.get(owed.MODEL_COST, 0)) / owed.MICRO)


def _least(one: Sums, other: Sums) -> Sums:
    return Sums(min(one.requests, other.requests), 0, min(one.cost_usd, other.cost_usd))


def _most(one: Sums, other: Sums) -> Sums:
    return Sums(max(one.requests, other.requests), 0, max(one.cost_usd, other.cost_usd))
