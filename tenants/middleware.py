"""`/t/<slug>/…`: from the logged-in user to the workspace, and into its schema for the length of the view."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from django.contrib.auth.views import redirect_to_login
from django.core.validators import slug_re
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.defaults import page_not_found

from tenants import impersonation, visits
from tenants.db import schema_of
from tenants.freezing import RETRY_AFTER_S
from tenants.models import Membership, User

PREFIX = "/t/"

GetResponse = Callable[[HttpRequest], HttpResponseBase]


class WorkspaceRequest(HttpRequest):
    """A request to a page of a workspace: what the middleware has put on it."""

    membership: Membership


class WorkspaceMiddleware:
    """Strangers and unknown workspaces look alike: 404."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        try:
            return self._answer(request)
        finally:
            if (visit := visits.of(request)) is not None and request.resolver_match is not None:
                visit.route = f"/{request.resolver_match.route.removeprefix('^')}"

    def _answer(self, request: HttpRequest) -> HttpResponseBase:
        impersonation.end_if_over(request)
        if not request.path_info.startswith(PREFIX):
            return self.get_response(request)
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        slug = request.path_info.removeprefix(PREFIX).partition("/")[0]
        membership = find_membership(request.user, slug) or impersonation.find_membership(request, slug)
        if membership is None:
            return not_found(request)
        cast(WorkspaceRequest, request).membership = membership
        if (visit := visits.of(request)) is not None:
            visit.tenant_id = membership.tenant_id
        with schema_of(membership.tenant):
            if membership.tenant.moving_since is not None and request.method not in impersonation.METHODS:
                refusal = render(request, "tenants/moving.html", status=503)
                refusal["Retry-After"] = str(RETRY_AFTER_S)
                return refusal
            if impersonation.is_refused(request, membership):
                return render(request, "tenants/look_only.html", status=403)
            return self.get_response(request)


def find_membership(user: User, slug: str) -> Membership | None:
    if slug_re.fullmatch(slug) is None:
        # Postgres refuses some of what a path may hold: a zero byte, half a character.
        return None
    return Membership.objects.select_related("tenant", "user").filter(user=user, tenant__slug=slug).first()


def not_found(request: HttpRequest) -> HttpResponseBase:
    return page_not_found(request, Http404())
