"""Takes kept answers away: first what would go, with examples, then the same once more to confirm."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods
from rest_framework.exceptions import APIException

from analytics.figures import count
from gateway.api.cache_invalidation import SIMILARITY, InvalidationBody, invalidate
from gateway.pages import sent
from gateway.pages.told import wrong
from tenants.access import allowed, by_of, membership_of
from tenants.management_views import read
from tenants.roles import Action

DAY_S = 86_400
# In words: by what, and an example.
WAYS = [
    ("meaning", gettext_lazy("Meaning"), gettext_lazy("everything about refunds")),
    ("text", gettext_lazy("Text in the question"), gettext_lazy("refund")),
    ("tag", gettext_lazy("Tag"), "kb:v12"),
    ("namespace", gettext_lazy("Namespace (empty: of none)"), "shop"),
    ("model", gettext_lazy("Model"), "gpt-4o-mini"),
    ("end_user", gettext_lazy("End user"), "user-4711"),
    ("older_than_days", gettext_lazy("Older than, in days"), "30"),
    ("all", gettext_lazy("Everything"), ""),
]
_NAMES = {name for name, _label, _example in WAYS}


@allowed(Action.CACHE)
@require_http_methods(["GET", "POST"])
def take_away(request: HttpRequest, slug: str) -> HttpResponseBase:
    given = request.POST if request.method == "POST" else request.GET
    context: dict[str, Any] = {"here": "invalidate", "ways": WAYS, "given": _given(given), "similarity": SIMILARITY}
    if request.method == "GET":
        return render(request, "gateway/cache/invalidate.html", context)
    confirmed = request.POST.get("step") == "confirm"
    try:
        body = read(InvalidationBody(data=_body(given, confirmed=confirmed)))
        result = invalidate(membership_of(request).tenant, body, by_of(request))
    except APIException as error:
        return render(request, "gateway/cache/invalidate.html", {**context, "wrong": wrong(error)}, status=400)
    if confirmed:
        gone = result["count"]
        said = ngettext("%(number)s answer is gone.", "%(number)s answers are gone.", gone) % {"number": count(gone)}
        messages.success(request, said)
        return redirect("cache-invalidate", slug)
    for sample in result["samples"]:
        sample["id"] = uuid.UUID(sample["id"])
    context |= {"preview": result, "count": count(result["count"]), "kept": count(result["kept_pinned"])}
    context["emptied"] = count(result["emptied_samples"])
    return render(request, "gateway/cache/invalidate.html", context)


def _given(given: QueryDict) -> dict[str, str]:
    by = given.get("by", "")
    return {
        "by": by if by in _NAMES else "meaning",
        "value": given.get("value", ""),
        "similarity": given.get("similarity", "") or f"{SIMILARITY:g}",
        "pinned": "on" if given.get("pinned") else "",
    }


def _body(given: QueryDict, *, confirmed: bool) -> dict[str, Any]:
    """As the API would be sent it."""
    by, value = given.get("by", ""), given.get("value", "")
    body: dict[str, Any] = {"pinned": bool(given.get("pinned")), "preview": not confirmed}
    if by == "older_than_days":
        body["older_than_s"] = sent.whole(value, DAY_S)
    elif by == "all":
        body["all"] = True
    elif by in _NAMES:
        body[by] = value
    if by == "meaning":
        body["similarity"] = sent.number(given.get("similarity") or f"{SIMILARITY:g}")
        if confirmed:
            body["token"] = given.get("token", "")
    return body
