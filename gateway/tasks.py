"""Celery's part of the data plane: letting expired answers go."""

from __future__ import annotations

from celery import shared_task
from django.db import close_old_connections, connection
from psycopg import sql

from tenants.db import table
from tenants.models import Tenant

PURGE_BATCH = 1_000


@shared_task
def purge_cache() -> int:
    """Deletes expired entries of the semantic tier, in batches; Redis lets exact ones go by itself."""
    close_old_connections()
    return sum(_purge(schema) for schema in Tenant.objects.order_by("pk").values_list("schema_name", flat=True))


def _purge(schema: str) -> int:
    query = sql.SQL(
        "DELETE FROM {0} WHERE id IN (SELECT id FROM {0} WHERE expires_at <= now() ORDER BY expires_at LIMIT {1})"
    ).format(table(schema, "gateway_cacheentry"), sql.Literal(PURGE_BATCH))
    deleted = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(query)
            gone: int = cursor.rowcount
            deleted += gone
            if gone < PURGE_BATCH:
                return deleted
