"""The audit log of a workspace: who did what, from where, with the values before and after."""

from __future__ import annotations

from typing import NamedTuple

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET
from rest_framework.exceptions import ValidationError

from tenants import trail
from tenants.access import allowed, membership_of
from tenants.models import AuditEvent, Membership
from tenants.roles import Action
from tenants.settings_forms import TrailForm
from tenants.trail import Change

PAGE = 50
# Whom the field “Who” offers.
OFFERED = 200


class Act(NamedTuple):
    event: AuditEvent
    changes: list[Change]


@allowed(Action.AUDIT)
@require_GET
def audit(request: HttpRequest, slug: str) -> HttpResponseBase:
    tenant = membership_of(request).tenant
    form = TrailForm(request.GET)
    is_valid = form.is_valid()
    found = trail.found(tenant, form.cleaned_data)
    try:
        page = trail.ORDER.page(found, PAGE, request.GET.get("after"))
    except ValidationError:
        return redirect("audit", slug)
    asked = request.GET.copy()
    asked.pop("after", None)
    what = form.cleaned_data.get("what", "")
    context = {
        "acts": [Act(event, trail.changes(event)) for event in page.rows] if is_valid else [],
        "after": page.next if is_valid else None,
        "asked": asked.urlencode(),
        "is_filtered": any(form.cleaned_data.values()),
        "is_later": "after" in request.GET,
        "form": form,
        "areas": [(name, label) for name, (label, _) in trail.AREAS.items()],
        "what": what,
        "is_one_action": bool(what) and what not in trail.AREAS,
        "people": Membership.objects.filter(tenant=tenant).values_list("user__email", flat=True)[:OFFERED],
    }
    return render(request, "tenants/settings/audit.html", context, status=200 if is_valid else 400)
