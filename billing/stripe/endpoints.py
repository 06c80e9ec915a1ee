"""Where Stripe tells of events, and what its customer portal offers. Both are made, or brought up to date."""

from __future__ import annotations

import urllib.parse
import uuid
from collections.abc import Iterator

import djstripe.models as mirror
import stripe
from django.conf import settings
from django.urls import reverse

from billing.stripe.client import Object, ask, v1
from billing.stripe.events import HEARD, MIRRORED
from billing.stripe.products import Done, keep

# How we know ours among others in the same account.
OURS = {"nexus": "gateway"}
EVENTS = sorted({*HEARD, *MIRRORED})


def sync() -> Iterator[Done]:
    configuration, did = _portal()
    yield Done("portal", "configuration", did, configuration["id"])
    yield _webhook()


def portal_id() -> str | None:
    """Of our portal's configuration; None: the account's own is used."""
    for configuration in ask(v1().billing_portal.configurations.list, {"active": True, "limit": 100})["data"]:
        if OURS.items() <= (configuration["metadata"] or {}).items():
            return str(configuration["id"])
    return None


def _portal() -> tuple[Object, str]:
    """Cards, addresses, invoices, and leaving at the period's end. Plans are changed here, where several prices make
    one of them: the portal can only swap single ones.
    """
    wanted: Object = {
        "metadata": OURS,
        "default_return_url": settings.PUBLIC_URL,
        "features": {
            "customer_update": {"enabled": True, "allowed_updates": ["address", "email", "name", "tax_id"]},
            "invoice_history": {"enabled": True},
            "payment_method_update": {"enabled": True},
            "subscription_cancel": {"enabled": True, "mode": "at_period_end"},
            "subscription_update": {"enabled": False},
        },
    }
    found = portal_id()
    if found is None:
        return ask(v1().billing_portal.configurations.create, wanted), "created"
    return ask(v1().billing_portal.configurations.update, found, wanted), "updated"


def _webhook() -> Done:
    """A secret is shown only when an endpoint is made: one whose secret we lack is replaced."""
    ours = [
        endpoint
        for endpoint in ask(v1().webhook_endpoints.list, {"limit": 100})["data"]
        if OURS.items() <= (endpoint["metadata"] or {}).items() and _is_here(endpoint)
    ]
    for endpoint in ours:
        row = mirror.WebhookEndpoint.objects.filter(id=endpoint["id"]).exclude(secret="").first()
        if row is not None:
            return _update(endpoint, row)
    did = "created"
    for endpoint in ours:
        ask(v1().webhook_endpoints.delete, endpoint["id"])
        mirror.WebhookEndpoint.objects.filter(id=endpoint["id"]).delete()
        did = f"replaced {endpoint['id']}, whose secret was not kept"
    made = _create()
    return Done("webhook", made["url"], did, made["id"])


def _is_here(endpoint: Object) -> bool:
    """Of this gateway: known in its database, or at its address. Others on the same account have endpoints, too."""
    return endpoint["url"].startswith(f"{settings.PUBLIC_URL}/") or bool(
        mirror.WebhookEndpoint.objects.filter(id=endpoint["id"]).exists()
    )


def _update(endpoint: Object, row: mirror.WebhookEndpoint) -> Done:
    url = _url(row.djstripe_uuid)
    did = "unchanged"
    if endpoint["url"] != url or sorted(endpoint["enabled_events"]) != EVENTS or endpoint["status"] != "enabled":
        changed = {"url": url, "enabled_events": EVENTS, "disabled": False}
        endpoint = ask(v1().webhook_endpoints.update, endpoint["id"], changed)
        did = "updated"
    keep(mirror.WebhookEndpoint, endpoint)
    return Done("webhook", url, did, endpoint["id"])


def _create() -> Object:
    id_ = uuid.uuid4()
    wanted = {
        "url": _url(id_),
        "enabled_events": EVENTS,
        # Events in the shape of the version that this code was written for.
        "api_version": stripe.api_version,
        "metadata": {**OURS, "djstripe_uuid": str(id_)},
        "description": "NexusGateway",
    }
    made = ask(v1().webhook_endpoints.create, wanted)
    keep(mirror.WebhookEndpoint, made)
    mirror.WebhookEndpoint.objects.filter(id=made["id"]).update(secret=made["secret"], djstripe_uuid=id_)
    return made


def _url(id_: uuid.UUID) -> str:
    path = reverse("djstripe:djstripe_webhook_by_uuid", kwargs={"uuid": id_})
    return urllib.parse.urljoin(f"{settings.PUBLIC_URL}/", path.lstrip("/"))
