"""What was counted, as Prometheus reads it: of this process, or of all of this copy, where there are several.

With PROMETHEUS_MULTIPROC_DIR set, each process leaves its counts in a file there, every second and at its end
(gateway.reporting), and whichever is asked adds them up. What died counts on; its gauges do not.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar as Sample
from prometheus_client.utils import floatToGoString

from gateway import process_gauges
from gateway.metrics import BOOK
from gateway.tallies import Exemplar, Family, Row, Tally

logger = logging.getLogger(__name__)

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
# A process writes every second: who has not for so long is gone, or hangs.
ALIVE_S = 10.0
# All labels of an exemplar together may have 128 characters, their names included (OpenMetrics).
REQUEST_ID_CHARACTERS = 64
_OWN = uuid.uuid4().hex

Snapshot = dict[str, Any]


def snapshot() -> Snapshot:
    """Of this process, as plain values."""
    return {"at": time.time(), **BOOK.counted(), "gauges": process_gauges.read()}


def folder() -> Path | None:
    """None where one process is all there is."""
    named = os.environ.get(FOLDER)
    return Path(named) if named else None


def write(into: Path, counted: Snapshot) -> None:
    """In one step: nobody reads half of it."""
    # A process that was forked by one that counted must not write over its file.
    path = into / f"tallies-{os.getpid()}-{_OWN}.json"
    unfinished = path.with_suffix(".begun")
    unfinished.write_bytes(orjson.dumps(counted))
    unfinished.replace(path)


def others(within: Path) -> Iterator[Snapshot]:
    """What the other processes wrote; one that cannot be read is left out."""
    for path in sorted(within.glob("tallies-*.json")):
        if path.stem == f"tallies-{os.getpid()}-{_OWN}":
            continue
        with contextlib.suppress(OSError):
            try:
                yield orjson.loads(path.read_bytes())
            except orjson.JSONDecodeError:
                logger.warning("%s cannot be read, and is left out of /metrics", path.name)


class Counted(Collector):
    """All tallies, spreads and gauges of the processes."""

    def collect(self) -> Iterable[Metric]:
        within, snapshots = folder(), [snapshot()]
        if within is not None:
            snapshots += others(within)
        for tally in BOOK.tallies.values():
            yield _counter(tally, snapshots)
        for spread in BOOK.spreads.values():
            yield _histogram(spread.family, snapshots)
        now = time.time()
        alive = [one for one in snapshots if now - one["at"] < ALIVE_S]
        for family in process_gauges.FAMILIES:
            yield _gauge(family, alive)


def _counter(tally: Tally, snapshots: list[Snapshot]) -> Metric:
    sums: dict[tuple[str, ...], float] = {}
    for one in snapshots:
        for labels, value in one["counts"].get(tally.family.name, ()):
            key = tuple(labels)
            sums[key] = sums.get(key, 0) + value
    metric = CounterMetricFamily(tally.family.name, tally.family.help, labels=tally.family.labels)
    if not tally.family.labels and not sums:
        sums[()] = 0
    for key, value in sums.items():
        metric.add_metric(key, value)
    return metric


def _histogram(family: Family, snapshots: list[Snapshot]) -> Metric:
    rows: dict[tuple[str, ...], Row] = {}
    for one in snapshots:
        for labels, counts, total, exemplars in one["rows"].get(family.name, ()):
            row = rows.setdefault(tuple(labels), Row(family.bounds))
            if len(counts) != len(row.counts):
                # Of a version with other buckets, that runs beside this one for a moment.
                continue
            row.counts = [a + b for a, b in zip(row.counts, counts, strict=True)]
            row.total += total
            row.exemplars |= {at: tuple(seen) for at, seen in exemplars}
    metric = HistogramMetricFamily(family.name, family.help, labels=family.labels)
    for key, row in rows.items():
        metric.add_metric(key, list(_buckets(row)), row.total)
    return metric


def _buckets(row: Row) -> Iterator[Any]:
    below = 0
    for at, bound in enumerate((*row.bounds, float("inf"))):
        below += row.counts[at]
        told = row.exemplars.get(at)
        yield floatToGoString(bound), below, None if told is None else _told(Exemplar(*told))


def _told(exemplar: Exemplar) -> Sample:
    labels = {"trace_id": exemplar.trace_id} if exemplar.trace_id else {}
    if len(exemplar.request_id) <= REQUEST_ID_CHARACTERS:
        labels["request_id"] = exemplar.request_id
    return Sample(labels, exemplar.value, exemplar.at)


def _gauge(family: Family, snapshots: list[Snapshot]) -> Metric:
    values: dict[tuple[str, ...], float] = {}
    for one in snapshots:
        for labels, value in one["gauges"].get(family.name, ()):
            key = tuple(labels)
            values[key] = max(values.get(key, value), value) if family.merge == "max" else values.get(key, 0) + value
    metric = GaugeMetricFamily(family.name, family.help, labels=family.labels)
    for key, value in values.items():
        metric.add_metric(key, value)
    return metric
