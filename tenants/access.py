"""The gate of a workspace's pages: what a member's role allows. A refusal names the role, and who could do it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import cast

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from tenants import roles
from tenants.middleware import WorkspaceRequest
from tenants.models import Membership
from tenants.roles import Action

View = Callable[..., HttpResponseBase]


def membership_of(request: HttpRequest) -> Membership:
    return cast(WorkspaceRequest, request).membership


def allowed(action: Action) -> Callable[[View], View]:
    """Others get a page that says why not, with status 403. Nothing of it is kept by browsers or proxies."""

    def gate(view: View) -> View:
        @functools.wraps(view)
        def checked(request: HttpRequest, slug: str, **rest: object) -> HttpResponseBase:
            membership = membership_of(request)
            if not roles.may(membership.role, action):
                return refusal(request, action)
            return view(request, slug, **rest)

        return never_cache(checked)

    return gate


def refusal(request: HttpRequest, action: Action) -> HttpResponseBase:
    context = {"what": roles.WHAT[action], "who": roles.who_may(action)}
    return render(request, "tenants/refused.html", context, status=403)
