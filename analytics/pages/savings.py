"""What the workspace saved, for who pays: the equation, its parts, the file, and one dollar's way through the books."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from django.http import Http404, HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from analytics import exports, forecasts, reports, savings, spans, statements, walks
from analytics.api.base import names_of_keys
from analytics.figures import usd
from analytics.pages.reasons import choose_or_say_why
from analytics.savings import Group
from analytics.spans import Span
from tenants.access import allowed, membership_of
from tenants.db import schema_of
from tenants.models import Tenant
from tenants.roles import Action
from tenants.writing import number

RANGES: dict[str, Promise] = {
    spans.MONTH: _("This month"),
    spans.LAST_MONTH: _("Last month"),
    "7d": _("7 days"),
    "30d": _("30 days"),
    "90d": _("90 days"),
    "365d": _("365 days"),
}
# Of an export by tag, which has no pages.
MAX_TAGS = 10_000


class Outlook(NamedTuple):
    """A forecast as text."""

    saved: str
    low: str
    high: str
    cost: str
    so_far: str
    per_day: str
    days: int
    left_days: str


@allowed(Action.FIGURES)
@require_GET
def overview(request: HttpRequest, slug: str) -> HttpResponseBase:
    now = timezone.now()
    span, wrong = asked_span(request)
    by = by_of(request)
    told = statements.statement(span)
    context = {
        "tenant": membership_of(request).tenant,
        "told": told,
        "table": statements.table(told, by),
        "outlook": outlook(forecasts.forecast(now)),
        "month": now,
        "wrong": wrong,
        "asked": {name: request.GET.get(name, "")[:20] for name in ("from", "to")},
        "ranges": [(name, label, name == span.name and not wrong) for name, label in RANGES.items()],
        "tabs": [(name, statements.NAMES[name], name == by) for name in savings.BY],
        "rows_shown": statements.ROWS,
        "how": reports.how(),
    }
    return render(request, "analytics/savings/overview.html", context, status=400 if wrong else 200)


def asked_span(request: HttpRequest) -> tuple[Span, str]:
    """Of a URL that says none, this month, and why."""
    now = timezone.now()
    return choose_or_say_why(lambda: spans.choose(request.GET.dict(), now), spans.span_of(spans.MONTH, now))


def by_of(request: HttpRequest) -> str:
    by = request.GET.get("by", "")
    return by if by in savings.BY else savings.DAY


def outlook(found: forecasts.Forecast | None) -> Outlook | None:
    if found is None:
        return None
    digits = 2 if found.saved_usd >= 100 else None
    return Outlook(
        saved=usd(found.saved_usd, digits=digits),
        low=usd(found.low_usd, digits=digits),
        high=usd(found.high_usd, digits=digits),
        cost=usd(found.cost_usd, digits=digits),
        so_far=usd(found.so_far_usd, digits=digits),
        per_day=usd(found.per_day_usd, digits=digits),
        days=found.days,
        left_days=number(found.left_days, 1),
    )


@allowed(Action.FIGURES)
@require_GET
def breakdown_file(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Every row, with all digits; a page of them at a time."""
    tenant, by = membership_of(request).tenant, by_of(request)
    span, wrong = asked_span(request)
    if wrong:
        raise Http404
    columns = (*_NAMED[by], *_COLUMNS)
    export = exports.Export(columns, _pages(tenant, span, by), format="csv", compress=False)
    name = f"savings-{slug}-{span.first_day}-{span.last_day}-by-{by}.csv"
    return StreamingHttpResponse(
        export.blocks(export.block()),
        content_type=exports.MEDIA_TYPES["csv"],
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


_NAMED = {
    savings.DAY: ("day",),
    savings.MODEL: ("model",),
    savings.KEY: ("key", "key_name"),
    savings.TAG: ("tag",),
    savings.TIER: ("outcome",),
}
_COLUMNS = ("requests", "failed", "hits", "without_price", "would_have_cost_usd", "cost_usd", "saved_usd")


def _pages(tenant: Tenant, span: Span, by: str) -> exports.ReadPage:
    def read_page(place: Sequence[Any] | None) -> tuple[list[exports.Row], Sequence[Any] | None]:
        with schema_of(tenant):
            found, after = _page(span, by, place)
            keys = names_of_keys(one.value for one in found) if by == savings.KEY else {}
            return [_row(one, by, keys) for one in found], after

    return read_page


def _page(span: Span, by: str, place: Sequence[Any] | None) -> tuple[list[Group], Sequence[Any] | None]:
    if by == savings.DAY:
        return [Group(day, sums) for day, sums in savings.days(span).days.items()], None
    if by == savings.TAG:
        return savings.tags(span, savings.reach(span).since, MAX_TAGS), None
    found = savings.groups_after(span, by, None if place is None else place[0], exports.ROWS)
    return found, [found[-1].value] if len(found) == exports.ROWS else None


def _row(one: Group, by: str, keys: dict[int | None, tuple[str, str]]) -> exports.Row:
    sums = one.sums
    named = keys[one.value] if by == savings.KEY else ("" if one.value is None else one.value,)
    values = (*named, sums.requests, sums.errors, sums.hits, sums.unpriced, *_money(sums))
    return dict(zip((*_NAMED[by], *_COLUMNS), values, strict=True))


def _money(sums: savings.Sums) -> tuple[Decimal, Decimal, Decimal]:
    return sums.would_usd, sums.cost_usd, sums.saved_usd


@allowed(Action.FIGURES)
@require_GET
def dollar(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Of the dearest saved request of the time, or of the one that is named."""
    tenant = membership_of(request).tenant
    span, wrong = asked_span(request)
    found, reach = walks.dearest(span)
    asked = request.GET.get("request", "")
    record = walks.find(asked) if asked else next(iter(found), None)
    if asked and record is None:
        raise Http404
    context = {
        "tenant": tenant,
        "span": span,
        "wrong": wrong,
        "ranges": [(name, label, name == span.name and not wrong) for name, label in RANGES.items()],
        "asked": {name: request.GET.get(name, "")[:20] for name in ("from", "to")},
        "walk": walks.walk(tenant, record) if record else None,
        "dearest": [(one, usd(one.saved_usd, digits=10)) for one in found],
        "reach": reach,
    }
    return render(request, "analytics/savings/walk.html", context, status=400 if wrong else 200)
