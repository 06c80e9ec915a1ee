"""Celery's part: draining the usage streams, closing periods, comparing the books, and letting old records go."""

from __future__ import annotations

import datetime as dt
import functools
import logging
from typing import Any

import redis
from celery import shared_task
from django.db import DatabaseError, close_old_connections, connection
from django.db.models import Model
from django.utils import timezone
from psycopg import sql

from analytics import closing, reconciler, retention, rollups
from analytics.alerts import outbox, watching
from analytics.drain import Drain
from analytics.models import MINUTE_S, AlertEvent, UsageRecord, UsageRollup
from analytics.rollups import MINUTES_ARE_KEPT
from billing.models import Subscription
from tenants.db import alone, open_redis, schema_of, table
from tenants.models import Tenant

logger = logging.getLogger(__name__)

PURGE_BATCH = 5_000
# At least: they also say what has been told already in a billing period.
ALERTS_ARE_KEPT = dt.timedelta(days=35)
# For so long after an upgrade a worker of before may go on.
DAYS_ARE_ADDED_UP = dt.timedelta(days=3)


@shared_task
def drain_usage() -> int:
    """Books what waits in the usage streams; the number of new records. Any number may run at once."""
    close_old_connections()
    booked: int = Drain(_client()).run()
    return booked


@functools.cache
def _client() -> redis.Redis:
    """Of this process: who owns what in a cluster is asked once, not every second."""
    return open_redis(timeout_s=10)


@shared_task
def close_periods() -> int:
    """Those that are over; how many there were. Their books are compared next."""
    close_old_connections()
    closed = closing.close_due(_client(), timezone.now())
    reconciler.mark(_client(), [one.tenant_id for one in closed])
    return len(closed)


@shared_task
def compare_books() -> int:
    """Of the tenants that used something since the last time; how many there were."""
    close_old_connections()
    return reconciler.compare_marked(_client())


@shared_task
def compare_all_books() -> int:
    """Of all tenants, with what Stripe has counted; how many there were."""
    close_old_connections()
    return reconciler.compare_all(_client())


@shared_task
def evaluate_alerts() -> int:
    """Whether limits are reached and traffic is odd, of tenants that were booked for; how many there were."""
    close_old_connections()
    return watching.evaluate_marked()


@shared_task
def send_alerts() -> int:
    """The messages that are due; how many there were. One sender at a time."""
    close_old_connections()
    with alone(outbox.LOCK) as is_alone:
        return outbox.send_due() if is_alone else 0


@shared_task
def sweep_alerts() -> None:
    """What a crash, or a Redis that was away, kept from being evaluated or sent."""
    close_old_connections()
    watching.mark_active()
    outbox.plan_all()


@shared_task
def purge_records() -> int:
    """Deletes records that need not be kept (analytics.retention), and minute sums of the day before yesterday; adds up
    days that lack something.
    """
    close_old_connections()
    deleted, now = 0, timezone.now()
    living = Subscription.objects.exclude(tenant__status=Tenant.Status.DELETED)
    subscriptions = living.select_related("tenant", "plan").order_by("tenant_id")
    for subscription in subscriptions.iterator():
        schema = subscription.tenant.schema_name
        records_before = now - dt.timedelta(days=subscription.retention_days)
        try:
            if (through := retention.purgeable_through(subscription.tenant)) is not None:
                # First: a comparison meanwhile must not take them for lost.
                retention.remember(subscription.tenant, records_before, through)
                condition = sql.SQL("at < %s AND period_start <= %s")
                deleted += _delete(schema, UsageRecord, condition, [records_before, through])
            deleted += _delete(
                schema, UsageRollup, sql.SQL("width_s = %s AND bucket < %s"), [MINUTE_S, now - MINUTES_ARE_KEPT]
            )
            if wrong := rollups.add_up_days(schema, now - DAYS_ARE_ADDED_UP):
                logger.warning("%s sums by day of %s were not those of their hours", wrong, subscription.tenant)
            deleted += _purge_alerts(subscription.tenant, min(records_before, now - ALERTS_ARE_KEPT))
        except DatabaseError:
            if not connection.is_usable():
                raise
            logger.exception("old records of %s stay", subscription.tenant)
    return deleted


def _purge_alerts(tenant: Tenant, before: dt.datetime) -> int:
    """With their deliveries. There are few."""
    with schema_of(tenant):
        return AlertEvent.objects.filter(at__lt=before).delete()[0]


def _delete(schema: str, model: type[Model], condition: sql.SQL, values: list[Any]) -> int:
    """In small batches, each committed: other writers never wait long."""
    query = sql.SQL("DELETE FROM {0} WHERE ctid IN (SELECT ctid FROM {0} WHERE {1} LIMIT {2})").format(
        table(schema, model._meta.db_table), condition, sql.Literal(PURGE_BATCH)
    )
    deleted = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(query, values)
            gone: int = cursor.rowcount
            deleted += gone
            if gone < PURGE_BATCH:
                return deleted
