"""The way of one request's dollar through the books: record, sum of its hour, ledger row, period, invoice line.

Sync; within the tenant's schema.
"""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Count, QuerySet, Sum

from analytics import figures, savings
from analytics.api.base import money
from analytics.events import HITS
from analytics.figures import count
from analytics.models import HOUR_S, UsageRecord, UsageRollup
from analytics.spans import Span
from billing.closing import end_of
from billing.models import ClosedPeriod, LedgerEntry, MeterReport, Plan, Subscription
from billing.pace import count_list
from billing.periods import Period
from billing.stripe import configuration, invoice_lines
from billing.stripe.errors import BillingError
from billing.stripe.invoice_lines import Line
from tenants.models import Tenant
from tenants.pace import TooOften

DEAREST = 5


class Amounts(NamedTuple):
    """With all digits."""

    requests: str
    cost: str
    saved: str


class Hour(NamedTuple):
    """The sum of an hour that the request is in, and what its records add up to now."""

    at: dt.datetime
    rollup: Amounts
    records: Amounts

    @property
    def agrees(self) -> bool:
        return self.rollup == self.records


class Booked(NamedTuple):
    """Of the ledger. `entry` is the row that was written together with the record; without it, all of that day's."""

    entry: LedgerEntry | None
    rows: str
    day: Amounts


class Term(NamedTuple):
    """The billing period; `closed_at` when it is. `amounts` are the closed sums, or the ledger's until now."""

    period: Period
    closed_at: dt.datetime | None
    amounts: Amounts


class Charge(NamedTuple):
    """What of the period is charged. `reports` are by meter: its name, and how much Stripe was told and will be."""

    plan: Plan
    reports: list[tuple[str, str]]
    lines: list[Line]
    why: str


class Walk(NamedTuple):
    record: UsageRecord
    is_hit: bool
    kind: str
    own: Amounts
    hour: Hour | None
    booked: Booked
    term: Term
    charge: Charge


def dearest(span: Span) -> tuple[list[UsageRecord], savings.Reach]:
    """The requests that saved most, of as many as are looked at."""
    reach = savings.reach(span)
    found = UsageRecord.objects.filter(at__gte=reach.since, at__lt=span.end, saved_usd__gt=0)
    return list(found.order_by("-saved_usd", "-at", "pk")[:DEAREST]), reach


def find(reference: str) -> UsageRecord | None:
    try:
        return UsageRecord.objects.filter(pk=uuid.UUID(reference)).first()
    except ValueError:
        return None


def walk(tenant: Tenant, record: UsageRecord) -> Walk:
    subscription = Subscription.objects.select_related("plan").get(tenant=tenant)
    term = _term(tenant, subscription, record)
    return Walk(
        record=record,
        is_hit=record.coalesced or record.outcome in HITS,
        kind=figures.kind_of(record),
        own=_amounts(1, record.cost_usd, record.saved_usd),
        hour=_hour(record),
        booked=_booked(tenant, record),
        term=term,
        charge=_charge(tenant, subscription, term),
    )


def _amounts(requests: int | None, cost_usd: Decimal | None, saved_usd: Decimal | None) -> Amounts:
    nothing = Decimal(0)
    return Amounts(count(requests or 0), f"${money(cost_usd or nothing)}", f"${money(saved_usd or nothing)}")


def _hour(record: UsageRecord) -> Hour | None:
    start = record.at.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)
    same = {name: getattr(record, name) for name in ("outcome", "model", "provider", "key_id")}
    rollup = UsageRollup.objects.filter(bucket=start, width_s=HOUR_S, **same).first()
    if rollup is None:
        return None
    records = UsageRecord.objects.filter(at__gte=start, at__lt=start + dt.timedelta(hours=1), **same)
    sums = records.aggregate(requests=Count("pk"), cost=Sum("cost_usd"), saved=Sum("saved_usd"))
    return Hour(
        at=start,
        rollup=_amounts(rollup.requests, rollup.cost_usd, rollup.saved_usd),
        records=_amounts(sums["requests"], sums["cost"], sums["saved"]),
    )


# Postgres notes with each row the transaction that wrote it: a record and its ledger row have the same. A restored
# backup has lost that, and numbers come round again, so only a single match of key, period and day is believed.
_TOGETHER = f"""
SELECT entry.id FROM public.billing_ledgerentry entry
WHERE entry.id = ANY (%s) AND entry.xmin = (SELECT xmin FROM {UsageRecord._meta.db_table} WHERE id = %s)
"""


def _booked(tenant: Tenant, record: UsageRecord) -> Booked:
    day = record.at.astimezone(dt.UTC).date()
    same = LedgerEntry.objects.filter(
        tenant=tenant, key_id=record.key_id, period_start=record.period_start, day=day
    ).exclude(kind=LedgerEntry.Kind.ADJUSTMENT)
    with connection.cursor() as cursor:
        cursor.execute(_TOGETHER, [list(same.values_list("pk", flat=True)), record.pk])
        together = [pk for (pk,) in cursor.fetchall()]
    entry = LedgerEntry.objects.get(pk=together[0]) if len(together) == 1 else None
    sums = _sums(same)
    return Booked(entry, count(sums["rows"]), _amounts(sums["requests"], sums["cost"], sums["saved"]))


def _sums(entries: QuerySet[LedgerEntry]) -> dict[str, Any]:
    sums: dict[str, Any] = entries.aggregate(
        rows=Count("pk"), requests=Sum("requests"), cost=Sum("cost_usd"), saved=Sum("saved_usd")
    )
    return sums


def _term(tenant: Tenant, subscription: Subscription, record: UsageRecord) -> Term:
    start = record.period_start
    closed = ClosedPeriod.objects.filter(tenant=tenant, period_start=start).first()
    if closed is not None:
        amounts = _amounts(closed.requests, closed.cost_usd, closed.saved_usd)
        return Term(Period(start, closed.period_end), closed.closed_at, amounts)
    sums = _sums(LedgerEntry.objects.filter(tenant=tenant, period_start=start))
    amounts = _amounts(sums["requests"], sums["cost"], sums["saved"])
    return Term(Period(start, end_of(subscription.anchor_at, start)), None, amounts)


def _charge(tenant: Tenant, subscription: Subscription, term: Term) -> Charge:
    closed = ClosedPeriod.objects.filter(tenant=tenant, period_start=term.period.start).values_list("plan_code")
    plan = Plan.objects.filter(code__in=closed).first() or subscription.plan
    told = MeterReport.objects.filter(tenant=tenant, period_start=term.period.start, billable=True)
    names = dict(MeterReport.Meter.choices)
    reports = [
        (str(names[meter]), count(value))
        for meter, value in told.values_list("meter").annotate(Sum("value")).order_by("-meter")
    ]
    if not plan.is_metered or not subscription.stripe_customer_id or not configuration.configured():
        return Charge(plan, reports, [], "")
    try:
        count_list(tenant)
        return Charge(plan, reports, invoice_lines.of_period(tenant, term.period), "")
    except (BillingError, TooOften) as error:
        return Charge(plan, reports, [], str(error))
