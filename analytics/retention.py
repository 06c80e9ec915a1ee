"""How long usage records are kept: as long as the plan says, and until the books of their period agree.

Those of the open period and of the one that was closed last stay, if need be longer than the plan says, until a
comparison after the closing has found no difference (analytics.reconciliation).
"""

from __future__ import annotations

import datetime as dt

from django.db.models import Q

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


def remember(tenant: Tenant, before: dt.datetime, through: dt.datetime) -> None:
    """Records before then are deleted next, of periods that began by `through`. By and by the plan may be another."""
    begun_before = min(before, through + dt.timedelta(microseconds=1))
    further = Q(records_purged_before=None) | Q(records_purged_before__lt=begun_before)
    Subscription.objects.filter(further, tenant=tenant).update(records_purged_before=begun_before)


def purged(tenant: Tenant, period: Period) -> str | None:
    """Why the records of a period may not be complete; None when they are."""
    before = Subscription.objects.values_list("records_purged_before", flat=True).get(tenant=tenant)
    if before is None or period.start >= before:
        return None
    return f"records of periods that began before {before:%Y-%m-%d} are deleted"
