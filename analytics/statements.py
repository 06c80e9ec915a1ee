"""A statement of savings as text: the equation, what it is compared with, a chart by day, and rows of one breakdown.

Made once for the page, the shared page, the report and the file. Sync; within the tenant's schema.
"""

from __future__ import annotations

import datetime as dt
import urllib.parse
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from analytics import savings
from analytics.api.base import money, names_of_keys
from analytics.events import BYPASS, HIT_EXACT, HIT_SEMANTIC, HITS, MISS, REFRESH
from analytics.figures import count, percent, usd
from analytics.savings import DAY, KEY, MODEL, TAG, TIER, Group, Reach, Sums
from analytics.spans import Span
from tenants.writing import day, moment

ROWS = 50
MAX_BARS = 100
# Of a power of ten: where a scale may end.
_STEPS = [Decimal(steps) for steps in ("1", "1.2", "1.6", "2", "2.4", "3", "4", "5", "6", "8", "10")]
NAMES: dict[str, Promise] = {
    DAY: gettext_lazy("Day"),
    MODEL: gettext_lazy("Model"),
    KEY: gettext_lazy("Key"),
    TAG: gettext_lazy("Tag"),
    TIER: gettext_lazy("Hit tier"),
}
_TIERS: dict[str, Promise] = {
    HIT_EXACT: gettext_lazy("Exact hits"),
    HIT_SEMANTIC: gettext_lazy("Semantic hits"),
    MISS: gettext_lazy("Asked a provider"),
    REFRESH: gettext_lazy("Asked anew, as the app wished"),
    BYPASS: gettext_lazy("Past the cache"),
}


class Equation(NamedTuple):
    """`would` − `cost` = `saved`; the same to the last digit in `exact`. `share` is of what it would have cost."""

    would: str
    cost: str
    saved: str
    share: str
    exact: tuple[str, str, str]


class Delta(NamedTuple):
    """`kind` is its CSS class: better, worse or other."""

    text: str
    kind: str


class Bar(NamedTuple):
    """In a drawing of 10 by MAX_BARS × 10: what was paid stands below, what was saved on it."""

    x: str
    cost_y: str
    cost_height: str
    saved_y: str
    saved_height: str
    text: str


class Chart(NamedTuple):
    """`bars` are of days, or of `step` days where there are many; `top` is the value at 100."""

    bars: list[Bar]
    width: int
    step: int
    top: str
    half: str
    days: list[dt.date]


class Row(NamedTuple):
    """`filter` leads to its requests, `hits` to those that saved; empty where nothing does. `of_saved` in percent."""

    name: str
    ident: str
    requests: str
    hits_text: str
    would: str
    cost: str
    saved: str
    of_saved: str
    filter: str
    hits: str


class Statement(NamedTuple):
    """`days` are the sums that it is made of, for its tables."""

    span: Span
    days: savings.Days
    equation: Equation
    delta: Delta
    requests: str
    hits: str
    hit_rate: str
    unpriced: str
    chart: Chart


class Table(NamedTuple):
    """One breakdown. `whole` is the sum of all rows, where each request is in one; `left_out` says what is missing."""

    by: str
    name: Promise
    rows: list[Row]
    whole: Row | None
    left_out: str = ""


def statement(span: Span) -> Statement:
    days = savings.days(span)
    sums = days.total
    answered = sums.requests - sums.errors
    return Statement(
        span=span,
        days=days,
        equation=equation(sums),
        delta=_delta(days.whole.saved_usd, days.before.saved_usd),
        requests=count(sums.requests),
        hits=count(sums.hits),
        hit_rate=percent(sums.hits / answered if answered else None),
        unpriced=count(sums.unpriced) if sums.unpriced else "",
        chart=chart(days.days),
    )


def table(told: Statement, by: str, limit: int = ROWS) -> Table:
    """The rows that saved most, and all others in one; of days each, the latest first."""
    span, days = told.span, told.days
    if by == TAG:
        return _tags(told, limit)
    write = _Writer(span, by, _digits(days.total.would_usd), days.total.saved_usd)
    if by == DAY:
        rows = write.rows([Group(day, sums) for day, sums in reversed(days.days.items())])
    else:
        found = savings.groups(span, by, limit + 1)
        rows = write.rows(found[:limit])
        if len(found) > limit:
            shown = savings.total(one.sums for one in found[:limit])
            rows.append(write.row(_("All others"), savings.less(days.total, shown)))
    return Table(by, NAMES[by], rows, write.row(_("In all"), days.total))


def _tags(told: Statement, limit: int) -> Table:
    span, reach = told.span, savings.reach(told.span)
    whole = savings.total_since(span, reach.since) if reach.is_cut else told.days.total
    write = _Writer(span, TAG, _digits(told.days.total.would_usd), whole.saved_usd)
    return Table(TAG, NAMES[TAG], write.rows(savings.tags(span, reach.since, limit)), None, _left_out(reach))


def _digits(largest: Decimal) -> int:
    """Of all amounts of a statement alike, so that they align and add up to the eye."""
    return 2 if largest >= 100 else 4 if largest >= 1 else 6


def equation(sums: Sums) -> Equation:
    digits = _digits(sums.would_usd)
    cost, saved = (round(amount, digits) for amount in (sums.cost_usd, sums.saved_usd))
    would = sums.would_usd
    return Equation(
        # Of the rounded ones: who checks the three that they see finds no cent too many.
        would=usd(cost + saved, digits=digits),
        cost=usd(cost, digits=digits),
        saved=usd(saved, digits=digits),
        share=percent(float(sums.saved_usd / would) if would else None),
        exact=(f"${money(would)}", f"${money(sums.cost_usd)}", f"${money(sums.saved_usd)}"),
    )


def _delta(now: Decimal, before: Decimal) -> Delta:
    if not before:
        return Delta(_("nothing saved before") if now else _("nothing saved before either"), "other")
    change = float((now - before) / before)
    if abs(change) < 0.0005:
        return Delta(_("as much as before"), "other")
    text = _("+%(share)s more than before") if change > 0 else _("−%(share)s less than before")
    return Delta(text % {"share": percent(abs(change))}, "better" if change > 0 else "worse")


def chart(days: Mapping[dt.date, Sums]) -> Chart:
    dates, step = list(days), -(-len(days) // MAX_BARS)
    spans = [dates[at : at + step] for at in range(0, len(dates), step)]
    parts = [(of_bar, savings.total(days[day] for day in of_bar)) for of_bar in spans]
    tallest = max(sums.would_usd for _days, sums in parts)
    top = _round_up(tallest)
    unit = 100 / top if top else Decimal(0)
    bars = []
    for number, (of_bar, sums) in enumerate(parts):
        cost, saved = sums.cost_usd * unit, sums.saved_usd * unit
        label = day(of_bar[0]) + (f" – {day(of_bar[-1])}" if len(of_bar) > 1 else "")
        told = _("%(saved)s saved, %(cost)s paid") % {"saved": usd(sums.saved_usd), "cost": usd(sums.cost_usd)}
        x, low, high = f"{10 * number + 1}", 100 - cost, 100 - cost - saved
        bars.append(Bar(x, f"{low:.2f}", f"{cost:.2f}", f"{high:.2f}", f"{saved:.2f}", f"{label}: {told}"))
    marks = list(dict.fromkeys([dates[0], dates[len(dates) // 2], dates[-1]]))
    return Chart(bars, 10 * len(parts), step, *_scale(top), marks)


def _round_up(amount: Decimal) -> Decimal:
    """To a number that is easily read, and so is its half."""
    unit = Decimal(1).scaleb(amount.adjusted()) if amount else Decimal(0)
    return next(round_ for steps in _STEPS if (round_ := steps * unit) >= amount)


def _scale(top: Decimal) -> tuple[str, str]:
    """It and its half, with no more digits than they have; but cents are two."""
    if not top:
        return "", ""
    digits = max(0, -int((top / 2).normalize().as_tuple().exponent))
    return usd(top, digits=max(2, digits) if digits else 0), usd(top / 2, digits=max(2, digits) if digits else 0)


class _Writer(NamedTuple):
    """What all rows of a statement share. `saved_usd` is what their shares are of."""

    span: Span
    by: str
    digits: int
    saved_usd: Decimal

    def rows(self, found: Sequence[Group]) -> list[Row]:
        keys = names_of_keys(one.value for one in found) if self.by == KEY else {}
        return [self._named(one, keys) for one in found]

    def _named(self, one: Group, keys: Mapping[int | None, tuple[str, str]]) -> Row:
        value = one.value
        if self.by == DAY:
            return self.row(day(value), one.sums, {"from": str(value), "to": str(value)})
        if self.by == KEY:
            public_id, name = keys[value]
            # A key that is gone has no id to be looked for by.
            asked = {} if public_id.startswith("#") else {"key": public_id}
            return self.row(name or public_id, one.sums, asked, ident=public_id if name else "")
        if self.by == TIER:
            return self.row(str(_TIERS.get(value, value)), one.sums, {"outcome": value})
        if value is None:
            return self.row(_("Without a tag"), one.sums)
        return self.row(value, one.sums, {self.by: value})

    def row(
        self,
        name: str,
        sums: Sums,
        asked: Mapping[str, str] | None = None,
        *,
        ident: str = "",
    ) -> Row:
        wanted = {**self.span.ends, **asked} if asked else {}
        hits = {"outcome": "hits"} | wanted
        shows_hits = bool(wanted) and sums.saved_usd > 0 and hits["outcome"] in {"hits", *HITS}
        share = float(100 * sums.saved_usd / self.saved_usd) if self.saved_usd else 0.0
        return Row(
            name=name,
            ident=ident,
            requests=count(sums.requests),
            hits_text=count(sums.hits),
            would=usd(sums.would_usd, digits=self.digits),
            cost=usd(sums.cost_usd, digits=self.digits),
            saved=usd(sums.saved_usd, digits=self.digits),
            of_saved=f"{share:.1f}",
            filter=urllib.parse.urlencode(wanted),
            hits=urllib.parse.urlencode(hits) if shows_hits else "",
        )


def _left_out(found: Reach) -> str:
    """Why tags do not go back to the beginning."""
    if not found.is_cut:
        return ""
    since = moment(found.since)
    if found.is_gone:
        text = _("Tags are on the usage records, which the plan keeps for a while: these are since %(since)s.")
        return text % {"since": since}
    text = ngettext(
        "Tags are read from the latest %(number)s request only: these are since %(since)s.",
        "Tags are read from the latest %(number)s requests only: these are since %(since)s.",
        savings.MAX_RECORDS,
    )
    return text % {"number": count(savings.MAX_RECORDS), "since": since}
