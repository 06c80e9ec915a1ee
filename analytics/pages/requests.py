"""The list of a workspace's requests, and the story of each. For every member: records hold no prompt and no answer."""

from __future__ import annotations

import urllib.parse
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET
from rest_framework.exceptions import ValidationError

from analytics import figures, searches, stories
from analytics.events import OUTCOMES
from analytics.models import UsageRecord
from analytics.pages.live import picked
from analytics.pages.reasons import choose_or_say_why
from analytics.windows import Choice, choose, window_of
from tenants import apikeys
from tenants.access import allowed, membership_of
from tenants.models import Tenant
from tenants.roles import Action

_TIME = ("range", "from", "to", "tz")
# So many keys are a list to choose from; more are a field that suggests, the living ones at least.
LISTED, SUGGESTED = 200, apikeys.MAX_KEYS


@allowed(Action.FIGURES)
@require_GET
def requests(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Filters and page are in the URL. Who asks for an id that one request has is led to its story."""
    tenant, now = membership_of(request).tenant, timezone.now()
    choice, wrong = _time(request)
    try:
        query = searches.asked(request.GET.dict())
        if set(query) == {"request_id"} and len(found := stories.find(query["request_id"])) == 1:
            return redirect("request", tenant.slug, found[0].pk)
        page = searches.find(tenant, query, None if choice is None else window_of(choice, now))
        unread = ""
    except ValidationError:
        query, page = {}, searches.Found([], None)
        unread = _("One of the filters is nothing that can be looked for. Shown is nothing.")
    filters = {name: value for name, value in query.items() if name != "cursor"}
    keys = list(apikeys.living_first(tenant).only("public_id", "name")[: SUGGESTED + 1])
    context = {
        "tenant": tenant,
        "picked": picked(choice, request, wrong, filters),
        "time": {name: request.GET[name] for name in _TIME if request.GET.get(name)},
        "query": query,
        "unread": unread,
        "keys": keys[:SUGGESTED],
        "has_many_keys": len(keys) > LISTED,
        "outcomes": [searches.HITS, *OUTCOMES],
        "latest": [figures.row_of(record, now) for record in page.rows],
        "looked_since": page.since,
        "older": _address(request, cursor=page.next) if page.next else "",
        "newest": _address(request) if "cursor" in query else "",
        "is_narrowed": bool(filters) or choice is not None,
    }
    return render(request, "analytics/requests.html", context, status=400 if wrong or unread else 200)


def _time(request: HttpRequest) -> tuple[Choice | None, str]:
    """None: any time."""
    if not any(request.GET.get(name) for name in ("range", "from", "to")):
        return None, ""
    choice, wrong = choose_or_say_why(lambda: choose(request.GET.dict()), Choice())
    return (None if wrong else choice), wrong


def _address(request: HttpRequest, **more: str) -> str:
    """This page's, with other parameters."""
    kept = {name: value for name, value in request.GET.dict().items() if value and name != "cursor"}
    return "?" + urllib.parse.urlencode(kept | more)


@allowed(Action.FIGURES)
@require_GET
def story(request: HttpRequest, slug: str, ref: str) -> HttpResponseBase:
    tenant = membership_of(request).tenant
    found = stories.find(ref) if ref.isprintable() else []
    if not found:
        context = {"tenant": tenant, "ref": ref[:128]}
        return render(request, "analytics/no_request.html", context, status=404)
    if len(found) > 1 and str(found[0].pk) != ref:
        return redirect(f"{reverse('requests', args=[tenant.slug])}?{urllib.parse.urlencode({'request_id': ref})}")
    told = stories.story(tenant, found[0])
    context = {"tenant": tenant, "story": told, "record": found[0], "entry": _entry(tenant, found[0])}
    return render(request, "analytics/request.html", context)


def _entry(tenant: Tenant, record: UsageRecord) -> dict[str, Any] | None:
    """The cached answer, and where it is shown."""
    if record.entry_id is None:
        return None
    return {"id": record.entry_id, "url": reverse("cache-entry", args=[tenant.slug, record.entry_id])}
