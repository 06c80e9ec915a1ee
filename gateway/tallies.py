"""Counts of this process in plain Python: being counted costs a request some tenths of a microsecond.

Owns what was counted; `gateway.metrics` says what each is called, `gateway.exposition` shows it. Refuses to grow
without bound: past MAX_SERIES, what is new is counted as “other”.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from typing import Any, NamedTuple

# Of one metric, in one process. Labels are bounded before (gateway.labels); this is for what was forgotten there.
MAX_SERIES = 2_000
OTHER = "other"
Labels = tuple[str, ...]


class Family(NamedTuple):
    """One metric by its name in Prometheus. `bounds` are a histogram's, without +Inf; `merge` is a gauge's: how the
    processes' values make one, sum or max.
    """

    name: str
    help: str
    labels: Labels = ()
    bounds: tuple[float, ...] = ()
    merge: str = "sum"


class Exemplar(NamedTuple):
    """One request that a bucket has counted, to look up."""

    request_id: str
    trace_id: str
    value: float
    at: float


class Cell:
    """One number that only grows."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count: float = 0


class Tally:
    """A counter, by the values of its labels."""

    __slots__ = ("cells", "family")

    def __init__(self, family: Family) -> None:
        self.family = family
        self.cells: dict[Labels, Cell] = {}

    def cell(self, labels: Labels = ()) -> Cell:
        """To be kept by who adds to it often."""
        cell = self.cells.get(labels)
        if cell is None:
            if len(self.cells) >= MAX_SERIES:
                labels = (OTHER,) * len(labels)
            cell = self.cells.setdefault(labels, Cell())
        return cell

    def add(self, labels: Labels = (), by: float = 1) -> None:
        self.cell(labels).count += by


class Row:
    """One histogram: how many in each bucket, the last one up to infinity, and the sum of all."""

    __slots__ = ("bounds", "counts", "exemplars", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0
        # By bucket; plain, as each request makes one.
        self.exemplars: dict[int, tuple[str, str, float, float]] = {}

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def add_with(self, value: float, request_id: str, trace_id: str) -> None:
        """And keeps which request it was, in place of the one before it."""
        at = bisect_left(self.bounds, value)
        self.counts[at] += 1
        self.total += value
        self.exemplars[at] = (request_id, trace_id, value, time.time())


class Spread:
    """A histogram, by the values of its labels."""

    __slots__ = ("family", "rows")

    def __init__(self, family: Family) -> None:
        self.family = family
        self.rows: dict[Labels, Row] = {}

    def row(self, labels: Labels = ()) -> Row:
        """To be kept by who adds to it often."""
        row = self.rows.get(labels)
        if row is None:
            if len(self.rows) >= MAX_SERIES:
                labels = (OTHER,) * len(labels)
            row = self.rows.setdefault(labels, Row(self.family.bounds))
        return row

    def add(self, value: float, labels: Labels = ()) -> None:
        self.row(labels).add(value)


class Book:
    """All tallies and spreads of a process, by name."""

    def __init__(self) -> None:
        self.tallies: dict[str, Tally] = {}
        self.spreads: dict[str, Spread] = {}

    def tally(self, name: str, help: str, labels: Labels = ()) -> Tally:
        made = self.tallies[name] = Tally(Family(name, help, labels))
        return made

    def spread(self, name: str, help: str, bounds: tuple[float, ...], labels: Labels = ()) -> Spread:
        made = self.spreads[name] = Spread(Family(name, help, labels, bounds))
        return made

    def counted(self) -> dict[str, Any]:
        """As plain values, for JSON. Copied at once: who counts meanwhile is in the next one."""
        return {
            "counts": {
                name: [(labels, cell.count) for labels, cell in tally.cells.copy().items()]
                for name, tally in self.tallies.items()
                if tally.cells
            },
            "rows": {
                name: [
                    (labels, row.counts.copy(), row.total, list(row.exemplars.copy().items()))
                    for labels, row in spread.rows.copy().items()
                ]
                for name, spread in self.spreads.items()
                if spread.rows
            },
        }
