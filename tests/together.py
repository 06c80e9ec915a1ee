"""Several at once, each in a thread with its own database connection, all let go at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connections

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
