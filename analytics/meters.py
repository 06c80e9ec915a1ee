"""What Stripe was told of a tenant's usage, as a book to compare with the ledger."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import NamedTuple

from django.conf import settings
from django.db.models import Max, Sum
from django.utils import timezone

from analytics.books import Sums
from billing.models import LedgerEntry, MeterReport, Subscription
from billing.periods import Period
from billing.stripe import meters, owed
from billing.stripe.errors import BillingError
from tenants.models import Tenant

# Reports follow the ledger, and Stripe's sums follow the reports, within minutes.
LAG = dt.timedelta(minutes=15)


class Metered(NamedTuple):
    """`book` is the ledger with what Stripe has too much or too little; `reported` what it was told."""

    book: Sums | str
    reported: Sums


def read(tenant: Tenant, period: Period, ledger: Sums, *, ask_stripe: bool) -> Metered:
    """Tokens are not metered, and of the cost only what the platform's account paid."""
    subscription = Subscription.objects.get(tenant=tenant)
    rows = MeterReport.objects.filter(tenant=tenant, period_start=period.start)
    told = {row["meter"]: row["sum"] for row in rows.values("meter").annotate(sum=Sum("value")).order_by()}
    requests, micro = told.get(owed.REQUESTS, 0), told.get(owed.MODEL_COST, 0)
    reported = Sums(requests, 0, Decimal(micro) / owed.MICRO)
    since = subscription.metered_since
    if not told and (since is None or period.end <= since):
        return Metered("not metered", reported)
    owing = owed.total(tenant, period.start).values
    apart = [requests - owing[owed.REQUESTS], micro - owing[owed.MODEL_COST]]
    if since is None or not _is_overdue(tenant, period, rows.aggregate(up_to=Max("up_to"))["up_to"] or 0):
        # What is still to be reported is no difference, nor what is not charged any more.
        apart = [max(0, difference) for difference in apart]
    if ask_stripe and settings.STRIPE_SECRET_KEY:
        try:
            counted = _counted(tenant, period)
        except BillingError as error:
            return Metered(f"Stripe does not say: {error}", reported)
        apart = [mine + theirs for mine, theirs in zip(apart, counted, strict=True)]
    return Metered(ledger.plus(Sums(apart[0], 0, Decimal(apart[1]) / owed.MICRO)), reported)


def _is_overdue(tenant: Tenant, period: Period, up_to: int) -> bool:
    """Whether the ledger has what should have been reported by now."""
    entries = LedgerEntry.objects.filter(tenant=tenant, period_start=period.start, pk__gt=up_to)
    return entries.filter(created_at__lt=timezone.now() - LAG).exists()


def _counted(tenant: Tenant, period: Period) -> tuple[int, int]:
    """How much more Stripe has counted in the period than it was sent; less where something is missing."""
    sent, counted = meters.reported(tenant, period), meters.summaries(tenant, period)
    recent = MeterReport.objects.filter(tenant=tenant, sent_at__gt=timezone.now() - LAG)
    lately = {row["meter"]: row["sum"] for row in recent.values("meter").annotate(sum=Sum("value")).order_by()}
    apart = (counted.requests - sent.requests, int((counted.cost_usd - sent.cost_usd) * owed.MICRO))
    on_their_way = (lately.get(owed.REQUESTS, 0), lately.get(owed.MODEL_COST, 0))
    return tuple(  # type: ignore[return-value]
        0 if -less <= difference < 0 else difference for difference, less in zip(apart, on_their_way, strict=True)
    )
