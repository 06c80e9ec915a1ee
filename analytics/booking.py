"""Books usage events of one tenant: records, rollups and ledger in one transaction, each event once by its id."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.db import connection, transaction
from django.utils import timezone
from psycopg import sql

from analytics import bulk, rollups
from analytics.bulk import Source
from analytics.events import UsageEvent
from analytics.models import UsageRecord
from analytics.signals import records_booked
from billing import bookkeeping, pricing
from tenants.models import ApiKey, Tenant

# `last_used_at` of a key is no more exact than this.
LAST_USED_EVERY = dt.timedelta(minutes=1)


def book(tenant: Tenant, events: Sequence[UsageEvent]) -> list[UsageEvent]:
    """Writes what is new among the events; returns that. One transaction."""
    with transaction.atomic():
        bookkeeping.join(tenant.pk)
        once = {uuid.UUID(event.id): event for event in events}
        new = [once[record_id] for record_id in _insert_records(tenant.schema_name, once)]
        if new:
            rollups.add(tenant.schema_name, new)
            bookkeeping.book_usage(tenant.pk, ledger_rows(new))
            _touch_keys(new)
            records_booked.send(sender=UsageRecord, tenant=tenant, events=new)
    return new


_COLUMNS = tuple(str(field.column) for field in UsageRecord._meta.concrete_fields)
_SOURCES = {
    "at": Source("at", "float8", "to_timestamp(at)"),
    "period_start": Source("period", "bigint", "to_timestamp(period)"),
    "token_details": Source("token_details", "jsonb", "nullif(token_details, '{}')"),
    "tags": Source("tags", "jsonb", "nullif(tags, '[]')"),
}


def _insert_records(schema: str, events: Mapping[uuid.UUID, UsageEvent]) -> list[uuid.UUID]:
    """The ids of those that were not there."""
    query = bulk.insert_query(schema, UsageRecord, _COLUMNS, _SOURCES) + sql.SQL(
        " ON CONFLICT (id) DO NOTHING RETURNING id"
    )
    # In one order, so that two workers with the same events wait for each other instead of deadlocking.
    rows = (event for _, event in sorted(events.items()))
    with connection.cursor() as cursor:
        cursor.execute(query, [bulk.encode(rows)])
        return [row[0] for row in cursor.fetchall()]


def ledger_rows(events: Sequence[UsageEvent]) -> list[dict[str, Any]]:
    """One for each key, period and day: what the tenant owes and has saved by these events. Pure."""
    sums: dict[tuple[int, int, dt.date], dict[str, Any]] = {}
    for event in events:
        account = event.key_id, event.period, when(event).date()
        if (row := sums.get(account)) is None:
            row = sums[account] = {"key_id": account[0], "period": account[1], "day": account[2], **_NOTHING}
        cost = event.cost_usd or 0
        row["requests"] += event.counts
        row["tokens"] += event.billed_tokens
        row["cost_usd"] += cost
        row["saved_usd"] += event.saved_usd or 0
        row["platform_cost_usd"] += cost if event.paid_by_platform else 0
        row["unpriced"] += event.counts and event.cost_usd is None
    return list(sums.values())


_NOTHING: dict[str, Any] = {
    "requests": 0, "tokens": 0, "cost_usd": Decimal(0), "saved_usd": Decimal(0), "platform_cost_usd": Decimal(0),
    "unpriced": 0,
}  # fmt: skip


def _touch_keys(events: Sequence[UsageEvent]) -> None:
    """Not worth a revocation: no receiver of save() is called."""
    now = timezone.now()
    ids = sorted({event.key_id for event in events})
    stale = ApiKey.objects.filter(pk__in=ids).exclude(last_used_at__gt=now - LAST_USED_EVERY)
    # Two workers that touch the same keys must take their locks in one order, or not wait for each other.
    if locked := list(stale.order_by("pk").select_for_update(skip_locked=True).values_list("pk", flat=True)):
        ApiKey.objects.filter(pk__in=locked).update(last_used_at=now)


def to_unit(usd: Decimal | None) -> Decimal | None:
    """As the tables keep it. The books add up only if all of them are given the same number."""
    return None if usd is None else pricing.rounded(usd)


def is_whole(usd: Decimal) -> bool:
    exponent = usd.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -10


def when(event: UsageEvent) -> dt.datetime:
    return dt.datetime.fromtimestamp(event.at, dt.UTC)
