"""How usage is written: money, counts, shares, times, and one request as a row. The page and its updates say the same.

No prompt and no secret gets here: the records hold none.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import NamedTuple

from django.utils.translation import gettext

from analytics.events import HIT_EXACT, HIT_SEMANTIC
from analytics.models import UsageRecord
from tenants.writing import number

NOTHING = "–"
# Of older ones the day is shown, too.
SAME_DAY = dt.timedelta(hours=12)


class Row(NamedTuple):
    """One request in a table. `kind` is its CSS class, `form` how its time is written."""

    id: str
    at: dt.datetime
    form: str
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


def row_of(record: UsageRecord, now: dt.datetime) -> Row:
    # No answer, no price.
    is_free = record.status >= 400 and record.billed_tokens <= 0 and record.cost_usd is None
    return Row(
        id=str(record.pk),
        at=record.at,
        form="time" if now - record.at < SAME_DAY else "moment",
        kind=kind_of(record),
        outcome=f"{record.status} {record.error}" if record.status >= 400 else record.outcome,
        shared=record.coalesced,
        model=record.model,
        provider=record.provider,
        simulated=record.simulated,
        tokens=count(record.prompt_tokens + record.completion_tokens),
        latency=duration(record.latency_ms),
        cost=NOTHING if is_free else usd(record.cost_usd, digits=6),
        saved=NOTHING if is_free else usd(record.saved_usd, digits=6),
        similarity="" if record.similarity is None else number(record.similarity, 3),
        request_id=record.request_id,
    )


def kind_of(record: UsageRecord) -> str:
    """The class that gives it its colour."""
    if record.status >= 400:
        return "failed"
    return record.outcome.lower() if record.outcome in (HIT_EXACT, HIT_SEMANTIC) else "miss"


def usd(amount: Decimal | None, *, digits: int | None = None) -> str:
    """As many digits as tell something, unless a column needs them all alike."""
    if amount is None:
        return gettext("no price")
    if amount == 0:
        return "$0"
    if digits is None:
        digits = 2 if abs(amount) >= 100 else 4 if abs(amount) >= Decimal("0.01") else 6
    return f"{'-' if amount < 0 else ''}${number(abs(amount), digits)}"


def percent(part: float | None) -> str:
    return NOTHING if part is None else f"{number(100 * part, 1)} %"


def count(things: int) -> str:
    return number(things)


def duration(milliseconds: float) -> str:
    if milliseconds >= 1000:
        return f"{number(milliseconds / 1000, 2)} s"
    return f"{number(milliseconds, 1 if milliseconds < 10 else 0)} ms"
