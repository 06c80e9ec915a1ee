"""`bin/bench --rolling`: an upgrade as in production, under load. nginx in front of two gateways; the next release's
tables are made, then each gateway is told to leave and started again. No request may fail, and no stream be cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import random
import shutil
import signal
import ssl
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator

import aiohttp
import orjson

from nexus.bench import front, installation, servers
from nexus.bench.front import Front
from nexus.bench.installation import Installation
from nexus.bench.spread import Latencies
from nexus.instance import ROOT, Instance
from nexus.ports import free_port
from nexus.preflight import Trouble, say, step

PER_S = 30.0
STEADY_S = 15.0
RESTARTS = 2
WORKSPACES = 20
KNOWN = 50
# The rest are questions that nobody asked before.
SHARE_KNOWN, SHARE_STREAMS = 0.6, 0.2
PATIENCE_S = 90.0
# Streams take two to four seconds, so that some are under way whenever a gateway is told to leave.
SLOW = {
    "NEXUS_SIMULATED_LATENCY_MS": "200",
    "NEXUS_SIMULATED_TOKENS_PER_S": "30",
    # As in docker-compose.yml: longer than nginx keeps idle connections.
    "NEXUS_DRAIN_DELAY_S": "6",
}
NEXT_MIGRATION = """
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("analytics", "{last}")]
    operations = [
        migrations.AddField("usagerecord", "next_note", models.TextField(null=True)),
        AddIndexConcurrently("usagerecord", models.Index(fields=["next_note"], name="by_next_note")),
    ]
"""
NEXT_SETTINGS = """
from nexus.settings import *
MIGRATION_MODULES = {**MIGRATION_MODULES, "analytics": "next_release"}
"""
_WORKSPACES = f"""
import django; django.setup()
from tenants import registration
for number in range({WORKSPACES}):
    registration.register(f"rolling-{{number}}@example.com")
"""


@dataclasses.dataclass
class Told:
    """What clients saw in one phase. Latencies are of what is no stream, from when it was due."""

    name: str
    latencies: Latencies = dataclasses.field(default_factory=Latencies)
    kinds: Counter[str] = dataclasses.field(default_factory=Counter)
    failed: Counter[str] = dataclasses.field(default_factory=Counter)
    seconds: float = 0.0
    note: str = ""


class Load:
    """Open loop: requests are sent when they are due, and belong to the phase in which they were."""

    def __init__(self, session: aiohttp.ClientSession, url: str, key: str) -> None:
        self._session, self._url = session, f"{url}/v1/chat/completions"
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._random = random.Random(7)
        self._under_way: set[asyncio.Task[None]] = set()
        self.phase = Told("")
        self.streams = 0

    async def run(self) -> None:
        due = time.perf_counter()
        try:
            while True:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                task = asyncio.create_task(self._ask(self.phase, due))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
                due += self._random.expovariate(PER_S)
        finally:
            await asyncio.gather(*self._under_way)

    async def _ask(self, phase: Told, due: float) -> None:
        drawn = self._random.random()
        kind = "hit" if drawn < SHARE_KNOWN else "stream" if drawn < SHARE_KNOWN + SHARE_STREAMS else "miss"
        text = f"Question {self._random.randrange(KNOWN)}" if kind == "hit" else f"Question {uuid.uuid4().hex}"
        messages = [{"role": "user", "content": text}]
        body = orjson.dumps({"model": "gpt-4o-mini", "messages": messages, "stream": kind == "stream"})
        phase.kinds[kind] += 1
        self.streams += kind == "stream"
        try:
            async with self._session.post(self._url, data=body, headers=self._headers) as answer:
                content = await answer.read()
                if answer.status != 200:
                    phase.failed[f"{answer.status} {content[:80].decode(errors='replace')}"] += 1
                elif kind == "stream" and b"data: [DONE]" not in content:
                    phase.failed["a stream was cut"] += 1
        except (aiohttp.ClientError, TimeoutError) as error:
            phase.failed[type(error).__name__] += 1
        finally:
            self.streams -= kind == "stream"
        if kind != "stream":
            phase.latencies.add((time.perf_counter() - due) * 1000)


async def run(instance: Instance) -> bool:
    """Whether nothing failed. Raises Trouble."""
    if front.nginx() is None:
        raise Trouble("nginx is missing; on Debian: apt-get install nginx-light.")
    async with installation.running(instance) as installed:
        with step(f"{WORKSPACES} workspaces"):
            key = await servers.tenant_key(installed.environment, installed.log)
            await _python(installed, "-c", _WORKSPACES)
        ports = {name: free_port() for name in ("gateway-1", "gateway-2")}
        with step("Two gateways, and nginx in front"):
            for name, port in ports.items():
                await installed.start(installed.gateway(name, port, **SLOW))
        folder = instance.var / "nginx"
        folder.mkdir()
        with front.running(folder, list(ports.values()), list(ports.values())) as proxy:
            phases = await _roll(installed, proxy, key, list(ports))
    return _report(phases)


async def _roll(installed: Installation, proxy: Front, key: str, names: list[str]) -> list[Told]:
    trusted = ssl.create_default_context(cafile=str(proxy.certificate))
    connector = aiohttp.TCPConnector(ssl=trusted, limit=0)
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    phases: list[Told] = []
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        load = Load(session, proxy.url, key)
        running = asyncio.create_task(load.run())
        try:
            with _phase(load, phases, "Steady"):
                await asyncio.sleep(STEADY_S)
            with _phase(load, phases, "Upgrade of the tables"):
                await _upgrade(installed)
            for _ in range(RESTARTS):
                for name in names:
                    with _phase(load, phases, f"{name} starts again") as told:
                        told.note = f"{load.streams} streams under way"
                        await _restart(installed, name)
            with _phase(load, phases, "Steady"):
                await asyncio.sleep(STEADY_S)
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
    return phases


@contextlib.contextmanager
def _phase(load: Load, phases: list[Told], name: str) -> Iterator[Told]:
    told = load.phase = Told(name)
    phases.append(told)
    began = time.monotonic()
    with step(name):
        yield told
    told.seconds = time.monotonic() - began


async def _restart(installed: Installation, name: str) -> None:
    """As whoever rolls out does: told to leave, and started again when it has left."""
    before = installed.supervisor.pid(name)
    installed.supervisor.kill(name, signal.SIGTERM)
    for _ in range(int(PATIENCE_S * 20)):
        if installed.supervisor.pid(name) != before:
            break
        await asyncio.sleep(0.05)
    else:
        raise Trouble(f"{name} did not leave within {PATIENCE_S:.0f} s.")
    await installed.supervisor.recovered()


async def _upgrade(installed: Installation) -> None:
    """By `nexus.upgrade`, with one more migration than there is: a column, and an index that is made concurrently."""
    package = installed.instance.var / "next" / "next_release"
    shutil.copytree(ROOT / "analytics" / "migrations", package)
    last = max(file.stem for file in package.glob("0*.py"))
    (package / "9999_next.py").write_text(NEXT_MIGRATION.replace("{last}", last), encoding="utf-8")
    (package.parent / "next_settings.py").write_text(NEXT_SETTINGS, encoding="utf-8")
    more = {"PYTHONPATH": f"{package.parent}:{ROOT}", "DJANGO_SETTINGS_MODULE": "next_settings"}
    await _python(installed, "-m", "nexus.upgrade", **more)


async def _python(installed: Installation, *arguments: str, **more: str) -> None:
    """Raises Trouble."""
    with installed.log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, env={**installed.environment, **more}, cwd=ROOT, stdout=out, stderr=out
        )
        if await process.wait() != 0:
            raise Trouble(f"{arguments[-1][:40]} failed; {installed.log} says why.")


def _report(phases: list[Told]) -> bool:
    say(f"\n{'':28}{'seconds':>8}{'requests':>10}{'streams':>9}{'failed':>8}{'p50':>10}{'p99':>10}")
    for told in phases:
        asked = sum(told.kinds.values())
        p50, p99 = told.latencies.percentile(50), told.latencies.percentile(99)
        say(
            f"{told.name:28}{told.seconds:8.1f}{asked:10,}{told.kinds['stream']:9,}{sum(told.failed.values()):8}"
            f"{p50:7.0f} ms{p99:7.0f} ms  {told.note}"
        )
    for told in phases:
        for what, count in told.failed.items():
            say(f"{told.name}: {count} × {what}")
    failed, asked = (sum(sum(getattr(told, kind).values()) for told in phases) for kind in ("failed", "kinds"))
    say(f"{asked:,} requests, {failed} failed.")
    return failed == 0
