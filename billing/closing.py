"""Closes periods that are over: what the ledger says of them then is kept, once and for good.

A period without any usage gets no row. A period is closed as soon as it or a later one has one: what is booked into it
after that is late. Whether usage is still on its way is for the caller to know (analytics.closing).

The plan that is kept is the one that was in force as the period ended: what changed later is of a later period.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple

from django.db import connection, transaction

from billing import bookkeeping
from billing.periods import Period, period_at


class Due(NamedTuple):
    tenant_id: int
    period: Period


# The first period of each tenant that was used and is not closed.
_OPEN = """
SELECT subscription.tenant_id, subscription.anchor_at, open.period_start
FROM public.billing_subscription subscription
CROSS JOIN LATERAL (
    SELECT max(period_start) AS start FROM public.billing_closedperiod WHERE tenant_id = subscription.tenant_id
) closed
CROSS JOIN LATERAL (
    SELECT period_start FROM public.billing_ledgerentry entry
    WHERE entry.tenant_id = subscription.tenant_id AND period_start > coalesce(closed.start, '-infinity')
        AND period_start < %s
    ORDER BY period_start LIMIT 1
) open
"""
# The first change after the end says what was before it; of a deleted workspace the audit log says so no more.
_CLOSE = """
INSERT INTO public.billing_closedperiod (tenant_id, period_start, period_end, closed_at, plan_code, requests, tokens,
    cost_usd, saved_usd, platform_cost_usd, unpriced)
SELECT %(tenant)s, %(start)s, %(end)s, clock_timestamp(), coalesce(
        (
            SELECT before->>'plan' FROM public.tenants_auditevent
            WHERE tenant_id = %(tenant)s AND action = 'plan.changed' AND at >= %(end)s AND before->>'plan' IS NOT NULL
            ORDER BY at LIMIT 1
        ),
        (SELECT plan_id FROM public.billing_subscription WHERE tenant_id = %(tenant)s)
    ), sum(requests), sum(tokens), sum(cost_usd),
    sum(saved_usd), sum(platform_cost_usd), sum(unpriced)
FROM public.billing_ledgerentry WHERE tenant_id = %(tenant)s AND period_start = %(start)s
ON CONFLICT (tenant_id, period_start) DO NOTHING
"""


def end_of(anchor: dt.datetime, start: dt.datetime) -> dt.datetime:
    """Of the period that began at `start`, also when the anchor has moved since: then the next one begins earlier."""
    around = period_at(anchor, start)
    return around.end if around.start == start else min(around.end, period_at(start, start).end)


def due(now: dt.datetime, *, after: dt.timedelta) -> list[Due]:
    """The oldest period of each tenant that has been over for `after`."""
    with connection.cursor() as cursor:
        cursor.execute(_OPEN, [now - after])
        rows = cursor.fetchall()
    periods = ((tenant_id, Period(start, end_of(anchor, start))) for tenant_id, anchor, start in rows)
    return [Due(*one) for one in periods if one[1].end + after <= now]


def close(one: Due) -> bool:
    """False when it was closed before."""
    period = one.period
    values: dict[str, Any] = {"tenant": one.tenant_id, "start": period.start, "end": period.end}
    with transaction.atomic():
        bookkeeping.be_alone(one.tenant_id)
        with connection.cursor() as cursor:
            cursor.execute(_CLOSE, values)
            return bool(cursor.rowcount)
