"""`bin/bench chaos`: each part is killed, paused, slowed down and cut off in turn while requests go on; whether
anything is lost, counted twice, given to others, or let in beyond a limit, and how long all takes to be normal again.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import django
import orjson

from nexus.bench import chaos_parts, chaos_report, installation
from nexus.bench.chaos_checks import BUDGET, PAGE, QUOTA, RATE, STREAK, Found
from nexus.bench.chaos_parts import Field
from nexus.bench.crowd import Workspace
from nexus.bench.openloop import Clients, Seen, closed_loop, open_loop
from nexus.bench.traffic import Asked, Traffic
from nexus.instance import Instance
from nexus.preflight import require_disk, say

NEEDS_MB = 4_000
BEFORE_S, FAULT_S, LOOK_S = 4.0, 8.0, 0.25
# Then it is given up: it does not recover.
RECOVERY_S, SETTLING_S = 60.0, 90.0
PAGES_PER_S = 2.0
PATIENCE_S = 30.0
KINDS = ("repeat", "paraphrase", "new", "new, exact tier", "stream, new", "stream, repeat")
SHARE_OF_LIMITED = 0.25
QUESTIONS_REPEATED, QUESTIONS_STORED = 6, 50
# Used up within a cell by what is sent.
LIMITS = {QUOTA: ("monthly_requests", 30), BUDGET: ("daily_budget_usd", 0.01), RATE: ("requests_per_minute", 30)}
Result = TypeVar("Result")


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    parts: Sequence[str]
    ways: Sequence[str]
    per_s: float = 40.0
    fault_s: float = FAULT_S
    report: Path | None = None
    seed: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Cell:
    """One part, one way. `recovery_s` and `booked_s` are from the fault's end; None: not in time."""

    part: str
    way: str
    found: Found
    answered: int
    statuses: dict[str, int]
    longest_s: float
    recovery_s: float | None
    booked_s: float | None
    mended: list[str]

    @property
    def broken(self) -> bool:
        late = self.recovery_s is None or self.booked_s is None
        return late or self.found.broken(without_redis=self.part == "redis")


async def run(instance: Instance, wanted: Wanted) -> bool:
    """Whether nothing broke. Raises Trouble."""
    require_disk(instance.var, NEEDS_MB)
    cells: list[Cell] = []
    async with (
        installation.running(instance, keeps=True, patience={}) as installed,
        chaos_parts.running(installed) as field,
    ):
        os.environ |= installed.environment
        django.setup()
        say(chaos_report.HEAD)
        for part, way in itertools.product(wanted.parts, wanted.ways):
            cell = await _Play(field, wanted, part, way).run()
            cells.append(cell)
            say(chaos_report.line(cell))
            for detail in chaos_report.details(cell):
                say(f"    {detail}")
            if wanted.report is not None:
                wanted.report.write_bytes(orjson.dumps(chaos_report.figures(cells), default=str))
    say(chaos_report.verdict(cells))
    return not any(cell.broken for cell in cells)


class _Play:
    """One cell."""

    def __init__(self, field: Field, wanted: Wanted, part: str, way: str) -> None:
        self._field, self._wanted, self._part, self._way = field, wanted, part, way
        self._rng = random.Random(f"{wanted.seed} {part} {way}")
        self._seen: list[Seen] = []
        self._recovered_at: float | None = None
        self._over = False
        self._notes: list[str] = []

    async def run(self) -> Cell:
        from nexus.bench import chaos_books

        ports, supervisor = self._field.ports, self._field.installed.supervisor
        made = await _synced(lambda: _workspaces(f"http://127.0.0.1:{ports['provider']}/v1"))
        plain = [one for one in made if not one.limit]
        traffic = Traffic(
            plain,
            self._wanted.seed,
            dict.fromkeys(KINDS, 1.0),
            repeated=QUESTIONS_REPEATED,
            stored=QUESTIONS_STORED,
        )
        gateways = [ports["gateway-1"], ports["gateway-2"]]
        clients = Clients([ports["nginx"]] if self._part == "nginx" else gateways, patience_s=PATIENCE_S)
        pages = Clients([ports["web"]], patience_s=PATIENCE_S)
        try:
            filling = iter([*traffic.stored(), *traffic.known()])
            self._seen += await closed_loop(Clients(gateways), filling, at_once=8, seconds=120)
            ended_at = await self._under_load(clients, pages, _mixed(traffic, made, self._rng))
            await asyncio.wait_for(supervisor.recovered(), 120)
            told = await chaos_books.settled(made, Clients(gateways), SETTLING_S, self._poke(traffic, made))
            self._seen += told.poked
            audit = await _synced(lambda: chaos_books.audited(made, self._seen))
        finally:
            clients.close()
            pages.close()
        return self._cell(audit.found, ended_at, told.settled_at, [*self._notes, *told.notes, *audit.mended])

    def _cell(self, found: Found, ended_at: float, settled_at: float | None, mended: list[str]) -> Cell:
        from nexus.bench import chaos_checks

        recovered = self._recovered_at
        return Cell(
            self._part,
            self._way,
            found,
            answered=sum(one.answered for one in self._seen),
            statuses=chaos_checks.by_status(self._seen),
            longest_s=chaos_checks.longest_wait_s(self._seen),
            recovery_s=None if recovered is None else recovered - ended_at,
            booked_s=None if settled_at is None else settled_at - ended_at,
            mended=mended,
        )

    async def _under_load(self, clients: Clients, pages: Clients, requests: Iterator[Asked]) -> float:
        """Sends, breaks, mends, and goes on until all is normal again; when the fault ended."""
        self._over = False
        sending = [
            asyncio.create_task(self._send(clients, requests, self._wanted.per_s)),
            asyncio.create_task(self._send(pages, _pages(), PAGES_PER_S)),
        ]
        try:
            await asyncio.sleep(BEFORE_S)
            await self._field.begin(self._part, self._way)
            # A part that is killed begins at once to get up again.
            ended_at = time.perf_counter()
            await asyncio.sleep(self._wanted.fault_s)
            await self._field.end(self._part, self._way)
            if self._way != chaos_parts.KILLED:
                ended_at = time.perf_counter()
            await self._recovery(ended_at)
        finally:
            self._over = True
            await asyncio.gather(*sending)
        return ended_at

    async def _send(self, clients: Clients, requests: Iterator[Asked], per_s: float) -> None:
        await open_loop(
            clients, requests, per_s=per_s, until=lambda _: self._over, seen=self._seen.append, rng=self._rng
        )

    async def _recovery(self, ended_at: float) -> None:
        from nexus.bench import chaos_checks

        kinds = [PAGE] if self._part == "web" else list(KINDS)
        streak = STREAK // 4 if self._part == "web" else STREAK
        until = time.perf_counter() + RECOVERY_S
        while time.perf_counter() < until:
            await asyncio.sleep(LOOK_S)
            self._recovered_at = chaos_checks.recovered_at(self._seen, kinds, ended_at, streak)
            if self._recovered_at is not None:
                return
        self._notes += chaos_checks.unlike_usual(self._seen, kinds)

    def _poke(self, traffic: Traffic, made: Sequence[Workspace]) -> Callable[[], list[Asked]]:
        """One request each: holds of the dead are given back when the next one asks."""
        return lambda: [traffic.draw(one, "new, exact tier") for one in made]


def _workspaces(provider_url: str) -> list[Workspace]:
    from nexus.bench import crowd

    plain = [crowd.make(name, provider_url) for name in ("plain-1", "plain-2")]
    limited = [crowd.make(name, provider_url, limit=what, amount=most) for name, (what, most) in LIMITS.items()]
    return [*plain, *limited]


def _mixed(traffic: Traffic, made: Sequence[Workspace], rng: random.Random) -> Iterator[Asked]:
    limited = [one for one in made if one.limit]
    while True:
        if rng.random() < SHARE_OF_LIMITED:
            # What costs nothing, such as a hit, would not use a budget up.
            asked = traffic.draw(rng.choice(limited), "new, exact tier")
            yield asked._replace(kind=asked.workspace.name)
        else:
            yield traffic.draw()


def _pages() -> Iterator[Asked]:
    nobody = Workspace("pages", 0, (), "")
    while True:
        yield Asked(PAGE, nobody, "", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", frozenset())


async def _synced(work: Callable[[], Result]) -> Result:
    """Django's queries wait. In a thread, whose connection is closed with it."""
    from django.db import connections

    def whole() -> Result:
        try:
            return work()
        finally:
            connections.close_all()

    return await asyncio.to_thread(whole)
