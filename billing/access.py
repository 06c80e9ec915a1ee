"""Who may change what on a workspace's billing pages, and how often."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache

from billing import pace
from tenants.middleware import WorkspaceRequest
from tenants.models import Membership, Role, Tenant
from tenants.pace import TooOften

MAY_CHANGE = frozenset({Role.OWNER, Role.ADMIN, Role.FINANCE})

View = Callable[..., HttpResponse]


def membership_of(request: HttpRequest) -> Membership:
    return cast(WorkspaceRequest, request).membership


def for_payers(view: View) -> View:
    """Others read why not. The view gets the tenant instead of its slug."""

    @functools.wraps(view)
    def checked(request: HttpRequest, slug: str) -> HttpResponse:
        membership = membership_of(request)
        if membership.role not in MAY_CHANGE:
            return render(
                request, "billing/refused.html", {"membership": membership, "tenant": membership.tenant}, status=403
            )
        return view(request, membership.tenant)

    return never_cache(checked)


def paced(view: View) -> View:
    """Who comes too often is told so, on the billing page. Below `for_payers`."""

    @functools.wraps(view)
    def counted(request: HttpRequest, tenant: Tenant) -> HttpResponse:
        try:
            pace.count_act(tenant)
        except TooOften as error:
            messages.error(request, str(error.detail))
            return redirect("billing", tenant.slug)
        return view(request, tenant)

    return counted
