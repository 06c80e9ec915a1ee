"""Routing: the routes there are, how their targets did, who would be asked for a request, and what leaving does."""

from __future__ import annotations

import datetime as dt
from typing import Any

import orjson
from asgiref.sync import async_to_sync
from django.contrib import messages
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods
from rest_framework.exceptions import APIException, ValidationError

from analytics import queries, variants
from analytics.figures import NOTHING, count, duration, percent, usd
from gateway import admission, complexity, explain, runtime
from gateway import routing as ways
from gateway.api import calls, routes
from gateway.api.calls import CallSettingsBody
from gateway.cache.transfer import principal_of
from gateway.dialects import openai_chat
from gateway.models import CallSettings, Provider, Route
from gateway.pages.faults import blame, faults
from gateway.pages.forms import CallsForm
from gateway.pages.told import tell
from tenants import kept, keyspace, pace
from tenants.access import allowed, by_of, membership_of
from tenants.management_views import read
from tenants.models import Tenant
from tenants.pace import TooOften
from tenants.roles import Action
from tenants.writing import number

MODEL, QUESTION, SUBJECT = 120, 8_000, 200
# Of the workspace, by whatever name they asked: percentiles need each, which takes about 0.1 s.
LATEST = 100_000
DAYS: dict[str, tuple[int, Promise]] = {
    "1": (1, gettext_lazy("24 hours")),
    "7": (7, gettext_lazy("7 days")),
    "30": (30, gettext_lazy("30 days")),
}


@allowed(Action.FIGURES)
@require_GET
def overview(request: HttpRequest, slug: str) -> HttpResponseBase:
    found = [_shown(route) for route in routes.routes()]
    context = {
        "here": "routes",
        "routes": found,
        "strategies": Route.Strategy.choices,
        "auto": ways.AUTO,
        "has_auto": any(each["route"].model == ways.AUTO for each in found),
        "providers": Provider.objects.filter(enabled=True).count(),
    }
    return render(request, "gateway/routing/routes.html", context)


def _shown(route: Route) -> dict[str, Any]:
    targets = list(route.targets.all())
    total = sum(target.weight for target in targets) if route.strategy == Route.Strategy.WEIGHTED else 0
    rows = [
        {"target": target, "share": 100 * target.weight / total if total else None, "is_off": _is_off(target)}
        for target in targets
    ]
    return {"route": route, "targets": rows}


def _is_off(target: Any) -> bool:
    return target.provider is not None and not target.provider.enabled


# --- how it did ------------------------------------------------------------------------------------------------------


@allowed(Action.FIGURES)
@require_GET
def results(request: HttpRequest, slug: str) -> HttpResponseBase:
    return render(request, "gateway/routing/results.html", _asked_for(request))


@allowed(Action.FIGURES)
@require_GET
def figures(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Asked for by the page of results, since many records take a while; a page of its own without JavaScript."""
    context = _asked_for(request)
    if context["model"]:
        since = timezone.now() - dt.timedelta(days=DAYS[context["chosen"]][0])
        cut = queries.newest_since(LATEST, since)
        found = variants.outcomes(context["model"], cut or since)
        most = max((each.requests for each in found), default=1)
        context |= {"rows": [_figures(each, most) for each in found], "is_done": True, "cut": cut}
    template = "_results.html" if request.headers.get("HX-Request") else "results.html"
    return render(request, f"gateway/routing/{template}", context)


def _asked_for(request: HttpRequest) -> dict[str, Any]:
    names = list(Route.objects.values_list("model", flat=True))
    model = request.GET.get("model", names[0] if names else "").strip()[:MODEL]
    chosen = request.GET.get("days", "7")
    return {
        "here": "results",
        "names": names,
        "model": model if model.isprintable() else "",
        "windows": [(key, label) for key, (_days, label) in DAYS.items()],
        "chosen": chosen if chosen in DAYS else "7",
        "window": DAYS[chosen if chosen in DAYS else "7"][1],
    }


def _figures(each: variants.Outcome, most: int) -> dict[str, Any]:
    who = each.variant or (f"{each.provider}/{each.upstream_model}" if each.provider else "")
    cost = each.cost_per_request_usd
    return {
        "who": who,
        "is_variant": each.variant is not None,
        "bar": round(100 * each.requests / most, 1),
        "requests": count(each.requests),
        "errors": percent(each.errors / each.requests),
        "has_errors": each.errors > 0,
        "hits": percent(each.hits / each.requests),
        "p50": _time(each.p50_latency_ms),
        "p95": _time(each.p95_latency_ms),
        "tokens": count(each.prompt_tokens + each.completion_tokens),
        "cost": usd(each.cost_usd),
        "each": NOTHING if cost is None else usd(cost, digits=6),
        "unpriced": count(each.unpriced) if each.unpriced else "",
    }


def _time(milliseconds: float | None) -> str:
    return NOTHING if milliseconds is None else duration(milliseconds)


# --- who would be asked ----------------------------------------------------------------------------------------------


@allowed(Action.FIGURES)
@require_http_methods(["GET", "POST"])
def ask(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Nothing is asked of a provider, counted or kept."""
    tenant = membership_of(request).tenant
    asked = request.POST if request.method == "POST" else request.GET
    given = {
        "model": asked.get("model", "").strip()[:MODEL],
        "question": asked.get("question", "")[:QUESTION],
        "user": asked.get("user", "").strip()[:SUBJECT],
    }
    names = [*Route.objects.values_list("model", flat=True), ways.AUTO]
    context: dict[str, Any] = {"here": "explain", "given": given, "names": names}
    if request.method == "GET":
        given["model"] = given["model"] or names[0]
        return render(request, "gateway/routing/explain.html", context)
    status = 200
    if not given["model"] or not given["question"].strip():
        context["wrong"], status = _("Write a question, and the model that apps ask for."), 400
    else:
        try:
            pace.count(keyspace.explanations(tenant.pk), explain.PER_MINUTE, explain.EXPLAINED)
        except TooOften as error:
            context["wrong"], status = str(error.detail), 429
        else:
            context |= _told(async_to_sync(_explain)(tenant, given))
    return render(request, "gateway/routing/explain.html", context, status=status)


async def _explain(tenant: Tenant, given: dict[str, str]) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": given["model"],
        "messages": [{"role": "user", "content": given["question"]}],
    }
    if given["user"]:
        body["user"] = given["user"]
    incoming = admission.Incoming(openai_chat, {}, orjson.dumps(body), admission.new_id())
    return await explain.explain(await runtime.current(), principal_of(tenant), incoming)


def _told(found: dict[str, Any]) -> dict[str, Any]:
    rows = []
    first_open = True
    for candidate in found["candidates"] or []:
        passed = candidate["breaker"]["state"] == "open"
        cost = candidate["estimated_cost_usd"]
        rows.append(
            {
                **candidate,
                "is_first": first_open and not passed,
                "latency": _time(candidate["latency_ms"]),
                "cost": NOTHING if cost is None else usd(cost, digits=6),
            }
        )
        first_open = first_open and passed
    return {"found": found, "error": found["error"], "candidates": rows, "why": _why(found)}


_WHY: dict[str | None, Promise] = {
    None: gettext_lazy("No route has this name: the providers that have the model are asked, in their order."),
    "fixed": gettext_lazy("The route asks its first target, and no other."),
    "fallback": gettext_lazy("The route asks its targets in order, the next when one fails."),
    "weighted": gettext_lazy("Drawn by weight. The same user, or conversation, gets the same target each time."),
    "fastest": gettext_lazy("The one that began to answer soonest of late; those not known come first."),
    "cheapest": gettext_lazy("The lowest price for this request comes first; who has no known price, last."),
}


def _why(found: dict[str, Any]) -> str:
    if found["error"]:
        return ""
    verdict = found["complexity"]
    if verdict is None:
        return str(_WHY[found["strategy"]])
    kind = _("complex") if verdict["complex"] else _("simple")
    reasons = "; ".join(map(kept.read, verdict["reasons"]))
    facts = {"kind": kind, "score": number(verdict["score"], 2), "from": number(complexity.COMPLEX_FROM, 1)}
    if not reasons:
        return _("The request counts as %(kind)s: %(score)s, and complex is from %(from)s on.") % facts
    text = _("The request counts as %(kind)s: %(score)s, and complex is from %(from)s on. It %(reasons)s.")
    return text % {**facts, "reasons": reasons}


# --- when an app leaves ----------------------------------------------------------------------------------------------


@allowed(Action.FIGURES)
@require_GET
def leaving(request: HttpRequest, slug: str) -> HttpResponseBase:
    row: CallSettings = calls.row_of_settings()
    form = CallsForm(initial={"on_disconnect": row.on_disconnect, "drain_limit_s": row.drain_limit_s})
    return render(request, "gateway/routing/calls.html", {"here": "calls", "form": form})


@allowed(Action.ROUTES)
@require_http_methods(["POST"])
def change_leaving(request: HttpRequest, slug: str) -> HttpResponseBase:
    form = CallsForm(request.POST)
    if form.is_valid():
        try:
            calls.change(membership_of(request).tenant, read(CallSettingsBody(data=form.sent())), by_of(request))
        except ValidationError as error:
            blame(form, faults(error.detail))
        except APIException as error:
            tell(request, error)
        else:
            messages.success(request, _("Saved, and in effect within a second."))
    if form.errors:
        return render(request, "gateway/routing/calls.html", {"here": "calls", "form": form}, status=400)
    return redirect("routing-calls", slug)
