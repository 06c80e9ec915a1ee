"""The workspace's first page: what happens now, and what happened in a time that is chosen."""

from __future__ import annotations

import datetime as dt
import urllib.parse
from typing import NamedTuple

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from analytics import sketches
from analytics.dashboard import dashboard as read_dashboard
from analytics.pages.reasons import choose_or_say_why
from analytics.windows import RANGES, Choice, choose, window_of
from billing import shortage
from tenants import onboarding
from tenants.access import allowed, membership_of
from tenants.models import Tenant
from tenants.roles import Action

LABELS: dict[str, Promise] = {
    "15m": _("15 min"),
    "1h": _("1 h"),
    "24h": _("24 h"),
    "7d": _("7 days"),
    "30d": _("30 days"),
    "90d": _("90 days"),
}


# By the seconds of a bar.
EACH: dict[int, Promise] = {
    60: _("a minute"),
    300: _("in 5 minutes"),
    900: _("in 15 minutes"),
    3600: _("an hour"),
    10800: _("in 3 hours"),
    43200: _("in 12 hours"),
    86400: _("a day"),
    604800: _("a week"),
}


class Picked(NamedTuple):
    """The range picker: links, and a form with `since` and `until`, in `zone`. `kept` is what else the URL says."""

    options: list[tuple[str, Promise, bool]]
    kept: dict[str, str]
    is_custom: bool
    since: str
    until: str
    zone: str
    wrong: str = ""


@allowed(Action.FIGURES)
@require_GET
def dashboard(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Whole without JavaScript, but for the charts; kept up to date over a WebSocket with it."""
    membership, now = membership_of(request), timezone.now()
    tenant = membership.tenant
    # Who only looks in is no member, and the feed is for members.
    is_fed = membership.pk is not None
    choice, wrong = choose_or_say_why(lambda: choose(request.GET.dict()), Choice())
    window = window_of(choice, now)
    shown = read_dashboard(window, now)
    context = {
        "tenant": tenant,
        "picked": picked(choice, request, wrong),
        "window": window,
        "feed": _feed(tenant, choice) if window.is_open and is_fed else "",
        "each": EACH[window.step_s],
        "shown": shown,
        "requests_sketch": sketches.of_requests(shown.bars),
        "savings_sketch": sketches.of_savings(shown.bars),
        "shortages": shortage.of(tenant, now),
        "query": choice.query,
        "first_call": onboarding.curl(),
    }
    return render(request, "analytics/dashboard.html", context, status=400 if wrong else 200)


def _feed(tenant: Tenant, choice: Choice) -> str:
    """It speaks the language of its page."""
    return f"/ws/t/{tenant.slug}/live/?{choice.query}&language={get_language()}"


def picked(choice: Choice | None, request: HttpRequest, wrong: str, kept: dict[str, str] | None = None) -> Picked:
    """After a mistake, with what was written. With `kept`, no time may be chosen as well: `choice` is None then."""
    others = kept or {}
    chosen = "" if choice is None or wrong else choice.name
    options = [(urllib.parse.urlencode({"range": name} | others), LABELS[name], chosen == name) for name in RANGES]
    if kept is not None:
        options.insert(0, (urllib.parse.urlencode(others), _("Any time"), choice is None and not wrong))
    if wrong:
        since, until = (request.GET.get(name, "")[:40] for name in ("from", "to"))
        return Picked(options, others, True, since, until, request.GET.get("tz", "")[:64], wrong)
    if choice is None or choice.start is None:
        return Picked(options, others, False, "", "", "UTC")

    def written(at: dt.datetime | None) -> str:
        return "" if at is None else f"{at.astimezone(choice.zone):%Y-%m-%dT%H:%M}"

    return Picked(options, others, True, written(choice.start), written(choice.end), choice.zone.key)
