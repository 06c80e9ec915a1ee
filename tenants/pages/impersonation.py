"""The button of the banner: an operator stops looking at a workspace."""

from __future__ import annotations

from typing import cast

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from tenants import impersonation
from tenants.models import User


@require_POST
@login_required
def end(request: HttpRequest) -> HttpResponseBase:
    looking = impersonation.current(request)
    impersonation.end(request, "the button")
    if looking is None or not impersonation.may(cast(User, request.user)):
        return redirect("workspaces")
    return redirect(reverse("admin:tenants_tenant_change", args=[looking.tenant_id]))
