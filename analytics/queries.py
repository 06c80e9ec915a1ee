"""What dashboards and reports ask of one tenant's rollups and records. Sync; within the tenant's schema."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import Q, QuerySet, Sum
from django.db.models.expressions import CombinedExpression

from analytics import events, rollups
from analytics.models import DAY_S, UsageRecord, UsageRollup
from analytics.rollups import Piece
from analytics.windows import Window

LATEST = 20
# Percentiles are of this many answers at most, the latest ones: the sums hold none.
SAMPLE = 5_000


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

    def less(self, part: Totals) -> Totals:
        pairs: Any = zip(self, part, strict=True)
        return Totals(*(whole - some for whole, some in pairs))

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


class Bar(NamedTuple):
    """Requests of one bar of a chart; `at` is its start in seconds since 1970. Floats are for drawing only."""

    at: int
    exact_hits: int = 0
    semantic_hits: int = 0
    misses: int = 0
    failed: int = 0
    saved_usd: float = 0.0


# A window, what of it still grows, and the time before it.
ALL, GROWING, BEFORE = "all", "growing", "before"


class Slice(NamedTuple):
    """Sums of one outcome, and in a window of one model."""

    part: str
    outcome: str
    model: str
    requests: int
    errors: int
    cost_usd: Decimal
    saved_usd: Decimal
    tokens: int
    unpriced: int
    latency_ms_sum: float


class Pace(NamedTuple):
    """How long answers took, of the `answers` that were looked at."""

    answers: int
    p50_ms: float
    p95_ms: float


class Failure(NamedTuple):
    status: int
    error: str
    requests: int


def totals(since: dt.datetime | None = None, *, key_id: int | None = None) -> Totals:
    """From the start of the hour of `since`, or of all time; of one key, or of all."""
    found = UsageRollup.objects.filter(width_s=DAY_S) if since is None else since_hour(since)
    if key_id is not None:
        found = found.filter(key_id=key_id)
    sums: dict[str, Any] = found.aggregate(
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


def since_hour(since: dt.datetime) -> QuerySet[UsageRollup]:
    """What adds up to the time from the start of that hour on."""
    hour = since.replace(minute=0, second=0, microsecond=0)
    return UsageRollup.objects.filter(rollups.within(*rollups.pieces(hour, rollups.ALWAYS)))


def _answered(outcome: str) -> CombinedExpression:
    return Sum("requests", filter=Q(outcome=outcome)) - Sum("errors", filter=Q(outcome=outcome))


class Saved(NamedTuple):
    month_usd: Decimal
    ever_usd: Decimal


def saved(now: dt.datetime) -> Saved:
    """Since the beginning of the month, and in all."""
    month = now.astimezone(dt.UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    sums = UsageRollup.objects.filter(width_s=DAY_S).aggregate(
        month=Sum("saved_usd", filter=Q(bucket__gte=month)), ever=Sum("saved_usd")
    )
    return Saved(sums["month"] or Decimal(0), sums["ever"] or Decimal(0))


class Sums(NamedTuple):
    """Of a window and the time before. Bars without a request are there, too."""

    slices: list[Slice]
    bars: list[Bar]


_SUMS = """sum(requests)::bigint AS requests, sum(errors)::bigint AS errors, sum(cost_usd) AS cost_usd,
    sum(saved_usd) AS saved_usd, sum(tokens)::bigint AS tokens, sum(unpriced)::bigint AS unpriced,
    sum(latency_ms_sum) AS latency_ms_sum"""
_ROLLUPS = f"(SELECT *, prompt_tokens + completion_tokens AS tokens FROM {UsageRollup._meta.db_table}) rollup"
# One look at each row: first the cells of bar, outcome and model, then these in two ways.
_WINDOW = f"""
WITH cells AS MATERIALIZED (
    SELECT date_bin(make_interval(secs => %(step_s)s), bucket, 'epoch') AS bar, outcome, model, {_SUMS}
    FROM {_ROLLUPS} WHERE {{pieces}} GROUP BY 1, 2, 3
)
SELECT extract(epoch FROM bar)::bigint, '{ALL}', outcome, model, {_SUMS}
FROM cells GROUP BY GROUPING SETS ((outcome, model), (bar, outcome))
"""
_OTHERS = f"""
SELECT CASE WHEN bucket < %(start)s THEN '{BEFORE}' ELSE '{GROWING}' END, outcome, '', {_SUMS}
FROM {_ROLLUPS} WHERE {{pieces}} GROUP BY 1, 2
"""
_HASHING = "SET LOCAL work_mem = '32MB'; SET LOCAL max_parallel_workers_per_gather = 0"


@contextlib.contextmanager
def hashing() -> Iterator[Any]:
    """A cursor whose queries add up tens of thousands of sums by hashing, alone: sorting them takes three times as
    long, and helpers take the core that other requests need.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_HASHING)
        yield cursor


def sums(window: Window) -> Sums:
    """A request from a clock that is ahead of ours is shown when its time has come."""
    # No wider than a bar.
    widest_s, finest_s = min(window.step_s, DAY_S), window.resolution_s
    shown, values = rollups.condition(*rollups.pieces(window.start, window.end, finest_s=finest_s, widest_s=widest_s))
    with hashing() as cursor:
        cursor.execute(_WINDOW.format(pieces=shown), {**values, "step_s": window.step_s})
        rows = cursor.fetchall()
    slices, drawn = _others(window), {at: Bar(at) for at in window.bars}
    for at, *values in rows:
        one = Slice(*values)
        if at is None:
            slices.append(one)
        elif (bar := drawn.get(at)) is not None:
            drawn[at] = _with(bar, one)
    return Sums(slices, list(drawn.values()))


def _with(bar: Bar, more: Slice) -> Bar:
    name = {events.HIT_EXACT: "exact_hits", events.HIT_SEMANTIC: "semantic_hits"}.get(more.outcome, "misses")
    answered = getattr(bar, name) + more.requests - more.errors
    usd = bar.saved_usd + float(more.saved_usd)
    return bar._replace(**{name: answered, "failed": bar.failed + more.errors, "saved_usd": usd})


def _others(window: Window) -> list[Slice]:
    """Of the time before, and of what still grows."""
    before = rollups.pieces(window.before, window.start, finest_s=window.resolution_s)
    growing = Piece(window.resolution_s, window.whole, window.end)
    text, values = rollups.condition(*before, growing)
    return [Slice(*row) for row in _read(_OTHERS.format(pieces=text), {**values, "start": window.start})]


_PACES = f"""
SELECT outcome, count(*), percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY latency_ms)
FROM (
    SELECT CASE WHEN outcome = ANY (%s) THEN outcome ELSE %s END AS outcome, latency_ms
    FROM {UsageRecord._meta.db_table} WHERE at >= %s AND at < %s AND status < 400
    ORDER BY at DESC LIMIT {SAMPLE}
) latest
GROUP BY 1
"""


def paces(window: Window) -> dict[str, Pace]:
    """By tier, of the latest answers of the window whose records are still there."""
    hits = [events.HIT_EXACT, events.HIT_SEMANTIC]
    rows = _read(_PACES, [hits, events.MISS, window.start, window.end])
    return {outcome: Pace(answers, *percentiles) for outcome, answers, percentiles in rows}


_FAILURES = f"""
SELECT status, error, count(*) AS requests FROM {UsageRecord._meta.db_table}
WHERE at >= %s AND at < %s AND status >= 400 AND billed_tokens <= 0 GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT %s
"""


def failures(window: Window, limit: int) -> list[Failure]:
    """The most frequent kinds, of the records that are still there."""
    return [Failure(*row) for row in _read(_FAILURES, [window.start, window.end, limit])]


def latest(window: Window | None = None) -> list[UsageRecord]:
    """The last requests, of the window or of all, newest first."""
    found = UsageRecord.objects.order_by("-at")
    if window is not None:
        found = found.filter(at__gte=window.start, at__lt=window.end)
    return list(found[:LATEST])


def newest_since(most: int, since: dt.datetime | None, until: dt.datetime | None = None) -> dt.datetime | None:
    """Where the newest so many records of that time begin, `until` included; None: there are not more."""
    found = UsageRecord.objects.order_by("-at").values_list("at", flat=True)
    if since is not None:
        found = found.filter(at__gte=since)
    if until is not None:
        found = found.filter(at__lte=until)
    last, *more = [*found[most - 1 : most + 1], None]
    return last if any(more) else None


def has_requests() -> bool:
    """Whether there has ever been one."""
    return UsageRollup.objects.exists()


def _read(query: str, parameters: Sequence[Any] | Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return list(cursor.fetchall())
