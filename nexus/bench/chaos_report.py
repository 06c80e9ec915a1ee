"""The table of `bin/bench chaos`, and its verdict. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nexus.bench.chaos import Cell

HEAD = (
    f"{'part':10}{'way':9}{'seen':>6}{'answered':>10}{'lost':>6}{'twice':>7}{'foreign':>9}{'held':>6}"
    f"{'recovery':>10}{'booked':>8}{'longest':>9}  over limit; what others saw"
)
SHOWN = 3


def line(cell: Cell) -> str:
    found = cell.found
    over = ", ".join(f"{name} by {by:g}" for name, by in found.over.items()) or "none"
    statuses = ", ".join(f"{status} {count}" for status, count in cell.statuses.items()) or "nothing else"
    return (
        f"{cell.part:10}{cell.way:9}{found.seen:>6}{cell.answered:>10}{len(found.lost):>6}{len(found.doubled):>7}"
        f"{len(found.foreign):>9}{found.held:>6}{_seconds(cell.recovery_s):>10}{_seconds(cell.booked_s):>8}"
        f"{cell.longest_s:>8.1f}s  {over}; {statuses}{'  BROKEN' if cell.broken else ''}"
    )


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f}s"


def details(cell: Cell) -> Iterator[str]:
    """The first cases of what broke, and what was mended."""
    found = cell.found
    for name in ("lost", "doubled", "foreign", "costs", "books"):
        cases: list[str] = getattr(found, name)
        for case in cases[:SHOWN]:
            yield f"{name}: {case}"
        if len(cases) > SHOWN:
            yield f"{name}: and {len(cases) - SHOWN} more"
    yield from cell.mended


def figures(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """For machines."""
    return [
        {
            "part": cell.part,
            "way": cell.way,
            "seen": cell.found.seen,
            "answered": cell.answered,
            **{name: getattr(cell.found, name) for name in ("lost", "doubled", "foreign", "costs", "books", "held")},
            "over_limit": cell.found.over,
            "recovery_s": cell.recovery_s,
            "booked_s": cell.booked_s,
            "longest_wait_s": cell.longest_s,
            "clients_saw": cell.statuses,
            "notes": cell.mended,
            "broken": cell.broken,
        }
        for cell in cells
    ]


def verdict(cells: Sequence[Cell]) -> str:
    broken = [f"{cell.part} {cell.way}" for cell in cells if cell.broken]
    if broken:
        return f"\nBroken: {', '.join(broken)}."
    return f"\nIn {len(cells)} cells nothing was lost, counted twice or given to others, and all was normal again."
