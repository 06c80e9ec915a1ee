"""The workspace's pages about what happened."""

from __future__ import annotations

from typing import cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from analytics import queries
from tenants.middleware import WorkspaceRequest


def dashboard(request: HttpRequest, slug: str) -> HttpResponse:
    """Whole without JavaScript; kept up to date over a WebSocket with it."""
    membership = cast(WorkspaceRequest, request).membership
    snapshot = queries.snapshot(timezone.now())
    context = {
        "membership": membership,
        "tenant": membership.tenant,
        "snapshot": snapshot,
        "base_url": f"{settings.PUBLIC_URL}/v1",
    }
    return render(request, "analytics/dashboard.html", context)
