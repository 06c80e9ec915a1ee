"""The workspace's webhook endpoints. A secret is shown once, when it is made; addresses are public ones only."""

from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from analytics.alerts import changes
from analytics.alerts.bodies import WebhookBody
from analytics.alerts.changes import find_endpoint, shown
from analytics.alerts.models import WebhookEndpoint
from tenants.management_views import ManagementView, listed, read
from tenants.roles import Action


class WebhookListSerializer(serializers.Serializer[Any]):
    object = serializers.CharField()
    data = WebhookBody(many=True)


class MadeWebhookSerializer(WebhookBody):
    secret = serializers.CharField(read_only=True, help_text="Signs what is posted. Shown once: keep it.")


class EndpointsView(ManagementView):
    """The workspace's endpoints, the oldest first."""

    action = Action.ALERTS

    @extend_schema(operation_id="list_webhooks", responses=WebhookListSerializer)
    def get(self, request: Request) -> Response:
        with self.reading():
            return Response(listed([shown(endpoint) for endpoint in WebhookEndpoint.objects.all()]))

    @extend_schema(operation_id="make_webhook", request=WebhookBody, responses={201: MadeWebhookSerializer})
    def post(self, request: Request) -> Response:
        values = read(WebhookBody(data=request.data))
        endpoint, secret = changes.make_endpoint(self.key.tenant, values, self.by())
        return Response({**shown(endpoint), "secret": secret}, status=201)


class EndpointView(ManagementView):
    """One endpoint."""

    action = Action.ALERTS

    @extend_schema(operation_id="read_webhook", responses=WebhookBody)
    def get(self, request: Request, id: uuid.UUID) -> Response:
        with self.reading():
            return Response(shown(find_endpoint(id)))

    @extend_schema(operation_id="change_webhook", request=WebhookBody(partial=True), responses=WebhookBody)
    def patch(self, request: Request, id: uuid.UUID) -> Response:
        """Fields that are left out stay as they are. Switched on, it begins anew, without its failures."""
        # A name is looked up here: not while others wait for the workspace's lock.
        values = read(WebhookBody(data=request.data, partial=True))
        return Response(shown(changes.change_endpoint(self.key.tenant, id, values, self.by())))

    @extend_schema(operation_id="delete_webhook", request=None, responses={204: None})
    def delete(self, request: Request, id: uuid.UUID) -> Response:
        """With the log of what was sent there."""
        changes.delete_endpoint(self.key.tenant, id, self.by())
        return Response(status=204)


class RotateView(ManagementView):
    """A new secret; for a day what is posted is signed with the one before, too."""

    action = Action.ALERTS

    @extend_schema(operation_id="rotate_webhook_secret", request=None, responses=MadeWebhookSerializer)
    def post(self, request: Request, id: uuid.UUID) -> Response:
        """Again within the day, the oldest of three is forgotten at once."""
        endpoint, secret = changes.rotate_secret(self.key.tenant, id, self.by())
        return Response({**shown(endpoint), "secret": secret})
