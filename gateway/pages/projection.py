"""What each threshold would give in this workspace's own traffic: hits, savings and wrong answers, by hundredths.

Hits and shadow hits are counted in the newest requests; near misses are reckoned from samples, each of which stands for
so many; how many are wrong comes from verdicts, as the learning has it (gateway.cache.learning).
"""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import FloatField, Sum
from django.db.models.functions import Cast, Floor

from gateway.cache import learning
from gateway.cache.learning import Fact
from gateway.models import Verdict
from gateway.pages.traffic import Band, Traffic

# Hundredths. Below, nothing is compared.
LOWEST, HIGHEST = round(learning.NEAR_MISS * 100), 100
MONTH_DAYS = 30


class Column(NamedTuple):
    """What was found in one hundredth of similarity, and what verdicts there are on it."""

    at: int
    found: float = 0.0
    right: int = 0
    wrong: int = 0

    @property
    def height(self) -> float:
        """Verdicts are kept for longer than the newest requests reach back."""
        return max(self.found, self.right + self.wrong)


class Row(NamedTuple):
    """Of all that is at least as similar. `rate` of None: there is no verdict."""

    at: int
    hits: float
    saved_usd: Decimal | None
    verdicts: int
    rate: float | None
    low: float
    high: float

    @property
    def threshold(self) -> float:
        return self.at / 100


class Projection(NamedTuple):
    columns: list[Column]
    rows: list[Row]
    verdicts: int
    # A month's of a row, from what was looked at.
    to_month: float


def project(traffic: Traffic, facts: Sequence[Fact], now: dt.datetime) -> Projection:
    """Within the tenant's schema; `facts` as gateway.cache.tuning.sampled has them."""
    near = _near_misses(traffic.since or now)
    said: Counter[tuple[int, bool]] = Counter((_hundredth(fact.similarity), fact.right) for fact in facts)
    columns = [
        Column(
            at,
            traffic.bands.get(at, Band()).found + near.get(at, 0.0),
            said[at, True],
            said[at, False],
        )
        for at in range(LOWEST, HIGHEST + 1)
    ]
    # Of 1.00 the curve says what 0.99 says: no verdict is on more.
    curve = {round(point["threshold"] * 100): point for point in learning.figures(facts, {}, 1.0)["curve"]}
    rows = _rows(traffic, columns, near, curve)
    return Projection(columns, rows, len(facts), MONTH_DAYS / traffic.days(now))


def _rows(
    traffic: Traffic, columns: list[Column], near: Mapping[int, float], curve: Mapping[int, dict[str, Any]]
) -> list[Row]:
    hits, saved, unknown = 0.0, Decimal(0), 0.0
    each_usd = _usd_of_one(traffic)
    rows = []
    for column in reversed(columns):
        band = traffic.bands.get(column.at, Band())
        hits += column.found
        saved += band.hits_usd + band.shadow_usd
        unknown += near.get(column.at, 0.0)
        point = curve[min(column.at, HIGHEST - 1)]
        total = None if each_usd is None and unknown else saved + Decimal(unknown) * (each_usd or 0)
        known = (point["verdicts"], point["wrong_rate"], point["low"], point["high"])
        rows.append(Row(column.at, hits, total, *known))
    rows.reverse()
    return rows


def _usd_of_one(traffic: Traffic) -> Decimal | None:
    """What a hit saves: the mean of those that there were, or what an answer costs."""
    found = sum(band.found for band in traffic.bands.values())
    if found:
        saved = sum((band.hits_usd + band.shadow_usd for band in traffic.bands.values()), Decimal(0))
        return saved / found
    return traffic.answer_usd


def _near_misses(since: dt.datetime) -> dict[int, float]:
    """How many there were, by hundredths: each sample stands for as many as its weight says."""
    rows = (
        Verdict.objects.filter(at__gte=since, kind=Verdict.Kind.NEAR_MISS, similarity__isnull=False)
        .values(band=Cast(Floor(Cast("similarity", FloatField()) * 100 + 1e-9), FloatField()))
        .annotate(number=Sum("weight"))
    )
    return {int(row["band"]): row["number"] for row in rows.order_by()}


def _hundredth(similarity: float) -> int:
    return min(HIGHEST, math.floor(similarity * 100 + 1e-9))
