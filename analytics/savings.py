"""What a workspace saved: sums of its rollups, which are kept for ever, by day, model, key, tag and tier.

Tags are on the records alone: those are read for the latest requests only, `Reach` says how far. Sync; within the
tenant's schema.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple, cast

from django.db import connection

from analytics import costs, queries, rollups
from analytics.events import HIT_EXACT, HIT_SEMANTIC
from analytics.models import DAY_S, HOUR_S, UsageRecord, UsageRollup
from analytics.rollups import Piece
from analytics.spans import Span

DAY, MODEL, KEY, TAG, TIER = "day", "model", "key", "tag", "tier"
BY = (DAY, MODEL, KEY, TAG, TIER)
# Records that are read where the sums do not know enough: about 0.1 s.
MAX_RECORDS = 100_000
_ROLLUPS, _RECORDS = UsageRollup._meta.db_table, UsageRecord._meta.db_table


class Sums(NamedTuple):
    """A hit has cost nothing; a miss has saved nothing. `unpriced` are in neither sum."""

    requests: int = 0
    errors: int = 0
    hits: int = 0
    unpriced: int = 0
    cost_usd: Decimal = Decimal(0)
    saved_usd: Decimal = Decimal(0)

    @property
    def would_usd(self) -> Decimal:
        """What all of it would have cost without a cache."""
        return self.cost_usd + self.saved_usd


class Days(NamedTuple):
    """`days` are those of the span, each; `whole` and `before` are for comparing."""

    days: dict[dt.date, Sums]
    total: Sums
    whole: Sums
    before: Sums


class Group(NamedTuple):
    """One model, key, tag or outcome; a tag of None: requests without any."""

    value: Any
    sums: Sums


class Reach(NamedTuple):
    """Since when records are read, where not since the beginning; `is_gone`: older ones are no longer kept."""

    since: dt.datetime
    is_cut: bool
    is_gone: bool


_SUMS = """sum(requests)::bigint, sum(errors)::bigint,
    coalesce(sum(requests - errors) FILTER (WHERE outcome = ANY (%(hits)s)), 0)::bigint, sum(unpriced)::bigint,
    sum(cost_usd), sum(saved_usd)"""
_DAYS = f"""
SELECT (bucket AT TIME ZONE 'UTC')::date, bucket < %(start)s, bucket < %(whole)s, {_SUMS}
FROM {_ROLLUPS} WHERE {{pieces}} GROUP BY 1, 2, 3 ORDER BY 1
"""


def days(span: Span) -> Days:
    by_day = {(span.start + number * dt.timedelta(days=1)).date(): Sums() for number in range(span.days)}
    whole = before = Sums()
    # Of today some hours are compared, and some are not.
    parts = [(span.before, span.before_end), (span.start, span.whole), (span.whole, span.end)]
    text, bounds = rollups.condition(*(piece for part in parts for piece in rollups.pieces(*part)))
    for day, is_before, is_whole, *values in _read(_DAYS.format(pieces=text), {**_values(span), **bounds}):
        sums = Sums(*values)
        if is_before:
            before = _plus(before, sums)
            continue
        by_day[day] = _plus(by_day[day], sums)
        if is_whole:
            whole = _plus(whole, sums)
    return Days(by_day, total(by_day.values()), whole, before)


_COLUMNS = {MODEL: "model", KEY: "key_id", TIER: "outcome"}


def groups(span: Span, by: str, limit: int) -> list[Group]:
    """By model, key or tier: those that saved most."""
    text, bounds = _since(span, span.start)
    rows = _read(
        f"SELECT {_COLUMNS[by]}, {_SUMS} FROM {_ROLLUPS} WHERE {text}"
        " GROUP BY 1 ORDER BY sum(saved_usd) DESC, sum(cost_usd) DESC, 1 LIMIT %(limit)s",
        {**_values(span), **bounds, "limit": limit},
    )
    return [Group(value, Sums(*values)) for value, *values in rows]


def groups_after(span: Span, by: str, after: Any, limit: int) -> list[Group]:
    """All of them a page at a time, in their own order."""
    column = _COLUMNS[by]
    beyond = "" if after is None else f"AND {column} > %(after)s"
    text, bounds = _since(span, span.start)
    rows = _read(
        f"SELECT {column}, {_SUMS} FROM {_ROLLUPS} WHERE {text} {beyond} GROUP BY 1 ORDER BY 1 LIMIT %(limit)s",
        {**_values(span), **bounds, "after": after, "limit": limit},
    )
    return [Group(value, Sums(*values)) for value, *values in rows]


def _since(span: Span, since: dt.datetime) -> tuple[str, dict[str, Any]]:
    """What adds up to the span from there on."""
    return rollups.condition(*rollups.pieces(since, span.end))


_REACH = f"""
SELECT min(bucket) FILTER (WHERE requests <= %(most)s), max(bucket) FILTER (WHERE requests > %(most)s), max(bucket)
FROM (
    SELECT bucket, sum(sum(requests)) OVER (ORDER BY bucket DESC) AS requests
    FROM {_ROLLUPS} WHERE {{pieces}} GROUP BY bucket
) buckets
"""


def reach(span: Span) -> Reach:
    """As many of the latest whole hours as have MAX_RECORDS records; one at least."""
    cut = _cut(span)
    since = cut or span.start
    kept = costs.reach_of_records(cast(Any, connection).schema_name, since)
    if kept.complete or kept.since is None:
        return Reach(since, cut is not None, is_gone=False)
    # Of the hour in which the oldest one came, others may be gone.
    hour = kept.since.replace(minute=0, second=0, microsecond=0) + dt.timedelta(hours=1)
    return Reach(min(max(since, hour), span.end), is_cut=True, is_gone=True)


def _cut(span: Span) -> dt.datetime | None:
    """Where the latest MAX_RECORDS begin: the day by days, the hour by hours. None: there are no more."""
    _within, day, _latest = _reached(Piece(DAY_S, span.start, span.end))
    if day is None:
        return None
    next_day = day + dt.timedelta(days=1)
    within, _beyond, latest = _reached(Piece(HOUR_S, day, next_day), Piece(DAY_S, next_day, span.end))
    return cast(dt.datetime, within or latest)


def _reached(*pieces: Piece) -> tuple[Any, ...]:
    text, bounds = rollups.condition(*pieces)
    return _read(_REACH.format(pieces=text), {**bounds, "most": MAX_RECORDS})[0]


# As the sums have them: what was charged for counts as answered, however it ended (analytics.rollups). Those with the
# same tags are added up first.
_TAGS = f"""
WITH same AS (
    SELECT tags, count(*) AS requests, count(*) FILTER (WHERE NOT counts) AS errors,
        count(*) FILTER (WHERE counts AND outcome = ANY (%(hits)s)) AS hits,
        count(*) FILTER (WHERE counts AND (cost_usd IS NULL OR saved_usd IS NULL)) AS unpriced,
        coalesce(sum(cost_usd), 0) AS cost_usd, coalesce(sum(saved_usd), 0) AS saved_usd
    FROM {_RECORDS}, LATERAL (SELECT status < 400 OR billed_tokens > 0 AS counts) answered
    WHERE at >= %(start)s AND at < %(end)s GROUP BY tags
)
SELECT tag, sum(requests)::bigint, sum(errors)::bigint, sum(hits)::bigint, sum(unpriced)::bigint, sum(cost_usd),
    sum(saved_usd)
FROM same LEFT JOIN LATERAL (SELECT DISTINCT jsonb_array_elements_text(tags) AS tag) named ON true
GROUP BY 1 ORDER BY sum(saved_usd) DESC, sum(cost_usd) DESC, 1 LIMIT %(limit)s
"""


def tags(span: Span, since: dt.datetime, limit: int) -> list[Group]:
    """Those that saved most, since then. A request with two tags is in two groups."""
    values = {**_values(span), "start": since, "limit": limit}
    return [Group(value, Sums(*sums)) for value, *sums in _read(_TAGS, values)]


def total_since(span: Span, since: dt.datetime) -> Sums:
    """Of the span from the hour of `since` on."""
    text, bounds = _since(span, since)
    (values,) = _read(f"SELECT {_SUMS} FROM {_ROLLUPS} WHERE {text}", {**_values(span), **bounds})
    return Sums() if None in values else Sums(*values)


def total(all_sums: Iterable[Sums]) -> Sums:
    whole = Sums()
    for sums in all_sums:
        whole = _plus(whole, sums)
    return whole


def less(whole: Sums, part: Sums) -> Sums:
    return _plus(whole, part, sign=-1)


def _plus(one: Sums, other: Sums, sign: int = 1) -> Sums:
    return Sums(
        one.requests + sign * other.requests,
        one.errors + sign * other.errors,
        one.hits + sign * other.hits,
        one.unpriced + sign * other.unpriced,
        one.cost_usd + sign * other.cost_usd,
        one.saved_usd + sign * other.saved_usd,
    )


def _values(span: Span) -> dict[str, Any]:
    return {**span._asdict(), "hits": [HIT_EXACT, HIT_SEMANTIC]}


def _read(query: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    with queries.hashing() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())
