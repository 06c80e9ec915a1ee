"""Servers in processes of their own, on loopback: the gateway under test, and a provider that does as it is told."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from django.db import connection

from nexus.ports import free_port

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S = 60


class Server(NamedTuple):
    url: str
    process: subprocess.Popen[bytes]


def test_database_url() -> str:
    """Of the database that this run's tests write to."""
    parts = urllib.parse.urlsplit(os.environ["DATABASE_URL"])
    return urllib.parse.urlunsplit(parts._replace(path=f"/{connection.settings_dict['NAME']}"))


@contextlib.contextmanager
def running(app: str, log: Path | None = None, /, *, ready: str, **environment: str) -> Iterator[Server]:
    """A uvicorn process, from when `ready` answers 200 until the end of the body. What it prints goes into `log`."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", app, "--port", str(port), "--log-level", "warning", "--no-access-log"]
    http = "nexus.bounded_http:BoundedHttp" if app.startswith("nexus.") else "httptools"
    command += ["--loop", "uvloop", "--http", http, "--ws", "websockets-sansio"]
    url = f"http://127.0.0.1:{port}"
    # So that links, and those who come back from elsewhere, lead there.
    environment = {**os.environ, "NEXUS_PUBLIC_URL": url, **environment}
    with contextlib.ExitStack() as stack:
        output = None if log is None else stack.enter_context(log.open("ab"))
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        _wait(f"{url}{ready}", process)
        yield Server(url, process)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE_S
    while True:
        assert process.poll() is None, "the server ended before it was ready"
        assert time.monotonic() < until, f"{url} is not ready"
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as response:
            if response.status == 200:
                return
        time.sleep(0.05)


def gateway(log: Path | None = None, /, **environment: str) -> contextlib.AbstractContextManager[Server]:
    """The gateway on the test database. Its simulated provider answers at once."""
    defaults = {
        "DATABASE_URL": test_database_url(),
        "NEXUS_PRIVATE_PROVIDERS": "on",
        "NEXUS_SIMULATED_LATENCY_MS": "0",
        "NEXUS_SIMULATED_TOKENS_PER_S": "0",
        "NEXUS_CALL_DEADLINE_S": "5",
        "NEXUS_FIRST_BYTE_TIMEOUT_S": "1",
        "NEXUS_REDIS_TIMEOUT_MS": "2000",
        "NEXUS_EMBEDDING_DEADLINE_MS": "5000",
        "NEXUS_ACCESS_LOG": "off" if log is None else "all",
    }
    return running("nexus.asgi:application", log, ready="/readyz", **{**defaults, **environment})
