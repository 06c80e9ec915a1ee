"""The threshold explorer: this workspace's traffic by similarity, and what another threshold would have meant.

All that can be chosen is reckoned here, in one go; the browser only moves among it, and a form does without one.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST
from rest_framework.exceptions import APIException

from analytics.figures import NOTHING, count, percent, usd
from gateway.api import cache_policy, cache_settings
from gateway.api.cache_settings import CacheSettingsBody
from gateway.cache import learning, tuning
from gateway.models import CacheTuning
from gateway.pages import projection, sent, traffic
from gateway.pages.projection import HIGHEST, LOWEST, Projection, Row
from gateway.pages.told import tell
from tenants.access import allowed, by_of, membership_of
from tenants.management_views import read
from tenants.roles import Action

# The drawing's own units; the page stretches it.
COLUMN, HEIGHT = 40, 200
# Fewer say nothing of a share of some percent.
FEW = learning.FEWEST_VERDICTS


@allowed(Action.FIGURES)
@require_GET
def explore(request: HttpRequest, slug: str) -> HttpResponseBase:
    now = timezone.now()
    standing = cache_policy.standing(membership_of(request).tenant)
    tuned = CacheTuning.objects.first()
    looked = traffic.look(now)
    found = projection.project(looked, tuning.sampled(now, tuned.since if tuned else None), now)
    here = _hundredth(standing["threshold"]["now"])
    chosen = _chosen(request.GET.get("threshold"), here)
    context = {
        "here": "threshold",
        "standing": standing,
        "now": f"{standing['threshold']['now']:.2f}",
        "own": f"{standing['threshold']['own']:.2f}",
        "budget": percent(standing["budget"]),
        "chosen": f"{chosen / 100:.2f}",
        "rows": [_told(row, looked.answered, found, standing["budget"]) for row in found.rows],
        "row": _told(found.rows[chosen - LOWEST], looked.answered, found, standing["budget"]),
        "drawing": _drawing(found, standing, chosen),
        "requests": count(looked.requests),
        "since": looked.since,
        "is_cut": looked.is_cut,
        "has_traffic": any(column.height for column in found.columns),
        "verdicts": count(found.verdicts),
        "few": found.verdicts < FEW,
        "wanted": count(learning.clean_verdicts(standing["budget"])),
        "lowest": f"{LOWEST / 100:.2f}",
    }
    return render(request, "gateway/cache/threshold.html", context)


@allowed(Action.CACHE)
@require_POST
def apply(request: HttpRequest, slug: str) -> HttpResponseBase:
    tenant = membership_of(request).tenant
    try:
        values = read(CacheSettingsBody(data={"threshold": sent.number(request.POST.get("threshold"))}))
        after = cache_settings.change(tenant, values, by_of(request))
    except APIException as error:
        tell(request, error)
        return redirect("cache-threshold", slug)
    said = _("The threshold is %(threshold)s, and in effect within a second.") % {
        "threshold": f"{after['threshold']:.2f}"
    }
    if after["learn"]:
        said += " " + _("Verdicts may still move it: the wrong-answer budget comes first.")
    messages.success(request, said)
    return redirect("cache-threshold", slug)


def _hundredth(threshold: float) -> int:
    return min(HIGHEST, max(LOWEST, round(threshold * 100)))


def _chosen(text: str | None, otherwise: int) -> int:
    number = sent.number(text)
    return _hundredth(number) if isinstance(number, float) and 0 <= number <= 1 else otherwise


def _told(row: Row, answered: int, found: Projection, budget: float) -> dict[str, Any]:
    """As text, so that the page and what moves on it say the same."""
    monthly = None if row.saved_usd is None else row.saved_usd * Decimal(str(round(found.to_month, 3)))
    known = row.rate is not None
    return {
        "at": row.at,
        "threshold": f"{row.threshold:.2f}",
        "hits": count(round(row.hits)),
        "share": percent(min(1.0, row.hits / answered)) if answered else NOTHING,
        "saved": NOTHING if row.saved_usd is None else usd(row.saved_usd),
        "monthly": NOTHING if monthly is None else usd(monthly),
        "rate": percent(row.rate),
        "low": percent(row.low) if known else NOTHING,
        "high": percent(row.high) if known else NOTHING,
        "wrong": count(round(row.hits * row.rate)) if row.rate is not None else NOTHING,
        "wrong_low": count(round(row.hits * row.low)) if known else NOTHING,
        "wrong_high": count(round(row.hits * row.high)) if known else NOTHING,
        "verdicts": count(row.verdicts),
        "few": row.verdicts < FEW,
        "verdict": _verdict(row, budget),
    }


def _verdict(row: Row, budget: float) -> str:
    if row.rate is None or row.verdicts < FEW:
        return "unknown"
    if row.high <= budget:
        return "sure"
    return "over" if row.rate > budget else "likely"


def _drawing(found: Projection, standing: dict[str, Any], chosen: int) -> dict[str, Any]:
    """Bars and the curve of wrong answers with its interval, in the drawing's units."""
    tallest = max((column.height for column in found.columns), default=0) or 1
    bars = []
    for place, column in enumerate(found.columns):
        total, top = HEIGHT * column.height / tallest, float(HEIGHT)
        # What is there, is seen.
        scale = max(total, 2.0 if column.height else 0.0) / column.height if column.height else 0.0
        for kind, number in (
            ("right", column.right),
            ("wrong", column.wrong),
            ("unjudged", column.height - column.right - column.wrong),
        ):
            height = number * scale
            if height > 0:
                top -= height
                bars.append({"kind": kind, "x": place * COLUMN + 4, "y": round(top, 2), "height": round(height, 2)})
    # What is far beyond the budget is cut off: it is around the budget that one chooses.
    most = max([0.05, standing["budget"] * 1.5, *(row.rate or 0.0 for row in found.rows)])
    top_rate = min(most, max(0.1, standing["budget"] * 5))
    known = [row for row in found.rows if row.rate is not None]
    marks = {name: _x(_hundredth(standing["threshold"][name])) for name in ("now", "own")}
    return {
        "width": (HIGHEST - LOWEST + 1) * COLUMN,
        "height": HEIGHT,
        "column": COLUMN - 8,
        "step": COLUMN,
        "bars": bars,
        "chosen": _x(chosen),
        "marks": marks,
        "moved": marks["now"] != marks["own"],
        "tallest": count(round(tallest)),
        "curve": " ".join(f"{_middle(row)},{_y(row.rate or 0.0, top_rate)}" for row in known),
        "interval": " ".join(
            [f"{_middle(row)},{_y(row.high, top_rate)}" for row in known]
            + [f"{_middle(row)},{_y(row.low, top_rate)}" for row in reversed(known)]
        ),
        "budget": _y(standing["budget"], top_rate),
        "top_rate": percent(top_rate),
        "labels": [f"{at / 100:.2f}" for at in range(LOWEST, HIGHEST + 1, 5)],
    }


def _x(hundredth: int) -> int:
    """Where its column begins: all from there on would be given."""
    return (hundredth - LOWEST) * COLUMN


def _middle(row: Row) -> int:
    return _x(row.at) + COLUMN // 2


def _y(rate: float, top_rate: float) -> float:
    return round(HEIGHT * (1 - min(1.0, rate / top_rate)), 2)
