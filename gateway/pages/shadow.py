"""The shadow report: what the semantic tier would have given, how right it was, and what that would have saved."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from analytics.figures import NOTHING, count, percent, usd
from gateway.api import cache_policy, cache_settings
from gateway.cache import learning
from gateway.models import Verdict
from gateway.pages import switches, traffic
from gateway.pages.projection import MONTH_DAYS
from gateway.pages.traffic import Band
from tenants import roles
from tenants.access import allowed, membership_of
from tenants.roles import Action

EXAMPLES = 10


@allowed(Action.FIGURES)
@require_GET
def report(request: HttpRequest, slug: str) -> HttpResponseBase:
    membership = membership_of(request)
    now = timezone.now()
    looked = traffic.look(now)
    standing = cache_policy.standing(membership.tenant)
    settings_row = cache_settings.row_of_settings()
    reads = roles.may(membership.role, Action.CONTENT)
    examples = (
        Verdict.objects.filter(kind=Verdict.Kind.SHADOW).exclude(question="").order_by("-at")[:EXAMPLES]
        if reads
        else []
    )
    monthly = looked.shadow_usd * Decimal(str(round(MONTH_DAYS / looked.days(now), 3)))
    context = {
        "here": "shadow",
        "is_on": settings_row.shadow,
        "semantic": standing["semantic"],
        "reason": standing["reason"],
        "found": looked.shadow,
        "hits": count(looked.shadow),
        "share": percent(looked.shadow / looked.answered) if looked.answered else NOTHING,
        "saved": usd(looked.shadow_usd),
        "monthly": usd(monthly),
        "requests": count(looked.requests),
        "since": looked.since,
        "said": _said(standing["verdicts"]["shadow"]),
        "budget": percent(standing["budget"]),
        "bands": _bands(looked.bands),
        "examples": list(examples),
    }
    return render(request, "gateway/cache/shadow.html", context)


@allowed(Action.CACHE)
@require_POST
def switch(request: HttpRequest, slug: str) -> HttpResponseBase:
    on = _("Shadow mode is on: answers by meaning are looked for and compared, and no longer given.")
    off = _("Shadow mode is off: the semantic tier answers again.")
    switches.switch(request, "shadow", on=on, off=off)
    return redirect("cache-shadow", slug)


def _said(counts: dict[str, int]) -> dict[str, Any]:
    """All verdicts on shadow hits alike, as far as they go."""
    judged = counts["right"] + counts["wrong"]
    if not judged:
        return {"judged": 0, "waiting": count(counts["waiting"])}
    rate = counts["wrong"] / judged
    low, high = learning.wilson(rate, judged, learning.SURE)
    told = {name: count(counts[name]) for name in ("right", "wrong", "waiting")}
    return {"judged": judged, **told, "rate": percent(rate), "low": percent(low), "high": percent(high)}


def _bands(bands: Any) -> list[dict[str, Any]]:
    """By similarity, the highest first, in steps of five hundredths."""
    steps: dict[int, Band] = {}
    for at, band in bands.items():
        known = steps.get(at // 5 * 5, Band())
        steps[at // 5 * 5] = known._replace(
            shadow=known.shadow + band.shadow, shadow_usd=known.shadow_usd + band.shadow_usd
        )
    most = max((band.shadow for band in steps.values()), default=0) or 1
    return [
        {
            "from": f"{at / 100:.2f}",
            "hits": count(band.shadow),
            "saved": usd(band.shadow_usd),
            "width": round(100 * band.shadow / most),
        }
        for at, band in sorted(steps.items(), reverse=True)
        if band.shadow
    ]
