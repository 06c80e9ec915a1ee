"""The wrong-answer budget: from verdicts to the threshold that keeps it, or to the tier being switched off. Pure.

Answers are taken to be right the more often, the more similar the questions are. How well this keeps a budget, and what
it cannot promise: docs/wrong-answer-budget.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

# Less similar ones are not worth a verdict: no threshold comes down here.
NEAR_MISS = 0.75
# As in gateway.models.Verdict.
MODEL, PERSON = "model", "person"
NEAR_MISSES = "near_miss"
# Verdicts fade: traffic changes, and so do answers.
KEPT_DAYS, KEPT_VERDICTS = 90, 2_000
# People's reports are counted against the hits of as many days.
REPORT_DAYS = 30
# The normal distribution's, one-sided. Served where 95 % say that it keeps the budget; left where 80 % say that it
# does not: a wrong answer costs more than one that is asked for again.
SURE, LIKELY = 1.645, 0.842
# Accidents happen. Nobody knows who reports, so more of them are wanted.
WRONG_AT_LEAST, REPORTS_AT_LEAST = 2, 3
# Behind a threshold that is chosen without being sure of it there are as many verdicts.
FEWEST_VERDICTS = 20
# A threshold that keeps the budget is not left for one that is so little better.
WORTH_MOVING = 0.02
# Hundredths: where thresholds are looked at.
LOWEST, HIGHEST = 50, 100


class Fact(NamedTuple):
    """One verdict. `weight`: one in how many of its like was judged. A person's has none that could be known."""

    kind: str
    similarity: float
    weight: float
    right: bool
    source: str = MODEL
    age_days: float = 0.0


class Standing(NamedTuple):
    """The tenant's own threshold, and what holds now: `learned` of None is the tenant's own."""

    own: float
    learned: float | None = None
    off: bool = False

    @property
    def now(self) -> float:
        return self.own if self.learned is None else self.learned


class Point(NamedTuple):
    """What is known of all candidates that are at least this similar.

    `rate` of wrong ones, in [`low`, `high`] with 90 %; `likely` at least so many, with 80 %. `certainty`: how many
    verdicts of equal weight would tell as much. `hits_a_day`: how many there are to serve.
    """

    threshold: float
    verdicts: int = 0
    wrong: int = 0
    certainty: float = 0.0
    rate: float = 0.0
    low: float = 0.0
    high: float = 1.0
    likely: float = 0.0
    hits_a_day: float = 0.0


class Decision(NamedTuple):
    """`threshold` of None: the tenant's own."""

    threshold: float | None
    off: bool
    reason: str
    figures: dict[str, Any]


def decide(facts: Sequence[Fact], served: Mapping[int, int], standing: Standing, budget: float) -> Decision:
    """`facts`: the newest first. `served`: hits of the last `REPORT_DAYS` by hundredths of similarity."""
    known = _known(facts, served)
    choice = _choose(known.points, standing, budget) if known.anything else _Choice(standing.own, False, _NOTHING_KNOWN)
    learned = None if choice.off or abs(choice.threshold - standing.own) < 1e-9 else choice.threshold
    reason = choice.reason.format(**_words(known, choice.threshold, budget))
    return Decision(learned, choice.off, reason, _figures(known, choice.threshold))


def figures(facts: Sequence[Fact], served: Mapping[int, int], threshold: float) -> dict[str, Any]:
    """What is known, where nothing follows from it."""
    return _figures(_known(facts, served), threshold)


class _Known(NamedTuple):
    sampled: list[Fact]
    reports: list[Fact]
    points: list[Point]

    @property
    def anything(self) -> bool:
        return bool(self.sampled or self.reports)


def _known(facts: Iterable[Fact], served: Mapping[int, int]) -> _Known:
    sampled, reports = _fresh(facts)
    return _Known(sampled, reports, _points(sampled, reports, served))


def _fresh(facts: Iterable[Fact]) -> tuple[list[Fact], list[Fact]]:
    """Sampled verdicts, and hits that people call wrong. That somebody calls one right says nothing of the others."""
    young = [fact for fact in facts if fact.age_days <= KEPT_DAYS]
    sampled = [fact for fact in young if fact.source == MODEL]
    reports = [fact for fact in young if fact.source == PERSON and not fact.right and fact.age_days <= REPORT_DAYS]
    return sampled[:KEPT_VERDICTS], reports


# --- what is known ---------------------------------------------------------------------------------------------------


class _Band(NamedTuple):
    """One hundredth of similarity."""

    verdicts: int = 0
    wrong: int = 0
    weight: float = 0.0


def _points(sampled: Sequence[Fact], reports: Sequence[Fact], served: Mapping[int, int]) -> list[Point]:
    """By rising threshold. What is known of all above a threshold is known of those above a higher one, too: at most
    as many are wrong."""
    days = max(1.0, max((fact.age_days for fact in sampled), default=0.0))
    bands = _bands(sampled)
    points, kept = [], _Pool()
    reported = hits = 0
    by_band = [_hundredths(fact.similarity) for fact in reports]
    for at in range(HIGHEST, LOWEST - 1, -1):
        kept = kept.with_band(bands.get(at, _Band()))
        point = kept.point(at / 100, days)
        if len(reports) >= REPORTS_AT_LEAST:
            reported, hits = reported + by_band.count(at), hits + served.get(at, 0)
            point = _with_reports(point, reported, max(hits, reported))
        points.append(point)
    points.reverse()
    high, lowered = 1.0, []
    for point in points:
        high = min(high, point.high)
        lowered.append(point._replace(high=high))
    return lowered


def _bands(sampled: Iterable[Fact]) -> dict[int, _Band]:
    bands: dict[int, _Band] = {}
    for fact in sampled:
        at = _hundredths(fact.similarity)
        band = bands.get(at, _Band())
        bands[at] = _Band(band.verdicts + 1, band.wrong + (not fact.right), band.weight + fact.weight)
    return bands


def _hundredths(similarity: float) -> int:
    return min(HIGHEST, max(LOWEST, math.floor(similarity * 100 + 1e-9)))


class _Pool(NamedTuple):
    """Bands taken together. In a band every verdict counts the same, whatever the share was when it was drawn: which
    hits are judged does not depend on whether they are right."""

    verdicts: int = 0
    wrong: int = 0
    weight: float = 0.0
    wrong_weight: float = 0.0
    spread: float = 0.0

    def with_band(self, band: _Band) -> _Pool:
        if not band.verdicts:
            return self
        return _Pool(
            self.verdicts + band.verdicts,
            self.wrong + band.wrong,
            self.weight + band.weight,
            self.wrong_weight + band.weight * band.wrong / band.verdicts,
            self.spread + band.weight**2 / band.verdicts,
        )

    def point(self, threshold: float, days: float) -> Point:
        if not self.verdicts:
            return Point(threshold)
        rate, certainty = self.wrong_weight / self.weight, self.weight**2 / self.spread
        low, high = wilson(rate, certainty, SURE)
        likely = wilson(rate, certainty, LIKELY)[0] if self.wrong >= WRONG_AT_LEAST else 0.0
        return Point(
            threshold, self.verdicts, self.wrong, certainty, rate, low, high, likely, hits_a_day=self.weight / days
        )


def _with_reports(point: Point, reported: int, hits: int) -> Point:
    """People report some of what is wrong: that is the least it can be, and nothing speaks for the rest."""
    if not hits:
        return point
    rate = reported / hits
    likely = wilson(rate, hits, LIKELY)[0] if reported >= REPORTS_AT_LEAST else 0.0
    return point._replace(
        certainty=max(point.certainty, hits),
        rate=max(point.rate, rate),
        low=max(point.low, wilson(rate, hits, SURE)[0]),
        high=max(point.high, rate),
        likely=max(point.likely, likely),
    )


def wilson(rate: float, count: float, z: float) -> tuple[float, float]:
    """Wilson's score interval, which holds for few and for none."""
    shrink = 1 + z * z / count
    middle = (rate + z * z / (2 * count)) / shrink
    reach = z * math.sqrt(rate * (1 - rate) / count + z * z / (4 * count * count)) / shrink
    return max(0.0, middle - reach), min(1.0, middle + reach)


def clean_verdicts(budget: float) -> int:
    """So many, none of them wrong, make sure of a budget."""
    return math.ceil(SURE * SURE * (1 - budget) / budget)


# --- what follows ----------------------------------------------------------------------------------------------------


class _Choice(NamedTuple):
    threshold: float
    off: bool
    reason: str


# As Django's, which is not asked here: it marks what others translate.
gettext_noop = str

_NOTHING_KNOWN = gettext_noop("There are no verdicts yet: your own threshold holds.")
_SURE = gettext_noop(
    "At {threshold} and above, {rate} of the answers are wrong, almost surely no more than {high}: within the budget of"
    " {budget}."
)
_STAYS = gettext_noop(
    "At {threshold} and above, {rate} of the answers are wrong by {known}: too few to say more of the budget of"
    " {budget}."
)
_RAISED = gettext_noop(
    "Lower thresholds gave more than the budget of {budget} wrong answers. At {threshold} and above it is {rate}."
)
_LOWERED = gettext_noop(
    "At {threshold} and above, {rate} of the answers are wrong: within the budget of {budget}, as far as verdicts can"
    " tell."
)
_OFF = gettext_noop(
    "Switched off: no threshold is known that keeps the budget of {budget}. The tier goes on looking without"
    " answering, and comes back when verdicts allow it."
)


_VERDICTS = gettext_noop("{verdicts} verdicts")
_VERDICTS_AND_REPORTS = gettext_noop("{verdicts} verdicts and {reports} reports")
REASONS = (_NOTHING_KNOWN, _SURE, _STAYS, _RAISED, _LOWERED, _OFF, _VERDICTS, _VERDICTS_AND_REPORTS)


def _choose(points: list[Point], standing: Standing, budget: float) -> _Choice:
    own, now, off = standing.own, standing.now, standing.off
    usable = [point for point in points if point.threshold >= min(own, NEAR_MISS) - 1e-9]
    sure = next((point for point in usable if point.high <= budget), None)
    if sure is not None:
        here = _at(points, now)
        near = abs(sure.threshold - now) < WORTH_MOVING - 1e-9
        stays = not off and near and here.rate <= budget and (here.high <= budget or now >= own)
        return _Choice(now if stays else sure.threshold, False, _SURE)
    # Below the tenant's own threshold only who is sure.
    known = [point for point in usable if point.threshold >= own - 1e-9 and point.certainty >= _enough(budget)]
    good = [point for point in known if point.rate <= budget]
    if off:
        return _Choice(good[0].threshold, False, _LOWERED) if good else _Choice(own, True, _OFF)
    now = max(now, own)
    above = [point for point in known if point.threshold >= now - 1e-9]
    if max(point.likely for point in (_at(points, now), *above)) > budget:
        good = [point for point in good if point.threshold >= now - 1e-9]
        return _Choice(good[0].threshold, False, _RAISED) if good else _Choice(own, True, _OFF)
    if good and good[0].threshold < now - 1e-9:
        return _Choice(good[0].threshold, False, _LOWERED)
    return _Choice(now, False, _STAYS)


def _enough(budget: float) -> float:
    """One wrong answer among as many is the budget."""
    return max(FEWEST_VERDICTS, 1 / budget)


def _at(points: Sequence[Point], threshold: float) -> Point:
    """A threshold between two hundredths is taken for the upper one."""
    return next((point for point in points if point.threshold >= threshold - 1e-9), points[-1])


def _words(known: _Known, threshold: float, budget: float) -> dict[str, str]:
    point = _at(known.points, threshold)
    known_by = _VERDICTS_AND_REPORTS if known.reports else _VERDICTS
    return {
        "threshold": f"{threshold:.2f}",
        "rate": f"{point.rate:.1%}",
        "high": f"{point.high:.1%}",
        "known": known_by.format(verdicts=f"{point.verdicts:,}", reports=f"{len(known.reports):,}"),
        "budget": f"{budget:.1%}",
    }


def _figures(known: _Known, threshold: float) -> dict[str, Any]:
    return {
        # More of them, and fewer are judged (gateway.cache.rules).
        "judged_hits": sum(fact.kind != NEAR_MISSES for fact in known.sampled),
        "verdicts": len(known.sampled),
        "reports": len(known.reports),
        "now": _shown(_at(known.points, threshold)),
        "curve": [_shown(point) for point in known.points if NEAR_MISS <= point.threshold < 1],
    }


def _shown(point: Point) -> dict[str, Any]:
    return {
        "threshold": point.threshold,
        "verdicts": point.verdicts,
        "wrong_rate": round(point.rate, 4) if point.certainty else None,
        "low": round(point.low, 4),
        "high": round(point.high, 4),
        "projected_hits_per_day": round(point.hits_a_day, 1),
    }
