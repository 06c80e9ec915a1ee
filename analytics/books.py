"""What each book says of one tenant's period, in the same three sums, so that they can be compared.

Only reads. What a book does not know any more, or never did, it says in words instead of guessing.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import redis
from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.db.models import Sum
from psycopg import sql

from analytics import rollups
from analytics.booking import to_unit
from analytics.events import Malformed, UsageEvent
from analytics.models import DAY_S, HOUR_S
from billing.bookkeeping import Busy
from billing.ledger import UNIT_USD
from billing.models import ClosedPeriod, LedgerEntry
from billing.periods import Period
from tenants import keyspace
from tenants.db import table
from tenants.models import Tenant

# With more events in a partition's stream it is the drain that has to catch up first.
MOST_WAITING = 50_000
PAGE = 2_000
# Clocks of gateways may differ by less than this.
SKEW = dt.timedelta(days=1)


class Sums(NamedTuple):
    requests: int = 0
    tokens: int = 0
    cost_usd: Decimal = Decimal(0)

    def plus(self, other: Sums) -> Sums:
        return Sums(self.requests + other.requests, self.tokens + other.tokens, self.cost_usd + other.cost_usd)

    def minus(self, other: Sums) -> Sums:
        return Sums(self.requests - other.requests, self.tokens - other.tokens, self.cost_usd - other.cost_usd)


# --- the ledger ---------------------------------------------------------------------------------------------------


class Ledger(NamedTuple):
    """By key, None for the tenant's sum; and by kind."""

    by_key: dict[int | None, Sums]
    by_kind: dict[str, Sums]

    @property
    def total(self) -> Sums:
        return self.by_key[None]


def read_ledger(tenant: Tenant, start: dt.datetime) -> Ledger:
    by_key: dict[int | None, Sums] = defaultdict(Sums, {None: Sums()})
    by_kind: dict[str, Sums] = defaultdict(Sums)
    rows = (
        LedgerEntry.objects.filter(tenant=tenant, period_start=start)
        .values_list("key_id", "kind")
        .annotate(Sum("requests"), Sum("tokens"), Sum("cost_usd"))
        .order_by()
    )
    for key_id, kind, *values in rows:
        for account in {None, key_id}:
            by_key[account] = by_key[account].plus(Sums(*values))
        by_kind[kind] = by_kind[kind].plus(Sums(*values))
    return Ledger(by_key, by_kind)


def read_closed(tenant: Tenant, start: dt.datetime, ledger: Ledger) -> Sums | str:
    """What the period was closed with, and what came later."""
    closed = ClosedPeriod.objects.filter(tenant=tenant, period_start=start).first()
    if closed is None:
        return "not closed"
    return Sums(closed.requests, closed.tokens, closed.cost_usd).plus(ledger.by_kind[LedgerEntry.Kind.LATE])


# --- Redis --------------------------------------------------------------------------------------------------------


class Counted(NamedTuple):
    """`used` by key, None for the tenant; nothing where Redis has no counters. `waiting`: events on their way from
    there to the ledger, by their id.
    """

    used: dict[int | None, Sums]
    waiting: dict[uuid.UUID, UsageEvent]


def read_redis(client: redis.Redis, tenant_id: int, period: Period) -> Counted:
    """Counters and stream as they were at one moment, if nobody books meanwhile. Raises Busy, RedisError."""
    stream = keyspace.usage_stream(keyspace.partition(tenant_id))
    with client.pipeline(transaction=True) as pipe:
        pipe.hgetall(keyspace.quota(tenant_id, period.id))
        pipe.xrevrange(stream, count=1)
        pipe.xlen(stream)
        counters, newest, length = pipe.execute()
    if length > MOST_WAITING:
        raise Busy(f"{length:,} events wait in {stream} to be booked.")
    waiting = {}
    if newest:
        for event in events_in(client, stream, tenant_id, until=newest[0][0]):
            if event.period == int(period.id):
                waiting[uuid.UUID(event.id)] = event
    return Counted(_used(counters), waiting)


def _used(counters: dict[bytes, bytes]) -> dict[int | None, Sums]:
    used: dict[int | None, Sums] = {}
    for field in counters:
        if found := re.fullmatch(rb"(?:k(\d+):)?r", field):
            scope = field[:-1]
            requests, tokens, units = (int(counters.get(scope + name, 0)) for name in (b"r", b"t", b"c"))
            used[int(found[1]) if found[1] else None] = Sums(requests, tokens, units * UNIT_USD)
    return used


def events_in(client: redis.Redis, stream: str, tenant_id: int, *, until: Any = "+") -> Iterator[UsageEvent]:
    """A tenant's events in a stream, whoever has taken them; not those that nobody can read."""
    # As our own JSON has it. Most entries are others': they are not parsed.
    mark = f'"tenant_id":{tenant_id},'.encode()
    for fields in entries_in(client, stream, until=until):
        if mark in fields.get(b"e", b""):
            try:
                event = UsageEvent.read(fields)
            except Malformed:
                continue
            if event.tenant_id == tenant_id:
                yield event


def entries_in(client: redis.Redis, stream: str, *, until: Any = "+") -> Iterator[dict[bytes, bytes]]:
    after: Any = "-"
    while True:
        entries: Any = client.xrange(stream, min=after, max=until, count=PAGE)
        yield from (fields for _, fields in entries)
        if len(entries) < PAGE:
            return
        after = b"(" + entries[-1][0]


def sums_of(events: Iterable[UsageEvent]) -> dict[int | None, Sums]:
    """By key, None for the tenant."""
    sums: dict[int | None, Sums] = defaultdict(Sums, {None: Sums()})
    for event in events:
        values = Sums(int(event.counts), event.billed_tokens, to_unit(event.cost_usd) or Decimal(0))
        for account in (None, event.key_id):
            sums[account] = sums[account].plus(values)
    return sums


# --- records and rollups ------------------------------------------------------------------------------------------


class Kept(NamedTuple):
    """`days` has what pages add up: days where a whole one is of the period, and hours at its ends."""

    records: Sums
    hours: Sums
    days: Sums


# A period begins within an hour: of its first and last hour the rollups know the whole, so that there the records
# stand for them; and what is another period's in the hours between, by a clock that was wrong, is taken off.
_RECORDS = """
SELECT {of_period}, {at_its_edges}, {of_others}
FROM {records} WHERE at >= %(start)s - %(skew)s AND at < %(end)s + %(skew)s
"""
_SUMS = """
count(*) FILTER (WHERE (status < 400 OR billed_tokens > 0) AND {0}),
coalesce(sum(billed_tokens) FILTER (WHERE {0}), 0)::bigint, coalesce(sum(cost_usd) FILTER (WHERE {0}), 0)
"""
_ROLLUPS = """
SELECT coalesce(sum(requests - errors), 0)::bigint, coalesce(sum(billed_tokens), 0)::bigint, coalesce(sum(cost_usd), 0)
FROM {} WHERE
"""


def read_records(tenant: Tenant, period: Period) -> Kept:
    hour = dt.timedelta(seconds=HOUR_S)
    first, last = (_hour(period.start + hour - dt.timedelta(microseconds=1)), _hour(period.end))
    values: dict[str, Any] = {"start": period.start, "end": period.end, "first": first, "last": last, "skew": SKEW}
    of_period, within = sql.SQL("period_start = %(start)s"), sql.SQL("at >= %(first)s AND at < %(last)s")
    query = sql.SQL(_RECORDS).format(
        of_period=_filtered(of_period),
        at_its_edges=_filtered(sql.SQL("{} AND NOT ({})").format(of_period, within)),
        of_others=_filtered(sql.SQL("NOT ({}) AND {}").format(of_period, within)),
        records=table(tenant.schema_name, "analytics_usagerecord"),
    )
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        row = cursor.fetchone()
        records, edges, others = (Sums(*row[at : at + 3]) for at in (0, 3, 6))
        hours, days = (
            _added_up(cursor, tenant, rollups.pieces(first, last, widest_s=width_s)) for width_s in (HOUR_S, DAY_S)
        )
    return Kept(records, *(sums.plus(edges).minus(others) for sums in (hours, days)))


def _added_up(cursor: CursorWrapper, tenant: Tenant, pieces: Sequence[rollups.Piece]) -> Sums:
    condition, values = rollups.condition(*pieces)
    query = sql.SQL(_ROLLUPS).format(table(tenant.schema_name, "analytics_usagerollup")) + sql.SQL(condition)
    cursor.execute(query, values)
    return Sums(*cursor.fetchone())


def _filtered(condition: sql.Composable) -> sql.Composed:
    return sql.SQL(_SUMS).format(condition)


def _hour(at: dt.datetime) -> dt.datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def are_recorded(tenant: Tenant, ids: Iterable[uuid.UUID]) -> set[uuid.UUID]:
    """Which of the events have been booked."""
    query = sql.SQL("SELECT id FROM {} WHERE id = ANY(%s)").format(table(tenant.schema_name, "analytics_usagerecord"))
    with connection.cursor() as cursor:
        cursor.execute(query, [list(ids)])
        return {row[0] for row in cursor.fetchall()}
