"""What was raised in the workspace, the newest first."""

from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from analytics.alerts import changes
from analytics.alerts.kinds import KINDS, TEST
from analytics.alerts.models import AlertEvent
from analytics.alerts.telling import line_of, title_of
from tenants.management_views import ManagementView, read
from tenants.paging import Order, PageQuery
from tenants.roles import Action

ORDER = Order("alerts", ("at", "id"), descending=True)


class AlertsQuery(PageQuery):
    kind = serializers.ChoiceField([*sorted(KINDS), TEST], required=False)
    unread = serializers.BooleanField(required=False, help_text="True: only those that nobody has marked as read.")


class AlertSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    kind = serializers.CharField()
    subject = serializers.CharField(help_text="What it is about: the workspace, a key, an endpoint.")
    title = serializers.CharField()
    text = serializers.CharField()
    facts = serializers.DictField(help_text="The figures, as in a webhook's `data.facts`.")
    at = serializers.DateTimeField()
    read_at = serializers.DateTimeField(allow_null=True)


class AlertListSerializer(serializers.Serializer[Any]):
    object = serializers.CharField()
    data = AlertSerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="The next page's `cursor`; null: this is the last.")


def shown(event: AlertEvent) -> dict[str, Any]:
    return {
        "id": str(event.pk),
        "kind": event.kind,
        "subject": event.subject,
        "title": title_of(event.kind, event.facts),
        "text": line_of(event.kind, event.facts),
        "facts": event.facts,
        "at": event.at,
        "read_at": event.read_at,
    }


class AlertsView(ManagementView):
    """The workspace's alerts, a page at a time."""

    action = Action.ALERTS

    @extend_schema(operation_id="list_alerts", parameters=[AlertsQuery], responses=AlertListSerializer)
    def get(self, request: Request) -> Response:
        query = read(AlertsQuery(data=request.query_params.dict()))
        with self.reading():
            found = AlertEvent.objects.all()
            if "kind" in query:
                found = found.filter(kind=query["kind"])
            if query.get("unread"):
                found = found.filter(read_at=None)
            page = ORDER.page(found, query["limit"], query.get("cursor"))
            return Response({"object": "list", "data": [shown(event) for event in page.rows], "next": page.next})


class AlertReadView(ManagementView):
    """Marks an alert as read."""

    action = Action.ALERTS

    @extend_schema(operation_id="mark_alert_read", request=None, responses=AlertSerializer)
    def post(self, request: Request, id: uuid.UUID) -> Response:
        return Response(shown(changes.mark_read(self.key.tenant, id, self.by())))
