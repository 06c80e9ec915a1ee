"""Books at once what waits of one tenant's usage, where billing cannot wait for the next round."""

from __future__ import annotations

import logging
import time
from typing import Any

from django.dispatch import receiver

from analytics import books
from analytics.drain import Drain
from billing.signals import usage_wanted
from tenants import keyspace
from tenants.db import open_redis
from tenants.models import Tenant

logger = logging.getLogger(__name__)

# Somebody waits for a page.
PATIENCE_S = 3.0
PAUSE_S = 0.05


@receiver(usage_wanted)
def book_what_waits(tenant: Tenant, **_: Any) -> None:
    """Waits, too, for what a worker has taken and not booked yet. Raises RedisError."""
    stream = keyspace.usage_stream(keyspace.partition(tenant.pk))
    until = time.monotonic() + PATIENCE_S
    with open_redis(timeout_s=PATIENCE_S) as client:
        drain = Drain(client, [stream])
        while time.monotonic() < until:
            drain.run(until - time.monotonic())
            if next(books.events_in(client, stream, tenant.pk), None) is None:
                return
            time.sleep(PAUSE_S)
    logger.warning("usage of %s is not booked yet, though it was waited for", tenant)
