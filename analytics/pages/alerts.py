"""A workspace's alerts: what was raised, and the rule of each kind. Everybody may look; owners and admins change."""

from __future__ import annotations

import datetime as dt
import urllib.parse
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from django.contrib import messages
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from rest_framework.exceptions import NotFound, ValidationError

from analytics.alerts import changes, names, rules
from analytics.alerts.forms import HistoryForm, RuleForm
from analytics.alerts.kinds import KINDS, Kind
from analytics.alerts.models import AlertEvent
from analytics.alerts.rules import Rule
from analytics.alerts.telling import line_of, title_of
from tenants.access import allowed, by_of, membership_of
from tenants.management_views import Conflict
from tenants.models import Role
from tenants.pace import TooOften
from tenants.paging import Order
from tenants.roles import Action
from tenants.writing import exact

PAGE = 50
_ORDER = Order("alerts-page", ("at", "id"), descending=True)
_Made = TypeVar("_Made")


def told(request: HttpRequest, act: Callable[[], _Made]) -> _Made | None:
    """What the act returns; where it is refused, the page that comes next says why. Raises Http404."""
    try:
        return act()
    except NotFound as error:
        raise Http404 from error
    except (Conflict, TooOften) as error:
        messages.error(request, str(error.detail))
        return None


class Told(NamedTuple):
    event: AlertEvent
    about: str
    title: str
    text: str


@allowed(Action.FIGURES)
@require_GET
def history(request: HttpRequest, slug: str) -> HttpResponseBase:
    """The newest first."""
    form = HistoryForm(request.GET)
    found = form.found()
    try:
        page = _ORDER.page(found, PAGE, request.GET.get("after"))
    except ValidationError:
        return redirect("alerts", slug)
    asked = request.GET.copy()
    asked.pop("after", None)
    context = {
        "form": form,
        "rows": [_told(event) for event in page.rows],
        "unread": AlertEvent.objects.filter(read_at=None).count(),
        "after": page.next,
        "asked": asked.urlencode(),
        "is_filtered": form.is_valid() and any(form.cleaned_data.values()),
        "now": timezone.now().isoformat(),
    }
    return render(request, "analytics/alerts/history.html", context)


def _told(event: AlertEvent) -> Told:
    facts = event.facts
    return Told(event, names.name_of(event.kind), title_of(event.kind, facts), line_of(event.kind, facts))


@allowed(Action.ALERTS)
@require_POST
def read(request: HttpRequest, slug: str, id: uuid.UUID) -> HttpResponseBase:
    tenant, by = membership_of(request).tenant, by_of(request)
    told(request, lambda: changes.mark_read(tenant, id, by))
    return _back(request, slug)


@allowed(Action.ALERTS)
@require_POST
def read_all(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Those that the page knew of: `until` is when it was made."""
    tenant, by = membership_of(request).tenant, by_of(request)
    number = told(request, lambda: changes.mark_all_read(tenant, _until(request), by))
    if number:
        messages.success(request, _("All are marked as read."))
    return _back(request, slug)


def _until(request: HttpRequest) -> dt.datetime:
    now = timezone.now()
    try:
        at = parse_datetime(request.POST.get("until", ""))
    except ValueError:
        at = None
    return now if at is None or timezone.is_naive(at) else min(at, now)


def _back(request: HttpRequest, slug: str) -> HttpResponseBase:
    """To the history as it was filtered."""
    response = redirect("alerts", slug)
    form = HistoryForm(request.POST)
    if form.is_valid() and (asked := urllib.parse.urlencode(_filters(form))):
        response["Location"] += f"?{asked}"
    return response


def _filters(form: HistoryForm) -> dict[str, str]:
    given = form.cleaned_data
    return {**({"kind": given["kind"]} if given["kind"] else {}), **({"unread": "on"} if given["unread"] else {})}


class Line(NamedTuple):
    """A rule in the list. `sums` are its thresholds, as text."""

    kind: Kind
    name: str
    rule: Rule
    sums: list[tuple[str, str]]
    channels: list[str]
    roles: list[str]
    is_default: bool


@allowed(Action.FIGURES)
@require_GET
def rule_list(request: HttpRequest, slug: str) -> HttpResponseBase:
    lines = [_line(KINDS[kind], rule) for kind, rule in rules.read_all().items()]
    return render(request, "analytics/alerts/rules.html", {"lines": lines})


def _line(kind: Kind, rule: Rule) -> Line:
    sums = [
        (str(names.THRESHOLDS.get(name, name)), ", ".join(map(exact, value if isinstance(value, list) else [value])))
        for name, value in rule.thresholds.items()
    ]
    channels = [str(label) for name, label in names.CHANNELS.items() if name in rule.channels]
    roles = [str(role.label) for role in Role if role.value in rule.roles]
    return Line(kind, names.name_of(kind.name), rule, sums, channels, roles, rule == rules.default_of(kind.name))


@allowed(Action.FIGURES)
@require_http_methods(["GET", "POST"])
def rule(request: HttpRequest, slug: str, kind: str) -> HttpResponseBase:
    """Who may not change it sees it."""
    if kind not in KINDS:
        raise Http404
    if request.method == "POST":
        return _set(request, slug, kind=kind)
    return _rule(request, RuleForm(KINDS[kind], rules.read(kind)))


@allowed(Action.ALERTS)
def _set(request: HttpRequest, slug: str, kind: str) -> HttpResponseBase:
    """Changed as the form says, or back to the defaults."""
    known, tenant, by = KINDS[kind], membership_of(request).tenant, by_of(request)
    values: dict[str, Any] = {"enabled": True}
    if "defaults" not in request.POST:
        form = RuleForm(known, rules.read(kind), request.POST)
        if not form.is_valid():
            return _rule(request, form, status=400)
        values = form.cleaned_data["values"]
    if told(request, lambda: changes.set_rule(tenant, known, values, by)) is not None:
        messages.success(request, _("Saved. The next evaluation goes by it."))
    return redirect("alert-rules", slug)


def _rule(request: HttpRequest, form: RuleForm, status: int = 200) -> HttpResponseBase:
    kind = form.kind
    is_default = rules.read(kind.name) == rules.default_of(kind.name)
    context = {"form": form, "kind": kind, "name": names.name_of(kind.name), "is_default": is_default}
    return render(request, "analytics/alerts/rule.html", context, status=status)
