"""What dashboards and reports ask of one tenant's rollups and records. Sync; within the tenant's schema."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import Q, Sum

from analytics import events
from analytics.models import HOUR_S, MINUTE_S, UsageRecord, UsageRollup

LATEST = 20
CHART = dt.timedelta(hours=1)


class Totals(NamedTuple):
    """Sums of one window. `hit_rate` is of answered requests, 0 to 1, or None without any."""

    requests: int
    exact_hits: int
    semantic_hits: int
    misses: int
    errors: int
    hit_rate: float | None
    tokens: int
    cost_usd: Decimal
    saved_usd: Decimal
    unpriced: int


def totals(since: dt.datetime | None = None) -> Totals:
    """From the hour of `since` on, or of all time. Failed requests count as requests and errors."""
    rollups = UsageRollup.objects.filter(width_s=HOUR_S)
    if since is not None:
        rollups = rollups.filter(bucket__gte=since.replace(minute=0, second=0, microsecond=0))
    sums: dict[str, Any] = rollups.aggregate(
        all=Sum("requests"),
        failed=Sum("errors"),
        exact=Sum("requests", filter=Q(outcome=events.HIT_EXACT)),
        semantic=Sum("requests", filter=Q(outcome=events.HIT_SEMANTIC)),
        prompt=Sum("prompt_tokens"),
        completion=Sum("completion_tokens"),
        cost=Sum("cost_usd"),
        saved=Sum("saved_usd"),
        no_price=Sum("unpriced"),
    )
    number = {name: value or 0 for name, value in sums.items()}
    answered = number["all"] - number["failed"]
    hits = number["exact"] + number["semantic"]
    return Totals(
        requests=number["all"],
        exact_hits=number["exact"],
        semantic_hits=number["semantic"],
        misses=answered - hits,
        errors=number["failed"],
        hit_rate=hits / answered if answered else None,
        tokens=number["prompt"] + number["completion"],
        cost_usd=Decimal(number["cost"]),
        saved_usd=Decimal(number["saved"]),
        unpriced=number["no_price"],
    )


def series(now: dt.datetime) -> list[list[int]]:
    """Of the last hour, minute by minute: [second of its start, exact hits, semantic hits, others]."""
    start = (now - CHART).replace(second=0, microsecond=0)
    rows = (
        UsageRollup.objects.filter(width_s=MINUTE_S, bucket__gt=start)
        .values_list("bucket", "outcome")
        .annotate(sum=Sum("requests"))
    )
    column = {events.HIT_EXACT: 1, events.HIT_SEMANTIC: 2}
    first = int(start.timestamp()) + MINUTE_S
    minutes = {at: [at, 0, 0, 0] for at in range(first, int(now.timestamp()) + 1, MINUTE_S)}
    for bucket, outcome, requests in rows:
        if (row := minutes.get(int(bucket.timestamp()))) is not None:
            row[column.get(outcome, 3)] += requests
    return list(minutes.values())


def latest() -> list[dict[str, object]]:
    """The last requests, newest first. No prompt, no secret."""
    return [
        {
            "id": str(record.id),
            "at": record.at.timestamp(),
            "outcome": record.outcome,
            "coalesced": record.coalesced,
            "status": record.status,
            "error": record.error,
            "model": record.model,
            "provider": record.provider,
            "simulated": record.simulated,
            "tokens": record.prompt_tokens + record.completion_tokens,
            "latency_ms": record.latency_ms,
            "cost_usd": None if record.cost_usd is None else str(record.cost_usd),
            "saved_usd": None if record.saved_usd is None else str(record.saved_usd),
            "similarity": record.similarity,
            "request_id": record.request_id,
        }
        for record in UsageRecord.objects.order_by("-at")[:LATEST]
    ]


def snapshot(now: dt.datetime) -> dict[str, Any]:
    """All that the live dashboard shows."""
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return {"month": _plain(totals(month)), "all": _plain(totals()), "series": series(now), "latest": latest()}


def _plain(totals: Totals) -> dict[str, Any]:
    values = totals._asdict()
    return values | {name: str(values[name]) for name in ("cost_usd", "saved_usd")}
