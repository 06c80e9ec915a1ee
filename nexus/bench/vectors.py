"""`bin/bench --vectors N`: searching the semantic tier's table, with N entries in one scope and smaller ones beside it.

How fast and how completely a scope is searched, one by one and by index; what storing and purging cost; many scopes
and many tenants. Tables are made from the gateway's own models. docs/vectors.md says what followed.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import django
import numpy as np
import psutil
from pgvector import HalfVector
from psycopg import sql

from gateway.cache.embedding import build
from gateway.cache.embedding.base import Vector
from gateway.cache.embedding.minilm import MiniLM
from nexus import stack
from nexus.bench import questions
from nexus.bench.corpus import Corpus, Halves, recall, similarities
from nexus.bench.vector_table import EMBEDDER, Connection, connect, fill, scope_name, settings
from nexus.checks import hermetic
from nexus.instance import Instance
from nexus.preflight import require_disk, say, step
from nexus.replay.report import percentile
from nexus.supervisor import Supervisor
from nexus.up import build_model

SIZES = (100, 1_000, 5_000, 20_000, 100_000, 1_000_000)
NEIGHBOURS = 5
ASKED, STORED = 300, 300
# A slow way is asked less often.
PATIENCE_S = 8.0
PURGE_BATCH = 1_000
SCOPES, TENANTS, PER_TENANT = 1_000, 200, 2_000
NEEDS_MB, NEEDS_MB_A_MILLION = 1_000, 12_000
# Without the cast that the index was made with, it cannot be used.
DISTANCES = {"exact": "embedding <=> %(vector)s", "index": "(embedding::halfvec({0})) <=> %(vector)s"}
# What a way needs of its session. Only the bench insists on the index where it does not pay.
ALONE = {"max_parallel_workers_per_gather": "0"}


class Way(NamedTuple):
    name: str
    distance: str
    settings: dict[str, str]


EXACT = Way("exact", "exact", ALONE)
INDEX_WAYS = {
    (order, ef): Way(
        f"index, {order}, ef {ef}",
        "index",
        ALONE | {"hnsw.iterative_scan": f"{order}_order", "hnsw.ef_search": str(ef), "enable_sort": "off"},
    )
    for order, ef in itertools.product(("relaxed", "strict"), (40, 100, 200))
}
_SEARCH = """
SELECT entry_id, {distance} AS distance FROM {vectors}
WHERE scope = %(scope)s AND embedder = %(embedder)s AND dimensions = {dimensions} AND expires_at > now()
ORDER BY {distance} LIMIT {neighbours}
"""
_INSERT = """
INSERT INTO {} (entry_id, scope, embedder, dimensions, embedding, created_at, expires_at, stale_until)
VALUES (%s, %s, %s, %s, %s, now(), now() + interval '7 days', now() + interval '7 days')
"""
# As `gateway.tasks` does it, some days from now: that is when every tenth entry is at its end.
_PURGE = """
DELETE FROM {0} WHERE id IN
    (SELECT id FROM {0} WHERE stale_until <= now() + interval '2 days' ORDER BY stale_until LIMIT {1})
"""


class Place(NamedTuple):
    """Where a lookup looks."""

    table: sql.Identifier
    scope: str


class Timing(NamedTuple):
    """Of one call: latency as its caller sees it, and CPU of the Postgres process that served it."""

    p50_ms: float
    p99_ms: float
    cpu_ms: float

    def __str__(self) -> str:
        return f"{self.p50_ms:>10.2f}{self.p99_ms:>10.2f}{self.cpu_ms:>10.2f}"


HEAD = f"{'p50, ms':>10}{'p99, ms':>10}{'CPU, ms':>10}"


async def run(instance: Instance, entries: int) -> None:
    """Starts Postgres and the model alone, and measures."""
    require_disk(instance.var, NEEDS_MB + NEEDS_MB_A_MILLION * entries // 1_000_000)
    supervisor = Supervisor(instance.logs, say)
    environment = hermetic(stack.base_environment(instance), instance)
    try:
        service, url = await asyncio.to_thread(stack.postgres_service, instance, throwaway=True)
        await supervisor.start(service)
        await build_model(instance, environment)
        # Django wants to know where Redis is; nothing here talks to it.
        os.environ |= environment | {"DATABASE_URL": url, "REDIS_URL": "unix:///nowhere"}
        model = MiniLM.load(build.ensure(Path(environment["NEXUS_MODEL_DIR"])))
        with step("Embedding questions"):
            asked = questions.paraphrases()
            real = await asyncio.to_thread(model.encode, [*dict.fromkeys(asked.values()), *asked])
        django.setup()
        await asyncio.to_thread(measure, url, Corpus.of(real, np.random.default_rng(1)), entries)
    finally:
        await supervisor.stop()


def measure(url: str, corpus: Corpus, entries: int) -> None:
    """Prints as it goes: a million entries take long."""
    rng = np.random.default_rng(7)
    sizes = [*(size for size in SIZES if size < entries), entries]
    stored = {scope_name(size): corpus.stored(size, rng) for size in sizes}
    with connect(url) as connection:
        with step(f"Filling one tenant with {sum(sizes):,} vectors"):
            table = fill(connection, "one_tenant", stored)
        say(f"{table}\n\n{'scope':>9}  {'way':26}{HEAD}{'recall@1':>10}{'recall@5':>10}")
        for size, (scope, rows) in zip(sizes, stored.items(), strict=True):
            for line in search(connection, Place(table.name, scope), corpus.asked(rows, ASKED, rng), rows):
                say(f"{size:>9,}  {line}")
        largest = Place(table.name, scope_name(entries))
        say(f"\n{'':37}{HEAD}")
        say(f"{'storing one':37}{store(connection, largest, corpus.stored(STORED, rng))}")
        purge(url, connection, largest, corpus.asked(stored[largest.scope], ASKED, rng))
        many_scopes(connection, corpus, entries, rng)
        many_tenants(connection, corpus, rng)


def search_query(table: sql.Identifier, dimensions: int, way: Way) -> sql.Composed:
    return sql.SQL(_SEARCH).format(
        distance=sql.SQL(DISTANCES[way.distance].format(dimensions)),
        vectors=table,
        dimensions=sql.Literal(dimensions),
        neighbours=sql.Literal(NEIGHBOURS),
    )


def search(connection: Connection, place: Place, asked: Halves, rows: Halves) -> Iterator[str]:
    truth = similarities(asked, rows, NEIGHBOURS)
    for way in (EXACT, *INDEX_WAYS.values()):
        found = np.full(truth.shape, -2.0, np.float32)
        with settings(connection, way.settings):
            timing, count = timed(connection, functools.partial(look_up, connection, place, way, asked, found))
        completeness = (recall(found[:count], truth[:count], first) for first in (1, NEIGHBOURS))
        yield f"{way.name:26}{timing}{''.join(f'{share:>10.3f}' for share in completeness)}"


def look_up(connection: Connection, place: Place, way: Way, asked: Halves, found: Vector, index: int) -> bool:
    """Asks one question, unless there are no more."""
    if index >= len(asked):
        return False
    for rank, (_, distance) in enumerate(nearest(connection, place, way, asked[index])):
        found[index, rank] = 1 - distance
    return True


def nearest(connection: Connection, place: Place, way: Way, vector: Halves) -> list[Any]:
    query = search_query(place.table, len(vector), way)
    values = {"vector": HalfVector(vector), "scope": place.scope, "embedder": EMBEDDER}
    # Planned each time: a plan for any scope is one for none.
    return connection.execute(query, values, prepare=False).fetchall()


def timed(connection: Connection, call: Callable[[int], bool]) -> tuple[Timing, int]:
    """Calls with 0, 1, … until there is no more or a while has passed; gives how often, too. The first calls, which
    find nothing in memory, are made once before."""
    server = psutil.Process(connection.info.backend_pid)
    for index in range(6):
        call(index)
    latencies_ms: list[float] = []
    before, began = server.cpu_times(), time.monotonic()
    while time.monotonic() - began < PATIENCE_S:
        started = time.perf_counter()
        if not call(len(latencies_ms)):
            break
        latencies_ms.append((time.perf_counter() - started) * 1e3)
    after, done = server.cpu_times(), len(latencies_ms)
    cpu_ms = (after.user + after.system - before.user - before.system) / done * 1e3
    return Timing(percentile(latencies_ms, 50), percentile(latencies_ms, 99), cpu_ms), done


def store(connection: Connection, place: Place, rows: Halves) -> Timing:
    query = sql.SQL(_INSERT).format(place.table)

    def insert(index: int) -> bool:
        if index >= len(rows):
            return False
        values = [uuid.uuid4(), place.scope, EMBEDDER, rows.shape[1], HalfVector(rows[index])]
        connection.execute(query, values)
        return True

    return timed(connection, insert)[0]


def purge(url: str, connection: Connection, place: Place, asked: Halves) -> None:
    """A tenth is at its end at once. Lookups go on meanwhile."""
    batch = sql.SQL(_PURGE).format(place.table, sql.Literal(PURGE_BATCH))

    def wait() -> None:
        time.sleep(5.0)

    def delete() -> None:
        while connection.execute(batch).rowcount == PURGE_BATCH:
            pass

    def vacuum() -> None:
        connection.execute(sql.SQL("VACUUM {}").format(place.table))

    for name, work in (("nothing", wait), ("deletes of a tenth", delete), ("then VACUUM", vacuum)):
        began = time.monotonic()
        with beside(url, place, asked) as latencies_ms:
            work()
            took_s = time.monotonic() - began
        p50, p99 = (f"{percentile(latencies_ms, rank):>10.2f}" for rank in (50, 99))
        say(f"{'lookups beside ' + name:37}{p50}{p99}{'':12}{took_s:,.1f} s")


@contextlib.contextmanager
def beside(url: str, place: Place, asked: Halves) -> Iterator[list[float]]:
    """Latencies of lookups by index, one after the other, for as long as the block takes; at least one."""
    latencies_ms: list[float] = []
    stop = threading.Event()
    way = INDEX_WAYS["strict", 200]

    def look_up_until_stopped(connection: Connection) -> None:
        for vector in itertools.cycle(asked):
            started = time.perf_counter()
            nearest(connection, place, way, vector)
            latencies_ms.append((time.perf_counter() - started) * 1e3)
            if stop.is_set():
                return

    with connect(url) as connection, settings(connection, way.settings):
        nearest(connection, place, way, asked[0])
        thread = threading.Thread(target=look_up_until_stopped, args=[connection])
        thread.start()
        try:
            yield latencies_ms
        finally:
            stop.set()
            thread.join()


def many_scopes(connection: Connection, corpus: Corpus, entries: int, rng: np.random.Generator) -> None:
    rows = corpus.stored(max(entries, SCOPES), rng)
    scopes = dict(zip(map(scope_name, range(SCOPES)), np.array_split(rows, SCOPES), strict=True))
    with step(f"Filling {SCOPES:,} scopes with {len(rows) // SCOPES:,} entries each"):
        table = fill(connection, "many_scopes", scopes)
    places = [Place(table.name, scope) for scope in scopes]
    say(f"{f'{SCOPES:,} scopes in turn, exact':37}{in_turn(connection, places, corpus.asked(rows, SCOPES, rng))}")


def many_tenants(connection: Connection, corpus: Corpus, rng: np.random.Generator) -> None:
    rows = corpus.stored(PER_TENANT, rng)
    scope = scope_name(0)
    with step(f"Filling {TENANTS} tenants with {PER_TENANT:,} entries each"):
        tables = [fill(connection, f"tenant_{number}", {scope: rows}) for number in range(TENANTS)]
    places = [Place(table.name, scope) for table in tables] * 4
    asked = corpus.asked(rows, len(places), rng)
    with connect(connection.info.dsn) as fresh:
        server = psutil.Process(fresh.info.backend_pid)
        before_mb = server.memory_full_info().uss / 1e6
        say(f"{f'{TENANTS} tenants in turn, exact':37}{in_turn(fresh, places, asked)}")
        grown_mb = server.memory_full_info().uss / 1e6 - before_mb
    say(f"A connection that has met {TENANTS} tenants holds {grown_mb:,.0f} MB more.")


def in_turn(connection: Connection, places: list[Place], asked: Halves) -> Timing:
    """Lookups that never meet the same place twice in a row."""

    def ask(index: int) -> bool:
        if index >= len(places):
            return False
        nearest(connection, places[index], EXACT, asked[index])
        return True

    with settings(connection, EXACT.settings):
        return timed(connection, ask)[0]
