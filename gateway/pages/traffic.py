"""What the newest requests met in the cache: by similarity, in one look at a bounded number of records.

However many a workspace has: rollups know nothing of similarity, and to look at all records takes too long.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import F, Sum

from analytics import queries
from analytics.events import HIT_EXACT, HIT_SEMANTIC
from analytics.models import DAY_S

LATEST, DAYS = 50_000, 30

# Of a failed request nothing is known; exact hits have no similarity.
_LOOK = """
SELECT CASE WHEN status >= 400 THEN 'failed' WHEN outcome = %(semantic)s THEN 'semantic' WHEN outcome = %(exact)s
            THEN 'exact' WHEN entry_id IS NOT NULL THEN 'shadow' ELSE 'miss' END AS kind,
       floor(similarity * 100 + 1e-9)::int AS band,
       count(*), sum(saved_usd), sum(shadow_saved_usd), sum(cost_usd), count(cost_usd), min(at)
FROM (
    SELECT at, status, outcome, entry_id, similarity, saved_usd, shadow_saved_usd, cost_usd
    FROM analytics_usagerecord WHERE at >= %(since)s ORDER BY at DESC LIMIT %(latest)s
) latest
GROUP BY 1, 2
"""


class Band(NamedTuple):
    """One hundredth of similarity: answers that were given by meaning, and those that shadow mode found."""

    hits: int = 0
    hits_usd: Decimal = Decimal(0)
    shadow: int = 0
    shadow_usd: Decimal = Decimal(0)

    @property
    def found(self) -> int:
        return self.hits + self.shadow


class Traffic(NamedTuple):
    """The newest `requests`, from `since` on. `answer_usd`: what an answer of a provider costs, if that is known."""

    requests: int
    answered: int
    since: dt.datetime | None
    bands: Mapping[int, Band]
    answer_usd: Decimal | None

    @property
    def is_cut(self) -> bool:
        """There are more than were looked at."""
        return self.requests >= LATEST

    @property
    def hits(self) -> int:
        return sum(band.hits for band in self.bands.values())

    @property
    def shadow(self) -> int:
        return sum(band.shadow for band in self.bands.values())

    @property
    def shadow_usd(self) -> Decimal:
        return sum((band.shadow_usd for band in self.bands.values()), Decimal(0))

    def days(self, now: dt.datetime) -> float:
        """A day at least: an hour says nothing of a month."""
        return 1.0 if self.since is None else max(1.0, (now - self.since).total_seconds() / DAY_S)


def look(now: dt.datetime) -> Traffic:
    """Within the tenant's schema."""
    values: dict[str, str | int | dt.datetime] = {
        "semantic": HIT_SEMANTIC,
        "exact": HIT_EXACT,
        "since": now - dt.timedelta(days=DAYS),
        "latest": LATEST,
    }
    with connection.cursor() as cursor:
        cursor.execute(_LOOK, values)
        rows = cursor.fetchall()
    return _traffic(rows)


def _traffic(rows: list[tuple[Any, ...]]) -> Traffic:
    bands: dict[int, Band] = {}
    requests = failed = priced = 0
    cost = Decimal(0)
    since: dt.datetime | None = None
    for kind, band, count, saved, shadow_saved, cost_usd, with_price, first in rows:
        requests += count
        since = first if since is None else min(since, first)
        failed += count if kind == "failed" else 0
        if kind in ("miss", "shadow"):
            cost, priced = cost + (cost_usd or 0), priced + with_price
        if kind in ("semantic", "shadow") and band is not None:
            known = bands.get(band, Band())
            if kind == "semantic":
                known = known._replace(hits=known.hits + count, hits_usd=known.hits_usd + (saved or 0))
            else:
                known = known._replace(shadow=known.shadow + count, shadow_usd=known.shadow_usd + (shadow_saved or 0))
            bands[band] = known
    return Traffic(requests, requests - failed, since, bands, cost / priced if priced else None)


class Tier(NamedTuple):
    hits: int = 0
    saved_usd: Decimal = Decimal(0)


class Tiers(NamedTuple):
    answered: int
    exact: Tier
    semantic: Tier

    @property
    def saved_usd(self) -> Decimal:
        return self.exact.saved_usd + self.semantic.saved_usd

    def share(self, tier: Tier) -> float | None:
        return tier.hits / self.answered if self.answered else None


def tiers(since: dt.datetime) -> Tiers:
    """From the start of that hour, from rollups."""
    rows = (
        queries.since_hour(since)
        .values("outcome")
        .annotate(answered=Sum(F("requests") - F("errors")), saved=Sum("saved_usd"))
    )
    found = {row["outcome"]: Tier(row["answered"] or 0, row["saved"] or Decimal(0)) for row in rows}
    answered = sum(tier.hits for tier in found.values())
    return Tiers(answered, found.get(HIT_EXACT, Tier()), found.get(HIT_SEMANTIC, Tier()))
