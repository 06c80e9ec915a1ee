"""What dashboards and reports ask of one tenant's rollups and records. Sync; within the tenant's schema."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import Q, Sum
from django.db.models.expressions import CombinedExpression

from analytics import events
from analytics.models import HOUR_S, MINUTE_S, UsageRecord, UsageRollup

LATEST = 20
CHART = dt.timedelta(hours=1)


class Totals(NamedTuple):
    """Sums of one window. Refreshed and bypassed answers are misses: a provider was asked for them."""

    requests: int
    errors: int
    exact_hits: int
    semantic_hits: int
    tokens: int
    cost_usd: Decimal
    saved_usd: Decimal
    unpriced: int

    @property
    def answered(self) -> int:
        return self.requests - self.errors

    @property
    def misses(self) -> int:
        return self.answered - self.exact_hits - self.semantic_hits

    @property
    def hit_rate(self) -> float | None:
        """Of answered requests, 0 to 1; None without any."""
        return (self.exact_hits + self.semantic_hits) / self.answered if self.answered else None


class Minute(NamedTuple):
    """Requests of one minute; `at` is its start in seconds since 1970."""

    at: int
    exact_hits: int = 0
    semantic_hits: int = 0
    misses: int = 0
    failed: int = 0


def totals(since: dt.datetime | None = None) -> Totals:
    """From the start of the hour of `since`, or of all time."""
    rollups = UsageRollup.objects.filter(width_s=HOUR_S)
    if since is not None:
        rollups = rollups.filter(bucket__gte=since.replace(minute=0, second=0, microsecond=0))
    sums: dict[str, Any] = rollups.aggregate(
        all=Sum("requests"),
        failed=Sum("errors"),
        exact=_answered(events.HIT_EXACT),
        semantic=_answered(events.HIT_SEMANTIC),
        prompt=Sum("prompt_tokens"),
        completion=Sum("completion_tokens"),
        cost=Sum("cost_usd"),
        saved=Sum("saved_usd"),
        no_price=Sum("unpriced"),
    )
    number = {name: value or 0 for name, value in sums.items()}
    return Totals(
        requests=number["all"],
        errors=number["failed"],
        exact_hits=number["exact"],
        semantic_hits=number["semantic"],
        tokens=number["prompt"] + number["completion"],
        cost_usd=Decimal(number["cost"]),
        saved_usd=Decimal(number["saved"]),
        unpriced=number["no_price"],
    )


def _answered(outcome: str) -> CombinedExpression:
    return Sum("requests", filter=Q(outcome=outcome)) - Sum("errors", filter=Q(outcome=outcome))


def series(now: dt.datetime) -> list[Minute]:
    """The last hour, minute by minute, those without a request too."""
    start = (now - CHART).replace(second=0, microsecond=0) + dt.timedelta(seconds=MINUTE_S)
    rows = UsageRollup.objects.filter(width_s=MINUTE_S, bucket__gte=start).values_list(
        "bucket", "outcome", "requests", "errors"
    )
    field = {events.HIT_EXACT: "exact_hits", events.HIT_SEMANTIC: "semantic_hits"}
    minutes = {at: Minute(at) for at in range(int(start.timestamp()), int(now.timestamp()) + 1, MINUTE_S)}
    for bucket, outcome, requests, errors in rows:
        # One from a clock that is ahead of ours is shown when its minute has come.
        if (minute := minutes.get(int(bucket.timestamp()))) is not None:
            name = field.get(outcome, "misses")
            more = {name: getattr(minute, name) + requests - errors, "failed": minute.failed + errors}
            minutes[minute.at] = minute._replace(**more)
    return list(minutes.values())


def latest() -> list[UsageRecord]:
    """The last requests, newest first."""
    return list(UsageRecord.objects.order_by("-at")[:LATEST])
