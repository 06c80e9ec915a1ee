"""What fails at every request is written to the log once a while, with how many times it did."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

LOG_EVERY_S = 10.0


class SeldomLog:
    """`message` takes the count and the last error."""

    def __init__(self, logger: logging.Logger, message: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger = logger
        self._message = message
        self._clock = clock
        self._unsaid = 0
        self._said_at = float("-inf")

    def warn(self, error: Exception) -> None:
        self._unsaid += 1
        now = self._clock()
        if now - self._said_at >= LOG_EVERY_S:
            self._logger.warning(self._message, self._unsaid, error)
            self._unsaid, self._said_at = 0, now
