"""Takes kept answers away: from Redis first, then their rows with their vectors, then what samples say of them. Sync;
within the tenant's schema.

In the other order an answer whose row is gone would live on in Redis, where nobody could find it any more. What is cut
off in between has its rows still, and can be taken away again.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from django.db import connection
from django.db.models import QuerySet
from psycopg import sql

from gateway.cache import entries, exact, samples
from gateway.models import CacheEntry
from tenants.models import Tenant

BATCH = 1_000


def remove(tenant: Tenant, found: QuerySet[CacheEntry]) -> Iterator[int]:
    """Batch after batch, how many went with each. Raises redis.RedisError.

    Each entry is looked at once: what comes meanwhile is not waited for.
    """
    query = entries.delete_query(tenant.schema_name, sql.SQL("entry.id = ANY(%s)"))
    last = uuid.UUID(int=0)
    while True:
        rows = list(found.filter(id__gte=last).order_by("id").values_list("id", "fingerprint")[:BATCH])
        exact.forget(tenant.pk, [fingerprint for _, fingerprint in rows])
        ids = [entry_id for entry_id, _ in rows]
        with connection.cursor() as cursor:
            cursor.execute(query, [ids])
            gone = cursor.rowcount
        samples.forget(samples.of_entries(ids))
        yield gone
        if len(rows) < BATCH:
            return
        last = rows[-1][0]
