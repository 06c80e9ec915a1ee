"""`python -m nexus.serve` on the test database, in a process of its own: started, asked, told to leave."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx2

from nexus.ports import free_port
from tests.servers import ROOT, Server, test_database_url

PATIENCE_S = 90


@contextlib.contextmanager
def serving(plane: str, *arguments: str, **environment: str) -> Iterator[Server]:
    """Ready when the body begins, and gone after it."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "nexus.serve", plane, "--host", "127.0.0.1", "--port", str(port), *arguments]
    defaults = {
        "DATABASE_URL": test_database_url(),
        "NEXUS_PUBLIC_URL": url,
        "NEXUS_REDIS_TIMEOUT_MS": "2000",
        "NEXUS_SIMULATED_LATENCY_MS": "0",
    }
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **defaults, **environment})
    try:
        becomes(url, 200, process)
        yield Server(url, process)
    finally:
        process.kill()
        process.wait()


def becomes(url: str, status: int, process: subprocess.Popen[bytes] | None = None) -> None:
    """Waits until `/readyz` says so."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        assert process is None or process.poll() is None, "the server ended before it was ready"
        with contextlib.suppress(httpx2.TransportError):
            if httpx2.get(f"{url}/readyz", timeout=5).status_code == status:
                return
        time.sleep(0.02)
    raise AssertionError(f"{url} never said {status}")


def tell_to_leave(server: Server) -> None:
    server.process.send_signal(signal.SIGTERM)


def ended(server: Server) -> int:
    """Its exit status."""
    return server.process.wait(PATIENCE_S)
