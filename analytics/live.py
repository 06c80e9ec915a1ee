"""Tells a tenant's open dashboards that something was booked. A dashboard that misses it sees it with the next one."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

from tenants import keyspace
from tenants.models import Tenant

logger = logging.getLogger(__name__)


def publish(tenants: Iterable[Tenant]) -> None:
    """Never raises: the books are right without it."""
    try:
        async_to_sync(_send)([keyspace.live_group(tenant.pk) for tenant in tenants])
    except Exception as error:
        logger.warning("dashboards were not told: %s", error)


async def _send(groups: list[str]) -> None:
    layer = get_channel_layer()
    for group in groups:
        await layer.group_send(group, {"type": "usage.booked"})
