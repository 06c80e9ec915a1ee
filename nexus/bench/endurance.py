"""`bin/bench load`: mixed traffic of several workspaces for long, at a share of what was found to be the most; whether
anything grows, slows down or gets lost on the way. docs/bench.md says how to read it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import random
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import django
import orjson
import redis

from nexus.bench import installation, load
from nexus.bench.installation import Installation
from nexus.bench.openloop import Clients, Seen, closed_loop, open_loop
from nexus.bench.spread import Latencies
from nexus.instance import Instance
from nexus.ports import free_port
from nexus.preflight import Trouble, require_disk, say, step

NEEDS_MB, NEEDS_MB_A_MINUTE = 2_000, 60
GATEWAYS = 2
# Each step of the search for the most takes so long, with twice as many at once as the one before.
RAMP, RAMP_S, GAIN = (4, 8, 16, 32, 64), 6.0, 1.05
SETTLING_S = 120.0
TIERS = ("exact", "semantic", "miss", "stream")


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """`per_s` of 0: a `share` of the most that was found."""

    seconds: float = 600.0
    per_s: float = 0.0
    share: float = 0.5
    workspaces: int = 4
    minute_s: float = 60.0
    report: Path | None = None
    seed: int = 1


@dataclasses.dataclass(slots=True)
class Minute:
    """What was seen in one, and what the installation took at its end."""

    tiers: dict[str, Latencies]
    requests: int = 0
    statuses: dict[str, int] = dataclasses.field(default_factory=lambda: defaultdict(int))
    faults: int = 0
    foreign: int = 0
    seconds: float = 0.0
    busy_cores: float = 0.0
    look: Any = None

    @classmethod
    def new(cls) -> Minute:
        return cls({tier: Latencies() for tier in TIERS})

    def add(self, seen: Seen) -> None:
        self.requests += 1
        self.statuses[seen.fault or str(seen.status)] += 1
        self.foreign += bool(seen.foreign)
        if seen.answered:
            self.tiers[seen.tier].add(seen.latency_ms)
        elif seen.fault or seen.status in {401, 403, 404, 413} or (seen.status >= 500 and seen.asked.kind != "failing"):
            self.faults += 1


class Counting:
    """Where all results go, from the first on."""

    def __init__(self) -> None:
        from nexus.bench.tally import Told

        self.minute = Minute.new()
        self.told: defaultdict[int, Told] = defaultdict(Told)

    def add(self, seen: Seen) -> None:
        self.minute.add(seen)
        self.told[seen.asked.workspace.id].add(seen)

    def turn(self) -> Minute:
        done, self.minute = self.minute, Minute.new()
        return done


async def run(instance: Instance, wanted: Wanted) -> bool:
    """Whether nothing was lost, counted twice or given to others. Raises Trouble."""
    require_disk(instance.var, NEEDS_MB + int(NEEDS_MB_A_MINUTE * wanted.seconds / 60))
    async with installation.running(instance, keeps=True) as installed:
        names, ports = await _start(installed)
        os.environ |= installed.environment
        django.setup()
        # They need Django's models.
        from nexus.bench import crowd, endurance_report, probes, tally, traffic
        from tenants.db import open_redis

        url = f"http://127.0.0.1:{ports['provider']}/v1"
        with step(f"Making {wanted.workspaces} workspaces"):
            made = await asyncio.to_thread(
                lambda: [crowd.make(f"load-{at}", url, keys=1 + at % 3) for at in range(wanted.workspaces)]
            )
        drawn, counting = traffic.Traffic(made, wanted.seed), Counting()
        clients = Clients([ports[name] for name in names if name.startswith("gateway")])
        with open_redis(timeout_s=10) as client:
            watch = _Watch(installed, names, client, made, probes.look)
            with step("Filling the cache"):
                for seen in await closed_loop(clients, iter(drawn.stored()), at_once=4, seconds=600):
                    counting.add(seen)
            per_s = wanted.per_s or wanted.share * await most(clients, drawn, counting)
            say(f"{per_s:,.0f} requests a second for {wanted.seconds / 60:g} minutes, of {len(made)} workspaces.")
            counting.turn()
            before = await watch.look()
            minutes = await _minutes(clients, drawn, counting, per_s, wanted, watch)
            clients.close()
            with step("Waiting until all is booked"):
                is_settled = await asyncio.to_thread(tally.settled, client, made, SETTLING_S)
            rows = await asyncio.to_thread(tally.rows, client, made, counting.told)
        say(endurance_report.text(before, minutes, rows))
        if not is_settled:
            say("Something still waited to be booked.")
        if wanted.report is not None:
            wanted.report.write_bytes(orjson.dumps(endurance_report.figures(before, minutes, rows), default=str))
        return is_settled and endurance_report.holds(minutes, rows)


async def _start(installed: Installation) -> tuple[list[str], dict[str, int]]:
    """All parts but the web pages; their names and ports."""
    from nexus.bench import marked

    names = ["provider", "embedder", "worker", "beat", *(f"gateway-{at + 1}" for at in range(GATEWAYS))]
    ports = {name: free_port() for name in names}
    installed.environment |= {"NEXUS_PRIVATE_PROVIDERS": "on", "NEXUS_LOG_LEVEL": "WARNING"}
    installed.environment |= {"NEXUS_EMBEDDER": f"grpc://127.0.0.1:{ports['embedder']}"}
    thinks = {marked.THINKS_MS: "30"}
    with step("Provider, embedder, worker, beat, gateways"):
        await installed.start(
            installed.application("provider", "nexus.bench.marked:application", ports["provider"], **thinks),
            installed.embedder(ports["embedder"]),
            installed.worker(NEXUS_LOG_LEVEL="INFO"),
            installed.beat(NEXUS_LOG_LEVEL="INFO"),
            *(installed.gateway(name, ports[name]) for name in names if name.startswith("gateway")),
        )
    return [*names, "postgres", "redis"], ports


async def most(clients: Clients, drawn: Any, counting: Counting) -> float:
    """Requests a second that are answered when more at once bring no more. Raises Trouble."""
    best = 0.0
    for at_once in RAMP:
        began = time.perf_counter()
        results = await closed_loop(clients, iter(drawn), at_once=at_once, seconds=RAMP_S)
        per_s = len(results) / (time.perf_counter() - began)
        for seen in results:
            counting.add(seen)
        say(f"  {at_once:>3} at once: {per_s:,.0f} a second")
        if per_s < best * GAIN:
            break
        best = per_s
    if not best:
        raise Trouble("Nothing was answered; the gateways' logs may say why.")
    return best


class _Watch:
    def __init__(
        self, installed: Installation, names: Sequence[str], client: redis.Redis, made: Sequence[Any], look: Any
    ) -> None:
        self._arguments = installed.supervisor, names, client, made
        self._look = look

    async def look(self) -> Any:
        from django.db import connection

        def looked() -> Any:
            try:
                return self._look(*self._arguments)
            finally:
                connection.close()

        return await asyncio.to_thread(looked)


async def _minutes(
    clients: Clients, drawn: Any, counting: Counting, per_s: float, wanted: Wanted, watch: _Watch
) -> list[Minute]:
    from nexus.bench import endurance_report

    minutes: list[Minute] = []
    sending = asyncio.create_task(
        open_loop(
            clients,
            iter(drawn),
            per_s=per_s,
            until=lambda passed_s: passed_s >= wanted.seconds,
            seen=counting.add,
            rng=random.Random(wanted.seed),
        )
    )
    say(endurance_report.head(watch_names(watch)))
    began, busy_s = time.perf_counter(), load.others_busy_s()
    while not sending.done():
        await asyncio.wait({sending}, timeout=wanted.minute_s)
        minute, now, busy = counting.turn(), time.perf_counter(), load.others_busy_s()
        minute.seconds, minute.busy_cores = now - began, (busy - busy_s) / (now - began)
        began, busy_s = now, busy
        minute.look = await watch.look()
        minutes.append(minute)
        say(endurance_report.line(len(minutes), minute))
    if dropped := sending.result():
        say(f"{dropped:,} requests were due and not sent: too many were under way.")
    return minutes


def watch_names(watch: _Watch) -> Sequence[str]:
    return watch._arguments[1]
