"""A Redis beside that of the run: one that a test may kill, or one for each process of a parallel run."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from nexus.embedded import Redis, remove_sockets

PATIENCE_S = 30


class OwnRedis:
    """Runs from when it is made; its files are in the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "run").mkdir(parents=True)
        self._server = Redis(folder)
        self._server.prepare()
        self.url = self._server.url
        self.start()

    def start(self) -> None:
        self._server.clear_leftovers()
        self._process = subprocess.Popen(self._server.launch().argv, stdout=subprocess.DEVNULL)
        until(self._server.ready)

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self._process.wait()

    def send(self, signum: signal.Signals) -> None:
        # Its launcher watches over it: both get it.
        launcher = psutil.Process(self._process.pid)
        for process in (*launcher.children(recursive=True), launcher):
            process.send_signal(signum)

    def close(self) -> None:
        self.kill()
        remove_sockets(self._folder)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
