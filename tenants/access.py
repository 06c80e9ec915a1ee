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
from tenants.audit import by_of as by_of
from tenants.middleware import WorkspaceRequest
from tenants.models import Membership, Role
from tenants.roles import Action

View = Callable[..., HttpResponseBase]


def membership_of(request: HttpRequest) -> Membership:
    return cast(WorkspaceRequest, request).membership


def allowed(to_look: Action, *, to_change: Action | None = None) -> Callable[[View], View]:
    """`to_change` is what a POST needs, where that is another action.

    Others get a page that says why not, with status 403. Nothing of it is kept by browsers or proxies.
    It stands first of a page's decorators: who may not, learns of no methods.
    """

    def gate(view: View) -> View:
        @functools.wraps(view)
        def checked(request: HttpRequest, slug: str, **rest: object) -> HttpResponseBase:
            action = (to_change or to_look) if request.method == "POST" else to_look
            if not roles.may(membership_of(request).role, action):
                return refusal(request, action)
            return view(request, slug, **rest)

        # For who asks which pages there are, and for whom.
        checked.__dict__["actions"] = {"get": to_look, "post": to_change or to_look}
        return never_cache(checked)

    return gate


def refusal(request: HttpRequest, action: Action) -> HttpResponseBase:
    context = {"what": roles.WHAT[action], "who": [Role(name).label for name in roles.who_may(action)]}
    return render(request, "tenants/refused.html", context, status=403)
