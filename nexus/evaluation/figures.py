"""Shares with their uncertainty, and the tables and the JSON made of one file's tallies. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from nexus.evaluation.files import Labelled
from nexus.evaluation.play import GuardSet, Tally, Without, leave_one_out, play
from nexus.evaluation.trace import Lookup

# The normal distribution's two-sided 95 %.
Z = 1.959964


class Share(NamedTuple):
    """0 to 1, with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2%} [{self.low * 100:.2f}–{self.high * 100:.2f}]"


def wilson(count: int, total: int) -> Share | None:
    """Wilson's score interval, which holds for small counts, too; None where there is nothing to count."""
    if not total:
        return None
    value, shrink = count / total, 1 + Z * Z / total
    middle = (value + Z * Z / (2 * total)) / shrink
    reach = Z * math.sqrt(value * (1 - value) / total + Z * Z / (4 * total * total)) / shrink
    return Share(value, max(0.0, middle - reach), min(1.0, middle + reach))


class Line(NamedTuple):
    """One policy's figures."""

    threshold: float
    guards: str
    tally: Tally

    @property
    def hits(self) -> Share | None:
        return wilson(self.tally.hits, self.tally.asked)

    @property
    def wrong_of_hits(self) -> Share | None:
        return wilson(self.tally.wrong, self.tally.hits)

    @property
    def wrong_of_all(self) -> Share | None:
        return wilson(self.tally.wrong, self.tally.asked)


class Kind(NamedTuple):
    """Pairs of one kind: how many with the same answer and how many with another, and by guard set how many served."""

    name: str
    same: int
    different: int
    served_same: dict[str, int]
    served_different: dict[str, int]


class Evaluation(NamedTuple):
    """One file's figures. Guards and kinds are looked at with the threshold `at`."""

    name: str
    is_pairs: bool
    rows: int
    texts: int
    answerable: int
    refused: Counter[str]
    never_compared: int
    at: float
    lines: list[Line]
    gateway: Line
    without: list[Without]
    kinds: list[Kind]


class Grid(NamedTuple):
    """What is played: every guard set with every threshold. `gateway`: the set that the gateway uses by default."""

    thresholds: list[float]
    guard_sets: list[GuardSet]
    gateway: GuardSet
    at: float


def evaluate(labelled: Labelled, lookups: list[Lookup], refused: Counter[str], grid: Grid) -> Evaluation:
    lines = [
        Line(threshold, guard_set.name, play(lookups, threshold, guard_set))
        for threshold in grid.thresholds
        for guard_set in grid.guard_sets
    ]
    return Evaluation(
        name=labelled.path.name,
        is_pairs=bool(labelled.pairs),
        rows=len(lookups),
        texts=len(labelled.texts),
        answerable=labelled.answerable,
        refused=refused,
        never_compared=sum(not lookup.cacheable for lookup in lookups),
        at=grid.at,
        lines=lines,
        gateway=Line(grid.at, grid.gateway.name, play(lookups, grid.at, grid.gateway)),
        without=leave_one_out(lookups, grid.at, grid.gateway),
        kinds=[_kind(name, labelled, lookups, grid) for name in sorted({pair.kind for pair in labelled.pairs})],
    )


def _kind(name: str, labelled: Labelled, lookups: Sequence[Lookup], grid: Grid) -> Kind:
    of_kind = [(pair, lookup) for pair, lookup in zip(labelled.pairs, lookups, strict=True) if pair.kind == name]
    same, different = ([lookup for pair, lookup in of_kind if pair.same is truth] for truth in (True, False))
    served_same, served_different = (
        {guard_set.name: play(found, grid.at, guard_set).hits for guard_set in grid.guard_sets}
        for found in (same, different)
    )
    return Kind(name, len(same), len(different), served_same, served_different)


def tables(evaluation: Evaluation) -> Iterator[tuple[str, list[str]]]:
    """Each with its title."""
    yield _title(evaluation), _policies(evaluation)
    yield _without_title(evaluation), _without(evaluation)
    if evaluation.kinds:
        yield f"{evaluation.name}: pairs served at {evaluation.at:.2f}, by kind", _kinds(evaluation)


def _title(evaluation: Evaluation) -> str:
    noun = "pairs" if evaluation.is_pairs else "questions"
    return f"{evaluation.name}: {evaluation.rows:,} {noun}, {evaluation.texts:,} different texts"


def _policies(evaluation: Evaluation) -> list[str]:
    width = max(len(line.guards) for line in evaluation.lines) + 2
    rows = [
        f"{'threshold':<11}{'guards':<{width}}{'hits':>8}{'exact':>8}{'wrong/hits [95 %]':>24}{'wrong/all [95 %]':>24}"
    ]
    for line in evaluation.lines:
        tally = line.tally
        rows.append(
            f"{line.threshold:<11.2f}{line.guards:<{width}}{tally.hits / tally.asked:>8.1%}"
            f"{tally.exact / tally.asked:>8.1%}{_shown(line.wrong_of_hits):>24}{_shown(line.wrong_of_all):>24}"
        )
    tally = evaluation.gateway.tally
    most = evaluation.answerable
    rows.append(f"Hits that could be right: {most:,} ({most / evaluation.rows:.1%}).")
    rows.append(f"Exact repeats: {tally.exact:,}, {tally.exact_wrong:,} of them wrong; every row counts them as hits.")
    rows.append(f"Never compared by meaning under “policy”: {evaluation.never_compared:,} of {evaluation.rows:,}.")
    if evaluation.refused:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(evaluation.refused.items()))
        rows.append(f"Not embedded, so exact repeats only: {reasons}.")
    return rows


def _shown(share: Share | None) -> str:
    return "–" if share is None else str(share)


def _without_title(evaluation: Evaluation) -> str:
    tally = evaluation.gateway.tally
    return (
        f"{evaluation.name}: each guard switched off alone, at {evaluation.at:.2f}"
        f" ({evaluation.gateway.guards}: {tally.right:,} right hits, {tally.wrong:,} wrong)"
    )


def _without(evaluation: Evaluation) -> list[str]:
    idle = [one.guard for one in evaluation.without if not one.right and not one.wrong]
    rows = [f"{'without it':<14}{'right hits':>12}{'wrong hits':>12}"]
    for guard, right, wrong in sorted(evaluation.without, key=lambda one: -one.wrong):
        if guard not in idle:
            rows.append(f"{guard:<14}{right:>+12,}{wrong:>+12,}")
    if idle:
        rows.append(f"No difference: {', '.join(idle)}.")
    return rows


def _kinds(evaluation: Evaluation) -> list[str]:
    sets = list(evaluation.kinds[0].served_same)
    width = max(len(kind.name) for kind in evaluation.kinds) + 2
    cells = [max(len(name), 5) + 2 for name in sets]
    head = "".join(f"{name:>{cell}}" for name, cell in zip(sets, cells, strict=True))
    rows = [f"{'kind':<{width}}{'same':>8}{head}{'different':>13}{head}"]
    for kind in evaluation.kinds:
        same, different = (
            "".join(f"{served[name]:>{cell},}" for name, cell in zip(sets, cells, strict=True))
            for served in (kind.served_same, kind.served_different)
        )
        rows.append(f"{kind.name:<{width}}{kind.same:>8,}{same}{kind.different:>13,}{different}")
    return rows


def summary(evaluation: Evaluation) -> dict[str, Any]:
    """For `--format json`: counts, and shares 0 to 1."""
    return {
        "file": evaluation.name,
        "rows": evaluation.rows,
        "texts": evaluation.texts,
        "answerable": evaluation.answerable,
        "not_embedded": dict(evaluation.refused),
        "never_compared": evaluation.never_compared,
        "policies": [_line(line) for line in evaluation.lines],
        "gateway": _line(evaluation.gateway),
        "without": [one._asdict() for one in evaluation.without],
        "kinds": [kind._asdict() for kind in evaluation.kinds],
    }


def _line(line: Line) -> dict[str, Any]:
    shares = {"hits": line.hits, "wrong_of_hits": line.wrong_of_hits, "wrong_of_all": line.wrong_of_all}
    return {
        "threshold": line.threshold,
        "guards": line.guards,
        **line.tally._asdict(),
        "shares": {name: share and share._asdict() for name, share in shares.items()},
    }
