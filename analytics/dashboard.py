"""What the live page shows of a window, as text: made here for the page and for its updates, so that both say the same.

It is looked for once, and written once for each language of those who look at it.

Sums are compared with as long a time before, each up to its last whole minute or hour.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from django.template.loader import render_to_string
from django.utils.translation import gettext, ngettext

from analytics import figures, queries
from analytics.events import HIT_EXACT, HIT_SEMANTIC, MISS
from analytics.figures import NOTHING, Row, count, duration, percent, usd
from analytics.models import UsageRecord
from analytics.queries import ALL, BEFORE, GROWING, Bar, Failure, Pace, Slice, Totals
from analytics.windows import Window
from billing.shortage import Shortage
from tenants.models import Tenant
from tenants.writing import number

# Rows of the tables by model and by kind of failure; what is beyond them is added up in one more.
MODELS, KINDS = 6, 6


class Delta(NamedTuple):
    """Against the time before. `kind` is its CSS class: better, worse or other."""

    text: str
    kind: str


class ModelRow(NamedTuple):
    """`width` is of its share of what was spent, in percent. Without a `model`: all others."""

    model: str
    name: str
    requests: str
    spent: str
    saved: str
    width: float


class KindRow(NamedTuple):
    """Without a `status`: all others."""

    status: int
    error: str
    name: str
    requests: str


class Dashboard(NamedTuple):
    figures: dict[str, str]
    deltas: dict[str, Delta]
    models: list[ModelRow]
    kinds: list[KindRow]
    latest: list[Row]
    bars: list[Bar]
    has_requests: bool


class Found(NamedTuple):
    """What the database says, in no language yet."""

    slices: list[Slice]
    bars: list[Bar]
    paces: dict[str, Pace]
    saved: queries.Saved
    failures: list[Failure]
    latest: list[UsageRecord]
    has_requests: bool


def dashboard(window: Window, now: dt.datetime) -> Dashboard:
    """Of the tenant whose schema this runs in, in the language of this thread."""
    return write(look(window, now), now)


def look(window: Window, now: dt.datetime) -> Found:
    """All of its queries."""
    slices, bars = queries.sums(window)
    return Found(
        slices=slices,
        bars=bars,
        paces=queries.paces(window),
        saved=queries.saved(now),
        failures=queries.failures(window, KINDS),
        latest=queries.latest(window),
        has_requests=_total(_of(ALL, slices)).requests > 0 or queries.has_requests(),
    )


def write(found: Found, now: dt.datetime) -> Dashboard:
    """Asks the database nothing."""
    shown = _of(ALL, found.slices)
    sums = _total(shown)
    return Dashboard(
        figures=_figures(sums, shown, found.paces, found.saved),
        deltas=_deltas(sums.less(_total(_of(GROWING, found.slices))), _total(_of(BEFORE, found.slices))),
        models=_models(shown),
        kinds=_kinds(found.failures, sums.errors),
        latest=[figures.row_of(record, now) for record in found.latest],
        bars=found.bars,
        has_requests=found.has_requests,
    )


def message(shown: Dashboard, tenant: Tenant, query: str, shortages: Sequence[Shortage]) -> dict[str, Any]:
    """The same for the page that is already open. `query` is of its URL, and of those it leads to."""
    around = {"tenant": tenant, "query": query}
    rows = {
        name: render_to_string(f"analytics/_{name}.html", {name: getattr(shown, name), **around}).strip()
        for name in ("latest", "models", "kinds")
    }
    rows["short"] = render_to_string("billing/_shortages.html", {"shortages": shortages, "tenant": tenant}).strip()
    same = {"figures": shown.figures, "deltas": shown.deltas, "series": shown.bars}
    return {"type": "dashboard", **same, **rows, "empty": not shown.has_requests}


def _of(part: str, slices: Iterable[Slice]) -> list[Slice]:
    return [one for one in slices if one.part == part]


def _total(found: Sequence[Slice]) -> Totals:
    answered = {
        outcome: sum(one.requests - one.errors for one in found if one.outcome == outcome)
        for outcome in (HIT_EXACT, HIT_SEMANTIC)
    }
    return Totals(
        requests=sum(one.requests for one in found),
        errors=sum(one.errors for one in found),
        exact_hits=answered[HIT_EXACT],
        semantic_hits=answered[HIT_SEMANTIC],
        tokens=sum(one.tokens for one in found),
        cost_usd=sum((one.cost_usd for one in found), Decimal(0)),
        saved_usd=sum((one.saved_usd for one in found), Decimal(0)),
        unpriced=sum(one.unpriced for one in found),
    )


def _figures(sums: Totals, shown: Sequence[Slice], paces: dict[str, Pace], saved: queries.Saved) -> dict[str, str]:
    def share(part: int) -> str:
        return percent(part / sums.answered if sums.answered else None)

    exact, semantic = share(sums.exact_hits), share(sums.semantic_hits)
    return {
        "saved": usd(sums.saved_usd),
        "saved_month": usd(saved.month_usd),
        "saved_ever": usd(saved.ever_usd),
        "hit_rate": percent(sums.hit_rate),
        "requests": count(sums.requests),
        "tokens": count(sums.tokens),
        "spent": usd(sums.cost_usd),
        "unpriced": count(sums.unpriced),
        "exact_hits": count(sums.exact_hits),
        "exact_share": exact,
        "exact_pace": _pace(HIT_EXACT, paces, shown),
        "semantic_hits": count(sums.semantic_hits),
        "semantic_share": semantic,
        "semantic_pace": _pace(HIT_SEMANTIC, paces, shown),
        "misses": count(sums.misses),
        "misses_share": share(sums.misses),
        "misses_pace": _pace(MISS, paces, shown),
        "failed": count(sums.errors),
        "failed_share": percent(sums.errors / sums.requests if sums.requests else None),
        "said": _said(sums),
    }


def _said(sums: Totals) -> str:
    """For who does not see the page change."""
    text = ngettext(
        "%(requests)s request, hit rate %(rate)s, %(failed)s failed, %(saved)s saved",
        "%(requests)s requests, hit rate %(rate)s, %(failed)s failed, %(saved)s saved",
        sums.requests,
    )
    return text % {
        "requests": count(sums.requests),
        "rate": percent(sums.hit_rate),
        "failed": count(sums.errors),
        "saved": usd(sums.saved_usd),
    }


def _pace(tier: str, paces: dict[str, Pace], shown: Sequence[Slice]) -> str:
    """Percentiles of its records; where these are gone, the mean, which the sums keep."""
    if (pace := paces.get(tier)) is not None:
        return f"p50 {duration(pace.p50_ms)} · p95 {duration(pace.p95_ms)}"
    hits = (HIT_EXACT, HIT_SEMANTIC)
    of_tier = [one for one in shown if (one.outcome if one.outcome in hits else MISS) == tier]
    requests = sum(one.requests for one in of_tier)
    if not requests:
        return NOTHING
    return gettext("mean %(time)s") % {"time": duration(sum(one.latency_ms_sum for one in of_tier) / requests)}


def _deltas(now: Totals, before: Totals) -> dict[str, Delta]:
    return {
        "saved": _delta(now.saved_usd, before.saved_usd, good=1),
        "hit_rate": _points(now.hit_rate, before.hit_rate),
        "requests": _delta(now.requests, before.requests, good=0),
        "spent": _delta(now.cost_usd, before.cost_usd, good=-1),
        "failed": _delta(now.errors, before.errors, good=-1),
    }


def _delta(now: Decimal | int, before: Decimal | int, *, good: int) -> Delta:
    """`good`: 1 where more is better, -1 where less is, 0 where neither."""
    if not before:
        return Delta(gettext("none before") if now else gettext("none before either"), "other")
    change = float((now - before) / before)
    if abs(change) < 0.0005:
        return Delta(gettext("as much"), "other")
    kind = "other" if not good else "better" if change * good > 0 else "worse"
    if change >= 10:
        return Delta(gettext("%(times)s times as much") % {"times": number(change + 1)}, kind)
    text = gettext("+%(share)s more") if change > 0 else gettext("−%(share)s less")
    return Delta(text % {"share": percent(abs(change))}, kind)


def _points(now: float | None, before: float | None) -> Delta:
    if now is None or before is None:
        return Delta(gettext("nothing to compare with"), "other")
    change = 100 * (now - before)
    if abs(change) < 0.05:
        return Delta(gettext("the same"), "other")
    points = {"points": number(abs(change), 1)}
    if change > 0:
        return Delta(gettext("+%(points)s points, higher") % points, "better")
    return Delta(gettext("−%(points)s points, lower") % points, "worse")


def _models(shown: Sequence[Slice]) -> list[ModelRow]:
    """The dearest first."""
    slices = defaultdict(list)
    for one in shown:
        slices[one.model].append(one)
    by_model = {model: _total(of_model) for model, of_model in slices.items()}
    order = sorted(by_model, key=lambda name: (-by_model[name].cost_usd, -by_model[name].requests, name))
    spent = sum((sums.cost_usd for sums in by_model.values()), Decimal(0))

    def row(model: str, name: str, requests: int, cost: Decimal, saved: Decimal) -> ModelRow:
        width = round(float(100 * cost / spent), 2) if spent > 0 else 0.0
        return ModelRow(model, name, count(requests), usd(cost), usd(saved), width)

    rows = []
    for model in order[:MODELS]:
        sums = by_model[model]
        rows.append(row(model, model, sums.requests, sums.cost_usd, sums.saved_usd))
    if others := [by_model[model] for model in order[MODELS:]]:
        name = ngettext("%(number)s other", "%(number)s others", len(others)) % {"number": count(len(others))}
        sums_of = [(one.requests, one.cost_usd, one.saved_usd) for one in others]
        requests, costs, saved = zip(*sums_of, strict=True)
        rows.append(row("", name, sum(requests), sum(costs, Decimal(0)), sum(saved, Decimal(0))))
    return rows


def _kinds(found: Sequence[Failure], failed: int) -> list[KindRow]:
    """Records may be gone whose sums are still there: of these no kind is known."""
    rows = [KindRow(one.status, one.error, f"{one.status} {one.error}".strip(), count(one.requests)) for one in found]
    left = failed - sum(one.requests for one in found)
    if left > 0:
        name = gettext("of other kinds") if len(found) == KINDS else gettext("records no longer kept")
        rows.append(KindRow(0, "", name, count(left)))
    return rows
