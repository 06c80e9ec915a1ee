"""A workspace's providers: where they are, whether they have a key and answer, how they do. No key is ever shown."""

from __future__ import annotations

from typing import Any

from asgiref.sync import async_to_sync
from django.contrib import messages
from django.db.models import Count
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from rest_framework.exceptions import APIException, ValidationError

from analytics.figures import duration
from gateway import routing, runtime
from gateway.api import providers as api
from gateway.api import trial
from gateway.cache.transfer import principal_of
from gateway.dialects.chat_fields import MAX_MODEL_CHARACTERS
from gateway.errors import GatewayError
from gateway.models import Provider
from gateway.pages.faults import blame, faults
from gateway.pages.forms import ProviderForm
from gateway.pages.told import tell
from gateway.providers.vendors import VENDORS
from gateway.setups import platform_provider, provider_of
from tenants.access import allowed, by_of, membership_of
from tenants.models import Tenant
from tenants.roles import Action


@allowed(Action.FIGURES)
@require_GET
def providers(request: HttpRequest, slug: str) -> HttpResponseBase:
    rows = [_row(provider) for provider in Provider.objects.annotate(routes=Count("targets__route", distinct=True))]
    context = {"here": "providers", "rows": rows, "platform": platform_provider()}
    return render(request, "gateway/routing/providers.html", context)


def _row(provider: Provider) -> dict[str, Any]:
    vendor = VENDORS.get(provider.kind)
    return {
        "provider": provider,
        "address": provider.base_url or (vendor.base_url if vendor else ""),
        "has_key": bool(provider.credential),
        "needs_key": provider.kind not in ("simulated", "vllm", "ollama"),
        "models": len(provider.settings.get("models", [])),
    }


@allowed(Action.FIGURES)
@require_GET
def health(request: HttpRequest, slug: str) -> HttpResponseBase:
    """The breakers' states, which htmx puts into a page: of all that are in use, or of the one of that name."""
    rows = async_to_sync(_states)(membership_of(request).tenant)
    if name := request.GET.get("name"):
        rows = [row for row in rows if row["name"] == name]
    return render(request, "gateway/routing/_health.html", {"rows": rows})


async def _states(tenant: Tenant) -> list[dict[str, Any]]:
    gateway = await runtime.current()
    try:
        setup = await gateway.setups.of(principal_of(tenant))
    except GatewayError:
        return []
    own = [each for each in setup.providers if each.owner]
    return [{"name": each.name, "states": gateway.breakers.not_closed(each)} for each in own]


@allowed(Action.PROVIDERS)
@sensitive_post_parameters("api_key")
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest, slug: str) -> HttpResponseBase:
    form = ProviderForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        name = _saved(request, form, None)
        if name is not None:
            messages.success(request, _("The provider is there. Test it now: one tiny question."))
            return redirect("provider", slug, name)
    return render(
        request,
        "gateway/routing/provider_new.html",
        {"here": "providers", "form": form},
        status=400 if form.errors else 200,
    )


def _saved(request: HttpRequest, form: ProviderForm, provider: Provider | None) -> str | None:
    """Its name, or None: then the form says why."""
    tenant, body, by = membership_of(request).tenant, form.sent(), by_of(request)
    try:
        made = api.create(tenant, body, by) if provider is None else api.change(tenant, provider.name, body, by)
    except ValidationError as error:
        blame(form, faults(error.detail))
    except APIException as error:
        form.add_error("name" if error.get_codes() == "name_taken" else None, str(error.detail))
    else:
        return str(made["name"])
    return None


@allowed(Action.FIGURES)
@require_GET
def provider(request: HttpRequest, slug: str, name: str) -> HttpResponseBase:
    found = _find(name)
    return _page(request, found, ProviderForm.of(found))


def _find(name: str) -> Provider:
    found = Provider.objects.filter(name=name).first()
    if found is None:
        raise Http404
    return found


def _page(
    request: HttpRequest, found: Provider, form: ProviderForm, *, status: int = 200, **more: Any
) -> HttpResponseBase:
    context = {
        "here": "providers",
        "row": _row(found),
        "form": form,
        "routes": sorted(set(found.targets.values_list("route__model", flat=True))),
        "model": _usual_model(found),
        **more,
    }
    return render(request, "gateway/routing/provider.html", context, status=status)


def _usual_model(found: Provider) -> str:
    """The first that it has, to test it with."""
    row = {**Provider.objects.values().get(pk=found.pk), "credential": b""}
    return next(iter(routing.models_of(provider_of(row, ""))), "")


@allowed(Action.PROVIDERS)
@sensitive_post_parameters("api_key")
@require_POST
def change(request: HttpRequest, slug: str, name: str) -> HttpResponseBase:
    found = _find(name)
    form = ProviderForm(request.POST)
    saved = _saved(request, form, found) if form.is_valid() else None
    if saved is None:
        return _page(request, _find(name), form, status=400)
    messages.success(request, _("Saved, and in effect within a second."))
    return redirect("provider", slug, saved)


@allowed(Action.PROVIDERS)
@require_http_methods(["GET", "POST"])
def delete(request: HttpRequest, slug: str, name: str) -> HttpResponseBase:
    """Asks once. Refused while routes lead there."""
    found = _find(name)
    if request.method == "GET":
        routes = sorted(set(found.targets.values_list("route__model", flat=True)))
        context = {"here": "providers", "provider": found, "routes": routes, "is_last": Provider.objects.count() == 1}
        return render(request, "gateway/routing/provider_delete.html", context)
    try:
        api.delete(membership_of(request).tenant, name, by_of(request))
    except APIException as error:
        tell(request, error)
        return redirect("provider", slug, name)
    messages.success(request, _("The provider is gone, and its key with it."))
    return redirect("routing-providers", slug)


@allowed(Action.PROVIDERS)
@require_POST
def test(request: HttpRequest, slug: str, name: str) -> HttpResponseBase:
    """One tiny question, for which the provider may charge. Nothing is cached or counted."""
    found = _find(name)
    model = request.POST.get("model", "").strip()[:MAX_MODEL_CHARACTERS]
    if model and model.isprintable():
        tried, status = async_to_sync(_try)(membership_of(request).tenant, name, model)
    else:
        tried, status = {"problem": _("Write the model's name, as the provider has it.")}, 400
    if request.headers.get("HX-Request"):
        return render(request, "gateway/routing/_tried.html", {"tried": tried})
    return _page(request, found, ProviderForm.of(found), status=status, tried=tried, model=model)


async def _try(tenant: Tenant, name: str, model: str) -> tuple[dict[str, Any], int]:
    gateway = await runtime.current()
    try:
        tried = await trial.try_out(gateway, principal_of(tenant), name, model)
    except GatewayError as error:
        return {"problem": error.message}, error.status
    return {**tried, "latency": duration(tried["latency_ms"])}, 200
