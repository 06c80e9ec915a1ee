"""Keeps what is slow to read for who asks often: one thread reads at a time, and nobody waits long for it.

With a part that hangs, scrapers get what was last read, and no more than one connection hangs.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

logger = logging.getLogger(__name__)

# Scrapers of several systems, or one in a hurry, are told the same for so long.
FRESH_S = 5.0
# A scraper waits so long for what is being read, and older values than this are none.
PATIENCE_S, OLDEST_S = 2.0, 60.0


class Kept(Collector):
    def __init__(self, source: Collector, *, fresh_s: float = FRESH_S, patience_s: float = PATIENCE_S) -> None:
        self._source = source
        self._fresh_s, self._patience_s = fresh_s, patience_s
        self._lock = threading.Lock()
        self._reading: threading.Event | None = None
        self._read_at = -OLDEST_S
        self._values: list[Metric] = []

    def collect(self) -> Iterable[Metric]:
        with self._lock:
            if self._reading is None and time.monotonic() - self._read_at >= self._fresh_s:
                self._reading = threading.Event()
                # A daemon: whoever stops does not wait for what hangs.
                threading.Thread(target=self._read, args=(self._reading,), name="gauges", daemon=True).start()
            reading = self._reading
        if reading is not None:
            reading.wait(self._patience_s)
        return list(self._values) if time.monotonic() - self._read_at < OLDEST_S else []

    def _read(self, done: threading.Event) -> None:
        try:
            values = list(self._source.collect())
        except Exception:
            logger.exception("the installation cannot be read for /metrics")
        else:
            self._values, self._read_at = values, time.monotonic()
        finally:
            with self._lock:
                self._reading = None
            done.set()
