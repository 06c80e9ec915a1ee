"""After a cell: waits until all is booked and nothing is held, then reads what the checks compare."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import NamedTuple

import redis
from django.db import DatabaseError, connections

from nexus.bench import chaos_checks, month_books, tally
from nexus.bench.chaos_checks import Found
from nexus.bench.chaos_parts import HOLD_TTL_S
from nexus.bench.crowd import Workspace
from nexus.bench.openloop import Clients, Seen
from nexus.bench.probes import waiting
from nexus.bench.tally import Row, Told
from nexus.bench.traffic import Asked
from tenants.db import open_redis
from tenants.models import Tenant

LOOK_S, POKE_EVERY_S = 0.5, 5.0
REDIS_TIMEOUT_S = 5.0
SHOWN = 3


class Settled(NamedTuple):
    """When all was booked and given back, by time.perf_counter; None: not in time. `poked` are requests of its own."""

    settled_at: float | None
    poked: list[Seen]
    notes: list[str]


async def settled(
    made: Sequence[Workspace], clients: Clients, patience_s: float, poke: Callable[[], list[Asked]]
) -> Settled:
    began, poked_at, poked = time.perf_counter(), time.perf_counter(), list[Seen]()
    left = (0, 0)
    while (now := time.perf_counter()) < began + patience_s:
        left = await asyncio.to_thread(_left, made)
        if left == (0, 0):
            return Settled(now, poked, [])
        if left[1] and now - began > HOLD_TTL_S and now - poked_at > POKE_EVERY_S:
            poked += [await clients.ask(asked, time.perf_counter()) for asked in poke()]
            poked_at = time.perf_counter()
        await asyncio.sleep(LOOK_S)
    return Settled(None, poked, [f"after {patience_s:.0f} s {left[0]} events wait, and {left[1]} requests are held"])


def _left(made: Sequence[Workspace]) -> tuple[int, int]:
    """Events that wait, requests that are held; (-1, 0) while nobody can say."""
    try:
        with open_redis(timeout_s=REDIS_TIMEOUT_S) as client:
            return waiting(client, made), sum(tally.held(client, one) for one in made)
    except redis.RedisError:
        return -1, 0


class Audit(NamedTuple):
    found: Found
    mended: list[str]


def audited(made: Sequence[Workspace], seen: Sequence[Seen]) -> Audit:
    """For sync code. Counters that lack something get it as workers give it to them, a round after they found it."""
    told: defaultdict[int, Told] = defaultdict(Told)
    for one in seen:
        told[one.asked.workspace.id].add(one)
    tenants = Tenant.objects.in_bulk([one.id for one in made])
    with open_redis(timeout_s=REDIS_TIMEOUT_S) as client:
        rows = _patiently(lambda: tally.rows(client, made, told))
        mended = [_short(row) for row in rows if row.counters != row.ledger]
        if mended:
            month_books.reconcile(client, list(tenants.values()))
            rows = _patiently(lambda: tally.rows(client, made, told))
    records: dict[int, Counter[tuple[str, bool]]] = {}
    costs: dict[int, dict[str, Decimal]] = {}
    for of, tenant in tenants.items():
        schema = tenant.schema_name
        records[of], costs[of] = tally.records_of(schema), tally.costs_of(schema)
    return Audit(chaos_checks.check(seen, records, costs, rows), mended)


def _short(row: Row) -> str:
    apart = row.counters.minus(row.ledger)
    return f"counters of {row.workspace} were off by {apart.requests:+} requests, {apart.cost_usd:+} USD"


def _patiently(read: Callable[[], list[Row]]) -> list[Row]:
    """A server that was killed may have taken a connection with it."""
    for _ in range(5):
        try:
            return read()
        except (DatabaseError, redis.RedisError):
            connections.close_all()
            time.sleep(1)
    return read()
