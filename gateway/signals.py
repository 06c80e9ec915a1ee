"""How often each cached answer was given, and what that saved, from the usage records as they are booked."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from django.db import connection
from django.dispatch import receiver
from psycopg import sql

from analytics.events import HITS, UsageEvent
from analytics.signals import records_booked
from tenants.db import table
from tenants.models import Tenant


class _Use(NamedTuple):
    hits: int = 0
    saved_usd: Decimal = Decimal(0)
    last_at: float = 0.0


_COUNT = """
UPDATE {entries} entry SET hits = entry.hits + used.hits, saved_usd = entry.saved_usd + used.saved_usd,
    last_hit_at = greatest(entry.last_hit_at, to_timestamp(used.last_at))
FROM unnest(%s::uuid[], %s::bigint[], %s::numeric[], %s::float8[]) AS used (id, hits, saved_usd, last_at)
WHERE entry.id = used.id
"""


@receiver(records_booked)
def count_hits(tenant: Tenant, events: Sequence[UsageEvent], **_: object) -> None:
    uses: dict[str, _Use] = {}
    for event in events:
        if event.entry_id is not None and event.outcome in HITS:
            use = uses.get(event.entry_id, _Use())
            saved_usd = use.saved_usd + (event.saved_usd or 0)
            uses[event.entry_id] = _Use(use.hits + 1, saved_usd, max(use.last_at, event.at))
    if not uses:
        return
    columns = zip(*uses.values(), strict=True)
    query = sql.SQL(_COUNT).format(entries=table(tenant.schema_name, "gateway_cacheentry"))
    with connection.cursor() as cursor:
        cursor.execute(query, [list(uses), *map(list, columns)])
