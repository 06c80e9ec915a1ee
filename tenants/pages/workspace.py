"""A workspace as a whole: its roles, its name and contact, support's access, its end; and another one."""

from __future__ import annotations

import logging
from typing import cast

from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from redis.exceptions import RedisError

from tenants import addresses, deletion, onboarding, once, roles, support, workspaces
from tenants.access import allowed, by_of, membership_of
from tenants.members import Refused
from tenants.models import ApiKey, Membership, Role, Tenant, User
from tenants.roles import Action
from tenants.settings_forms import NamedForm, NewWorkspaceForm, RetentionForm, SupportForm, WorkspaceForm, posted

logger = logging.getLogger(__name__)


@allowed(Action.FIGURES)
@require_GET
def roles_table(request: HttpRequest, slug: str) -> HttpResponseBase:
    mine = membership_of(request).role
    rows = [
        (roles.WHAT[action], action if action in roles.SCOPES else "", [roles.may(role, action) for role in Role])
        for action in Action
    ]
    heads = [(role.label, role == mine) for role in Role]
    return render(request, "tenants/settings/roles.html", {"heads": heads, "rows": rows})


@allowed(Action.FIGURES, to_change=Action.SETTINGS)
@require_http_methods(["GET", "POST"])
def workspace(request: HttpRequest, slug: str) -> HttpResponseBase:
    membership = membership_of(request)
    tenant = membership.tenant
    form = WorkspaceForm(posted(request), initial=_given(tenant))
    if request.method == "POST":
        return _change(request, slug, form)
    return _workspace(request, form)


def _given(tenant: Tenant) -> dict[str, str]:
    return {"name": tenant.name, "email": tenant.email}


def _keeping(tenant: Tenant, data: QueryDict | None = None) -> RetentionForm:
    most = tenant.subscription.plan.retention_days
    return RetentionForm(data, most=most, initial={"days": tenant.retention_days})


def _change(request: HttpRequest, slug: str, form: WorkspaceForm) -> HttpResponseBase:
    if not form.is_valid():
        return _workspace(request, form, status=400)
    workspaces.change(membership_of(request).tenant, form.cleaned_data, **by_of(request))
    messages.success(request, _("Saved."))
    return redirect("workspace", slug)


def _workspace(
    request: HttpRequest, form: WorkspaceForm, keeping: RetentionForm | None = None, status: int = 200
) -> HttpResponseBase:
    tenant = membership_of(request).tenant
    context = {
        "form": form,
        "keeping": keeping or _keeping(tenant),
        "subscription": tenant.subscription,
        "plan": tenant.subscription.plan,
        "support_is_open": support.is_open(tenant),
        "support_days": support.DAYS,
    }
    return render(request, "tenants/settings/workspace.html", context, status=status)


@allowed(Action.SETTINGS)
@require_POST
def retention(request: HttpRequest, slug: str) -> HttpResponseBase:
    """How long records are kept. What deletes some asks once."""
    tenant = membership_of(request).tenant
    form = _keeping(tenant, request.POST)
    if not form.is_valid():
        return _workspace(request, WorkspaceForm(initial=_given(tenant)), form, status=400)
    days = form.cleaned_data["days"]
    if form.shortens and "sure" not in request.POST:
        return render(request, "tenants/settings/retention.html", {"days": days})
    workspaces.change(tenant, {"retention_days": days}, **by_of(request))
    messages.success(request, _("Saved."))
    return redirect("workspace", slug)


@allowed(Action.SETTINGS)
@require_POST
def support_access(request: HttpRequest, slug: str) -> HttpResponseBase:
    tenant = membership_of(request).tenant
    form = SupportForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Choose for how long operators may look."))
    elif days := form.cleaned_data["days"]:
        support.grant(tenant, days, **by_of(request))
        messages.success(request, _("Operators may see prompts and answers for a while. You can end it at any time."))
    else:
        support.revoke(tenant, **by_of(request))
        messages.success(request, _("Operators see no prompts and answers any more."))
    return redirect("workspace", slug)


@allowed(Action.OWNERSHIP)
@require_http_methods(["GET", "POST"])
def delete(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Asks for the workspace's name, and says what is lost."""
    membership = membership_of(request)
    tenant = membership.tenant
    form = NamedForm(posted(request), tenant=tenant)
    if request.method == "POST" and form.is_valid():
        name = tenant.name
        try:
            _end(request, tenant)
        except (deletion.StillBound, Refused) as error:
            form.add_error(None, str(error))
        except OperationalError as error:
            logger.error("tenant %s cannot be deleted now: %s", tenant.pk, error)
            form.add_error(None, _("This cannot be done now. Nothing was deleted; try again."))
        else:
            return _after(request, name)
    context = {
        "form": form,
        "people": Membership.objects.filter(tenant=tenant).count(),
        "forgotten": deletion.nowhere_else(tenant).count(),
        "is_forgotten": deletion.nowhere_else(tenant).filter(pk=membership.user_id).exists(),
        "keys": ApiKey.objects.filter(tenant=tenant, revoked_at=None).count(),
        "pays": tenant.subscription.is_stripes,
        "at_stripe": bool(tenant.subscription.stripe_customer_id),
    }
    return render(request, "tenants/settings/delete.html", context, status=400 if form.errors else 200)


def _end(request: HttpRequest, tenant: Tenant) -> None:
    """Raises StillBound, Refused, or OperationalError while nothing has been deleted."""
    try:
        deletion.end(tenant, cast(User, request.user), ip=addresses.client_address(request))
    except (OperationalError, RedisError) as error:
        if tenant.status != Tenant.Status.DELETED:
            raise
        # Nobody gets in any more; the rest goes with the next round (tenants.tasks).
        logger.error("what is left of tenant %s is deleted later: %s", tenant.pk, error)


def _after(request: HttpRequest, name: str) -> HttpResponse:
    """Whose only workspace it was, has no account any more."""
    stays = User.objects.filter(pk=cast(User, request.user).pk, is_active=True).exists()
    if not stays:
        logout(request)
    messages.success(request, _("%(workspace)s was deleted.") % {"workspace": name})
    return redirect("workspaces" if stays else "landing")


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
@sensitive_variables("issued")
def new_workspace(request: HttpRequest) -> HttpResponseBase:
    """Ends, as sign-up does, with the page that shows the first key, once."""
    form = NewWorkspaceForm(posted(request))
    if request.method == "POST" and form.is_valid():
        if once.is_again(request):
            return redirect("workspaces")
        address = addresses.client_address(request)
        try:
            addresses.count_registration(address)
            tenant, issued = workspaces.add(cast(User, request.user), form.cleaned_data["name"], ip=address)
        except (addresses.TooManyRegistrations, workspaces.TooMany) as error:
            form.add_error("name", str(error))
        else:
            return onboarding.welcome(request, tenant, issued.text)
    return render(request, "tenants/new_workspace.html", {"form": form}, status=400 if form.errors else 200)
