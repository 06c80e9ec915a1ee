"""`bin/bench --live`: fifty browsers on one workspace's live page while it answers 500 requests a second.

How long after an answer the pages show it, what an open page costs the server, whether pages that were cut off end up
with the database's figures, and whether anything of another workspace comes through. docs/bench.md says how to read it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import NamedTuple

import django
import orjson
import psutil

from nexus import data_plane
from nexus.bench import installation, load, questions, servers
from nexus.bench.live_pages import Page, lags_s
from nexus.bench.servers import Server
from nexus.embedded import launched
from nexus.instance import ROOT, Instance
from nexus.preflight import Trouble, say, step
from nexus.replay.report import percentile

PAGES, PER_S, SECONDS = 50, 500, 30
WARMING_S = 5
# What the pages cost is the difference to so long without them.
ALONE_S = 15
OTHERS_PER_S = 20
KNOWN, CONNECTIONS = 50, 8
CUT_AFTER_S = SECONDS / 2
SETTLING_S = 30.0
CHAT = "/v1/chat/completions"
_ANSWERS_AT_ONCE = {"NEXUS_SIMULATED_LATENCY_MS": "0", "NEXUS_SIMULATED_TOKENS_PER_S": "0"}


class Workspace(NamedTuple):
    """`mark` begins its request ids."""

    id: int
    slug: str
    key: str
    cookies: list[str]
    mark: str


class Ran(NamedTuple):
    answered: list[float]
    cpu_s: float
    others_busy_s: float
    seconds: float

    @property
    def cores(self) -> float:
        return self.cpu_s / self.seconds


async def run(instance: Instance) -> bool:
    """Whether nothing was lost and nothing of others was seen. Raises Trouble."""
    target_cores, other_cores = servers.cores()
    os.sched_setaffinity(0, other_cores)
    async with installation.running(instance) as installed:
        environment, log = installed.environment | _ANSWERS_AT_ONCE, installed.log
        os.environ |= environment
        django.setup()
        own, other = await asyncio.to_thread(_make, "own", PAGES), await asyncio.to_thread(_make, "other", 1)
        gateway = servers.running("gateway", data_plane.APPLICATION, environment, log, on=target_cores)
        async with gateway as server, _worker(environment, log):
            with step("Filling the cache"):
                for workspace in (own, other):
                    for request in itertools.islice(_requests(workspace), KNOWN):
                        await load.fetch(server.port, request)
            return await _measure(server, own, other)


@contextlib.asynccontextmanager
async def _worker(environment: dict[str, str], log: os.PathLike[str]) -> AsyncIterator[None]:
    """Drains usage each second, as Celery's beat has it done."""
    program = launched([sys.executable, "-m", "nexus.bench.month_process", "worker"], signal.SIGTERM).argv
    with open(log, "ab") as out:
        process = subprocess.Popen(program, env=environment, cwd=ROOT, stdout=out, stderr=out)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def _make(mark: str, sessions: int) -> Workspace:
    """Without limits, and with so many sessions of its owner."""
    # They need Django's models.
    from django.conf import settings
    from django.test import Client

    from billing import subscriptions
    from tenants import registration

    made = registration.register(f"{mark}@example.com")
    subscriptions.change_plan(made.tenant, "scale", overrides={"requests_per_minute": None})
    cookies = []
    for _ in range(sessions):
        client = Client()
        client.force_login(made.user)
        name = settings.SESSION_COOKIE_NAME
        cookies.append(f"{name}={client.cookies[name].value}")
    return Workspace(made.tenant.pk, made.tenant.slug, made.issued.text, cookies, f"of-{mark}-")


def _requests(workspace: Workspace) -> Iterator[load.Request]:
    """The same questions again and again, each time under another id."""
    texts = list(itertools.islice(questions.unique(), KNOWN))
    for number, text in enumerate(itertools.cycle(texts)):
        body = orjson.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]})
        headers = {"Authorization": f"Bearer {workspace.key}", "X-Request-Id": f"{workspace.mark}{number}"}
        yield load.post(CHAT, body, headers)


async def _measure(server: Server, own: Workspace, other: Workspace) -> bool:
    with step("Warming up"):
        warm = await _load(server, own, other, WARMING_S)
    with step(f"{PER_S} requests a second, no page open, {ALONE_S} s"):
        alone = await _load(server, own, other, ALONE_S)
    before = await _settled(own, KNOWN + len(warm.answered) + len(alone.answered))
    pages = [Page(server.port, own.slug, cookie, other.mark) for cookie in own.cookies]
    others = [Page(server.port, other.slug, cookie, own.mark) for cookie in other.cookies]
    open_pages = [asyncio.create_task(page.stay_open()) for page in (*pages, *others)]
    try:
        with step(f"The same with {PAGES} pages, which are cut off after {CUT_AFTER_S:.0f} s"):
            await _until(lambda: all(page.shown for page in (*pages, *others)))
            asyncio.get_running_loop().call_later(CUT_AFTER_S, _cut, pages)
            watched = await _load(server, own, other, SECONDS)
        booked = await _settled(own, before + len(watched.answered))
        with contextlib.suppress(Trouble):
            await _until(lambda: all(page.requests == booked for page in pages))
    finally:
        for task in open_pages:
            task.cancel()
    with step(f"Without them again, {ALONE_S} s"):
        alone_cores = (alone.cores + (await _load(server, own, other, ALONE_S)).cores) / 2
    return _tell(pages, others, watched, alone_cores, before=before, booked=booked)


def _cut(pages: Sequence[Page]) -> None:
    for page in pages:
        page.cut()


async def _load(server: Server, own: Workspace, other: Workspace, seconds: float) -> Ran:
    process = psutil.Process(server.pid)
    spent, busy_s, began = process.cpu_times(), load.others_busy_s(), asyncio.get_running_loop().time()
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(
            load.at_rate(server.port, _requests(own), per_s=PER_S, seconds=seconds, connections=CONNECTIONS)
        )
        group.create_task(
            load.at_rate(server.port, _requests(other), per_s=OTHERS_PER_S, seconds=seconds, connections=1)
        )
    took, now = asyncio.get_running_loop().time() - began, process.cpu_times()
    spent_s = now.user + now.system - spent.user - spent.system
    return Ran(asked.result(), spent_s, load.others_busy_s() - busy_s, took)


async def _settled(workspace: Workspace, answered: int) -> int:
    """What the database has counted, when it has counted all, or no more comes."""
    counted = 0
    for _ in range(int(SETTLING_S)):
        counted = await asyncio.to_thread(_counted, workspace.id)
        if counted >= answered:
            break
        await asyncio.sleep(1)
    return counted


def _counted(tenant_id: int) -> int:
    from django.db import connection

    from analytics import queries
    from tenants.db import schema_of
    from tenants.models import Tenant

    try:
        with schema_of(Tenant.objects.get(pk=tenant_id)):
            return queries.totals().requests
    finally:
        connection.close()


async def _until(holds: object) -> None:
    """Raises Trouble."""
    assert callable(holds)
    for _ in range(int(SETTLING_S * 10)):
        if holds():
            return
        await asyncio.sleep(0.1)
    raise Trouble("The pages did not show in time what they should.")


def _tell(
    pages: Sequence[Page], others: Sequence[Page], watched: Ran, alone_cores: float, *, before: int, booked: int
) -> bool:
    lags = lags_s(pages, watched.answered, before, until_s=pages[0].cut_at)
    gaps = [page.gap_s for page in pages]
    messages = sum(len(page.shown) for page in pages)
    rate, each_kb = messages / len(pages) / watched.seconds, sum(page.bytes for page in pages) / messages / 1024
    cost_ms = 1000 * (watched.cores - alone_cores) / len(pages)
    behind = sum(page.requests != booked for page in pages)
    missing = before + len(watched.answered) - booked
    foreign = sum(page.foreign for page in (*pages, *others))
    rows = {
        "Answers a second": f"{len(watched.answered) / watched.seconds:,.0f}",
        "From an answer until a page shows it": f"{percentile(lags, 50):.2f} s p50, {percentile(lags, 95):.2f} s p95",
        "From the cut until a page is current": f"{percentile(gaps, 50):.2f} s p50, {max(gaps):.2f} s at most",
        "Messages": f"{rate:.1f}/s a page, {each_kb:.1f} KB each",
        "Server's CPU": f"{watched.cores:.3f} cores, without pages {alone_cores:.3f}",
        "Server's CPU for each page": f"{cost_ms:.1f} ms a second",
        "Cores that other programs used": f"{watched.others_busy_s / watched.seconds:.2f}",
        f"Connections of {len(pages)} pages": sum(page.connections for page in pages),
        "Pages that differ from the database": behind,
        "Answers that the database lacks": missing,
        "Messages with another's requests": foreign,
    }
    for name, figure in rows.items():
        say(f"{name:38} {figure}")
    return behind == missing == foreign == 0
