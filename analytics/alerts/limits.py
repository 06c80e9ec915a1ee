"""How much of each limit a tenant and its keys have used: limits from plan, subscription and keys, use from the ledger.

The ledger is written with the records it sums, so a crash loses nothing here: the next evaluation finds it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Q

from billing.models import Subscription
from billing.periods import Period, period_at
from tenants.limits import BudgetMode
from tenants.models import ApiKey


class Meter(NamedTuple):
    """A kind of alert, the column with its limit, and which of `Used` is compared with it."""

    kind: str
    field: str
    used: str
    what: str = ""


METERS = (
    Meter("quota_requests", "monthly_requests", "requests", "requests"),
    Meter("quota_tokens", "monthly_tokens", "tokens", "tokens"),
    Meter("budget_daily", "daily_budget_usd", "day_usd"),
    Meter("budget_monthly", "monthly_budget_usd", "cost_usd"),
)


class Used(NamedTuple):
    requests: Decimal
    tokens: Decimal
    cost_usd: Decimal
    day_usd: Decimal


class Account(NamedTuple):
    """What has been used of one limit. Without a key it is the workspace's."""

    meter: Meter
    key: ApiKey | None
    limit: Decimal
    mode: str
    used: Decimal


def accounts(subscription: Subscription, period: Period, now: dt.datetime) -> list[Account]:
    """Those with a limit that something was used of."""
    held = [*_of_workspace(subscription, now), *_of_keys(subscription.tenant_id)]
    # Of nothing there is no share.
    held = [one for one in held if one.limit > 0]
    if not held:
        return []
    used = _used(subscription, period, now.date())
    return [
        one._replace(used=amount)
        for one in held
        if (sums := used.get(one.key.pk if one.key else None)) and (amount := getattr(sums, one.meter.used)) > 0
    ]


def _of_workspace(subscription: Subscription, now: dt.datetime) -> Iterator[Account]:
    """Two budgets where there are two: the plan's, and the tenant's own wish. Either may only warn."""
    overrides, plan = subscription.overrides, subscription.effective_plan(now)
    plans_mode = overrides.get("budget_mode", plan.budget_mode)
    for meter in METERS:
        limit = overrides.get(meter.field, getattr(plan, meter.field))
        yield from _held(meter, None, limit, plans_mode)
        if not meter.what:
            yield from _held(meter, None, getattr(subscription, meter.field), subscription.budget_mode)


def _of_keys(tenant_id: int) -> Iterator[Account]:
    limited = Q()
    for meter in METERS:
        limited |= Q(**{f"{meter.field}__gt": 0})
    for key in ApiKey.objects.filter(limited, tenant_id=tenant_id, revoked_at=None).order_by("pk"):
        for meter in METERS:
            yield from _held(meter, key, getattr(key, meter.field), key.budget_mode)


def _held(meter: Meter, key: ApiKey | None, limit: object, mode: str) -> Iterator[Account]:
    if limit is not None:
        # Budgets among the overrides are text, or numbers of JSON.
        yield Account(meter, key, Decimal(str(limit)), "" if meter.what else BudgetMode(mode).value, Decimal(0))


_USED = """
SELECT key_id, grouping(key_id) = 1,
    coalesce(sum(requests) FILTER (WHERE period_start = %(start)s), 0),
    coalesce(sum(tokens) FILTER (WHERE period_start = %(start)s), 0),
    coalesce(sum(cost_usd) FILTER (WHERE period_start = %(start)s), 0),
    coalesce(sum(cost_usd) FILTER (WHERE day = %(today)s), 0)
FROM public.billing_ledgerentry WHERE tenant_id = %(tenant)s AND period_start = ANY(%(starts)s)
GROUP BY ROLLUP (key_id)
"""


def _used(subscription: Subscription, period: Period, today: dt.date) -> dict[int | None, Used]:
    """By key, and for None the workspace's sums, adjustments included."""
    starts = [period.start]
    if period.start.date() == today:
        # This day began in the period before.
        starts.append(period_at(subscription.anchor_at, period.start - dt.timedelta(seconds=1)).start)
    asked: dict[str, Any] = {"start": period.start, "starts": starts, "today": today, "tenant": subscription.tenant_id}
    with connection.cursor() as cursor:
        cursor.execute(_USED, asked)
        return {key_id: Used(*sums) for key_id, is_total, *sums in cursor.fetchall() if key_id is not None or is_total}
