"""What a tenant's rollups and records say of its traffic: hours that cost too much, minutes with too many failures.

Within the tenant's schema. The cheap question comes first: most evaluations end with it.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import connection

HOUR = dt.timedelta(hours=1)
LOOK_BACK = dt.timedelta(days=7)
# A younger workspace has no usual hour.
HOURS_AT_LEAST = 24


class Spike(NamedTuple):
    hour: dt.datetime
    cost_usd: Decimal
    mean_usd: Decimal
    hours: int


class Failures(NamedTuple):
    failed: int
    requests: int


_HOUR = "SELECT coalesce(sum(cost_usd), 0) FROM analytics_usagerollup WHERE width_s = 3600 AND bucket = %s"
_BEFORE = """
SELECT coalesce(sum(cost_usd), 0), min(bucket) FROM analytics_usagerollup
WHERE width_s = 3600 AND bucket >= %s AND bucket < %s
"""


def spike(now: dt.datetime, *, factor: float, floor_usd: float) -> Spike | None:
    """This hour or the last, whose end may have been booked in this one."""
    this = now.replace(minute=0, second=0, microsecond=0)
    for hour in (this, this - HOUR):
        (cost_usd,) = _row(_HOUR, [hour])
        if cost_usd <= Decimal(str(floor_usd)):
            continue
        before_usd, first = _row(_BEFORE, [hour - LOOK_BACK, hour])
        # Hours without a request count: they cost nothing.
        hours = int((hour - first) / HOUR) if first else 0
        if hours >= HOURS_AT_LEAST and cost_usd > Decimal(str(factor)) * before_usd / hours:
            return Spike(hour, cost_usd, before_usd / hours, hours)
    return None


_ERRORS = """
SELECT coalesce(sum(errors), 0), coalesce(sum(requests), 0) FROM analytics_usagerollup
WHERE width_s = 60 AND bucket >= %s AND bucket <= %s
"""
# A client that wants nothing but the cache, and a limit of ours, are no failures; a provider's 429 is.
_FAILED = """
SELECT count(*) FILTER (WHERE status >= 500 AND error <> 'not_in_cache' OR status = 429 AND provider <> ''), count(*)
FROM analytics_usagerecord WHERE at > %s AND at <= %s
"""


def failures(now: dt.datetime, *, share: float, minutes: int, minimum_requests: int) -> Failures | None:
    since = now - dt.timedelta(minutes=minutes)
    # Whole minutes, one more than asked for: at least all that are asked for below.
    errors, requests = _row(_ERRORS, [since - dt.timedelta(minutes=1), now])
    if requests < minimum_requests or errors < share * minimum_requests:
        return None
    failed, requests = _row(_FAILED, [since, now])
    return Failures(failed, requests) if requests >= minimum_requests and failed >= share * requests else None


def _row(query: str, parameters: list[Any]) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return cursor.fetchone()
