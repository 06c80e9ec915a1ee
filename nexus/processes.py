"""Several processes on one listening socket: each that dies is replaced, each signal is handed on.

Their parent serves nothing itself, and ends with 0 when all ended with 0.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator

from prometheus_client.multiprocess import mark_process_dead

from nexus.embedded import launched

logger = logging.getLogger(__name__)

AGAIN_AFTER_S = 1.0
_COUNTERS = "PROMETHEUS_MULTIPROC_DIR"


class Processes:
    def __init__(self, sock: socket.socket, count: int) -> None:
        self._sock = sock
        self._count = count
        self._leaving = asyncio.Event()
        self._running: set[asyncio.subprocess.Process] = set()

    async def run(self) -> int:
        """The worst exit status."""
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, self._hand_on, signum)
        return max(await asyncio.gather(*(self._keep() for _ in range(self._count))))

    def _hand_on(self, signum: signal.Signals) -> None:
        self._leaving.set()
        for process in self._running:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signum)

    async def _keep(self) -> int:
        while True:
            process = await self._spawn()
            self._running.add(process)
            if self._leaving.is_set():
                process.terminate()
            status = await process.wait()
            self._running.discard(process)
            mark_process_dead(process.pid)  # type: ignore[no-untyped-call]
            if self._leaving.is_set():
                # One that had not begun dies by the signal; those that serve handle it.
                return 0 if status in (-signal.SIGTERM, -signal.SIGINT) else abs(status)
            logger.error("a gateway process ended with status %d; another takes its place", status)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._leaving.wait(), AGAIN_AFTER_S)
            if self._leaving.is_set():
                return 0

    async def _spawn(self) -> asyncio.subprocess.Process:
        descriptor = self._sock.fileno()
        program = [sys.executable, "-m", "nexus.serve", "gateway", "--listener", str(descriptor)]
        return await asyncio.create_subprocess_exec(
            *launched(program, signal.SIGTERM).argv,
            pass_fds=(descriptor,),
            # Ctrl-C reaches this process only, which hands it on.
            start_new_session=True,
        )


@contextlib.contextmanager
def shared_counters() -> Iterator[None]:
    """A folder in which the processes count together: whichever is asked for /metrics answers for all."""
    if os.environ.get(_COUNTERS):
        yield
        return
    folder = os.environ[_COUNTERS] = tempfile.mkdtemp(prefix="nexus-metrics-")
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)
