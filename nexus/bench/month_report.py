"""The month from its first tenant to its last figure: makes it, has it played, and says what became of it."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import redis
from django.db import connections
from django.utils import timezone

from analytics.books import Sums
from nexus.bench import month_books, month_calls, month_figures, month_tenants
from nexus.bench.month_books import Kept, Off, Row
from nexus.bench.month_calls import CALLS
from nexus.bench.month_gateway import WORKSPACES, told_file
from nexus.bench.month_play import Keepers, Month, Play, Played
from nexus.bench.month_told import Told
from nexus.preflight import say, step
from tenants import keyspace
from tenants.db import open_redis
from tenants.models import Tenant

REDIS_TIMEOUT_S = 30.0
SHOWN = 5


class Audit(NamedTuple):
    """`before` and `after` the workers' own rounds."""

    closed: int
    before: list[Row]
    after: list[Row]
    off: list[Off]
    kept: list[Kept]
    differing: list[str]
    refused: int


async def play(month: Month, keepers: Keepers, folder: Path) -> bool:
    """Prints as it goes. Whether nothing was lost, counted twice, or differs. Raises Trouble."""
    with step(f"Making {month.tenants} tenants, and a month of {month.calls:,} calls"):
        told, tenants = await _off_the_loop(lambda: make(month, folder))
    streams = sorted({keyspace.usage_stream(keyspace.partition(tenant.pk)) for tenant in tenants})
    say(f"  {month.gateways} gateways, {month.workers} workers, {month.kills} kills:")
    with open_redis(timeout_s=REDIS_TIMEOUT_S) as client:
        played = await Play(month, folder, told, streams, keepers).run(dict(os.environ), client)
        say(speed(month, played))
        with step("Closing periods, comparing all books"):
            audit = await _off_the_loop(lambda: audited(client, tenants, told))
    say(books(audit))
    say(await _off_the_loop(lambda: figures(month, tenants, audit)))
    return verdict(audit)


async def _off_the_loop(work: Callable[[], Any]) -> Any:
    """Django's queries wait. In a thread, whose connection is closed with it."""

    def whole() -> Any:
        try:
            return work()
        finally:
            connections.close_all()

    return await asyncio.to_thread(whole)


def make(month: Month, folder: Path) -> tuple[list[Told], list[Tenant]]:
    now = timezone.now()
    workspaces = month_tenants.make(month.tenants, now)
    month_tenants.write(folder / WORKSPACES, workspaces)
    rng = np.random.default_rng(month.seed)
    np.save(folder / CALLS, month_calls.month(month.calls, month.tenants, now.timestamp(), rng))
    told = [Told.make(told_file(folder, number), month.tenants) for number in range(month.gateways)]
    return told, month_tenants.in_order(workspaces)


def audited(client: redis.Redis, tenants: Sequence[Tenant], told: Sequence[Told]) -> Audit:
    closed = month_books.close(client, tenants)
    before = month_books.compare(client, tenants)
    off = month_books.off(before)
    month_books.reconcile(client, tenants)
    after = month_books.compare(client, tenants)
    return Audit(
        closed,
        month_books.rows(before),
        month_books.rows(after),
        off,
        month_books.kept(tenants, told, after),
        month_books.differing(after),
        sum(one.refused for one in told),
    )


def speed(month: Month, played: Played) -> str:
    killed = ", ".join(f"{kind} {times}" for kind, times in sorted(played.kills.items())) or "nobody"
    lines = [
        f"\nSettled in {played.played_s:,.0f} s, booked in {played.drained_s:,.0f} s:"
        f" {month.calls / played.drained_s:,.0f} events/s. Killed: {killed}.",
        "CPU µs an event: "
        + ", ".join(f"{kind} {1e6 * spent_s / month.calls:,.0f}" for kind, spent_s in sorted(played.cpu_s.items())),
    ]
    return "\n".join(lines)


def books(audit: Audit) -> str:
    in_all = month_books.total(audit.kept)
    lines = [
        "",
        month_books.table(audit.before, audit.after, in_all),
        f"Periods closed: {audit.closed}. Calls refused: {audit.refused:,}.",
    ]
    if audit.off:
        total = functools.reduce(Sums.plus, (one.sums for one in audit.off))
        lines.append(
            f"Redis' counters of {len(audit.off)} periods were off, and got {_added(total)} in all; among them"
        )
    for one in audit.off[:SHOWN]:
        lines.append(f"  {one.tenant} from {one.period.start:%b %d %H:%M}: {_added(one.sums)}")
    return "\n".join(lines)


def _added(off: Sums) -> str:
    """What a repair adds to counters that are off by so much."""
    return f"{-off.requests:+,} requests, {-off.tokens:+,} tokens, {-off.cost_usd:+.10f} USD"


def figures(month: Month, tenants: Sequence[Tenant], audit: Audit) -> str:
    on_disk = month_figures.sizes(tenants)
    sizes = ", ".join(f"{name} {size / month.calls:,.0f}" for name, size in on_disk.items())
    by_size = sorted(range(len(tenants)), key=lambda at: audit.kept[at].ledger.requests, reverse=True)
    chosen = [by_size[0], by_size[len(by_size) // 2]]
    times = [month_figures.times(tenants[at]) for at in chosen]
    heads = [f"{audit.kept[at].ledger.requests:,}" for at in chosen]
    return "\n".join(
        [
            f"\nBytes on disk an event: {sizes}; {sum(on_disk.values()) / 1e6:,.0f} MB in all,"
            f" {month_figures.ledger_rows(tenants):,} rows of the ledger.",
            f"\n{'ms, median of 5':32}{'largest':>12}{'median':>12}",
            f"{'requests of the tenant':32}{heads[0]:>12}{heads[1]:>12}",
            *(f"{name:32}{times[0][name]:>12.1f}{times[1][name]:>12.1f}" for name in times[0]),
        ]
    )


def verdict(audit: Audit) -> bool:
    lost, doubled = (sum(getattr(one, name) for one in audit.kept) for name in ("lost", "doubled"))
    if not (lost or doubled or audit.differing):
        say("\nNothing was lost, nothing was counted twice, and all books agree.")
        return True
    say(f"\nTenants that lost something: {lost}; counted it twice: {doubled}; books differ: {len(audit.differing)}.")
    wrong = [str(one) for one in audit.kept if one.lost or one.doubled]
    for line in [*audit.differing[:SHOWN], *wrong[:SHOWN]]:
        say(f"  {line}")
    return False
