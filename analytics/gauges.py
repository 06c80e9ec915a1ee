"""What /metrics says of the books: sums over all tenants, of the last comparisons. Never a tenant's name."""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Iterable
from typing import Any

from django.db import DatabaseError, connection
from django.db.models import Count, Max, Min, Q, Sum
from django.db.models.functions import Abs
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from billing.models import Reconciliation
from tenants.models import Tenant

logger = logging.getLogger(__name__)

# Scrapers of several systems, or one in a hurry, are told the same for so long.
FRESH_S = 10.0
# All that are compared at all are compared once a day: others are of periods that were closed long ago.
STILL_COMPARED = dt.timedelta(days=2)
GAUGES = {
    "compared": ("nexus_books_compared", "Billing periods whose books have been compared."),
    "drifting": ("nexus_books_drifting", "Of these, those whose books differ."),
    "requests": ("nexus_books_drift_requests", "Requests by which they differ, all periods together."),
    "tokens": ("nexus_books_drift_tokens", "Tokens by which they differ, all periods together."),
    "usd": ("nexus_books_drift_usd", "USD by which they differ, all periods together."),
    "oldest_s": ("nexus_books_drift_seconds", "Since when the one that differs longest does."),
    "age_s": ("nexus_books_compared_ago_seconds", "Since the last comparison of any period."),
}


class BookGauges(Collector):
    """Read from Postgres, as it is workers that compare, and any web process that is asked."""

    def __init__(self) -> None:
        self._read_at, self._values = -FRESH_S, dict[str, float]()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        if time.monotonic() - self._read_at >= FRESH_S:
            self._read_at, self._values = time.monotonic(), _read()
        for name, value in self._values.items():
            yield GaugeMetricFamily(*GAUGES[name], value=value)


def _read() -> dict[str, float]:
    """Nothing while Postgres is away."""
    now = timezone.now()
    current = Q(compared_at__gt=now - STILL_COMPARED)
    try:
        found: dict[str, Any] = Reconciliation.objects.exclude(tenant__status=Tenant.Status.DELETED).aggregate(
            compared=Count("id", filter=current),
            drifting=Count("drifting_since", filter=current),
            requests=Sum(Abs("drift_requests"), filter=current),
            tokens=Sum(Abs("drift_tokens"), filter=current),
            usd=Sum(Abs("drift_usd"), filter=current),
            oldest_s=Min("drifting_since", filter=current),
            # Of all: where no worker compares any more, it grows.
            age_s=Max("compared_at"),
        )
    except DatabaseError as error:
        logger.warning("the books cannot be read for /metrics: %s", error)
        return {}
    finally:
        # A thread's own, that nobody else uses.
        connection.close()
    for name in ("oldest_s", "age_s"):
        found[name] = (now - found[name]).total_seconds() if found[name] else 0
    return {name: float(value or 0) for name, value in found.items()}
