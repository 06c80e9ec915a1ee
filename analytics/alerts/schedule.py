"""Which tenants have something to evaluate or to send, and when: sorted sets in Redis that may be lost.

They only spare a look at every schema every second; a sweep puts back what is missing.
"""

from __future__ import annotations

import datetime as dt
import functools
import time
from typing import Any

import redis
from django.conf import settings

from tenants import keyspace

AT_ONCE = 100


@functools.cache
def _client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1, protocol=2)


def mark(*tenant_ids: int, in_s: float = 0.0) -> None:
    """They are to be evaluated, by now or by what was said before."""
    if tenant_ids:
        at = time.time() + in_s
        _client().zadd(keyspace.ALERTS_TO_EVALUATE, {str(tenant_id): at for tenant_id in tenant_ids}, nx=True)


def take_marked(now: dt.datetime) -> int | None:
    """Whoever waits for the longest; nobody else gets it."""
    while due := _due(keyspace.ALERTS_TO_EVALUATE, now, 1):
        if _client().zrem(keyspace.ALERTS_TO_EVALUATE, due[0]):
            return int(due[0])
    return None


def rest(tenant_id: int, for_s: float) -> None:
    """To evaluate it is dear: not again so soon."""
    _client().set(keyspace.alerts_rest(tenant_id), 1, px=max(1, int(for_s * 1000)))


def rest_left_s(tenant_id: int) -> float:
    left_ms = _client().pttl(keyspace.alerts_rest(tenant_id))
    return max(0, int(left_ms)) / 1000


def put(tenant_id: int, at: dt.datetime) -> None:
    """The outbox of a tenant is due at `at`, or earlier if that was known."""
    _client().zadd(keyspace.ALERTS_TO_SEND, {str(tenant_id): at.timestamp()}, lt=True)


def take_due(now: dt.datetime) -> list[int]:
    """Tenants whose outbox is due; nobody else gets them."""
    due = _due(keyspace.ALERTS_TO_SEND, now, AT_ONCE)
    return [int(member) for member in due if _client().zrem(keyspace.ALERTS_TO_SEND, member)]


def _due(key: str, now: dt.datetime, count: int) -> list[bytes]:
    """The first ones."""
    found: Any = _client().zrange(key, "-inf", str(now.timestamp()), byscore=True, offset=0, num=count)
    return list(found)
