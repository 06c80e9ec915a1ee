"""The workspace's pages about what happened, and its ledger to take away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from analytics import exports, figures
from analytics.api.base import names_of_keys
from analytics.api.exports import LEDGER_COLUMNS
from billing.models import LedgerEntry
from tenants.middleware import WorkspaceRequest
from tenants.paging import Order

_LEDGER = Order("ledger", ["period_start", "id"])


@never_cache
def dashboard(request: HttpRequest, slug: str) -> HttpResponse:
    """Whole without JavaScript, but for the chart; kept up to date over a WebSocket with it."""
    tenant = cast(WorkspaceRequest, request).membership.tenant
    shown = figures.dashboard(timezone.now())
    context = {"tenant": tenant, "shown": shown, "base_url": f"{settings.PUBLIC_URL}/v1"}
    return render(request, "analytics/dashboard.html", context)


@never_cache
@require_GET
def ledger_csv(request: HttpRequest, slug: str) -> StreamingHttpResponse:
    """The whole ledger, as GET /api/billing/ledger?format=csv gives it to keys."""
    tenant = cast(WorkspaceRequest, request).membership.tenant
    booked = LedgerEntry.objects.filter(tenant=tenant)

    def read_page(place: Sequence[Any] | None) -> tuple[list[exports.Row], Sequence[Any] | None]:
        entries = list(_LEDGER.after(booked, place)[: exports.ROWS])
        keys = names_of_keys(entry.key_id for entry in entries)
        rows = [
            {name: keys[entry.key_id][0] if name == "key" else getattr(entry, name) for name in LEDGER_COLUMNS}
            for entry in entries
        ]
        return rows, _LEDGER.place_of(entries[-1]) if len(entries) == exports.ROWS else None

    export = exports.Export(LEDGER_COLUMNS, read_page, format="csv", compress=False)
    headers = {"Content-Disposition": f'attachment; filename="ledger-{tenant.slug}.csv"'}
    return StreamingHttpResponse(
        export.blocks(export.block()), content_type=exports.MEDIA_TYPES["csv"], headers=headers
    )
