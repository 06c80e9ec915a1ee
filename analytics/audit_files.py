"""A workspace's audit log to take away, as CSV or JSON lines, however long it is: with the filters of its page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_GET

from analytics import exports
from tenants import trail
from tenants.access import allowed, membership_of
from tenants.roles import Action
from tenants.settings_forms import TrailForm


@allowed(Action.AUDIT)
@require_GET
def audit_file(request: HttpRequest, slug: str, format: str) -> HttpResponseBase:
    """Newest first. Filters that cannot be are named on the page."""
    form = TrailForm(request.GET)
    if not form.is_valid():
        return redirect(f"{reverse('audit', args=[slug])}?{request.GET.urlencode()}")
    found = trail.found(membership_of(request).tenant, form.cleaned_data)

    def read_page(place: Sequence[Any] | None) -> tuple[list[exports.Row], Sequence[Any] | None]:
        events = list(trail.ORDER.after(found, place)[: exports.ROWS])
        rows = [trail.row(event) for event in events]
        return rows, trail.ORDER.place_of(events[-1]) if len(events) == exports.ROWS else None

    export = exports.Export(trail.COLUMNS, read_page, format=format, compress=False)
    headers = {"Content-Disposition": f'attachment; filename="audit-{slug}.{format}"'}
    return StreamingHttpResponse(
        export.blocks(export.block()), content_type=exports.MEDIA_TYPES[format], headers=headers
    )
