"""What became of each webhook, and sending once more: a test, or one that failed."""

from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from analytics.alerts import changes, messages
from analytics.alerts.changes import find_endpoint
from analytics.alerts.models import Delivery
from tenants.bodies import Body
from tenants.management_views import ManagementView, read
from tenants.paging import Order, PageQuery
from tenants.roles import Action

ORDER = Order("alert deliveries", ("created_at", "id"), descending=True)


class DeliveriesQuery(PageQuery):
    status = serializers.ChoiceField(Delivery.Status.choices, required=False)


class WebhookAttemptSerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    status = serializers.IntegerField(allow_null=True, help_text="The receiver's; null: there was no answer.")
    error = serializers.CharField(help_text="Empty: it was taken.")
    took_ms = serializers.IntegerField()


class WebhookDeliverySerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    webhook_id = serializers.CharField(help_text="As in the header of that name: the same each time it is sent.")
    type = serializers.CharField()
    alert = serializers.UUIDField()
    endpoint = serializers.UUIDField()
    status = serializers.ChoiceField(Delivery.Status.choices)
    attempts = WebhookAttemptSerializer(many=True, help_text="The last ones.")
    response = serializers.CharField(help_text="The beginning of the last answer's body.")
    next_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class WebhookDeliveryListSerializer(serializers.Serializer[Any]):
    object = serializers.CharField()
    data = WebhookDeliverySerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="The next page's `cursor`; null: this is the last.")


class AlertTestBody(Body):
    endpoint = serializers.UUIDField(help_text="The id of one of the workspace's endpoints.")


def shown(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": str(delivery.pk),
        "webhook_id": messages.message_id(delivery.event),
        "type": f"alert.{delivery.event.kind}",
        "alert": str(delivery.event_id),
        "endpoint": str(delivery.endpoint_id),
        "status": delivery.status,
        "attempts": delivery.attempts,
        "response": delivery.response,
        "next_at": delivery.next_at,
        "created_at": delivery.created_at,
    }


class DeliveriesView(ManagementView):
    """What was posted to an endpoint, the newest first."""

    action = Action.ALERTS

    @extend_schema(
        operation_id="list_webhook_deliveries", parameters=[DeliveriesQuery], responses=WebhookDeliveryListSerializer
    )
    def get(self, request: Request, id: uuid.UUID) -> Response:
        query = read(DeliveriesQuery(data=request.query_params.dict()))
        with self.reading():
            found = find_endpoint(id).deliveries.select_related("event")
            if "status" in query:
                found = found.filter(status=query["status"])
            page = ORDER.page(found, query["limit"], query.get("cursor"))
            return Response({"object": "list", "data": [shown(one) for one in page.rows], "next": page.next})


class AlertTestView(ManagementView):
    """Posts a test to an endpoint, within seconds and once; GET …/deliveries says how it went."""

    action = Action.ALERTS

    @extend_schema(operation_id="test_webhook", request=AlertTestBody, responses={202: WebhookDeliverySerializer})
    def post(self, request: Request) -> Response:
        values = read(AlertTestBody(data=request.data))
        return Response(shown(changes.send_test(self.key.tenant, values["endpoint"], self.by())), status=202)


class ReplayView(ManagementView):
    """Posts a webhook once more, with its own id, and if need be again as often as a new one."""

    action = Action.ALERTS

    @extend_schema(operation_id="replay_webhook_delivery", request=None, responses={202: WebhookDeliverySerializer})
    def post(self, request: Request, id: uuid.UUID) -> Response:
        return Response(shown(changes.replay(self.key.tenant, id, self.by())), status=202)
