"""Plays a traced stream as the gateway would with a wrong-answer budget: answers, has samples judged, and learns. Pure,
but for the drawing of lots.

Verdicts come at once here; a gateway's come half a minute later.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gateway.cache import learning
from gateway.cache.learning import NEAR_MISS, Fact, Standing
from gateway.cache.rules import sampling_after
from gateway.cache.search import CANDIDATES
from nexus.evaluation.play import GuardSet
from nexus.evaluation.trace import Lookup

# The gateway learns from as many verdicts at a time, or from fewer when there are no more.
LEARNS_FROM = 10
PARTS = 10


class Terms(NamedTuple):
    """`judge_error`: the share of its opinions that are the opposite of what is right, each for itself."""

    own: float
    budget: float
    judge_error: float


class Counts(NamedTuple):
    """`calls`: how often the judge was asked."""

    asked: int = 0
    hits: int = 0
    wrong: int = 0
    verdicts: int = 0
    calls: int = 0

    @classmethod
    def total(cls, counts: Iterable[Counts]) -> Counts:
        return cls(*map(sum, zip(*counts, strict=True)))


class Part(NamedTuple):
    """One tenth of the stream; `threshold` and `off` as at its end."""

    counts: Counts
    threshold: float
    off: bool


class Found(NamedTuple):
    """What no guard refuses of a question's candidates: the most similar one."""

    similarity: float
    right: bool


def found(lookup: Lookup, guard_set: GuardSet) -> Found | None:
    """Whatever the threshold is: a lower one lets more of these through, and changes none."""
    if lookup.exact is not None or (guard_set.policy and not lookup.cacheable):
        return None
    candidates = [one for one in lookup.candidates if one.cacheable or not guard_set.policy]
    for one in candidates[:CANDIDATES]:
        if guard_set.guards.isdisjoint(one.refused_by):
            return Found(one.similarity, one.right)
    return None


def play(stream: Sequence[Found | None], terms: Terms, seed: int) -> list[Part]:
    player, parts = _Player(terms, random.Random(seed)), []
    for number in range(PARTS):
        player.counts = Counts()
        for one in stream[number * len(stream) // PARTS : (number + 1) * len(stream) // PARTS]:
            player.ask(one)
        parts.append(Part(player.counts, player.standing.now, player.standing.off))
    return parts


class _Player:
    def __init__(self, terms: Terms, lots: random.Random) -> None:
        self.standing, self.counts = Standing(terms.own), Counts()
        self._terms, self._lots = terms, lots
        self._facts: list[Fact] = []
        self._judged_hits = self._unlearned = 0

    def ask(self, one: Found | None) -> None:
        self._count(asked=1)
        if one is not None and one.similarity >= min(self.standing.now, NEAR_MISS):
            self._find(one)

    def _find(self, one: Found) -> None:
        shares = sampling_after(self._judged_hits)
        if one.similarity < self.standing.now:
            kind, share = "near_miss", shares.near_misses
        elif self.standing.off:
            kind, share = "shadow", shares.shadow
        else:
            kind, share = "hit", shares.hits
            self._count(hits=1, wrong=int(not one.right))
        if self._lots.random() < share:
            self._facts.append(Fact(kind, one.similarity, 1 / share, self._judged(one.right)))
            self._count(verdicts=1)
            self._unlearned += 1
            if self._unlearned == LEARNS_FROM:
                self._learn()

    def _count(self, **more: int) -> None:
        self.counts = Counts.total((self.counts, Counts(**more)))

    def _judged(self, right: bool) -> bool:
        """As gateway.cache.judge asks: what it calls wrong it is asked about again."""
        return self._opinion(right) or self._opinion(right)

    def _opinion(self, right: bool) -> bool:
        self._count(calls=1)
        return right != (self._lots.random() < self._terms.judge_error)

    def _learn(self) -> None:
        self._unlearned = 0
        newest_first = self._facts[: -learning.KEPT_VERDICTS - 1 : -1]
        decision = learning.decide(newest_first, {}, self.standing, self._terms.budget)
        self.standing = self.standing._replace(learned=decision.threshold, off=decision.off)
        self._judged_hits = decision.figures["judged_hits"]
