"""Who may change what on a workspace's billing pages, and how often."""

from __future__ import annotations

import functools
from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from billing import pace
from tenants.access import allowed, membership_of
from tenants.models import Tenant
from tenants.pace import TooOften
from tenants.roles import Action

View = Callable[..., HttpResponse]


def for_payers(view: View) -> Callable[..., HttpResponseBase]:
    """The view gets the tenant instead of its slug."""

    @functools.wraps(view)
    def paying(request: HttpRequest, slug: str) -> HttpResponseBase:
        return view(request, membership_of(request).tenant)

    return allowed(Action.BILLING)(paying)


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
