"""What this month will have saved: what it has so far, and the run rate of the last seven days for what is left of it.

A day here is 24 whole hours up to now's hour, so that today's unfinished one does not count as a bad day. Sync; within
the tenant's schema.
"""

from __future__ import annotations

import datetime as dt
import statistics
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import connection

from analytics import rollups
from analytics.models import DAY_S, HOUR_S, UsageRollup
from analytics.spans import month_of

DAYS, AT_LEAST_DAYS = 7, 3
# Standard deviations: 19 of 20 months, if days go on as these did.
WIDTH = Decimal(2)


class Day(NamedTuple):
    cost_usd: Decimal = Decimal(0)
    saved_usd: Decimal = Decimal(0)


class Forecast(NamedTuple):
    """Of the whole month. `per_day` is the mean of the last `days`; `left_days` are still to come."""

    so_far_usd: Decimal
    saved_usd: Decimal
    low_usd: Decimal
    high_usd: Decimal
    cost_usd: Decimal
    per_day_usd: Decimal
    days: int
    left_days: Decimal


_LATEST = f"""
SELECT (extract(epoch FROM %(hour)s - bucket)::bigint - {HOUR_S}) / {DAY_S}, sum(cost_usd), sum(saved_usd)
FROM {UsageRollup._meta.db_table}
WHERE width_s = {HOUR_S} AND bucket >= %(since)s AND bucket < %(hour)s GROUP BY 1
"""
_SO_FAR = f"""
SELECT coalesce(sum(cost_usd), 0), coalesce(sum(saved_usd), 0),
    (SELECT min(bucket) FROM {UsageRollup._meta.db_table} WHERE width_s = {HOUR_S})
FROM {UsageRollup._meta.db_table} WHERE {{so_far}}
"""


def forecast(now: dt.datetime) -> Forecast | None:
    """None: there are not three days yet to go by."""
    hour = now.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)
    values: dict[str, Any] = {"hour": hour, "since": hour - dt.timedelta(days=DAYS), "month": month_of(now)}
    so_far, bounds = rollups.condition(*rollups.pieces(values["month"], hour))
    with connection.cursor() as cursor:
        cursor.execute(_SO_FAR.format(so_far=so_far), bounds)
        cost, saved, first = cursor.fetchone()
        cursor.execute(_LATEST, values)
        found = {number: Day(*sums) for number, *sums in cursor.fetchall()}
    days = min(DAYS, (hour - first).days) if first is not None else 0
    if days < AT_LEAST_DAYS:
        return None
    month = values["month"]
    month_end = (month + dt.timedelta(days=32)).replace(day=1)
    left = Decimal((month_end - hour) // dt.timedelta(hours=1)) / 24
    return reckon(Day(cost, saved), [found.get(number, Day()) for number in range(days)], left)


def reckon(so_far: Day, latest: list[Day], left_days: Decimal) -> Forecast:
    """Pure. The range grows with the days left, and with how little seven days tell of the mean."""
    number = len(latest)
    per_day = sum((day.saved_usd for day in latest), Decimal(0)) / number
    cost_per_day = sum((day.cost_usd for day in latest), Decimal(0)) / number
    spread = statistics.stdev([day.saved_usd for day in latest])
    either_way = WIDTH * spread * (left_days + left_days**2 / number).sqrt()
    rest = per_day * left_days
    return Forecast(
        so_far_usd=so_far.saved_usd,
        saved_usd=so_far.saved_usd + rest,
        low_usd=so_far.saved_usd + max(Decimal(0), rest - either_way),
        high_usd=so_far.saved_usd + rest + either_way,
        cost_usd=so_far.cost_usd + cost_per_day * left_days,
        per_day_usd=per_day,
        days=number,
        left_days=left_days,
    )
