"""Goes round the tenants: what waits of their samples is judged, and their thresholds follow.

One round at a time, on one worker, however slow providers are: the others book what is used. Many tenants at the same
time, and in another order each time, so that nobody is always the last.
"""

from __future__ import annotations

import logging
import random
import time
from concurrent.futures import ThreadPoolExecutor

from django.db import DatabaseError, connection, connections

from gateway.cache import judging, tuning
from tenants.models import Tenant

logger = logging.getLogger(__name__)

AT_ONCE = 8
# Whoever has not had a turn by then has one in the next round.
ROUND_S = 25.0
# Of Postgres' advisory locks.
LOCK = 0x6A75646765


def go_round() -> int:
    """The number of tenants that had something to do."""
    busy = [tenant for tenant in Tenant.objects.all() if _has_work(tenant)]
    random.shuffle(busy)
    until = time.monotonic() + ROUND_S
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda tenant: _attend(tenant, until), busy))
    return len(busy)


def _has_work(tenant: Tenant) -> bool:
    try:
        return any(tuning.due(tenant.schema_name))
    except DatabaseError:
        if not connection.is_usable():
            raise
        # It may be deleted in this moment.
        logger.exception("nobody knows what %s has to do", tenant)
        return False


def _attend(tenant: Tenant, until: float) -> None:
    if time.monotonic() >= until:
        return
    try:
        judging.judge_some(tenant)
        if tuning.due(tenant.schema_name).tune:
            tuning.tune(tenant)
    except Exception:
        logger.exception("the verdicts of %s wait for the next round", tenant)
    finally:
        # This thread's own.
        connections.close_all()
