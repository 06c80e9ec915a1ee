"""Tells a tenant's open dashboards that something was booked. A dashboard that misses it sees it with the next one."""

from __future__ import annotations

import logging

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

from tenants import keyspace
from tenants.models import Tenant

logger = logging.getLogger(__name__)


def publish(tenant: Tenant) -> None:
    """Never raises: the books are right without it."""
    try:
        async_to_sync(get_channel_layer().group_send)(keyspace.live_group(tenant.pk), {"type": "usage.booked"})
    except Exception as error:
        logger.warning("dashboards of %s were not told: %s", tenant, error)
