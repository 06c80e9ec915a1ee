"""Plays the month: gateways and workers at once, with kills at random, until every event is booked.

Which process dies when is drawn from the seed, by how much of the month is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import signal
import sys
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
import redis

from nexus.bench.month_calls import CALLS
from nexus.bench.month_told import Told
from nexus.embedded import launched
from nexus.instance import ROOT
from nexus.preflight import Trouble, say
from nexus.supervisor import Service, Supervisor

# As appendfsync everysec has it.
UNSYNCED_S = 1.0
# What a kill has done is over by the next one: two at once may lose what only both of them knew.
GAP_S = 6.0
LOOK_S = 0.25
# Without a new call or a new record for so long, something hangs.
PATIENCE_S = 180.0
# Those who have just spoken for a Redis that is gone must live to tell it again (billing.outage).
APART = {("redis", "gateway"), ("gateway", "redis")}
# Postgres' is its immediate shutdown; all others have no time for anything.
SIGNALS = {"redis": signal.SIGKILL, "postgres": signal.SIGQUIT}
WEIGHTS = {"gateway": 0.3, "worker": 0.3, "redis": 0.2, "postgres": 0.2}


class Month(NamedTuple):
    calls: int
    tenants: int = 100
    gateways: int = 3
    workers: int = 2
    kills: int = 20
    seed: int = 1


class Kill(NamedTuple):
    """When this share of the calls is under way."""

    at: float
    service: str

    @property
    def kind(self) -> str:
        return self.service.partition("-")[0]


class Played(NamedTuple):
    """Seconds until the last call was settled and until the last event was booked; CPU by kind of process."""

    played_s: float
    drained_s: float
    cpu_s: dict[str, float]
    kills: dict[str, int]


def kills(month: Month, rng: np.random.Generator) -> list[Kill]:
    times = np.sort(rng.uniform(0.04, 0.95, month.kills))
    kinds, planned = list(WEIGHTS), [""]
    for _ in times:
        possible = [kind for kind in kinds if (planned[-1], kind) not in APART]
        weights = np.array([WEIGHTS[kind] for kind in possible])
        planned.append(str(rng.choice(possible, p=weights / weights.sum())))
    numbers = {"gateway": month.gateways, "worker": month.workers}
    return [
        Kill(float(at), f"{kind}-{rng.integers(numbers[kind])}" if kind in numbers else kind)
        for at, kind in zip(times, planned[1:], strict=True)
    ]


def process(name: str, arguments: Sequence[str], environment: dict[str, str]) -> Service:
    command = [sys.executable, "-m", "nexus.bench.month_process", *arguments]
    return Service(name, launched(command, signal.SIGTERM).argv, environment, ROOT, stop_timeout_s=5)


class Keepers(NamedTuple):
    """Who starts a process again: Postgres and Redis (None: they are others', and not killed), and all the rest."""

    servers: Supervisor | None
    crew: Supervisor

    def of(self, service: str) -> Supervisor:
        return self.servers if self.servers and service in SIGNALS else self.crew


class Appended:
    """Redis' append-only file. Killing Redis loses nothing that the kernel has; this does what a power cut would."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sizes: deque[tuple[float, dict[Path, int]]] = deque()

    def look(self) -> None:
        now, sizes = time.monotonic(), {}
        for path in self._folder.rglob("*.aof"):
            # Files are written anew at times: then nothing is cut.
            with contextlib.suppress(FileNotFoundError):
                sizes[path] = path.stat().st_size
        self._sizes.append((now, sizes))
        while len(self._sizes) > 1 and now - self._sizes[1][0] >= UNSYNCED_S:
            self._sizes.popleft()

    def cut(self, pid: int) -> None:
        """Takes the last second off, once the process is gone. Blocks, so that nobody starts the next one before."""
        with contextlib.suppress(psutil.NoSuchProcess):
            redis_server = psutil.Process(pid)
            while redis_server.status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.001)
        _, sizes = self._sizes[0]
        for path, size in sizes.items():
            if path.exists() and path.stat().st_size > size:
                os.truncate(path, size)


class Killer:
    """Does what is planned, one at a time."""

    def __init__(self, planned: Sequence[Kill], keepers: Keepers, appended: Appended) -> None:
        self.killed: Counter[str] = Counter()
        self._planned, self._keepers, self._appended = deque(planned), keepers, appended
        self._last = time.monotonic()

    @property
    def is_quiet(self) -> bool:
        """Whether the last one is over."""
        return time.monotonic() - self._last > GAP_S

    def kill(self, share: float, *, gateways_too: bool) -> str:
        """The next one, if that share of the calls is under way; whom."""
        if not (self._planned and self._planned[0].at <= share and self.is_quiet):
            return ""
        if self._planned[0].kind == "gateway" and not gateways_too:
            return ""
        kill = self._planned.popleft()
        keeper = self._keepers.of(kill.service)
        pid = keeper.pid(kill.service)
        keeper.kill(kill.service, SIGNALS.get(kill.service, signal.SIGKILL))
        if kill.service == "redis":
            self._appended.cut(pid)
        self.killed[kill.kind] += 1
        self._last = time.monotonic()
        return kill.service


class Play:
    """`folder` has the calls; `told` is of the gateways, in their order; `streams` are the tenants'."""

    def __init__(
        self, month: Month, folder: Path, told: Sequence[Told], streams: Sequence[str], keepers: Keepers
    ) -> None:
        self._month, self._folder, self._told, self._streams, self._keepers = month, folder, told, streams, keepers
        self._appended = Appended(folder / "redis")
        self._killer = Killer(kills(month, np.random.default_rng(month.seed)), keepers, self._appended)
        self._times = np.load(folder / CALLS, mmap_mode="r")["at"]
        self._cpu_s: dict[tuple[str, int], float] = {}

    async def run(self, environment: dict[str, str], client: redis.Redis) -> Played:
        """Leaves nobody of the crew alive. Raises Trouble."""
        crew, servers = self._keepers.crew, self._keepers.servers
        services = self._services({**environment, "NEXUS_SPOOL_DIR": str(self._spool)})
        watched = [service.name for service in services] + (list(SIGNALS) if servers else [])
        began = time.monotonic()
        try:
            await crew.start(*services)
            await self._go_on(watched, client, lambda _: self._is_played)
            played_s = time.monotonic() - began
            await self._go_on(watched, client, lambda waiting: self._is_played and waiting == 0)
            drained_s = time.monotonic() - began
        finally:
            await crew.stop()
        if servers:
            await servers.recovered()
        cpu_s: dict[str, float] = defaultdict(float)
        for (name, _), spent_s in self._cpu_s.items():
            cpu_s[name.partition("-")[0]] += spent_s
        return Played(played_s, drained_s, dict(cpu_s), dict(self._killer.killed))

    def _services(self, environment: dict[str, str]) -> list[Service]:
        month = self._month
        gateways = [
            process(f"gateway-{number}", ["gateway", str(self._folder), str(number), str(month.gateways)], environment)
            for number in range(month.gateways)
        ]
        return [*gateways, *(process(f"worker-{number}", ["worker"], environment) for number in range(month.workers))]

    async def _go_on(self, watched: Sequence[str], client: redis.Redis, is_over: Callable[[int], bool]) -> None:
        """Kills on the way. Raises Trouble when nothing moves any more."""
        seen, moved = (0, 0), time.monotonic()
        while True:
            state = self._begun, await asyncio.to_thread(self._waiting, client)
            if self._killer.is_quiet and is_over(state[1]):
                return
            if any(told.failed for told in self._told):
                raise Trouble("A call of the month failed; the last lines of a gateway's log say why.")
            if state != seen:
                seen, moved = state, time.monotonic()
            elif time.monotonic() - moved > PATIENCE_S:
                raise Trouble(f"The month stands still at {state[0]:,} calls, with {state[1]:,} events to book.")
            for name in watched:
                self._look_at(name, self._keepers.of(name).pid(name))
            self._appended.look()
            # A gateway that has something to tell again is the only one that knows it.
            settled = all(told.settled for told in self._told)
            share = self._begun / self._month.calls
            if not self._is_played and (killed := self._killer.kill(share, gateways_too=settled)):
                say(f"  {share:.0%}, {self._time_of_the_month:%b %d %H:%M}: {killed} is killed.")
            await asyncio.sleep(LOOK_S)

    @property
    def _spool(self) -> Path:
        return self._folder / "spool"

    @property
    def _begun(self) -> int:
        return sum(told.place for told in self._told)

    @property
    def _time_of_the_month(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self._times[min(self._begun, self._month.calls - 1)], dt.UTC)

    @property
    def _is_played(self) -> bool:
        return all(told.done and told.settled for told in self._told) and not any(self._spool.glob("*.jsonl"))

    def _waiting(self, client: redis.Redis) -> int:
        """Events that are not booked; -1 while nobody can say."""
        try:
            with client.pipeline(transaction=False) as pipe:
                for stream in self._streams:
                    pipe.xlen(stream)
                return sum(pipe.execute())
        except redis.RedisError:
            return -1

    def _look_at(self, name: str, pid: int) -> None:
        """What it has spent so far, with its children: Postgres' do the work."""
        with contextlib.suppress(psutil.Error):
            tree = psutil.Process(pid)
            for one in [tree, *tree.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    spent = one.cpu_times()
                    self._cpu_s[name, one.pid] = spent.user + spent.system
