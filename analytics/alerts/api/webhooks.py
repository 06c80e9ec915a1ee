"""The workspace's webhook endpoints. A secret is shown once, when it is made; addresses are public ones only."""

from __future__ import annotations

import datetime as dt
import urllib.parse
import uuid
from typing import Any

from django.conf import settings
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from analytics.alerts import signing, standing
from analytics.alerts.kinds import KINDS
from analytics.alerts.models import URL_LENGTH, WebhookEndpoint
from tenants import secretbox
from tenants.bodies import Body
from tenants.management_views import Conflict, ManagementView, listed, missing, printable, read
from tenants.network import PrivateAddress, check_now, host_of
from tenants.roles import Action

MAX_ENDPOINTS = 20
OVERLAP = dt.timedelta(hours=24)


class WebhookBody(Body):
    id = serializers.UUIDField(read_only=True)
    url = serializers.CharField(max_length=URL_LENGTH, help_text="https, at a public address.")
    description = serializers.CharField(max_length=200, required=False, allow_blank=True, validators=[printable])
    kinds = serializers.ListField(
        child=serializers.ChoiceField(sorted(KINDS)),
        required=False,
        max_length=len(KINDS),
        help_text="Alerts that are posted there; empty: all.",
    )
    enabled = serializers.BooleanField(required=False, help_text="What waits for one that is switched off is given up.")
    off_reason = serializers.CharField(read_only=True, help_text="Why it was switched off, where we did it.")
    failing_since = serializers.DateTimeField(read_only=True, allow_null=True)
    previous_secret_until = serializers.DateTimeField(
        read_only=True, allow_null=True, source="previous_until", help_text="Until then both secrets sign."
    )
    created_at = serializers.DateTimeField(read_only=True)

    def validate_url(self, url: str) -> str:
        _check_url(url)
        return url


class WebhookListSerializer(serializers.Serializer[Any]):
    object = serializers.CharField()
    data = WebhookBody(many=True)


class MadeWebhookSerializer(WebhookBody):
    secret = serializers.CharField(read_only=True, help_text="Signs what is posted. Shown once: keep it.")


def _check_url(url: str) -> None:
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = host_of(url), parts.port
    except ValueError:
        raise serializers.ValidationError("This is not a URL.") from None
    schemes = {"https", "http"} if settings.PRIVATE_WEBHOOKS else {"https"}
    if parts.scheme not in schemes or not host or not url.isprintable() or " " in url or "\\" in url:
        raise serializers.ValidationError("It must be a URL such as https://hooks.example.com/alerts.")
    if "@" in parts.netloc:
        raise serializers.ValidationError("It must hold no user or password; what is posted is signed.")
    if "#" in url:
        raise serializers.ValidationError("It must have no fragment.")
    if settings.PRIVATE_WEBHOOKS:
        return
    try:
        check_now(url)
    except PrivateAddress as error:
        raise serializers.ValidationError(f"{error}; webhooks are posted to public addresses only.") from None


def shown(endpoint: WebhookEndpoint) -> dict[str, Any]:
    return dict(WebhookBody(endpoint).data)


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
        secret = signing.make_secret()
        with self.changing():
            if WebhookEndpoint.objects.count() >= MAX_ENDPOINTS:
                raise Conflict(f"A workspace has {MAX_ENDPOINTS} endpoints at most.", "limit_reached")
            endpoint = WebhookEndpoint.objects.create(secret=secretbox.seal(secret), **values)
            after = shown(endpoint)
            self.record("webhook.created", str(endpoint.pk), after=after)
        return Response({**after, "secret": secret}, status=201)


class EndpointView(ManagementView):
    """One endpoint."""

    action = Action.ALERTS

    @extend_schema(operation_id="read_webhook", responses=WebhookBody)
    def get(self, request: Request, id: uuid.UUID) -> Response:
        with self.reading():
            return Response(shown(find(id)))

    @extend_schema(operation_id="change_webhook", request=WebhookBody(partial=True), responses=WebhookBody)
    def patch(self, request: Request, id: uuid.UUID) -> Response:
        """Fields that are left out stay as they are. Switched on, it begins anew, without its failures."""
        # A name is looked up here: not while others wait for the workspace's lock.
        values = read(WebhookBody(data=request.data, partial=True))
        with self.changing():
            endpoint = find(id, changing=True)
            before = shown(endpoint)
            for name, value in values.items():
                setattr(endpoint, name, value)
            if endpoint.enabled:
                endpoint.off_reason = ""
            if endpoint.enabled and not before["enabled"]:
                endpoint.failing_since = None
            endpoint.save()
            if not endpoint.enabled:
                standing.give_up(endpoint)
            after = shown(endpoint)
            self.record("webhook.changed", str(id), before=before, after=after)
        return Response(after)

    @extend_schema(operation_id="delete_webhook", request=None, responses={204: None})
    def delete(self, request: Request, id: uuid.UUID) -> Response:
        """With the log of what was sent there."""
        with self.changing():
            endpoint = find(id, changing=True)
            self.record("webhook.deleted", str(id), before=shown(endpoint))
            endpoint.delete()
        return Response(status=204)


class RotateView(ManagementView):
    """A new secret; for a day what is posted is signed with the one before, too."""

    action = Action.ALERTS

    @extend_schema(operation_id="rotate_webhook_secret", request=None, responses=MadeWebhookSerializer)
    def post(self, request: Request, id: uuid.UUID) -> Response:
        """Again within the day, the oldest of three is forgotten at once."""
        secret = signing.make_secret()
        with self.changing():
            endpoint = find(id, changing=True)
            endpoint.previous_secret, endpoint.previous_until = endpoint.secret, timezone.now() + OVERLAP
            endpoint.secret = secretbox.seal(secret)
            endpoint.save(update_fields=["secret", "previous_secret", "previous_until"])
            after = shown(endpoint)
            self.record(
                "webhook.secret_rotated", str(id), after={"previous_secret_until": after["previous_secret_until"]}
            )
        return Response({**after, "secret": secret})


def find(id: uuid.UUID, *, changing: bool = False) -> WebhookEndpoint:
    """Raises NotFound. For a change, the row is locked: the outbox writes to it, too."""
    rows = WebhookEndpoint.objects.select_for_update(no_key=True) if changing else WebhookEndpoint.objects.all()
    endpoint = rows.filter(pk=id).first()
    if endpoint is None:
        raise missing("webhook endpoint", str(id))
    return endpoint
