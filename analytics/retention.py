"""How long usage records are kept: as long as the plan says, and until the books of their period agree.

Those of the open period and of the one that was closed last stay, if need be longer than the plan says, until a
comparison after the closing has found no difference (analytics.reconciliation).
"""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from billing.models import ClosedPeriod, Reconciliation, Subscription
from billing.periods import Period
from tenants.models import Tenant


def purgeable_through(tenant: Tenant) -> dt.datetime | None:
    """Records of periods that began then or earlier may go; None: none may."""
    closed = ClosedPeriod.objects.filter(tenant=tenant).order_by("-period_start").first()
    if closed is None:
        return None
    agreed = Reconciliation.objects.filter(
        tenant=tenant, period_start=closed.period_start, compared_at__gt=closed.closed_at, drifting_since=None
    ).exists()
    return closed.period_start if agreed else closed.period_start - dt.timedelta(microseconds=1)


def purged(tenant: Tenant, period: Period) -> str | None:
    """Why the records of a period may not be complete; None when they are."""
    through = purgeable_through(tenant)
    if through is None or period.start > through:
        return None
    days = Subscription.objects.values_list("plan__retention_days", flat=True).get(tenant=tenant)
    if period.start >= timezone.now() - dt.timedelta(days=days):
        return None
    return f"records are kept for {days} days"
