"""Moves usage events from the Redis streams to Postgres: records, rollups and ledger of a tenant in one transaction.

Events are acknowledged after the commit and counted by their id, so that a worker may die at any point: nothing is
lost, and nothing counts twice. What cannot be read goes to the dead letters, with the reason.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import redis
from django.db import DatabaseError, DataError, IntegrityError, connection, transaction
from django.utils import timezone
from psycopg import sql

from analytics import bulk, live, rollups
from analytics.events import HIT_EXACT, Malformed, UsageEvent
from analytics.models import UsageRecord
from analytics.signals import records_booked
from billing import pricing
from billing.models import LedgerEntry
from tenants import keyspace
from tenants.models import ApiKey, Tenant

logger = logging.getLogger(__name__)

# One consumer for all workers: a name for each would stay in 64 groups after every worker that ever ran.
GROUP, CONSUMER = "nexus", "drain"
BATCH = 500
# Then another task gets the worker: under steady traffic the streams are never empty.
PASS_S = 10.0
# Events that a worker took and did not acknowledge for this long are another's to do.
ABANDONED_MS = 30_000
# `last_used_at` of a key is no more exact than this.
LAST_USED_EVERY = dt.timedelta(minutes=1)
# What the tables keep. Records, rollups and ledger add up only if all three are given the same number.
MONEY_UNIT = Decimal("1e-10")

Fields = dict[bytes, bytes]


class Delivery(NamedTuple):
    """One stream entry, and the event in it."""

    stream: str
    id: bytes
    fields: Fields
    event: UsageEvent


class Drain:
    """One pass over all partitions."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._book = pricing.load_book()

    def run(self) -> int:
        """Until the streams are empty, or for `PASS_S`; the number of records written."""
        written, until = 0, time.monotonic() + PASS_S
        while time.monotonic() < until:
            taken, deliveries = self._take()
            if not taken:
                break
            for tenant_id, group in _by_tenant(deliveries).items():
                written += self._book_tenant(tenant_id, group)
        return written

    def _take(self) -> tuple[int, list[Delivery]]:
        """The next events of every partition, abandoned ones first."""
        streams = [keyspace.usage_stream(partition) for partition in range(keyspace.PARTITIONS)]
        # One command a stream: on a Redis Cluster each is on a node of its own.
        with self._redis.pipeline(transaction=False) as pipe:
            for stream in streams:
                pipe.xlen(stream)
            busy = [stream for stream, length in zip(streams, pipe.execute(), strict=True) if length]
        taken, deliveries = 0, []
        for stream in busy:
            entries = self._read(stream)
            taken += len(entries)
            deliveries += self._readable(stream, entries)
        return taken, deliveries

    def _read(self, stream: str) -> list[tuple[bytes, Fields]]:
        try:
            claimed = self._redis.xautoclaim(stream, GROUP, CONSUMER, ABANDONED_MS, count=BATCH)[1]
            entries = [(entry_id, fields) for entry_id, fields in claimed if fields]
            if not entries:
                replies: Any = self._redis.xreadgroup(GROUP, CONSUMER, {stream: ">"}, count=BATCH)
                entries = replies[0][1] if replies else []
            return entries
        except redis.ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            self._make_group(stream)
            return self._read(stream)

    def _make_group(self, stream: str) -> None:
        try:
            self._redis.xgroup_create(stream, GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            # Another worker was faster.
            if "BUSYGROUP" not in str(error):
                raise

    def _readable(self, stream: str, entries: Iterable[tuple[bytes, Fields]]) -> list[Delivery]:
        deliveries = []
        for entry_id, fields in entries:
            try:
                deliveries.append(Delivery(stream, entry_id, fields, UsageEvent.read(fields)))
            except Malformed as error:
                self._bury(stream, entry_id, fields, f"malformed: {error}")
        return deliveries

    def _book_tenant(self, tenant_id: int, deliveries: list[Delivery]) -> int:
        tenant = Tenant.objects.filter(pk=tenant_id).first()
        if tenant is None:
            for delivery in deliveries:
                self._bury(delivery.stream, delivery.id, delivery.fields, f"there is no tenant {tenant_id}")
            return 0
        try:
            records = book(tenant, [self._priced(delivery.event) for delivery in deliveries])
        except (DataError, IntegrityError) as error:
            return self._book_one_by_one(tenant, deliveries, error)
        except Exception:
            if not connection.is_usable():
                raise
            # A tenant in trouble does not keep the others waiting. Its events stay, and are tried again.
            logger.exception("%d usage events of %s wait", len(deliveries), tenant)
            return 0
        self._acknowledge(deliveries)
        if records:
            live.publish(tenant)
        return len(records)

    def _book_one_by_one(self, tenant: Tenant, deliveries: list[Delivery], error: DatabaseError) -> int:
        """Finds the event that Postgres does not take."""
        if len(deliveries) == 1:
            only = deliveries[0]
            self._bury(only.stream, only.id, only.fields, str(error))
            return 0
        return sum(self._book_tenant(tenant.pk, [delivery]) for delivery in deliveries)

    def _priced(self, event: UsageEvent) -> UsageEvent:
        """With the saving of an exact hit: its event was written before anybody had looked at the entry."""
        cost, saved = event.cost_usd, event.saved_usd
        if event.outcome == HIT_EXACT and not event.coalesced:
            price = self._book.unit_price(event.catalog, event.upstream_model, _when(event))
            cost = saved = None
            if price is not None:
                cost = Decimal(0)
                saved = pricing.cost(price, event.prompt_tokens, event.cached_tokens, event.completion_tokens)
        return dataclasses.replace(
            event,
            cost_usd=_to_unit(cost),
            saved_usd=_to_unit(saved),
            shadow_saved_usd=_to_unit(event.shadow_saved_usd),
        )

    def _acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        by_stream: dict[str, list[bytes]] = defaultdict(list)
        for delivery in deliveries:
            by_stream[delivery.stream].append(delivery.id)
        for stream, ids in by_stream.items():
            with self._redis.pipeline(transaction=True) as pipe:
                pipe.xack(stream, GROUP, *ids)
                pipe.xdel(stream, *ids)
                pipe.execute()

    def _bury(self, stream: str, entry_id: bytes, fields: Fields, reason: str) -> None:
        logger.error("usage event %s of %s goes to the dead letters: %s", entry_id.decode(), stream, reason)
        grave = keyspace.dead_letters_of(stream)
        with self._redis.pipeline(transaction=True) as pipe:
            letter: dict[Any, Any] = {**fields, b"reason": reason[:500].encode()}
            pipe.xadd(grave, letter, maxlen=100_000, approximate=True)
            pipe.xack(stream, GROUP, entry_id)
            pipe.xdel(stream, entry_id)
            pipe.execute()


def book(tenant: Tenant, events: Sequence[UsageEvent]) -> list[UsageEvent]:
    """Writes what is new among the events; returns that. One transaction."""
    with transaction.atomic():
        once = {uuid.UUID(event.id): event for event in events}
        new = [once[record_id] for record_id in _insert_records(tenant.schema_name, once)]
        if new:
            rollups.add(tenant.schema_name, new)
            _book_ledger(tenant, new)
            _touch_keys(new)
            records_booked.send(sender=UsageRecord, tenant=tenant, events=new)
    return new


_COLUMNS = tuple(str(field.column) for field in UsageRecord._meta.concrete_fields)
_FLOATS = frozenset({"latency_ms", "first_token_ms", "provider_ms", "similarity"})


def _insert_records(schema: str, events: Mapping[uuid.UUID, UsageEvent]) -> list[uuid.UUID]:
    """The ids of those that were not there."""
    query = bulk.insert_query(schema, UsageRecord, _COLUMNS) + sql.SQL(" ON CONFLICT (id) DO NOTHING RETURNING id")
    # In one order, so that two workers with the same events wait for each other instead of deadlocking.
    rows = [_row(record_id, event) for record_id, event in sorted(events.items())]
    with connection.cursor() as cursor:
        cursor.execute(query, bulk.arrays(rows))
        return [row[0] for row in cursor.fetchall()]


def _row(record_id: uuid.UUID, event: UsageEvent) -> list[Any]:
    values: dict[str, Any] = {
        "id": record_id,
        "at": _when(event),
        "period_start": _period(event),
        "entry_id": uuid.UUID(event.entry_id) if event.entry_id else None,
    }
    # JSON's 7 is a float here all the same: an array has one type.
    values |= {name: None if (value := getattr(event, name)) is None else float(value) for name in _FLOATS}
    return [values[name] if name in values else getattr(event, name) for name in _COLUMNS]


def _book_ledger(tenant: Tenant, events: Sequence[UsageEvent]) -> None:
    """One row for each key and period: what the tenant owes and has saved by these events."""
    sums: dict[tuple[int, dt.datetime], LedgerEntry] = {}
    batch = uuid.uuid4()
    for event in events:
        account = event.key_id, _period(event)
        if (entry := sums.get(account)) is None:
            entry = sums[account] = LedgerEntry(
                tenant=tenant,
                key_id=event.key_id,
                batch=batch,
                period_start=account[1],
                requests=0,
                tokens=0,
                cost_usd=0,
                saved_usd=0,
            )
        entry.requests += event.status < 400
        entry.tokens += event.billed_tokens
        entry.cost_usd += event.cost_usd or 0
        entry.saved_usd += event.saved_usd or 0
    LedgerEntry.objects.bulk_create(sums.values())


def _touch_keys(events: Sequence[UsageEvent]) -> None:
    """Not worth a revocation: no receiver of save() is called."""
    now = timezone.now()
    ids = sorted({event.key_id for event in events})
    stale = ApiKey.objects.filter(pk__in=ids).exclude(last_used_at__gt=now - LAST_USED_EVERY)
    # Two workers that touch the same keys must take their locks in one order, or not wait for each other.
    if locked := list(stale.order_by("pk").select_for_update(skip_locked=True).values_list("pk", flat=True)):
        ApiKey.objects.filter(pk__in=locked).update(last_used_at=now)


def _by_tenant(deliveries: Iterable[Delivery]) -> dict[int, list[Delivery]]:
    groups: dict[int, list[Delivery]] = defaultdict(list)
    for delivery in deliveries:
        groups[delivery.event.tenant_id].append(delivery)
    return groups


def _to_unit(usd: Decimal | None) -> Decimal | None:
    return None if usd is None else usd.quantize(MONEY_UNIT)


def _when(event: UsageEvent) -> dt.datetime:
    return dt.datetime.fromtimestamp(event.at, dt.UTC)


def _period(event: UsageEvent) -> dt.datetime:
    return dt.datetime.fromtimestamp(event.period, dt.UTC)
