"""The cache at a glance: what it gives, what it holds, how sure its hits are, and what needs somebody."""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_GET

from analytics.figures import count, percent, usd
from gateway.api import cache_policy
from gateway.api.cache_entries import listing
from gateway.api.cache_stats import held
from gateway.models import CacheEntry
from gateway.pages import neighbours, traffic
from tenants import kept, roles
from tenants.access import allowed, membership_of
from tenants.models import Tenant
from tenants.roles import Action

WINDOWS: dict[str, tuple[int, Promise]] = {
    "1": (1, gettext_lazy("24 hours")),
    "7": (7, gettext_lazy("7 days")),
    "30": (30, gettext_lazy("30 days")),
}
TOP = 5


class Need(NamedTuple):
    """Something for somebody to do. `kind`: error, warning or info."""

    kind: str
    text: str
    url: str
    link: str


@allowed(Action.FIGURES)
@require_GET
def overview(request: HttpRequest, slug: str) -> HttpResponseBase:
    membership = membership_of(request)
    now = timezone.now()
    chosen = request.GET.get("days", "7")
    chosen = chosen if chosen in WINDOWS else "7"
    standing = cache_policy.standing(membership.tenant)
    asked = CacheEntry.objects.filter(hits__gt=0)
    reads = roles.may(membership.role, Action.CONTENT)
    context = {
        "here": "overview",
        "windows": [(key, label, key == chosen) for key, (_days, label) in WINDOWS.items()],
        "window": WINDOWS[chosen][1],
        "given": _given(now - dt.timedelta(days=WINDOWS[chosen][0])),
        "held": _held(now),
        "standing": _standing(standing),
        "needs": _needs(membership.tenant, standing),
        "top": [_row(entry) for entry in listing(asked).order_by("-hits", "id")[:TOP]] if reads else [],
    }
    return render(request, "gateway/cache/overview.html", context)


@allowed(Action.FIGURES)
@require_GET
def guards(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Asked for by the overview; a page of its own without JavaScript."""
    membership = membership_of(request)
    threshold = cache_policy.standing(membership.tenant)["threshold"]["now"]
    found = neighbours.refused(threshold)
    most = max((number for _guard, number in found.by_guard), default=1) if found else 1
    context = {
        "here": "overview",
        "found": found,
        "threshold": f"{threshold:.2f}",
        "bars": [(guard, number, round(100 * number / most)) for guard, number in found.by_guard] if found else [],
        "others": found.alike - sum(number for _guard, number in found.by_guard) if found else 0,
    }
    template = "gateway/cache/_guards.html" if request.headers.get("HX-Request") else "gateway/cache/guards.html"
    return render(request, template, context)


def _given(since: dt.datetime) -> dict[str, str]:
    tiers = traffic.tiers(since)
    rate = (tiers.exact.hits + tiers.semantic.hits) / tiers.answered if tiers.answered else None
    return {
        "rate": percent(rate),
        "answered": count(tiers.answered),
        "saved": usd(tiers.saved_usd),
        "exact": count(tiers.exact.hits),
        "exact_share": percent(tiers.share(tiers.exact)),
        "exact_saved": usd(tiers.exact.saved_usd),
        "semantic": count(tiers.semantic.hits),
        "semantic_share": percent(tiers.share(tiers.semantic)),
        "semantic_saved": usd(tiers.semantic.saved_usd),
    }


def _held(now: dt.datetime) -> dict[str, Any]:
    sums = held(now)
    return {
        **{name: count(sums[name]) for name in ("entries", "by_meaning", "pinned", "expired", "hits")},
        "is_empty": not sums["entries"],
        "saved": usd(sums["saved_usd"]),
        "size": filesizeformat(sums["size_bytes"]),
        "newest": sums["newest"],
    }


def _standing(standing: dict[str, Any]) -> dict[str, Any]:
    rate = standing["wrong_rate"]
    verdicts = sum(standing["verdicts"][kind][said] for kind in _JUDGED for said in ("right", "wrong"))
    return {
        **standing,
        "threshold_now": f"{standing['threshold']['now']:.2f}",
        "threshold_own": f"{standing['threshold']['own']:.2f}",
        "budget_told": percent(standing["budget"]),
        "estimate": percent(rate["estimate"]),
        "low": percent(rate["low"]),
        "high": percent(rate["high"]),
        "is_known": rate["estimate"] is not None,
        "exceeds": rate["estimate"] is not None and rate["estimate"] > standing["budget"],
        "judged": count(verdicts),
    }


_JUDGED = ("hits", "near_misses", "shadow")


def _needs(tenant: Tenant, standing: dict[str, Any]) -> list[Need]:
    needs = []
    threshold, policy = (reverse(name, args=[tenant.slug]) for name in ("cache-threshold", "cache-policy"))
    if standing["semantic"] == "off":
        needs.append(Need("error", kept.read(standing["reason"]), policy, _("Look at the policy")))
    elif (rate := standing["wrong_rate"]["estimate"]) is not None and rate > standing["budget"]:
        text = _("About %(rate)s of the hits by meaning are wrong; the budget is %(budget)s.")
        told = text % {"rate": percent(rate), "budget": percent(standing["budget"])}
        needs.append(Need("error", told, threshold, _("Move the threshold")))
    if standing["semantic"] == "shadow":
        text = _("Shadow mode is on: answers by meaning are found and compared, and not given.")
        needs.append(Need("info", text, reverse("cache-shadow", args=[tenant.slug]), _("See what it found")))
    if waiting := standing["judge"]["waiting"]:
        text = ngettext("%(number)s sample waits for a verdict.", "%(number)s samples wait for a verdict.", waiting)
        told = text % {"number": count(waiting)}
        needs.append(Need("info", told, reverse("cache-review", args=[tenant.slug]), _("Review")))
    if problem := standing["judge"]["problem"]:
        needs.append(Need("warning", _("The judge waits: %(why)s") % {"why": problem}, policy, _("Look at the judge")))
    return needs


def _row(entry: CacheEntry) -> dict[str, Any]:
    return {"id": entry.pk, "prompt": entry.prompt[:160], "hits": count(entry.hits), "saved": usd(entry.saved_usd)}
