"""Celery's part: draining the usage streams, and letting old records go."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any

import redis
from celery import shared_task
from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection
from django.db.models import Model
from django.utils import timezone
from psycopg import sql

from analytics.drain import Drain
from analytics.models import MINUTE_S, UsageRecord, UsageRollup
from billing.models import Subscription
from tenants.db import table

logger = logging.getLogger(__name__)

PURGE_BATCH = 5_000
MINUTES_ARE_KEPT = dt.timedelta(hours=48)


@shared_task
def drain_usage() -> int:
    """Books what waits in the usage streams; the number of new records. Any number may run at once."""
    close_old_connections()
    with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=10, protocol=2) as client:
        booked: int = Drain(client).run()
        return booked


@shared_task
def purge_records() -> int:
    """Deletes records older than their plan's retention, and minute sums of the day before yesterday."""
    close_old_connections()
    deleted, now = 0, timezone.now()
    subscriptions = Subscription.objects.select_related("tenant", "plan").order_by("tenant_id")
    for subscription in subscriptions.iterator():
        schema = subscription.tenant.schema_name
        records_before = now - dt.timedelta(days=subscription.plan.retention_days)
        try:
            deleted += _delete(schema, UsageRecord, sql.SQL("at < %s"), [records_before])
            deleted += _delete(
                schema, UsageRollup, sql.SQL("width_s = %s AND bucket < %s"), [MINUTE_S, now - MINUTES_ARE_KEPT]
            )
        except DatabaseError:
            if not connection.is_usable():
                raise
            logger.exception("old records of %s stay", subscription.tenant)
    return deleted


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
