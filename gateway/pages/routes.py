"""A route's form: its name, how a target is chosen, and the targets in order. Rows come, go and move by buttons."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.contrib import messages
from django.http import Http404, HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from rest_framework.exceptions import APIException, ValidationError

from gateway.api import routes as api
from gateway.api.routes import MAX_TARGETS, RouteBody
from gateway.models import Provider, Route
from gateway.pages.faults import blame, faults
from gateway.pages.forms import RouteForm, TargetForm
from gateway.pages.told import tell
from tenants.access import allowed, by_of, membership_of
from tenants.management_views import read
from tenants.roles import Action

_ROW = "target-{}"


class Forms(NamedTuple):
    """What a page shows of a route. `wrong` is about the targets together."""

    route: RouteForm
    targets: list[TargetForm]
    wrong: str = ""

    def rows(self) -> list[tuple[TargetForm, str]]:
        """With their shares of the traffic, where weights decide."""
        total = sum(target.weighs for target in self.targets)
        if self.route["strategy"].value() != Route.Strategy.WEIGHTED or not total:
            return [(target, "") for target in self.targets]
        return [(target, f"{100 * target.weighs / total:.3g} %") for target in self.targets]


def _names() -> list[str]:
    return list(Provider.objects.values_list("name", flat=True))


def _unsent(rows: list[dict[str, Any]]) -> list[TargetForm]:
    names = _names()
    return [TargetForm(initial=row, prefix=_ROW.format(at), providers=names) for at, row in enumerate(rows)]


def _sent(given: QueryDict) -> list[TargetForm]:
    """As many as the form had, within what a route may have."""
    names, count = _names(), given.get("rows", "")
    rows = min(int(count), MAX_TARGETS) if count.isascii() and count.isdigit() and len(count) < 4 else 0
    return [TargetForm(given, prefix=_ROW.format(at), providers=names) for at in range(rows)]


def _moved(act: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """After “add”, “remove-2”, “up-2” or “down-2”; what else was pressed changes no row."""
    does, _dash, place = act.partition("-")
    at = int(place) if place.isascii() and place.isdigit() and len(place) < 4 else -1
    if does == "add" and len(rows) < MAX_TARGETS:
        return [*rows, {"weight": 1}]
    if not 0 <= at < len(rows):
        return rows
    other = {"up": at - 1, "down": at + 1}.get(does, at)
    if does == "remove" and len(rows) > 1:
        return rows[:at] + rows[at + 1 :]
    if 0 <= other < len(rows):
        rows[at], rows[other] = rows[other], rows[at]
    return rows


@allowed(Action.ROUTES)
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest, slug: str) -> HttpResponseBase:
    if request.method == "POST":
        return _take(request, None)
    strategy = request.GET.get("strategy", "")
    rows: list[dict[str, Any]] = [{"weight": 1}, {"weight": 1}]
    if strategy == Route.Strategy.COMPLEXITY:
        rows = [{"weight": 1, "tier": "simple"}, {"weight": 1, "tier": "complex"}]
    form = RouteForm(initial={"model": request.GET.get("model", "")[:120], "strategy": strategy or "fallback"})
    return _page(request, Forms(form, _unsent(rows)), None)


@allowed(Action.FIGURES)
@require_GET
def route(request: HttpRequest, slug: str, id: int) -> HttpResponseBase:
    found = _find(id)
    return _page(request, Forms(RouteForm.of(found), _unsent(_rows(found))), found)


def _rows(found: Route) -> list[dict[str, Any]]:
    return [{**target, "provider": target["provider"] or ""} for target in api.shown(found)["targets"]]


def _find(id: int) -> Route:
    found = api.routes().filter(pk=id).first()
    if found is None:
        raise Http404
    return found


@allowed(Action.ROUTES)
@require_POST
def change(request: HttpRequest, slug: str, id: int) -> HttpResponseBase:
    return _take(request, _find(id))


def _take(request: HttpRequest, found: Route | None) -> HttpResponseBase:
    """Saves; or shows the form again, with a row more, a row less, or what is wrong."""
    forms = Forms(RouteForm(_data(request, found)), _sent(request.POST))
    act = request.POST.get("act", "save")
    if act != "save":
        rows = [{name: form[name].value() for name in form.fields} for form in forms.targets]
        typed = RouteForm(initial={name: forms.route[name].value() for name in forms.route.fields})
        return _page(request, Forms(typed, _unsent(_moved(act, rows))), found)
    refused = _save(request, forms, found)
    if refused is not None:
        return _page(request, refused, found, status=400)
    messages.success(request, _("Saved, and in effect within a second."))
    return redirect("routing", membership_of(request).tenant.slug)


def _data(request: HttpRequest, found: Route | None) -> QueryDict:
    """A route keeps its name."""
    data = request.POST.copy()
    if found is not None:
        data["model"] = found.model
    return data


def _save(request: HttpRequest, forms: Forms, found: Route | None) -> Forms | None:
    """None once it is done."""
    valid = [form.is_valid() for form in (forms.route, *forms.targets)]
    if not all(valid):
        return forms
    body = {**forms.route.sent(), "targets": [form.sent() for form in forms.targets]}
    tenant, by = membership_of(request).tenant, by_of(request)
    try:
        values = read(RouteBody(data=body))
        if found is None:
            api.create(tenant, values, by)
        else:
            api.replace(tenant, values, by)
    except ValidationError as error:
        return _blamed(forms, faults(error.detail))
    except APIException as error:
        taken = error.get_codes() == "name_taken"
        forms.route.add_error("model" if taken else None, _("This name is taken.") if taken else str(error.detail))
        return forms
    return None


def _blamed(forms: Forms, found: dict[str, str]) -> Forms:
    wrong = ""
    of_route = {}
    for path, message in found.items():
        first, _dot, rest = path.partition(".")
        at, _dot, field = rest.partition(".")
        if first != "targets":
            of_route[path] = message
        elif at.isdecimal() and int(at) < len(forms.targets):
            blame(forms.targets[int(at)], {field: message})
        else:
            wrong = message
    blame(forms.route, of_route)
    return forms._replace(wrong=wrong)


def _page(request: HttpRequest, forms: Forms, found: Route | None, *, status: int = 200) -> HttpResponseBase:
    context = {
        "here": "routes",
        "found": found,
        "form": forms.route,
        "rows": forms.rows(),
        "wrong": forms.wrong,
        "strategy": forms.route["strategy"].value(),
        "is_full": len(forms.targets) >= MAX_TARGETS,
    }
    return render(request, "gateway/routing/route.html", context, status=status)


@allowed(Action.ROUTES)
@require_http_methods(["GET", "POST"])
def delete(request: HttpRequest, slug: str, id: int) -> HttpResponseBase:
    """Asks once."""
    found = _find(id)
    if request.method == "GET":
        return render(request, "gateway/routing/route_delete.html", {"here": "routes", "found": found})
    try:
        api.delete(membership_of(request).tenant, found.model, by_of(request))
    except APIException as error:
        tell(request, error)
    else:
        messages.success(request, _("The route is gone."))
    return redirect("routing", slug)
