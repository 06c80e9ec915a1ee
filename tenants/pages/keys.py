"""A workspace's API keys in the browser: made with what their maker may do, changed, rotated, revoked.

The text of a key is in the answer that makes it, and nowhere else.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from rest_framework.exceptions import ValidationError

from tenants import apikeys, roles
from tenants.access import allowed, by_of, membership_of
from tenants.apikeys import Issued, KeyIsDead, TooManyKeys
from tenants.key_forms import KeyForm, RotateForm
from tenants.members import Refused, changing
from tenants.models import ApiKey, Tenant
from tenants.paging import Order
from tenants.roles import Action

PAGE = 50
_ORDER = Order("keys-page", ["id"], descending=True)


def _find(request: HttpRequest, public_id: str) -> ApiKey:
    found = ApiKey.objects.select_related("created_by").filter(tenant=membership_of(request).tenant)
    if not public_id.isalnum() or (key := found.filter(public_id=public_id).first()) is None:
        raise Http404
    return key


@allowed(Action.FIGURES)
@require_GET
def keys(request: HttpRequest, slug: str) -> HttpResponseBase:
    """The living ones, or all with `?status=all`; newest first."""
    tenant = membership_of(request).tenant
    shows_all = request.GET.get("status") == "all"
    found = ApiKey.objects.filter(tenant=tenant) if shows_all else apikeys.living(tenant)
    try:
        page = _ORDER.page(found.select_related("created_by"), PAGE, request.GET.get("after"))
    except ValidationError:
        return redirect("keys", slug)
    return render(request, "tenants/keys/list.html", {"keys": page.rows, "after": page.next, "shows_all": shows_all})


@allowed(Action.KEYS)
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Ends with the page that shows the key, once."""
    membership = membership_of(request)
    form = KeyForm(request.POST or None, role=membership.role)
    if request.method == "POST" and form.is_valid():
        try:
            return _issued(request, _issue(request, membership.tenant, form.values))
        except (TooManyKeys, Refused) as error:
            form.add_error(None, str(error))
    return render(request, "tenants/keys/new.html", {"form": form}, status=400 if form.errors else 200)


def _issue(request: HttpRequest, tenant: Tenant, values: dict[str, Any]) -> Issued:
    with changing(tenant):
        apikeys.check_room(tenant)
        by = by_of(request)
        return apikeys.issue(tenant, created_by=by["actor"], ip=by["ip"], **values)


@sensitive_variables("issued")
def _issued(request: HttpRequest, issued: Issued, old: ApiKey | None = None) -> HttpResponseBase:
    context = {"key": issued.key, "text": issued.text, "old": old, "base_url": f"{settings.PUBLIC_URL}/v1"}
    return render(request, "tenants/keys/issued.html", context, status=201)


@allowed(Action.FIGURES)
@require_GET
def key(request: HttpRequest, slug: str, public_id: str) -> HttpResponseBase:
    found = _find(request, public_id)
    return _key(request, found, KeyForm(instance=found, role=membership_of(request).role))


def _key(request: HttpRequest, found: ApiKey, form: KeyForm, status: int = 200) -> HttpResponseBase:
    context = {"key": found, "form": form, "rotating": RotateForm(), "is_within": _is_within(request, found)}
    return render(request, "tenants/keys/key.html", context, status=status)


def _is_within(request: HttpRequest, found: ApiKey) -> bool:
    """Whether it has no scope that this member could not have given: whoever rotates a key has what it may do."""
    return set(found.scopes) <= roles.scopes_of(membership_of(request).role)


@allowed(Action.KEYS)
@require_POST
def change(request: HttpRequest, slug: str, public_id: str) -> HttpResponseBase:
    found = _find(request, public_id)
    form = KeyForm(request.POST, instance=ApiKey.objects.get(pk=found.pk), role=membership_of(request).role)
    if not form.is_valid():
        return _key(request, found, form, status=400)
    try:
        apikeys.change(found, form.values, **by_of(request))
    except KeyIsDead as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("Saved. It is in effect within a second."))
    return redirect("key", slug, public_id)


@allowed(Action.KEYS)
@require_POST
def rotate(request: HttpRequest, slug: str, public_id: str) -> HttpResponseBase:
    """A new key with the same rights; the old one goes on for a while."""
    found = _find(request, public_id)
    if not _is_within(request, found):
        messages.error(request, _("This key may do more than your role. Ask an owner or admin to rotate it."))
        return redirect("key", slug, public_id)
    form = RotateForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Choose how long the old key goes on."))
        return redirect("key", slug, public_id)
    try:
        with changing(found.tenant):
            apikeys.check_room(found.tenant)
            issued = apikeys.rotate(found, overlap_s=form.cleaned_data["overlap_s"], **by_of(request))
    except (KeyIsDead, TooManyKeys, Refused) as error:
        messages.error(request, str(error))
        return redirect("key", slug, public_id)
    return _issued(request, issued, old=ApiKey.objects.get(pk=found.pk))


@allowed(Action.KEYS)
@require_http_methods(["GET", "POST"])
def revoke(request: HttpRequest, slug: str, public_id: str) -> HttpResponseBase:
    """Asks once."""
    found = _find(request, public_id)
    if request.method == "GET":
        return render(request, "tenants/keys/revoke.html", {"key": found})
    apikeys.revoke(found, **by_of(request))
    messages.success(request, _("The key “%(name)s” is revoked: it is refused everywhere.") % {"name": found.name})
    return redirect("keys", slug)
