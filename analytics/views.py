"""A workspace's ledger, to take away."""

from __future__ import annotations

from typing import cast

from django.http import HttpRequest, StreamingHttpResponse
from django.views.decorators.http import require_GET

from analytics.api.exports import LEDGER, as_file
from billing.models import LedgerEntry
from tenants.access import allowed
from tenants.middleware import WorkspaceRequest
from tenants.roles import Action


@allowed(Action.FIGURES)
@require_GET
def ledger_csv(request: HttpRequest, slug: str) -> StreamingHttpResponse:
    """The whole ledger, as GET /api/billing/ledger?format=csv gives it to keys."""
    tenant = cast(WorkspaceRequest, request).membership.tenant
    booked = LedgerEntry.objects.filter(tenant=tenant)
    accepted = request.headers.get("Accept-Encoding", "")
    return as_file(tenant, LEDGER, booked, format="csv", accept_encoding=accepted)
