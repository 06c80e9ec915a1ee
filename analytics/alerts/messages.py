"""What is sent for an alert: a signed webhook, or an email. The body is the same each time it is sent."""

from __future__ import annotations

import time
from typing import Any

import orjson
from django.utils import timezone
from django.utils.translation import gettext_noop

from analytics.alerts import letters, posting, signing
from analytics.alerts.models import AlertEvent, Delivery, WebhookEndpoint
from analytics.alerts.posting import Answer
from analytics.alerts.telling import line_of, title_of
from tenants import kept, secretbox
from tenants.models import Tenant

UNREADABLE = gettext_noop("Its secret cannot be read any more: rotate it.")
kept.keep(UNREADABLE)


def send(tenant: Tenant, delivery: Delivery) -> Answer:
    """Without a database connection of its own: its event and endpoint have been read with it."""
    if delivery.endpoint is None:
        return letters.send(tenant, delivery.event, delivery)
    try:
        usable = secrets_of(delivery.endpoint)
    except secretbox.Unreadable:
        return Answer(None, UNREADABLE, "", 0.0, 0)
    body = body_of(tenant, delivery.event)
    headers = signing.headers(usable, message_id(delivery.event), int(time.time()), body)
    return posting.post(delivery.endpoint.url, headers, body)


def message_id(event: AlertEvent) -> str:
    """The receiver's idempotency key: that of the event, however often it is sent."""
    return f"msg_{event.pk.hex}"


def body_of(tenant: Tenant, event: AlertEvent) -> bytes:
    data: dict[str, Any] = {
        "id": event.pk.hex,
        "workspace": tenant.slug,
        "subject": event.subject,
        "title": title_of(event.kind, event.facts),
        "text": line_of(event.kind, event.facts),
        "facts": event.facts,
    }
    return orjson.dumps({"type": f"alert.{event.kind}", "timestamp": event.at, "data": data}, option=orjson.OPT_UTC_Z)


def secrets_of(endpoint: WebhookEndpoint) -> list[str]:
    """The newest first. Raises Unreadable."""
    sealed = [bytes(endpoint.secret)]
    if endpoint.previous_secret and endpoint.previous_until and endpoint.previous_until > timezone.now():
        sealed.append(bytes(endpoint.previous_secret))
    return [secretbox.open_sealed(one) for one in sealed]
