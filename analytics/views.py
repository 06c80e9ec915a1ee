"""The workspace's pages about what happened."""

from __future__ import annotations

from typing import cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache

from analytics import figures
from tenants.middleware import WorkspaceRequest


@never_cache
def dashboard(request: HttpRequest, slug: str) -> HttpResponse:
    """Whole without JavaScript, but for the chart; kept up to date over a WebSocket with it."""
    tenant = cast(WorkspaceRequest, request).membership.tenant
    shown = figures.dashboard(timezone.now())
    context = {"tenant": tenant, "shown": shown, "base_url": f"{settings.PUBLIC_URL}/v1"}
    return render(request, "analytics/dashboard.html", context)
