"""What happens to calls whose client leaves."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gateway.models import CallSettings
from tenants import audit
from tenants.audit import By
from tenants.bodies import Body
from tenants.management_views import ManagementView, changing, read
from tenants.models import Tenant
from tenants.roles import Action


class CallSettingsBody(Body):
    on_disconnect = serializers.ChoiceField(CallSettings.OnDisconnect.choices, required=False)
    drain_limit_s = serializers.IntegerField(
        min_value=0, max_value=3600, required=False, help_text="A drained answer is stopped after this."
    )


def shown(row: CallSettings) -> dict[str, Any]:
    return dict(CallSettingsBody(row).data)


class CallSettingsView(ManagementView):
    """What happens when a client leaves before its answer is complete."""

    action = Action.ROUTES

    @extend_schema(operation_id="read_call_settings", responses=CallSettingsBody)
    def get(self, request: Request) -> Response:
        with self.reading():
            return Response(shown(row_of_settings()))

    @extend_schema(operation_id="change_call_settings", request=CallSettingsBody, responses=CallSettingsBody)
    def patch(self, request: Request) -> Response:
        values = read(CallSettingsBody(data=request.data))
        return Response(change(self.key.tenant, values, self.by()))


def change(tenant: Tenant, values: dict[str, Any], by: By) -> dict[str, Any]:
    """What holds then; `values` as CallSettingsBody has checked them. Raises Conflict."""
    with changing(tenant):
        after: dict[str, Any] = audit.change(
            "call_settings.changed", row_of_settings(), values, shown, tenant=tenant, target="call settings", **by
        )
    return after


def row_of_settings() -> CallSettings:
    """The tenant's, or the defaults."""
    return CallSettings.objects.first() or CallSettings()
