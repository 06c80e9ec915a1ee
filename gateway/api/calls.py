"""What happens to calls whose client leaves."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gateway.models import CallSettings
from tenants.bodies import Body
from tenants.management_views import ManagementView, read
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
            return Response(shown(_row()))

    @extend_schema(operation_id="change_call_settings", request=CallSettingsBody, responses=CallSettingsBody)
    def patch(self, request: Request) -> Response:
        values = read(CallSettingsBody(data=request.data))
        with self.changing():
            row = _row()
            before = shown(row)
            for name, value in values.items():
                setattr(row, name, value)
            row.save()
            after = shown(row)
            self.record("call_settings.changed", "call settings", before=before, after=after)
        return Response(after)


def _row() -> CallSettings:
    """The tenant's, or the defaults."""
    return CallSettings.objects.first() or CallSettings()
