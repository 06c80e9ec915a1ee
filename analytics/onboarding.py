"""A workspace's first calls, as the page that waits for them tells: nothing yet, an answer, and a hit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, cast

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from analytics import events, figures, queries
from analytics.figures import Row
from analytics.models import UsageRecord
from tenants import apikeys, members, onboarding, once
from tenants.access import allowed, by_of, membership_of
from tenants.models import Tenant, User
from tenants.roles import Action

_ASKED = frozenset(events.OUTCOMES) - events.HITS
WAITING, REFUSED, ANSWERED, HIT = "waiting", "refused", "answered", "hit"


class FirstCalls(NamedTuple):
    """`state` is one of those above. `answer` came first of what is shown, `hit` after it; `refused` is the last one,
    while nothing has been answered.
    """

    state: str
    answer: Row | None = None
    hit: Row | None = None
    refused: Row | None = None


def first_calls() -> FirstCalls:
    """Of the workspace whose schema this runs in, from its latest requests."""
    now = timezone.now()
    latest = queries.latest()
    answered = [record for record in reversed(latest) if record.status < 400]
    if not answered:
        return FirstCalls(REFUSED, refused=figures.row_of(latest[0], now)) if latest else FirstCalls(WAITING)
    hit = _last(answered, events.HITS)
    # What a hit saved is seen beside the answer that it repeats.
    first = _last([record for record in answered if hit is None or record.at <= hit.at], _ASKED) or answered[0]
    if hit is None:
        return FirstCalls(ANSWERED, figures.row_of(first, now))
    return FirstCalls(HIT, figures.row_of(first, now), figures.row_of(hit, now))


def _last(records: list[UsageRecord], outcomes: Iterable[str]) -> UsageRecord | None:
    return next((record for record in reversed(records) if record.outcome in outcomes), None)


@allowed(Action.FIGURES, to_change=Action.KEYS)
@require_http_methods(["GET", "POST"])
def start(request: HttpRequest, slug: str) -> HttpResponseBase:
    """GET shows it without a key. POST makes one, and shows it in its answer."""
    membership = membership_of(request)
    if request.method != "POST":
        return onboarding.page(request, membership.tenant, calls=first_calls())
    if once.is_again(request):
        return redirect("start", slug)
    try:
        issued = _issue(request, membership.tenant)
    except (apikeys.TooManyKeys, members.Refused) as error:
        return onboarding.page(request, membership.tenant, calls=first_calls(), error=str(error), status=400)
    return onboarding.page(request, membership.tenant, api_key=issued.text, calls=first_calls(), status=201)


def _issue(request: HttpRequest, tenant: Tenant) -> apikeys.Issued:
    """As sign-up makes it. Raises TooManyKeys, Refused."""
    by = by_of(request)
    with members.changing(tenant):
        members.check_gives(cast(User, request.user), tenant)
        apikeys.check_room(tenant)
        return apikeys.issue(tenant, created_by=by["actor"], ip=by["ip"])


@allowed(Action.FIGURES)
@require_GET
def start_news(request: HttpRequest, slug: str) -> HttpResponse:
    """The part of the page that waits. 204 while it is as `seen` says: nothing is drawn anew, or read aloud."""
    calls = first_calls()
    if request.GET.get("seen") == calls.state:
        return HttpResponse(status=204)
    return render(request, "tenants/_first_calls.html", {"calls": calls})
