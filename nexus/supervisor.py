"""Keeps child processes alive: starts them in order, restarts one that dies, stops them in the reverse order.

Owns every process that `bin/up` and `bin/test` keep. Knows nothing of what they are; that comes as a
`Service`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from nexus.preflight import Trouble

FIRST_BACKOFF_S = 0.2
LONGEST_BACKOFF_S = 30.0
# A child that lived this long is healthy: its next death is a new story.
HEALTHY_AFTER_S = 60.0
POLL_S = 0.05
LOG_LIMIT_BYTES = 50_000_000


@dataclass(frozen=True)
class Service:
    """One process to keep. `clear` runs before every start, when nothing of the last one is alive."""

    name: str
    argv: list[str]
    env: dict[str, str]
    folder: Path
    stop_signal: signal.Signals = signal.SIGTERM
    force_signal: signal.Signals = signal.SIGKILL
    stop_timeout_s: float = 30.0
    ready: Callable[[], bool] = lambda: True
    ready_timeout_s: float = 60.0
    clear: Callable[[], None] = lambda: None


@dataclass
class _Child:
    service: Service
    process: asyncio.subprocess.Process
    watcher: asyncio.Task[None] | None = None
    deaths: int = 0
    started: float = field(default_factory=time.monotonic)
    # Held while a process is being made, so that a stop in that moment does not miss it.
    spawning: asyncio.Lock = field(default_factory=asyncio.Lock)


class Supervisor:
    """Runs services; `say` receives one line for each event a person should know of."""

    def __init__(self, logs: Path, say: Callable[[str], None]) -> None:
        self._logs = logs
        self._say = say
        self._children: dict[str, _Child] = {}
        self._stopping = asyncio.Event()
        self._forced = asyncio.Event()

    async def start(self, *services: Service) -> None:
        """Starts them in this order and waits until all are ready; raises Trouble when one is not in time."""
        children = []
        for service in services:
            rotate(self.log_file(service))
            child = _Child(service, await self._spawn(service))
            self._children[service.name] = child
            child.watcher = asyncio.create_task(self._keep(child))
            children.append(child)
        await asyncio.gather(*map(self._wait_ready, children))

    async def stop(self) -> None:
        """Stops all, the last started first; each is gone before the next is asked."""
        self._stopping.set()
        for child in reversed(list(self._children.values())):
            await self._stop_child(child)
        self._children.clear()

    def pid(self, name: str) -> int:
        """Of the service's process of now, or of its last one."""
        return self._children[name].process.pid

    def kill(self, name: str, signum: signal.Signals) -> None:
        """To see how it gets up again. Nothing, where it is down already."""
        with contextlib.suppress(ProcessLookupError):
            self._children[name].process.send_signal(signum)

    async def recovered(self) -> None:
        """Waits until all are ready again; raises Trouble as a start does."""
        await asyncio.gather(*map(self._wait_ready, self._children.values()))

    def force(self) -> None:
        """Cuts the graces of a stop short."""
        self._forced.set()

    def log_file(self, service: Service) -> Path:
        return self._logs / f"{service.name}.log"

    async def _spawn(self, service: Service) -> asyncio.subprocess.Process:
        await asyncio.to_thread(service.clear)
        with open(self.log_file(service), "ab") as log:
            # A session of its own: Ctrl-C reaches this process only, and what a dead child leaves is a group.
            return await asyncio.create_subprocess_exec(
                *service.argv,
                env=service.env,
                cwd=service.folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def _keep(self, child: _Child) -> None:
        """Waits for the child's death and starts it again, later each time, until told to stop."""
        while True:
            status = await child.process.wait()
            if self._stopping.is_set():
                return
            signal_group(child.process.pid, signal.SIGKILL)
            if time.monotonic() - child.started > HEALTHY_AFTER_S:
                child.deaths = 0
            delay_s = min(FIRST_BACKOFF_S * 2**child.deaths, LONGEST_BACKOFF_S)
            child.deaths += 1
            reason, log = describe_exit(status), self.log_file(child.service)
            self._say(f"{child.service.name} stopped ({reason}); it starts again in {delay_s:.1f} s. Its log: {log}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay_s)
            async with child.spawning:
                if self._stopping.is_set():
                    return
                child.started = time.monotonic()
                try:
                    child.process = await self._spawn(child.service)
                except OSError as error:
                    self._say(f"{child.service.name} cannot start: {error}")

    async def _wait_ready(self, child: _Child) -> None:
        service = child.service
        deadline, most_deaths = time.monotonic() + service.ready_timeout_s, child.deaths + 3
        while not await asyncio.to_thread(service.ready):
            log = self.log_file(service)
            if child.deaths >= most_deaths:
                raise Trouble(f"{service.name} stops as soon as it starts: {last_line(log)} (all of it in {log}).")
            if time.monotonic() > deadline:
                raise Trouble(
                    f"{service.name} was not ready after {service.ready_timeout_s:.0f} s: "
                    f"{last_line(log)} (all of it in {log})."
                )
            await asyncio.sleep(POLL_S)

    async def _stop_child(self, child: _Child) -> None:
        async with child.spawning:
            service, process = child.service, child.process
        if process.returncode is None:
            self._say(f"Stopping {service.name}")
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(service.stop_signal)
            await self._wait_gone(process, service)
            signal_group(process.pid, signal.SIGKILL)
        if child.watcher:
            await child.watcher

    async def _wait_gone(self, process: asyncio.subprocess.Process, service: Service) -> None:
        """Waits out the grace, or until the stop is forced; then uses force."""
        gone, forced = asyncio.create_task(process.wait()), asyncio.create_task(self._forced.wait())
        await asyncio.wait({gone, forced}, timeout=service.stop_timeout_s, return_when=asyncio.FIRST_COMPLETED)
        forced.cancel()
        for signum in (service.force_signal, signal.SIGKILL):
            if not gone.done():
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(signum)
                await asyncio.wait({gone}, timeout=5)


def signal_group(group: int, signum: signal.Signals) -> None:
    """To what a dead child left behind in its process group, if anything."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signum)


def describe_exit(status: int) -> str:
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


def last_line(log: Path) -> str:
    """The last thing a log says, for a person who has not opened it yet."""
    try:
        with open(log, encoding="utf-8", errors="replace") as lines:
            last = deque((line.strip() for line in lines if line.strip()), maxlen=1)
    except OSError:
        last = deque()
    return last[0] if last else "its log is empty"


def rotate(log: Path) -> None:
    """One old log is kept, so that logs of a copy that runs for months stay small."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > LOG_LIMIT_BYTES:
            log.rename(log.with_suffix(".log.1"))
