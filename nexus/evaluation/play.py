"""Decides over traced questions as the gateway does, and counts. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from gateway.cache.search import CANDIDATES
from nexus.evaluation.trace import Lookup

NONE, ALL, POLICY = "none", "all", "policy"


class GuardSet(NamedTuple):
    """`policy`: questions that must not be compared by meaning are not. What `check` refuses for good, always is."""

    name: str
    guards: frozenset[str]
    policy: bool

    @classmethod
    def named(cls, name: str, known: Iterable[str]) -> GuardSet:
        """`none`, `all`, `policy` and guards' names, joined by `+`. Raises ValueError."""
        known = frozenset(known)
        parts = frozenset(name.split("+"))
        if unknown := parts - known - {NONE, ALL, POLICY}:
            raise ValueError(
                f"“{min(unknown)}” is no guard. Join any of these with “+”: "
                f"{NONE}, {ALL}, {POLICY}, {', '.join(sorted(known))}."
            )
        return cls(name, known if ALL in parts else parts & known, POLICY in parts)


class Tally(NamedTuple):
    """Questions, and what they were answered with; `wrong` ones are among the hits."""

    asked: int = 0
    exact: int = 0
    exact_wrong: int = 0
    semantic: int = 0
    semantic_wrong: int = 0

    @property
    def hits(self) -> int:
        return self.exact + self.semantic

    @property
    def wrong(self) -> int:
        return self.exact_wrong + self.semantic_wrong

    @property
    def right(self) -> int:
        return self.hits - self.wrong


class Without(NamedTuple):
    """How right and wrong hits change when this guard alone is off: what it costs, and what it saves."""

    guard: str
    right: int
    wrong: int


def play(lookups: Iterable[Lookup], threshold: float, guard_set: GuardSet) -> Tally:
    asked = exact = exact_wrong = semantic = semantic_wrong = 0
    for lookup in lookups:
        asked += 1
        if lookup.exact is not None:
            exact += 1
            exact_wrong += not lookup.exact
        elif (right := served(lookup, threshold, guard_set)) is not None:
            semantic += 1
            semantic_wrong += not right
    return Tally(asked, exact, exact_wrong, semantic, semantic_wrong)


def served(lookup: Lookup, threshold: float, guard_set: GuardSet) -> bool | None:
    """Whether the semantic tier's answer is right; None when it gives none."""
    if guard_set.policy and not lookup.cacheable:
        return None
    candidates = [one for one in lookup.candidates if one.cacheable or not guard_set.policy]
    for candidate in candidates[:CANDIDATES]:
        if candidate.similarity < threshold:
            return None
        if guard_set.guards.isdisjoint(candidate.refused_by):
            return candidate.right
    return None


def leave_one_out(lookups: list[Lookup], threshold: float, guard_set: GuardSet) -> list[Without]:
    """Each guard of the set, and its policy, switched off alone."""
    base = play(lookups, threshold, guard_set)
    others = [(guard, guard_set._replace(guards=guard_set.guards - {guard})) for guard in sorted(guard_set.guards)]
    if guard_set.policy:
        others.append((POLICY, guard_set._replace(policy=False)))
    without = [(guard, play(lookups, threshold, other)) for guard, other in others]
    return [Without(guard, tally.right - base.right, tally.wrong - base.wrong) for guard, tally in without]
