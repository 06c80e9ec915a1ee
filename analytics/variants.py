"""How the variants of an A/B route did, from one tenant's usage records. Sync; within the tenant's schema."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import NamedTuple

from django.db.models import Aggregate, Avg, Case, Count, F, FloatField, Q, Sum, Value, When

from analytics import events
from analytics.models import UsageRecord

# Who was ever asked for one name: far fewer. Whatever a client made up beyond is left out.
MAX_VARIANTS = 200


class Percentile(Aggregate):
    """Postgres interpolates between the two nearest."""

    function = "percentile_cont"
    template = "%(function)s(%(fraction)s) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()


class Outcome(NamedTuple):
    """Without a variant, provider and upstream model say who answered; None where nobody did.

    Latencies are those of misses. `cost_usd` is of the requests whose model has a price; the others are `unpriced`.
    """

    variant: str | None
    provider: str | None
    upstream_model: str | None
    requests: int
    errors: int
    hits: int
    misses: int
    mean_latency_ms: float | None
    p50_latency_ms: float | None
    p95_latency_ms: float | None
    prompt_tokens: int
    completion_tokens: int
    cost_usd: Decimal
    unpriced: int

    @property
    def cost_per_request_usd(self) -> Decimal | None:
        priced = self.requests - self.unpriced
        return self.cost_usd / priced if priced else None


def outcomes(model: str, since: dt.datetime) -> list[Outcome]:
    """Of a name that apps ask for, most requests first."""
    failed, hit = Q(status__gte=400), Q(outcome__in=events.HITS)
    missed = ~failed & ~hit
    rows = (
        UsageRecord.objects.filter(model=model, at__gte=since)
        .annotate(
            # A variant whose target failed is that variant still, whoever stood in.
            by_provider=Case(When(variant="", then=F("provider")), default=Value("")),
            by_model=Case(When(variant="", then=F("upstream_model")), default=Value("")),
        )
        .values("variant", "by_provider", "by_model")
        .annotate(
            requests=Count("id"),
            errors=Count("id", filter=failed),
            hits=Count("id", filter=hit & ~failed),
            misses=Count("id", filter=missed),
            mean=Avg("latency_ms", filter=missed),
            p50=Percentile("latency_ms", filter=missed, fraction=0.5),
            p95=Percentile("latency_ms", filter=missed, fraction=0.95),
            prompt=Sum("prompt_tokens"),
            completion=Sum("completion_tokens"),
            cost=Sum("cost_usd"),
            unpriced=Count("id", filter=~failed & Q(cost_usd=None)),
        )
        .order_by("-requests", "variant", "by_provider", "by_model")[:MAX_VARIANTS]
    )
    return [
        Outcome(
            variant=row["variant"] or None,
            provider=row["by_provider"] or None,
            upstream_model=row["by_model"] or None,
            requests=row["requests"],
            errors=row["errors"],
            hits=row["hits"],
            misses=row["misses"],
            mean_latency_ms=row["mean"],
            p50_latency_ms=row["p50"],
            p95_latency_ms=row["p95"],
            prompt_tokens=row["prompt"],
            completion_tokens=row["completion"],
            cost_usd=row["cost"] or Decimal(0),
            unpriced=row["unpriced"],
        )
        for row in rows
    ]
