"""What was counted, as Prometheus reads it: of this process, or of all of this copy, where there are several.

With PROMETHEUS_MULTIPROC_DIR set, each process leaves its counts in a file there, every second and at its end
(gateway.reporting), and whichever is asked adds them up. What died counts on; its gauges do not.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from prometheus_client.utils import floatToGoString

from gateway import process_gauges
from gateway.metrics import BOOK
from gateway.tallies import Exemplar, Family, Row

logger = logging.getLogger(__name__)

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
# A process writes every second: who has not for so long is gone, or hangs.
ALIVE_S = 10.0
# All labels of an exemplar together may have 128 characters, their names included (OpenMetrics). What clients make of
# theirs is shown where it is a plain one.
_PLAIN_ID = re.compile(r"[\w.:-]{1,64}", re.ASCII)
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


def lines(*, openmetrics: bool) -> Iterator[str]:
    """All tallies, spreads and gauges of the processes. Written by hand: the library takes ten times as long, and
    calls that are under way wait for some of that.
    """
    within, snapshots = folder(), [snapshot()]
    if within is not None:
        snapshots += others(within)
    for tally in BOOK.tallies.values():
        yield from _counter(tally.family, snapshots, openmetrics=openmetrics)
    for spread in BOOK.spreads.values():
        yield from _histogram(spread.family, snapshots, openmetrics=openmetrics)
    now = time.time()
    alive = [one for one in snapshots if now - one["at"] < ALIVE_S]
    for family in process_gauges.FAMILIES:
        yield from _gauge(family, alive)


def _head(name: str, kind: str, help_text: str) -> str:
    return f"# HELP {name} {_escaped(help_text)}\n# TYPE {name} {kind}\n"


def _counter(family: Family, snapshots: list[Snapshot], *, openmetrics: bool) -> Iterator[str]:
    sums: dict[tuple[str, ...], float] = {}
    for one in snapshots:
        for labels, value in one["counts"].get(family.name, ()):
            key = tuple(labels)
            sums[key] = sums.get(key, 0) + value
    if not family.labels and not sums:
        sums[()] = 0
    name = f"{family.name}_total"
    yield _head(family.name if openmetrics else name, "counter", family.help)
    for key, value in sums.items():
        yield f"{name}{_labels(family, key)} {float(value)!r}\n"


def _histogram(family: Family, snapshots: list[Snapshot], *, openmetrics: bool) -> Iterator[str]:
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
    bounds = [floatToGoString(bound) for bound in (*family.bounds, float("inf"))]
    yield _head(family.name, "histogram", family.help)
    for key, row in rows.items():
        labels = _labels(family, key)
        begin = f'{family.name}_bucket{labels[:-1] + "," if labels else "{"}le="'
        below = 0
        for at, count in enumerate(row.counts):
            below += count
            told = row.exemplars.get(at) if openmetrics else None
            yield f'{begin}{bounds[at]}"}} {below}.0{"" if told is None else _told(Exemplar(*told))}\n'
        yield f"{family.name}_count{labels} {below}.0\n{family.name}_sum{labels} {row.total!r}\n"


def _told(exemplar: Exemplar) -> str:
    labels = []
    if _PLAIN_ID.fullmatch(exemplar.request_id):
        labels.append(f'request_id="{exemplar.request_id}"')
    if exemplar.trace_id:
        labels.append(f'trace_id="{exemplar.trace_id}"')
    return f" # {{{','.join(labels)}}} {exemplar.value!r} {exemplar.at:.3f}"


def _gauge(family: Family, snapshots: list[Snapshot]) -> Iterator[str]:
    values: dict[tuple[str, ...], float] = {}
    for one in snapshots:
        for labels, value in one["gauges"].get(family.name, ()):
            key = tuple(labels)
            values[key] = max(values.get(key, value), value) if family.merge == "max" else values.get(key, 0) + value
    yield _head(family.name, "gauge", family.help)
    for key, value in values.items():
        yield f"{family.name}{_labels(family, key)} {float(value)!r}\n"


def _labels(family: Family, values: tuple[str, ...]) -> str:
    if not values:
        return ""
    return (
        "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(family.labels, values, strict=True)) + "}"
    )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
