"""Waits until a frozen tenant is quiet: no call under way, and all that was used is booked. What begins after that
would be lost, so it is looked at once more when the file is written.
"""

from __future__ import annotations

import time
from typing import Any

from django.utils import timezone

from analytics import books
from billing import signals
from billing.models import LedgerEntry, Subscription
from billing.periods import period_at
from tenants import keyspace
from tenants.db import open_redis
from tenants.models import Tenant

# A call may take as long as its deadline, and its hold some more where a gateway was killed.
PATIENCE_S = 300.0
_PAUSE_S = 0.25
# A gateway that the news has not reached within this keeps its snapshot no longer than 30 s.
_NEWS_S = 1.0
_REDIS_TIMEOUT_S = 5.0


class Restless(Exception):
    """The words are for an operator."""


def wait(tenant: Tenant, *, patience_s: float = PATIENCE_S) -> None:
    """Raises Restless, RedisError."""
    until = time.monotonic() + patience_s
    time.sleep(_NEWS_S)
    while said := why_not(tenant):
        if time.monotonic() >= until:
            raise Restless(f"It is frozen, and not quiet after {patience_s:g} s: {said}. Nothing was exported.")
        time.sleep(_PAUSE_S)


def why_not(tenant: Tenant) -> str:
    """What is still on its way; empty when nothing is. Raises RedisError."""
    # Books what waits. A failure shows below: its events are still there.
    signals.usage_wanted.send_robust(sender=Subscription, tenant=tenant)
    anchor, now = Subscription.objects.get(tenant=tenant).anchor_at, timezone.now()
    period = period_at(anchor, now)
    before = period_at(anchor, period.start - (period.end - period.start) / 2)
    stream = keyspace.usage_stream(keyspace.partition(tenant.pk))
    with open_redis(timeout_s=_REDIS_TIMEOUT_S) as client:
        places = [keyspace.in_flight(tenant.pk), *(keyspace.holds(tenant.pk, one.id) for one in (period, before))]
        calls: list[Any] = [client.zcount(place, f"({now.timestamp()}", "+inf") for place in places]
        if any(calls):
            return f"{max(calls)} calls are under way"
        if next(books.events_in(client, stream, tenant.pk), None) is not None:
            return "usage is not booked yet: is a worker running?"
    return ""


def booked(tenant: Tenant) -> int:
    """Rows in the ledger, by which it shows whether anything came after the snapshot."""
    return LedgerEntry.objects.filter(tenant=tenant).count()
