"""What a workspace, or one of its keys, has used and holds in a period: Redis' counters, by which calls are admitted.
While they are away it is what the ledger has booked, some seconds behind.
"""

from __future__ import annotations

import datetime as dt
import logging
from decimal import Decimal
from typing import Any, NamedTuple, cast

import redis
from django.db.models import Q, QuerySet, Sum

from billing.ledger import UNIT_USD
from billing.models import LedgerEntry
from billing.periods import Period
from tenants import keyspace
from tenants.db import open_redis
from tenants.models import ApiKey, Tenant

logger = logging.getLogger(__name__)

# A page waits no longer for it.
REDIS_TIMEOUT_S = 1.0
_EPOCH = dt.date(1970, 1, 1)


class Usage(NamedTuple):
    """`held` is set aside for calls in flight; `day` is the UTC day of today. `live`: from Redis."""

    requests: int = 0
    held_requests: int = 0
    tokens: int = 0
    held_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    held_usd: Decimal = Decimal(0)
    day_usd: Decimal = Decimal(0)
    held_day_usd: Decimal = Decimal(0)
    live: bool = False


_COUNTERS = ("r", "hr", "t", "ht", "c", "hc", "dc", "dhc")


def of(tenant: Tenant, period: Period, today: dt.date) -> Usage:
    counters = _counters(tenant, period, "")
    booked = LedgerEntry.objects.filter(tenant=tenant, period_start=period.start)
    return _booked(booked, today) if counters is None else _counted(counters, today)


def of_key(key: ApiKey, period: Period, today: dt.date) -> Usage:
    counters = _counters(key.tenant, period, f"k{key.pk}:")
    booked = LedgerEntry.objects.filter(tenant=key.tenant, period_start=period.start, key_id=key.pk)
    return _booked(booked, today) if counters is None else _counted(counters, today)


def _counters(tenant: Tenant, period: Period, scope: str) -> list[Any] | None:
    """None: there are none. The workspace's come first, those of a key with its first call."""
    try:
        with open_redis(timeout_s=REDIS_TIMEOUT_S) as client:
            names = ["r", *(f"{scope}{name}" for name in (*_COUNTERS, "D"))]
            first, *counters = cast(list[Any], client.hmget(keyspace.quota(tenant.pk, period.id), names))
    except redis.RedisError as error:
        logger.warning("the page of %s shows what is booked: %s", tenant, error)
        return None
    return None if first is None else counters


def _counted(counters: list[Any], today: dt.date) -> Usage:
    requests, held_requests, tokens, held_tokens, cost, held, of_day, held_of_day, day = (
        int(counter or 0) for counter in counters
    )
    if day != (today - _EPOCH).days:
        of_day = held_of_day = 0
    usd = [units * UNIT_USD for units in (cost, held, of_day, held_of_day)]
    return Usage(requests, held_requests, tokens, held_tokens, usd[0], usd[1], usd[2], usd[3], live=True)


def _booked(entries: QuerySet[LedgerEntry], today: dt.date) -> Usage:
    sums = entries.aggregate(
        requests=Sum("requests"),
        tokens=Sum("tokens"),
        # First: `cost_usd` is the sum from then on.
        day_usd=Sum("cost_usd", filter=Q(day=today)),
        cost_usd=Sum("cost_usd"),
    )
    return Usage(**{name: value for name, value in sums.items() if value is not None})
