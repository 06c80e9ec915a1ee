"""A worker of the month: drains usage, task after task, as beat gives them out."""

from __future__ import annotations

import logging
import time

from analytics import tasks

logger = logging.getLogger(__name__)

# As in the beat's schedule.
EVERY_S = 1.0


def run() -> None:
    while True:
        try:
            if tasks.drain_usage():
                continue
        except Exception:
            # Of a task that fails the log tells; the next one finds what it left.
            logger.exception("usage was not drained")
        time.sleep(EVERY_S)
