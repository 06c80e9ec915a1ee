"""Sums by minute, hour and day, added to in the transaction that inserts the records they sum; and which of them add up
to a time, the widest that there are.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone
from psycopg import sql

from analytics import bulk
from analytics.events import UsageEvent
from analytics.models import DAY_S, HOUR_S, MINUTE_S, UsageRollup
from tenants.db import table

WIDTHS = (DAY_S, HOUR_S, MINUTE_S)
# Then minutes are let go: who looks at them looks at the last hour.
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
        for width_s in WIDTHS:
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
    named = (dict(zip(SLICE + SUMS, row, strict=True)) for row in rows if row[1] != MINUTE_S or row[0] >= kept_from)
    with connection.cursor() as cursor:
        cursor.execute(query, [bulk.encode(named)])


_ADD_UP = """
INSERT INTO {rollups} AS stored ({slice}, {sums})
SELECT date_trunc('day', bucket, 'UTC') AS day, {day_s}, outcome, model, provider, key_id, {added}
FROM {rollups} WHERE width_s = {hour_s} AND bucket >= %s GROUP BY day, outcome, model, provider, key_id
ON CONFLICT ({slice}) DO UPDATE SET {replaced}
WHERE (stored.requests, stored.cost_usd, stored.saved_usd)
    <> (excluded.requests, excluded.cost_usd, excluded.saved_usd)
"""


def add_up_days(schema: str, since: dt.datetime) -> int:
    """From their hours, where a worker of a version that knew no days has booked some. How many rows were wrong."""
    rollups, names = table(schema, UsageRollup._meta.db_table), list(map(sql.Identifier, SUMS))
    query = sql.SQL(_ADD_UP).format(
        rollups=rollups,
        slice=sql.SQL(", ").join(map(sql.Identifier, SLICE)),
        sums=sql.SQL(", ").join(names),
        added=sql.SQL(", ").join(sql.SQL("sum({})").format(name) for name in names),
        replaced=sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(name) for name in names),
        day_s=sql.Literal(DAY_S),
        hour_s=sql.Literal(HOUR_S),
    )
    with transaction.atomic(), connection.cursor() as cursor:
        # Nobody books meanwhile.
        cursor.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(rollups))
        cursor.execute(query, [_floor(since, DAY_S)])
        wrong: int = cursor.rowcount
    return wrong


# Of a time that is not over.
ALWAYS = dt.datetime(9999, 1, 1, tzinfo=dt.UTC)


class Piece(NamedTuple):
    """Sums of this width that begin from `start` on, and before `end`."""

    width_s: int
    start: dt.datetime
    end: dt.datetime


def pieces(start: dt.datetime, end: dt.datetime, *, finest_s: int = HOUR_S, widest_s: int = DAY_S) -> list[Piece]:
    """What adds up to this time: days in its midst, hours at their ends, and at the ends of these minutes. Pure.

    Of the narrowest all count that begin within, also one that still grows.
    """
    return list(_pieces(start, end, [width for width in WIDTHS if finest_s <= width <= widest_s]))


def _pieces(start: dt.datetime, end: dt.datetime, widths: list[int]) -> Iterator[Piece]:
    width_s, *narrower = widths
    if not narrower:
        yield Piece(width_s, start, end)
        return
    first, last = _floor(start - _SMALLEST, width_s) + dt.timedelta(seconds=width_s), _floor(end, width_s)
    if first >= last:
        yield from _pieces(start, end, narrower)
        return
    if start < first:
        yield from _pieces(start, first, narrower)
    yield Piece(width_s, first, last)
    if last < end:
        yield from _pieces(last, end, narrower)


_SMALLEST = dt.timedelta(microseconds=1)


def _floor(at: dt.datetime, width_s: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(at.timestamp() // width_s * width_s, dt.UTC)


def within(*some: Piece) -> Q:
    found = Q(pk=None)
    for width_s, start, end in some:
        found |= Q(width_s=width_s, bucket__gte=start, bucket__lt=end)
    return found


def condition(*some: Piece) -> tuple[str, dict[str, Any]]:
    """The same as SQL, and its parameters."""
    texts: list[str] = []
    values: dict[str, Any] = {}
    for number, piece in enumerate(some):
        texts.append(f"(width_s = %(width_{number})s AND bucket >= %(from_{number})s AND bucket < %(until_{number})s)")
        values |= dict(zip((f"width_{number}", f"from_{number}", f"until_{number}"), piece, strict=True))
    return f"({' OR '.join(texts)})", values
