"""`bin/bench --pages`: how long the server takes for each page of a workspace with a million usage records.

Each is asked for by its owner, and operators' lists by an operator, one at a time. docs/bench.md says how to read it.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import django
import orjson
import psutil

from gateway.cache.embedding import build
from gateway.cache.embedding.minilm import MiniLM
from nexus import data_plane
from nexus.bench import installation, load, servers
from nexus.bench.servers import Server
from nexus.instance import Instance, processes_in
from nexus.preflight import Trouble, say, step
from nexus.replay.report import percentile

if TYPE_CHECKING:
    from nexus.bench.pages_filled import Filled

RECORDS = 1_000_000
BUDGET_MS = 200
WARM, TIMES, TIMES_A_FILE = 3, 30, 10
PATIENCE_S = 60
# As in nexus.bench.pages_counted, which needs Django.
TAKEN = "/bench/taken"
# A browser writes them to the disk as they come.
FILES = (".csv", ".jsonl")


class Asked(NamedTuple):
    name: str
    path: str
    cookie: str


class Look(NamedTuple):
    """What one answer took, to its first and to its last byte. CPU is the gateway's."""

    status: int
    bytes: int
    queries: int
    database_ms: float
    first_ms: float
    ms: float
    cpu_ms: float


class Measured(NamedTuple):
    """`ms` of each time, to the last byte, of a file to its first. CPU is of gateway and Postgres, of one page."""

    name: str
    queries: int
    ms: list[float]
    database_ms: float
    cpu_ms: float
    kb: float

    @property
    def p95_ms(self) -> float:
        return percentile(self.ms, 95)

    def __str__(self) -> str:
        p50, p95 = percentile(self.ms, 50), self.p95_ms
        mark = "  over" if p95 > BUDGET_MS else ""
        figures = f"{self.queries:>8}{p50:>9.0f}{p95:>9.0f}{self.database_ms:>11.0f}{self.cpu_ms:>9.0f}{self.kb:>8.0f}"
        return f"{self.name:62}{figures}{mark}"


HEAD = f"{'page':62}{'queries':>8}{'p50, ms':>9}{'p95, ms':>9}{'in SQL, ms':>11}{'CPU, ms':>9}{'KB':>8}"


async def run(instance: Instance, records: int) -> bool:
    """Whether every page keeps its budget. Raises Trouble."""
    target_cores, other_cores = servers.cores()
    os.sched_setaffinity(0, other_cores)
    async with installation.running(instance) as installed:
        environment, log = installed.environment, installed.log
        os.environ |= environment
        django.setup()
        pages = await asyncio.to_thread(fill, records, Path(environment["NEXUS_MODEL_DIR"]))
        app = "nexus.bench.pages_counted:application"
        gateway = servers.running("gateway", app, environment, log, target_cores, data_plane.HTTP)
        async with gateway as server:
            await _ready(server)
            return await asyncio.to_thread(measure, server.port, pages, instance.var / "postgres")


def fill(records: int, models: Path) -> list[Asked]:
    # They need Django's models.
    from django.db import connection

    from nexus.bench import pages_filled

    sizes = pages_filled.Sizes(records)
    tenant, owner, source = pages_filled.make("bench", sizes)
    with step(f"{sizes.entries:,} cache entries with their vectors"):
        pages_filled.fill_cache(tenant, MiniLM.load(build.ensure(models)), source.entry_ids)
    with step(f"{records:,} usage records of 90 days, booked as the worker does"):
        pages_filled.book(tenant, source, records)
    with step("Audit log, alerts, routes, verdicts, other workspaces"):
        pages_filled.fill_rest(tenant, owner, "bench", sizes)
    with step("VACUUM ANALYZE"), connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    return list(listed(pages_filled.finish(tenant, owner)))


def listed(filled: Filled) -> Iterator[Asked]:
    from django.urls import reverse

    from nexus.bench import pages_asked

    named = filled.named
    for page in pages_asked.workspace_pages():
        if page.arguments and page.name not in pages_asked.SHOWN:
            continue
        path = pages_asked.address(page, filled.slug, named)
        yield Asked(page.name, path, filled.cookie)
        for query in pages_asked.FILTERED.get(page.name, ()):
            yield Asked(f"{page.name}?{query}", f"{path}?{query}", filled.cookie)
    for name, other in (("request", "old record"), ("cache-entry", "seldom entry")):
        yield Asked(f"{name}, {other}", reverse(name, args=[filled.slug, named[other]]), filled.cookie)
    for at in pages_asked.OPERATORS:
        yield Asked(at, f"/{at}", filled.operator_cookie)


async def _ready(server: Server) -> None:
    """With the embedding model, which searching by meaning needs."""
    for _ in range(300):
        try:
            await load.fetch(server.port, load.Request(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"))
            return
        except load.WrongAnswer:
            await asyncio.sleep(0.1)
    raise Trouble("The gateway is not ready.")


def measure(port: int, pages: list[Asked], postgres: Path) -> bool:
    say(f"\n{HEAD}")
    found, busy_s, began = [], load.others_busy_s(), time.monotonic()
    for page in pages:
        if (one := _measured(port, page, postgres)) is not None:
            found.append(one)
            say(str(one))
    cores = (load.others_busy_s() - busy_s) / (time.monotonic() - began)
    over = sum(one.p95_ms > BUDGET_MS for one in found)
    say(f"\n{len(found)} pages, {over} over {BUDGET_MS} ms at p95; other programs used {cores:.2f} cores.")
    return over == 0


def _measured(port: int, page: Asked, postgres: Path) -> Measured | None:
    """None for what is no page: changes, and what leads to another page. Raises Trouble."""
    looks = []
    spent_s = 0.0
    is_file = page.path.partition("?")[0].endswith(FILES)
    times = TIMES_A_FILE if is_file else TIMES
    for number in range(WARM + times):
        if number == WARM:
            spent_s = _spent_s(postgres)
        look = look_at(port, page)
        if look.status in (302, 405):
            return None
        if look.status != 200:
            raise Trouble(f"{page.path} answered {look.status}.")
        looks.append(look)
    spent_s, looks = _spent_s(postgres) - spent_s, looks[WARM:]
    return Measured(
        page.name,
        looks[-1].queries,
        [one.first_ms if is_file else one.ms for one in looks],
        sum(one.database_ms for one in looks) / times,
        (sum(one.cpu_ms for one in looks) + 1000 * spent_s) / times,
        looks[-1].bytes / 1024,
    )


def look_at(port: int, page: Asked) -> Look:
    """Of a server that is `nexus.bench.pages_counted`."""
    status, body = _get(port, page.path, page.cookie)
    return Look(status, len(body), **orjson.loads(_get(port, TAKEN, "")[1]))


def _get(port: int, path: str, cookie: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request("GET", path, headers={"Cookie": cookie})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _spent_s(postgres: Path) -> float:
    """CPU of Postgres; what is over counts for the process that began it."""
    spent = 0.0
    for process in processes_in(postgres):
        with contextlib.suppress(psutil.NoSuchProcess):
            spent += sum(process.cpu_times()[:4])
    return spent
