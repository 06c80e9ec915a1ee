"""Celery's part of the data plane: letting expired answers go; judging samples, and what verdicts lead to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from celery import shared_task
from django.db import close_old_connections, connection
from psycopg import sql

from gateway.cache import learning, rounds, tuning
from gateway.canaries import watch
from tenants.db import alone, table
from tenants.models import Tenant

PURGE_BATCH = 1_000
# An old question is no evidence of how the cache does now.
WAITING_DAYS = 7


@shared_task
def purge_cache() -> int:
    """Deletes expired entries of the semantic tier, in batches; Redis lets exact ones go by itself."""
    close_old_connections()
    return sum(_purge(schema) for schema in Tenant.objects.order_by("pk").values_list("schema_name", flat=True))


def _purge(schema: str) -> int:
    """Vectors have their end themselves: those of entries that were replaced at the same moment go here, too."""
    return sum(_delete(table(schema, name)) for name in ("gateway_cacheentry", "gateway_cachevector"))


def _delete(ending: sql.Identifier) -> int:
    query = sql.SQL(
        "DELETE FROM {0} WHERE id IN (SELECT id FROM {0} WHERE stale_until <= now() ORDER BY stale_until LIMIT {1})"
    ).format(ending, sql.Literal(PURGE_BATCH))
    return _until_few(query)


@shared_task
def judge_samples() -> int:
    """Has samples judged, and thresholds tuned, wherever there is something to do; for how many tenants there was."""
    close_old_connections()
    with alone(rounds.LOCK) as is_alone:
        return rounds.go_round() if is_alone else 0


@shared_task
def tune_cache(tenant_id: int) -> None:
    """Makes the threshold what the verdicts of now say."""
    close_old_connections()
    tenant = Tenant.objects.filter(pk=tenant_id).first()
    if tenant is not None:
        tuning.tune(tenant)


@shared_task
def purge_verdicts() -> int:
    """Deletes what customers asked and were told, once its verdict has faded, or when nobody came to judge it."""
    close_old_connections()
    return sum(
        _purge_verdicts(schema) for schema in Tenant.objects.order_by("pk").values_list("schema_name", flat=True)
    )


def _purge_verdicts(schema: str) -> int:
    query = sql.SQL(
        """
        DELETE FROM {0} WHERE ctid IN (
            SELECT ctid FROM {0} WHERE at < now() - make_interval(days => %s)
                OR "right" IS NULL AND judged_at IS NULL AND at < now() - make_interval(days => %s)
            LIMIT {1}
        )
        """
    ).format(table(schema, "gateway_verdict"), sql.Literal(PURGE_BATCH))
    return _until_few(query, (learning.KEPT_DAYS, WAITING_DAYS))


@shared_task
def ask_canaries() -> None:
    """Tries to get one workspace's answers from another; what came of it is in /metrics and the log."""
    close_old_connections()
    watch.run()


def _until_few(query: sql.Composed, parameters: Sequence[Any] = ()) -> int:
    """Runs what deletes a batch until there is none left that is whole; each for itself, so that nobody waits long."""
    deleted = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(query, parameters)
            gone: int = cursor.rowcount
            deleted += gone
            if gone < PURGE_BATCH:
                return deleted
