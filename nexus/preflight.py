"""What a person sees while things start: progress lines, and failures as one sentence that says what to do.

Standard library only: `bin/_bootstrap.py` loads it by its path before any package is installed.
"""

from __future__ import annotations

import contextlib
import errno
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

OLDEST_REDIS = (6, 2)
LAST_PORT = 65535


class Trouble(Exception):
    """Something the person who typed the command can put right; the message is one sentence that says how."""


def say(text: str) -> None:
    print(text, flush=True)


@contextlib.contextmanager
def step(title: str) -> Iterator[None]:
    """Prints the title, and the seconds it took; on a terminal they are counted while it runs."""
    started, live = time.monotonic(), sys.stdout.isatty()
    finished = threading.Event()

    def show(end: str) -> None:
        print(f"\r  {title} … {time.monotonic() - started:.1f} s", end=end, flush=True)

    def count() -> None:
        while not finished.wait(0.5):
            show("")

    if not live:
        print(f"  {title} …", end="", flush=True)
    counter = threading.Thread(target=count, daemon=True)
    if live:
        counter.start()
    try:
        yield
    except BaseException:
        finished.set()
        say(" failed")
        raise
    finished.set()
    if live:
        counter.join()
        show("\n")
    else:
        say(f" {time.monotonic() - started:.1f} s")


def require_disk(folder: Path, needed_mb: int) -> None:
    free_mb = shutil.disk_usage(folder).free // 1_000_000
    if free_mb < needed_mb:
        raise Trouble(f"{folder} has {free_mb} MB free and {needed_mb} MB are needed: free some space and start again.")


def require_port(host: str, port: int) -> None:
    if port > LAST_PORT:
        raise Trouble(f"NEXUS_PORT={port} is no port: choose one between 1 and {LAST_PORT}.")
    try:
        _bind(host, port)
    except OSError as error:
        raise Trouble(_why_not(host, port, error)) from None


def _why_not(host: str, port: int, error: OSError) -> str:
    if isinstance(error, PermissionError):
        return f"Port {port} needs more rights: choose one above 1023, such as NEXUS_PORT=8000."
    if error.errno != errno.EADDRINUSE:
        return f"NEXUS_BIND={host} is not an address of this machine: use 127.0.0.1 or 0.0.0.0."
    others = (other for other in range(port + 1, LAST_PORT) if _is_free(host, other))
    return (
        f"Port {port} of {host} is taken by another program: "
        f"stop it, or choose another with NEXUS_PORT={next(others, 8001)}."
    )


def _bind(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


def _is_free(host: str, port: int) -> bool:
    try:
        _bind(host, port)
    except OSError:
        return False
    return True


def redis_version(binary: Path) -> tuple[int, ...]:
    """The version of a redis-server, (0,) when it does not say."""
    printed = subprocess.run([str(binary), "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"v=(\d+)\.(\d+)\.(\d+)", printed)
    return tuple(int(part) for part in found.groups()) if found else (0,)


def installed_redis() -> Path | None:
    """The machine's own redis-server, when it is recent enough."""
    found = shutil.which("redis-server")
    if found and redis_version(Path(found)) >= OLDEST_REDIS:
        return Path(found)
    return None
