"""When books are compared: of whoever used something, of everybody once a day; and what a second finding leads to."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

import redis
from django.db import DatabaseError, connection
from django.utils import timezone

from analytics import meters, reconciliation
from billing import bookkeeping
from billing.models import Reconciliation
from billing.periods import Period
from tenants import keyspace
from tenants.models import Tenant

logger = logging.getLogger(__name__)

# Then another task gets the worker.
ROUND_S = 60.0
LONG_ROUND_S = 3000.0
# In the audit log.
NAME = "reconciler"


def mark(client: redis.Redis, tenant_ids: Iterable[int]) -> None:
    """Their books are to be compared."""
    if ids := list(tenant_ids):
        client.sadd(keyspace.BOOKS_TO_COMPARE, *ids)


def compare_marked(client: redis.Redis) -> int:
    """How many tenants there were. Who is left over, busy, or newly found to differ has a turn the next time."""
    until, seen, again, done = time.monotonic() + ROUND_S, set[int](), set[int](), 0
    try:
        while time.monotonic() < until and (taken := client.spop(keyspace.BOOKS_TO_COMPARE)) is not None:
            assert isinstance(taken, bytes)
            again.add(tenant_id := int(taken))
            if tenant_id in seen:
                # The drain marks whoever is busy each second: once a round is enough.
                continue
            seen.add(tenant_id)
            tenant = Tenant.objects.filter(pk=tenant_id).first()
            done += tenant is not None
            if tenant is None or _attend(client, tenant, ask_stripe=False):
                again.discard(tenant_id)
    finally:
        _mark_again(client, again)
    return done


def compare_all(client: redis.Redis) -> int:
    until, done = time.monotonic() + LONG_ROUND_S, 0
    # In another order each time, so that nobody is always the last.
    for tenant in Tenant.objects.exclude(subscription=None).order_by("?").iterator():
        if time.monotonic() >= until:
            logger.warning("not all books were compared in %d s", LONG_ROUND_S)
            break
        if not _attend(client, tenant, ask_stripe=True):
            _mark_again(client, [tenant.pk])
        done += 1
    return done


def _mark_again(client: redis.Redis, tenant_ids: Iterable[int]) -> None:
    try:
        mark(client, tenant_ids)
    except redis.RedisError as error:
        logger.warning("some books are compared when they are used next, or once a day: %s", error)


def _attend(client: redis.Redis, tenant: Tenant, *, ask_stripe: bool) -> bool:
    """False when it should be soon again: its books cannot be told now, or another round may settle them."""
    is_settled = True
    try:
        for period in reconciliation.periods_of(tenant, timezone.now()):
            is_settled &= _compare(client, tenant, period, ask_stripe=ask_stripe)
    except (bookkeeping.Busy, redis.RedisError) as error:
        # Of a Redis Cluster, one node: others' books are compared meanwhile.
        logger.warning("the books of %s are not compared: %s", tenant, error)
        return False
    except DatabaseError:
        if not connection.is_usable():
            raise
        # It may be deleted in this moment. The daily round comes back to it.
        logger.exception("the books of %s were not compared", tenant)
    return is_settled


def _compare(client: redis.Redis, tenant: Tenant, period: Period, *, ask_stripe: bool) -> bool:
    """False when they differ for the first time, or Redis lacks something that gateways may still tell again."""
    last = Reconciliation.objects.filter(tenant=tenant, period_start=period.start).first()
    was_off = last is not None and last.drifting_since is not None
    ask_stripe = ask_stripe or _is_open_at_stripe(last)
    found = reconciliation.compare(client, tenant, period, ask_stripe=ask_stripe)
    # What a Redis leaves behind that lost its last second. Counters beyond the ledger are another matter: something was
    # used and not booked, and a person should know of it before anything hides it.
    if reconciliation.has_lasted(found, last):
        reconciliation.repair(client, tenant, period, actor_label=NAME, only_short=True)
        found = reconciliation.compare(client, tenant, period, ask_stripe=ask_stripe)
    row = reconciliation.keep(found)
    return row.drifting_since is None or (was_off and not found.is_short_in_redis)


def _is_open_at_stripe(last: Reconciliation | None) -> bool:
    """Whether Stripe differed when it was asked last, or did not answer: only asking again tells what became of it."""
    if last is None or (said := last.books.get("stripe")) is None:
        return False
    if "not_compared" in said:
        return bool(said["not_compared"] != meters.NOT_METERED)
    return last.drifting_since is not None and bool(said != last.books["ledger"])
