"""Tells a tenant's open dashboards that something was booked. A dashboard that misses it sees it with the next one."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

from analytics.events import UsageEvent
from tenants import keyspace
from tenants.models import Tenant

logger = logging.getLogger(__name__)

LATEST = 20


def publish(tenant: Tenant, events: Sequence[UsageEvent]) -> None:
    """Never raises: the books are right without it."""
    layer = get_channel_layer()
    latest = sorted(events, key=lambda event: event.at)[-LATEST:]
    message = {"type": "usage.booked", "records": [row_of(event) for event in reversed(latest)]}
    try:
        async_to_sync(layer.group_send)(keyspace.live_group(tenant.pk), message)
    except Exception as error:
        logger.warning("dashboards of %s were not told: %s", tenant, error)


def row_of(event: UsageEvent) -> dict[str, object]:
    """A line of “latest requests”: no prompt, no secret."""
    return {
        "id": event.id,
        "at": event.at,
        "outcome": event.outcome,
        "coalesced": event.coalesced,
        "status": event.status,
        "error": event.error,
        "model": event.model,
        "provider": event.provider,
        "simulated": event.simulated,
        "tokens": event.prompt_tokens + event.completion_tokens,
        "latency_ms": event.latency_ms,
        "cost_usd": None if event.cost_usd is None else str(event.cost_usd),
        "saved_usd": None if event.saved_usd is None else str(event.saved_usd),
        "similarity": event.similarity,
        "request_id": event.request_id,
    }
