"""What must hold after a fault: nothing lost, nothing twice, nobody else's answer, limits kept, holds returned. Pure.

Each answered request has exactly one record of an answer; one that ended otherwise for its client has one at most.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from nexus.bench.openloop import Seen

if TYPE_CHECKING:
    from nexus.bench.tally import Row

# Of each kind, one after the other, before all is called normal again.
STREAK = 20
MINUTE_S = 60.0
QUOTA, BUDGET, RATE, PAGE = "quota", "budget", "rate", "page"
# What a kind's answer is when nothing is wrong. Those of limited workspaces are refused sooner or later.
NORMAL = {
    "repeat": "exact",
    "paraphrase": "semantic",
    "new": "miss",
    "new, exact tier": "miss",
    "stream, new": "stream",
    "stream, repeat": "stream",
    PAGE: "miss",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """What broke, each a count and its first cases in words. `over`: by how much limits were exceeded, by which."""

    seen: int
    lost: list[str]
    doubled: list[str]
    foreign: list[str]
    costs: list[str]
    over: dict[str, float]
    books: list[str]
    held: int

    def broken(self, *, without_redis: bool) -> bool:
        """Where limits fall back to each process, what they let in beyond is not held against it."""
        over = bool(self.over) and not without_redis
        return bool(self.lost or self.doubled or self.foreign or self.costs or self.books or self.held or over)


def check(
    seen: Sequence[Seen],
    records: Mapping[int, Counter[tuple[str, bool]]],
    costs: Mapping[int, Mapping[str, Decimal]],
    rows: Sequence[Row],
) -> Found:
    """`records` and `costs` are by workspace: of each request id, how many records of answers, and what they cost."""
    lost, doubled, wrong_costs = [], [], []
    for one in seen:
        if (of := one.asked.workspace.id) not in records:
            # A page.
            continue
        count = records[of][one.asked.id, True]
        if one.answered and count == 0:
            lost.append(f"{one.asked.kind} {one.asked.id} ({one.outcome})")
        if count > 1:
            doubled.append(f"{one.asked.kind} {one.asked.id}: {count} records, {one.outcome or one.fault}")
        if one.answered and count == 1 and one.cost_usd:
            recorded = costs.get(of, {}).get(one.asked.id, Decimal(0))
            if recorded != Decimal(one.cost_usd):
                wrong_costs.append(f"{one.asked.id}: {one.cost_usd} told, {recorded} recorded")
    return Found(
        seen=len(seen),
        lost=lost,
        doubled=doubled,
        foreign=[f"{one.asked.kind} {one.asked.id}: {one.foreign}" for one in seen if one.foreign],
        costs=wrong_costs,
        over=over_limits(seen, rows),
        books=[
            f"{row.workspace}: ledger {row.ledger}, counters {row.counters}, records {row.recorded}"
            for row in rows
            if not row.ledger == row.counters == row.recorded
        ],
        held=sum(row.held for row in rows),
    )


def over_limits(seen: Sequence[Seen], rows: Sequence[Row]) -> dict[str, float]:
    over: dict[str, float] = {}
    for row in rows:
        own = [one for one in seen if one.asked.workspace.name == row.workspace]
        limit = own[0].asked.workspace.limit if own else 0
        if row.workspace == QUOTA:
            excess = sum(one.answered for one in own) - limit
        elif row.workspace == BUDGET:
            excess = float(row.ledger.cost_usd) - limit
        elif row.workspace == RATE:
            excess = most_in_a_minute([one for one in own if one.answered]) - limit
        else:
            continue
        if excess > 0:
            over[row.workspace] = round(excess, 6)
    return over


def most_in_a_minute(answered: Iterable[Seen]) -> int:
    """How many were surely let in within one minute: sent after its beginning, and answered before its end."""
    spans = sorted((one.sent, one.ended) for one in answered)
    return max(
        (sum(begin <= sent and ended <= begin + MINUTE_S for sent, ended in spans) for begin, _ in spans), default=0
    )


def says_nothing(one: Seen) -> bool:
    """A paraphrase that was asked during a fault, and answered by the provider, is an exact hit from then on."""
    return one.asked.kind == "paraphrase" and one.answered and one.tier == "exact"


def is_normal(one: Seen) -> bool:
    return one.answered and one.tier == NORMAL.get(one.asked.kind)


def recovered_at(seen: Iterable[Seen], kinds: Sequence[str], since: float, streak: int = STREAK) -> float | None:
    """When the first of so many normal answers in a row came, of the kind that took longest; None while one has fewer
    at its end. `since` at the earliest.
    """
    runs: dict[str, list[float]] = {kind: [] for kind in kinds}
    for one in sorted(seen, key=lambda each: each.ended):
        if (run := runs.get(one.asked.kind)) is None or says_nothing(one):
            continue
        if is_normal(one):
            run.append(one.ended)
        else:
            run.clear()
    if any(sum(at >= since for at in run) < streak for run in runs.values()):
        return None
    return max(max(since, run[0]) for run in runs.values())


def unlike_usual(seen: Iterable[Seen], kinds: Sequence[str], last: int = STREAK) -> list[str]:
    """How the last of each kind ended that were not all normal."""
    said = []
    ended = sorted(seen, key=lambda each: each.ended)
    for kind in kinds:
        tail = [one for one in ended if one.asked.kind == kind and not says_nothing(one)][-last:]
        if not all(map(is_normal, tail)):
            how = Counter(f"{one.fault or one.status} {one.outcome}".strip() for one in tail)
            said.append(f"the last {len(tail)} of “{kind}”: {', '.join(f'{name} {n}' for name, n in how.items())}")
    return said


def by_status(seen: Iterable[Seen]) -> dict[str, int]:
    """What clients saw, but for answers."""
    counts = Counter(one.fault or str(one.status) for one in seen if not one.answered)
    return dict(sorted(counts.items()))


def longest_wait_s(seen: Iterable[Seen]) -> float:
    return max((one.ended - one.sent for one in seen), default=0.0)
