"""Several at once, each in a thread with its own database connection, all let go at the same moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connection, connections, transaction

PATIENCE_S = 60
Result = TypeVar("Result")


def at_once(*acts: Callable[[], Result]) -> list[Result]:
    """What each returned, in their order. Raises what the first of them raised that failed, when all have ended."""
    barrier = threading.Barrier(len(acts))

    def run(act: Callable[[], Result]) -> Result:
        try:
            barrier.wait(PATIENCE_S)
            return act()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(acts)) as pool:
        running = [pool.submit(run, act) for act in acts]
    return [one.result() for one in running]


def while_it_waits(act: Callable[[], Result], change: Callable[[], object]) -> Result:
    """What `act` returned that began after `change`, and waited for its locks until it was committed."""

    def run() -> Result:
        try:
            return act()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            change()
            running = pool.submit(run)
            until = time.monotonic() + PATIENCE_S
            while not running.done() and not _holds_up():
                assert time.monotonic() < until
        return running.result(PATIENCE_S)


def _holds_up() -> bool:
    """Whether somebody waits for this connection's locks."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))")
        return cursor.fetchone() is not None
