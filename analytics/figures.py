"""What the dashboard shows, as text: made here for the page and for its live updates, so that both say the same.

No prompt and no secret gets here: the records hold none.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any, NamedTuple

from django.template.loader import render_to_string

from analytics import queries
from analytics.models import UsageRecord
from analytics.queries import Totals

NOTHING = "–"


class Row(NamedTuple):
    """One of the latest requests. `kind` is its CSS class."""

    at: dt.datetime
    time: str
    kind: str
    outcome: str
    shared: bool
    model: str
    provider: str
    simulated: bool
    tokens: str
    latency: str
    cost: str
    saved: str
    similarity: str
    request_id: str


class Dashboard(NamedTuple):
    figures: dict[str, str]
    latest: list[Row]
    series: list[queries.Minute]


def dashboard(now: dt.datetime) -> Dashboard:
    """Of the tenant whose schema this runs in."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return Dashboard(
        figures=figures(queries.totals(today.replace(day=1)), queries.totals(today), queries.totals()),
        latest=[row_of(record, now) for record in queries.latest()],
        series=queries.series(now),
    )


def message(shown: Dashboard) -> dict[str, Any]:
    """The same for the page that is already open."""
    rows = render_to_string("analytics/_latest.html", {"latest": shown.latest})
    return {"type": "dashboard", "figures": shown.figures, "latest": rows.strip(), "series": shown.series}


def figures(month: Totals, today: Totals, ever: Totals) -> dict[str, str]:
    return {
        "saved": usd(month.saved_usd),
        "saved_today": usd(today.saved_usd),
        "saved_ever": usd(ever.saved_usd),
        "hit_rate": percent(month.hit_rate),
        "hit_rate_today": percent(today.hit_rate),
        "requests": count(month.requests),
        "requests_today": count(today.requests),
        "failed": count(month.errors),
        "exact_hits": count(month.exact_hits),
        "exact_share": share(month.exact_hits, month),
        "semantic_hits": count(month.semantic_hits),
        "semantic_share": share(month.semantic_hits, month),
        "misses": count(month.misses),
        "misses_share": share(month.misses, month),
        "spent": usd(month.cost_usd),
        "unpriced": count(month.unpriced),
    }


def row_of(record: UsageRecord, now: dt.datetime) -> Row:
    failed = record.status >= 400
    return Row(
        at=record.at,
        time=f"{record.at:%H:%M:%S}" if record.at.date() == now.date() else f"{record.at:%b %d %H:%M}",
        kind="failed" if failed else record.outcome.lower(),
        outcome=f"{record.status} {record.error}" if failed else record.outcome,
        shared=record.coalesced,
        model=record.model,
        provider=record.provider,
        simulated=record.simulated,
        tokens=count(record.prompt_tokens + record.completion_tokens),
        latency=duration(record.latency_ms),
        cost=usd(record.cost_usd, digits=6),
        saved=usd(record.saved_usd, digits=6),
        similarity="" if record.similarity is None else f"{record.similarity:.3f}",
        request_id=record.request_id,
    )


def usd(amount: Decimal | None, *, digits: int | None = None) -> str:
    """As many digits as tell something, unless a column needs them all alike."""
    if amount is None:
        return "no price"
    if amount == 0:
        return "$0"
    if digits is None:
        digits = 2 if abs(amount) >= 100 else 4 if abs(amount) >= Decimal("0.01") else 6
    return f"{'-' if amount < 0 else ''}${abs(amount):,.{digits}f}"


def percent(part: float | None) -> str:
    return NOTHING if part is None else f"{100 * part:.1f} %"


def share(part: int, of: Totals) -> str:
    return percent(part / of.answered if of.answered else None)


def count(number: int) -> str:
    return f"{number:,}"


def duration(milliseconds: float) -> str:
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.2f} s"
    return f"{milliseconds:.{1 if milliseconds < 10 else 0}f} ms"
