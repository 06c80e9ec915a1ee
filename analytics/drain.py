"""Moves usage events from the Redis streams to Postgres, tenant by tenant (analytics.booking).

Events are acknowledged after the commit and counted by their id, so that a worker may die at any point: nothing is
lost, and nothing counts twice. What cannot be read goes to the dead letters, with the reason.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import redis
from django.db import DatabaseError, DataError, IntegrityError, connection

from analytics import booking, live
from analytics.booking import is_whole, to_unit, when
from analytics.events import HIT_EXACT, Malformed, UsageEvent
from billing import pricing
from tenants import keyspace, tracing
from tenants.db import by_node
from tenants.models import Tenant

logger = logging.getLogger(__name__)

# One consumer for all workers: a name for each would stay in 64 groups after every worker that ever ran.
GROUP, CONSUMER = "nexus", "drain"
BATCH = 500
# Of one batch's events, so many have their booking in their trace.
MOST_TRACED = 50
# Then another task gets the worker: under heavy traffic the streams are never empty.
PASS_S = 10.0
# Fewer than this are the last of a pass, even if others have come meanwhile: a second later they are booked together,
# for what a handful costs now.
FEW = 50
# Events that a worker took and did not acknowledge for this long are another's to do.
ABANDONED_MS = 30_000
STREAMS = tuple(keyspace.usage_stream(number) for number in range(keyspace.PARTITIONS))

Fields = dict[bytes, bytes]
# Stream, id, fields.
Entry = tuple[str, bytes, Fields]


class Delivery(NamedTuple):
    """One stream entry, and the event in it."""

    stream: str
    id: bytes
    fields: Fields
    event: UsageEvent


class Drain:
    """One pass over these streams."""

    def __init__(self, client: redis.Redis, streams: Sequence[str] = STREAMS) -> None:
        self._redis = client
        # By the nodes that have them.
        self._streams = by_node(client, streams)
        # Where each stream's abandoned events are looked for next. Once a pass: they are found by their age.
        self._unclaimed: dict[str, Any] = dict.fromkeys(streams, "0-0")
        self._book = pricing.load_book()

    def run(self, pass_s: float = PASS_S) -> int:
        """Until there is little in the streams, or for so long; the number of records written."""
        written, until = 0, time.monotonic() + pass_s
        while time.monotonic() < until:
            taken, deliveries = self._take()
            groups = _by_tenant(deliveries)
            tenants = Tenant.objects.in_bulk(groups)
            booked = {
                tenant_id: self._book_tenant(tenant_id, tenants.get(tenant_id), groups[tenant_id])
                for tenant_id in groups
            }
            written += sum(booked.values())
            if used := [tenants[tenant_id] for tenant_id, records in booked.items() if records]:
                live.publish(used)
                self._have_compared(used)
            if taken < FEW:
                break
        return written

    def _have_compared(self, tenants: Iterable[Tenant]) -> None:
        try:
            self._redis.sadd(keyspace.BOOKS_TO_COMPARE, *(tenant.pk for tenant in tenants))
        except redis.RedisError as error:
            # Of a Redis Cluster, another node than the one with their events. The comparison of all finds them too.
            logger.warning("the books of these tenants are not compared at once: %s", error)

    def _take(self) -> tuple[int, list[Delivery]]:
        """The next events of every partition, abandoned ones among them."""
        taken, deliveries = 0, []
        for streams in list(self._streams):
            try:
                entries = self._read(streams)
            except redis.RedisError as error:
                if len(self._streams) == 1:
                    raise
                # One node of a Redis Cluster. The others' events are booked meanwhile.
                logger.error("the usage of %d partitions waits in Redis: %s", len(streams), error)
                self._streams.remove(streams)
                continue
            taken += len(entries)
            deliveries += self._readable(entries)
        return taken, deliveries

    def _read(self, streams: Sequence[str]) -> list[Entry]:
        with self._redis.pipeline(transaction=False) as pipe:
            for stream in streams:
                pipe.xlen(stream)
            lengths: list[Any] = pipe.execute(raise_on_error=False)
            self._without_group(streams, lengths)
            busy = [
                stream for stream, length in zip(streams, lengths, strict=True) if isinstance(length, int) and length
            ]
            claiming = [stream for stream in busy if stream in self._unclaimed]
            if not busy:
                return []
            for stream in claiming:
                pipe.xautoclaim(stream, GROUP, CONSUMER, ABANDONED_MS, self._unclaimed[stream], count=BATCH)
            for stream in busy:
                # One command a stream: they are in different slots.
                pipe.xreadgroup(GROUP, CONSUMER, {stream: ">"}, count=BATCH)
            replies: list[Any] = pipe.execute(raise_on_error=False)
        without_group = self._without_group([*claiming, *busy], replies)
        entries: list[Entry] = []
        for stream, reply in zip(claiming, replies, strict=False):
            if not isinstance(reply, Exception):
                self._unclaimed[stream], claimed = reply[0], reply[1]
                entries += [(stream, entry_id, fields) for entry_id, fields in claimed if fields]
                if reply[0] == b"0-0":
                    del self._unclaimed[stream]
        for stream, reply in zip(busy, replies[len(claiming) :], strict=True):
            if reply and not isinstance(reply, Exception):
                entries += [(stream, *entry) for entry in reply[0][1]]
        if without_group:
            self._make_groups(without_group)
            entries += self._read(without_group)
        return entries

    def _without_group(self, streams: Sequence[str], replies: Sequence[Any]) -> list[str]:
        """The streams that nobody has read before. Raises what says that Redis is away."""
        found = set()
        for stream, reply in zip(streams, replies, strict=True):
            if isinstance(reply, redis.ResponseError):
                if "NOGROUP" in str(reply):
                    found.add(stream)
                else:
                    logger.error("the usage in %s waits there: %s", stream, reply)
            elif isinstance(reply, Exception):
                raise reply
        return sorted(found)

    def _make_groups(self, streams: Sequence[str]) -> None:
        for stream in streams:
            try:
                self._redis.xgroup_create(stream, GROUP, id="0", mkstream=True)
            except redis.ResponseError as error:
                # It is there, or another worker was faster.
                if "BUSYGROUP" not in str(error):
                    raise

    def _readable(self, entries: Iterable[Entry]) -> list[Delivery]:
        deliveries = []
        for stream, entry_id, fields in entries:
            try:
                deliveries.append(Delivery(stream, entry_id, fields, UsageEvent.read(fields)))
            except Malformed as error:
                self._bury(stream, entry_id, fields, f"malformed: {error}")
        return deliveries

    def _book_tenant(self, tenant_id: int, tenant: Tenant | None, deliveries: list[Delivery]) -> int:
        if tenant is None:
            for delivery in deliveries:
                self._bury(delivery.stream, delivery.id, delivery.fields, f"there is no tenant {tenant_id}")
            return 0
        parents = dict.fromkeys(delivery.event.trace for delivery in deliveries[:MOST_TRACED] if delivery.event.trace)
        spans = [tracing.follow("book usage", parent) for parent in parents]
        try:
            # Queries are a part of the first: they book all events together.
            with spans[0].inside() if spans else contextlib.nullcontext():
                records = booking.book(tenant, [self._priced(delivery.event) for delivery in deliveries])
        except (DataError, IntegrityError) as error:
            return self._book_one_by_one(tenant, deliveries, error)
        except Exception:
            if not connection.is_usable():
                raise
            # A tenant in trouble does not keep the others waiting. Its events stay, and are tried again.
            logger.exception("%d usage events of %s wait", len(deliveries), tenant)
            return 0
        finally:
            for span in spans:
                span.end()
        self._acknowledge(deliveries)
        return len(records)

    def _book_one_by_one(self, tenant: Tenant, deliveries: list[Delivery], error: DatabaseError) -> int:
        """Finds the event that Postgres does not take."""
        if len(deliveries) == 1:
            only = deliveries[0]
            self._bury(only.stream, only.id, only.fields, str(error))
            return 0
        return sum(self._book_tenant(tenant.pk, tenant, [delivery]) for delivery in deliveries)

    def _priced(self, event: UsageEvent) -> UsageEvent:
        """With the saving of an exact hit: its event was written before anybody had looked at the entry."""
        cost, saved, shadow = event.cost_usd, event.saved_usd, event.shadow_saved_usd
        if event.outcome == HIT_EXACT and not event.coalesced:
            price = self._book.unit_price(event.catalog, event.upstream_model, when(event))
            cost = saved = None
            if price is not None:
                cost = Decimal(0)
                saved = pricing.cost(
                    price, event.prompt_tokens, event.cached_tokens, event.completion_tokens, event.token_details
                )
        elif all(usd is None or is_whole(usd) for usd in (cost, saved, shadow)):
            return event
        return dataclasses.replace(
            event, cost_usd=to_unit(cost), saved_usd=to_unit(saved), shadow_saved_usd=to_unit(shadow)
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


def _by_tenant(deliveries: Iterable[Delivery]) -> dict[int, list[Delivery]]:
    groups: dict[int, list[Delivery]] = defaultdict(list)
    for delivery in deliveries:
        groups[delivery.event.tenant_id].append(delivery)
    return groups
