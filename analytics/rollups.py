"""Sums by minute and hour, added to in the transaction that inserts the records they sum."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.db import connection
from django.utils import timezone
from psycopg import sql

from analytics import bulk
from analytics.events import UsageEvent
from analytics.models import HOUR_S, MINUTE_S, UsageRollup

# Then they are let go: who looks at minutes looks at the last hour.
MINUTES_ARE_KEPT = dt.timedelta(hours=48)
SLICE = ("bucket", "width_s", "outcome", "model", "provider", "key_id")
SUMS = (
    "requests", "errors", "prompt_tokens", "completion_tokens", "billed_tokens", "cost_usd", "saved_usd", "unpriced",
    "latency_ms_sum",
)  # fmt: skip


def sums_of(events: Sequence[UsageEvent]) -> dict[tuple[Any, ...], list[Any]]:
    """Slice → sums, in the order of `SLICE` and `SUMS`. Pure."""
    rows: dict[tuple[Any, ...], list[Any]] = {}
    for event in events:
        for width_s in (MINUTE_S, HOUR_S):
            bucket = dt.datetime.fromtimestamp(event.at - event.at % width_s, dt.UTC)
            part = (bucket, width_s, event.outcome, event.model, event.provider, event.key_id)
            row = rows.setdefault(part, [0, 0, 0, 0, 0, Decimal(0), Decimal(0), 0, 0.0])
            values = (
                1,
                int(not event.counts),
                event.prompt_tokens,
                event.completion_tokens,
                event.billed_tokens,
                event.cost_usd or 0,
                event.saved_usd or 0,
                int(event.counts and (event.cost_usd is None or event.saved_usd is None)),
                event.latency_ms,
            )
            for at, value in enumerate(values):
                row[at] += value
    return rows


def add(schema: str, events: Sequence[UsageEvent]) -> None:
    """Only of events whose records are new."""
    kept_from = timezone.now() - MINUTES_ARE_KEPT
    # In one order, so that two workers on one tenant wait for each other instead of deadlocking.
    rows = sorted(part + tuple(sums) for part, sums in sums_of(events).items())
    query = bulk.insert_query(schema, UsageRollup, SLICE + SUMS) + sql.SQL(
        " ON CONFLICT ({slice}) DO UPDATE SET {sums}"
    ).format(
        slice=sql.SQL(", ").join(map(sql.Identifier, SLICE)),
        sums=sql.SQL(", ").join(
            sql.SQL("{0} = stored.{0} + excluded.{0}").format(sql.Identifier(name)) for name in SUMS
        ),
    )
    named = (dict(zip(SLICE + SUMS, row, strict=True)) for row in rows if row[1] == HOUR_S or row[0] >= kept_from)
    with connection.cursor() as cursor:
        cursor.execute(query, [bulk.encode(named)])
