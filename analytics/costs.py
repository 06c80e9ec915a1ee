"""What a tenant's requests cost and saved, by up to two of day, hour, model, key, provider, outcome and tag.

From the hourly sums, which are kept for ever; from the records, which are not, where those cannot tell: tags, and days
that begin within an hour of UTC. Sync; tables are named with their schema.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.db import connection
from psycopg import sql

from analytics.events import HIT_EXACT, HIT_SEMANTIC
from analytics.models import HOUR_S, UsageRecord, UsageRollup
from tenants.db import table

TIMES = ("day", "hour")
# Of a row of the sums or of the records; those of time are numbers of buckets.
_GROUPS = {
    "day": "width_bucket(bucket, %(starts)s::timestamptz[])",
    "hour": "width_bucket(bucket, %(starts)s::timestamptz[])",
    "model": "model",
    "key": "key_id",
    "provider": "provider",
    "outcome": "outcome",
    "tag": "tag",
}
GROUPS = tuple(_GROUPS)
# More is for an export.
MAX_ROWS = 10_000


class TooManyRows(Exception):
    """The groups are too fine for one answer."""


class Question(NamedTuple):
    """From `start` (included) to `end` (excluded). `key_id` of None: all keys."""

    start: dt.datetime
    end: dt.datetime
    zone: ZoneInfo
    groups: tuple[str, ...] = ()
    key_id: int | None = None


class Sums(NamedTuple):
    """`cached_tokens` and `reasoning_tokens` are among the others; None where the records do not reach back so far."""

    requests: int = 0
    errors: int = 0
    exact_hits: int = 0
    semantic_hits: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    saved_usd: Decimal = Decimal(0)
    unpriced: int = 0
    latency_ms_sum: float = 0.0
    cached_tokens: int | None = 0
    reasoning_tokens: int | None = 0

    @property
    def misses(self) -> int:
        """Refreshed and bypassed answers among them: a provider was asked."""
        return self.requests - self.errors - self.exact_hits - self.semantic_hits

    @property
    def hit_rate(self) -> float | None:
        """Of answered requests, 0 to 1; None without any."""
        answered = self.requests - self.errors
        return (self.exact_hits + self.semantic_hits) / answered if answered else None


class Reach(NamedTuple):
    """`since` is the oldest record, where older ones are gone; `complete`: whether all of the question's are there."""

    since: dt.datetime | None
    complete: bool


class Breakdown(NamedTuple):
    """Rows are the groups' values, in the question's order, and their sums. Times are the beginnings of buckets."""

    rows: list[tuple[tuple[Any, ...], Sums]]
    totals: Sums
    from_records: bool
    records: Reach


# By the field of `Sums`: its type, and its sum over rows of the sums or the records.
_SUMS: dict[str, tuple[type, str]] = {
    "requests": (int, "sum(requests)"),
    "errors": (int, "sum(errors)"),
    "exact_hits": (int, "sum(requests - errors) FILTER (WHERE outcome = %(exact)s)"),
    "semantic_hits": (int, "sum(requests - errors) FILTER (WHERE outcome = %(semantic)s)"),
    "prompt_tokens": (int, "sum(prompt_tokens)"),
    "completion_tokens": (int, "sum(completion_tokens)"),
    "cost_usd": (Decimal, "sum(cost_usd)"),
    "saved_usd": (Decimal, "sum(saved_usd)"),
    "unpriced": (int, "sum(unpriced)"),
    "latency_ms_sum": (float, "sum(latency_ms_sum)"),
}
_DETAILS: dict[str, tuple[type, str]] = {
    "cached_tokens": (int, "sum((token_details->>'cached')::bigint)"),
    "reasoning_tokens": (int, "sum((token_details->>'reasoning')::bigint)"),
}
_ROLLUPS = "{rollups} source WHERE width_s = %(width_s)s AND bucket >= %(start)s AND bucket < %(end)s"
# As the sums have them: what was charged for counts as answered, however it ended (analytics.rollups).
_RECORDS = """
(SELECT at AS bucket, outcome, model, provider, key_id, tags, token_details, 1 AS requests,
    (NOT counts)::int AS errors, prompt_tokens, completion_tokens, coalesce(cost_usd, 0) AS cost_usd,
    coalesce(saved_usd, 0) AS saved_usd, latency_ms AS latency_ms_sum,
    (counts AND (cost_usd IS NULL OR saved_usd IS NULL))::int AS unpriced
 FROM {records}, LATERAL (SELECT status < 400 OR billed_tokens > 0 AS counts) answered
 WHERE at >= %(start)s AND at < %(end)s) source WHERE true
"""
# Hours that have sums, and no records any more. Of the hour in which the oldest one came others may be gone.
_REACH = """
WITH oldest AS (SELECT min(at) AS at, date_trunc('hour', coalesce(min(at), 'infinity')) AS hour FROM {records}),
sums AS (SELECT min(bucket) AS first FROM {rollups} WHERE width_s = %(width_s)s),
gone AS (SELECT coalesce(oldest.at, now()) AS since, coalesce(sums.first < oldest.hour, false) AS any,
    oldest.hour + CASE WHEN sums.first < oldest.hour THEN interval '1 hour' ELSE interval '0' END AS until
    FROM oldest, sums)
SELECT since, gone.any, NOT EXISTS (
    SELECT FROM {rollups}
    WHERE width_s = %(width_s)s AND bucket >= date_trunc('hour', %(start)s::timestamptz) AND bucket < gone.until)
FROM gone
"""
_TAGS = "LEFT JOIN LATERAL (SELECT DISTINCT jsonb_array_elements_text(tags) AS tag) named ON true"


def totals(schema: str, question: Question) -> Sums:
    """All of it, without the details of tokens."""
    from_records = _within_hours([question.start, question.end])
    return _Query(schema, question, []).sums((), from_records=from_records)[()]


def breakdown(schema: str, question: Question) -> Breakdown:
    """Raises TooManyRows."""
    groups, starts = question.groups, buckets(question)
    query = _Query(schema, question, starts)
    from_records = "tag" in groups or _within_hours([*starts, question.end])
    rows = query.sums(groups, from_records=from_records)
    reach = reach_of_records(schema, question.start)
    if not reach.complete:
        rows = {group: _detailed(sums, (None, None)) for group, sums in rows.items()}
    elif not from_records:
        details = query.details(groups)
        rows = {group: _detailed(sums, details.get(group, (0, 0))) for group, sums in rows.items()}
    # A request with two tags is in two rows.
    whole = query.sums((), from_records=True)[()] if "tag" in groups else _added(rows.values())
    if not reach.complete:
        whole = _detailed(whole, (None, None))
    return Breakdown(_named(rows, groups, starts), whole, from_records, reach)


def buckets(question: Question) -> list[dt.datetime]:
    """Where the days or hours of the question begin. Days are those of its zone."""
    start, end, zone = question.start, question.end, question.zone
    starts = [start]
    if "day" in question.groups:
        day = start.astimezone(zone).date() + dt.timedelta(days=1)
        while (midnight := dt.datetime(day.year, day.month, day.day, tzinfo=zone)) < end:
            starts.append(midnight)
            day += dt.timedelta(days=1)
    elif "hour" in question.groups:
        hours = -((start - end) // dt.timedelta(hours=1))
        starts = [start + number * dt.timedelta(hours=1) for number in range(hours)]
    return starts


def reach_of_records(schema: str, start: dt.datetime) -> Reach:
    query = sql.SQL(_REACH).format(**_tables(schema))
    with connection.cursor() as cursor:
        cursor.execute(query, {"width_s": HOUR_S, "start": start})
        since, are_gone, complete = cursor.fetchone()
    return Reach(since if are_gone else None, complete)


def _within_hours(times: Sequence[dt.datetime]) -> bool:
    return any(at.timestamp() % HOUR_S for at in times)


def _tables(schema: str) -> dict[str, sql.Identifier]:
    models = {"rollups": UsageRollup, "records": UsageRecord}
    return {name: table(schema, model._meta.db_table) for name, model in models.items()}


class _Query(NamedTuple):
    schema: str
    question: Question
    starts: list[dt.datetime]

    def sums(self, groups: tuple[str, ...], *, from_records: bool) -> dict[tuple[Any, ...], Sums]:
        wanted, source = (_SUMS | _DETAILS, _RECORDS) if from_records else (_SUMS, _ROLLUPS)
        rows = self._run(wanted, source, groups)
        return {group: Sums(*values) for group, values in rows.items()}

    def details(self, groups: tuple[str, ...]) -> dict[tuple[Any, ...], tuple[int, int]]:
        """Tokens read from the provider's own cache, and those that it thought with."""
        rows = self._run(_DETAILS, f"{_RECORDS} AND token_details IS NOT NULL", groups)
        return {group: (values[0], values[1]) for group, values in rows.items()}

    def _run(
        self, wanted: dict[str, tuple[type, str]], source: str, groups: tuple[str, ...]
    ) -> dict[tuple[Any, ...], list[Any]]:
        text = self._text(wanted, f"{source} AND (%(key_id)s::bigint IS NULL OR key_id = %(key_id)s)", groups)
        parameters: dict[str, Any] = {
            "start": self.question.start,
            "end": self.question.end,
            "starts": self.starts,
            "width_s": HOUR_S,
            "exact": HIT_EXACT,
            "semantic": HIT_SEMANTIC,
            "key_id": self.question.key_id,
        }
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL(text).format(**_tables(self.schema)), parameters)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
        if len(rows) > MAX_ROWS:
            raise TooManyRows
        width, kinds = len(groups), [kind for kind, _ in wanted.values()]
        # Sums of no rows are null.
        return {row[:width]: [kind(value or 0) for kind, value in zip(kinds, row[width:], strict=True)] for row in rows}

    def _text(self, wanted: dict[str, tuple[type, str]], source: str, groups: tuple[str, ...]) -> str:
        sums = ", ".join(f"{expression} AS {name}" for name, (_, expression) in wanted.items())
        columns = {name: f"{_GROUPS[name]} AS by_{name}" for name in groups}
        if "tag" in groups:
            # Those with the same tags are summed first: to take each one's apart costs more than all the rest.
            same = [columns[name] for name in groups if name != "tag"]
            source = f"(SELECT {', '.join([*same, 'tags', sums])} FROM {source}{_by(len(same) + 1)}) source {_TAGS}"
            sums = ", ".join(f"sum({name})" for name in wanted)
            columns = {name: f"by_{name}" for name in groups} | {"tag": "tag"}
        text = f"SELECT {', '.join([*columns.values(), sums])} FROM {source}"
        if not groups:
            return text
        return f"{text}{_by(len(groups))} ORDER BY {_numbers(len(groups))} LIMIT {MAX_ROWS + 1}"


def _by(columns: int) -> str:
    return f" GROUP BY {_numbers(columns)}"


def _numbers(columns: int) -> str:
    return ", ".join(str(at + 1) for at in range(columns))


def _added(rows: Iterable[Sums]) -> Sums:
    """What is unknown of one is unknown of all."""
    whole: list[Any] = list(Sums())
    for sums in rows:
        whole = [None if None in pair else pair[0] + pair[1] for pair in zip(whole, sums, strict=True)]
    return Sums(*whole)


def _detailed(sums: Sums, details: tuple[int | None, int | None]) -> Sums:
    return sums._replace(cached_tokens=details[0], reasoning_tokens=details[1])


def _named(
    rows: dict[tuple[Any, ...], Sums], groups: tuple[str, ...], starts: list[dt.datetime]
) -> list[tuple[tuple[Any, ...], Sums]]:
    """With times in place of the numbers of buckets. By time alone, also the buckets in which nothing happened."""
    if len(groups) == 1 and groups[0] in TIMES:
        return [((at,), rows.get((number,), Sums())) for number, at in enumerate(starts, 1)]
    return [
        (tuple(starts[value - 1] if name in TIMES else value for name, value in zip(groups, group, strict=True)), sums)
        for group, sums in rows.items()
    ]
