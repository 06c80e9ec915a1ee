"""A workspace's API keys in the browser: made with what their maker may do, changed, rotated, revoked.

The text of a key is in the answer that makes it, and nowhere else.
"""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlencode

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from rest_framework.exceptions import ValidationError

from tenants import apikeys, onboarding, once, roles
from tenants import keys as keytext
from tenants.access import allowed, by_of, membership_of
from tenants.apikeys import Issued, KeyIsDead, TooManyKeys
from tenants.key_forms import KeyForm, RotateForm
from tenants.members import Refused, changing, check_gives
from tenants.models import ApiKey, Tenant, User
from tenants.paging import Order
from tenants.roles import Action

PAGE = 50
# The first is the usual one.
_ORDERS = {
    "newest": Order("keys-page", ["id"], descending=True),
    "oldest": Order("keys-page-oldest", ["id"]),
    "name": Order("keys-page-name", ["name", "id"]),
}


def _find(request: HttpRequest, public_id: str) -> ApiKey:
    found = ApiKey.objects.select_related("created_by", "tenant").filter(tenant=membership_of(request).tenant)
    if not public_id.isalnum() or (key := found.filter(public_id=public_id).first()) is None:
        raise Http404
    return key


@allowed(Action.FIGURES)
@require_GET
def keys(request: HttpRequest, slug: str) -> HttpResponseBase:
    """The living ones, or all with `?status=all`. What is looked for, in which order, and the page are in the URL."""
    tenant = membership_of(request).tenant
    known = {"status": ("all",), "order": _ORDERS}
    asked = {name: value for name, values in known.items() if (value := request.GET.get(name, "")) in values}
    if text := request.GET.get("q", "").strip():
        asked["q"] = text
    shows_all, order, after = "status" in asked, asked.get("order", "newest"), request.GET.get("after")
    found = ApiKey.objects.filter(tenant=tenant) if shows_all else apikeys.living(tenant)
    try:
        page = _ORDERS[order].page(_named(found, text).select_related("created_by"), PAGE, after)
    except ValidationError:
        return redirect("keys", slug)
    others = {name: value for name, value in asked.items() if name != "status"}
    context = {
        "keys": page.rows,
        "asked": asked,
        "order": order,
        "in_use": f"?{urlencode(others)}",
        "all": f"?{urlencode(others | {'status': 'all'})}",
        "first": f"?{urlencode(asked)}" if after else "",
        "more": f"?{urlencode(asked | {'after': page.next})}" if page.next else "",
    }
    return render(request, "tenants/keys/list.html", context)


def _named(found: QuerySet[ApiKey], text: str) -> QuerySet[ApiKey]:
    """With it in their name, or of which it is the readable part."""
    if not text.isprintable():
        return found.none()
    public_id = keytext.id_in(text)
    by_id = Q(public_id__startswith=public_id.lower()) if public_id else Q()
    return found.filter(Q(name__icontains=text) | by_id) if text else found


@allowed(Action.KEYS)
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Ends with the page that shows the key, once."""
    membership = membership_of(request)
    form = KeyForm(request.POST or None, role=membership.role)
    if request.method == "POST" and form.is_valid():
        if once.is_again(request):
            return redirect("keys", slug)
        try:
            return _issued(request, _issue(request, membership.tenant, form.values))
        except (TooManyKeys, Refused) as error:
            form.add_error(None, str(error))
    return render(request, "tenants/keys/new.html", {"form": form}, status=400 if form.errors else 200)


def _issue(request: HttpRequest, tenant: Tenant, values: dict[str, Any]) -> Issued:
    by = by_of(request)
    with changing(tenant):
        check_gives(cast(User, request.user), tenant, values["scopes"])
        apikeys.check_room(tenant)
        return apikeys.issue(tenant, created_by=by["actor"], ip=by["ip"], **values)


@sensitive_variables("issued")
def _issued(request: HttpRequest, issued: Issued, old: ApiKey | None = None) -> HttpResponseBase:
    context = {"key": issued.key, "text": issued.text, "old": old, "first_call": onboarding.curl(issued.text)}
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
    """Whether it has no scope that this member could not have given: whoever rotates a key has what it may do, and
    whoever changes one says for how long others have it.
    """
    return set(found.scopes) <= roles.scopes_of(membership_of(request).role)


@allowed(Action.KEYS)
@require_POST
def change(request: HttpRequest, slug: str, public_id: str) -> HttpResponseBase:
    found = _find(request, public_id)
    form = KeyForm(request.POST, instance=ApiKey.objects.get(pk=found.pk), role=membership_of(request).role)
    if not form.is_valid():
        return _key(request, found, form, status=400)
    try:
        with changing(found.tenant):
            # As it is by now.
            held = ApiKey.objects.get(pk=found.pk).scopes
            check_gives(cast(User, request.user), found.tenant, {*held, *form.values["scopes"]})
            apikeys.change(found, form.values, **by_of(request))
    except (KeyIsDead, Refused) as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("Saved. It is in effect within a second."))
    return redirect("key", slug, public_id)


@allowed(Action.KEYS)
@require_POST
def rotate(request: HttpRequest, slug: str, public_id: str) -> HttpResponseBase:
    """A new key with the same rights; the old one goes on for a while."""
    found = _find(request, public_id)
    form = RotateForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Choose how long the old key goes on."))
        return redirect("key", slug, public_id)
    if once.is_again(request):
        return redirect("keys", slug)
    try:
        with changing(found.tenant):
            check_gives(cast(User, request.user), found.tenant, ApiKey.objects.get(pk=found.pk).scopes)
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
