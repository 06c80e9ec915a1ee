"""Sends what waits in the tenants' outboxes, at least once: a message counts as sent after its answer was written down.

One sender at a time takes rows and hands them to threads; an endpoint has one message under way, a tenant a few, so
that a receiver that hangs holds up only itself. Whoever dies leaves rows that are due again after `LEASE`.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from django.db import DatabaseError, connection, connections, transaction
from django.db.models import Min
from django.utils import timezone

from analytics.alerts import messages, schedule, standing
from analytics.alerts.models import Delivery
from tenants.db import schema_of
from tenants.models import Tenant

logger = logging.getLogger(__name__)

AT_ONCE, AT_ONCE_A_TENANT = 32, 4
# Then another task gets the worker, once what is under way has ended.
ROUND_S = 30.0
LOOK_EVERY_S = 0.5
# Longer than any message takes: 15 s for a webhook, three times 10 s for a mail server that hangs.
LEASE = dt.timedelta(seconds=90)
# Of Postgres' advisory locks.
LOCK = 0x616C65727473

Flights = dict[Future[None], tuple[int, str]]


def send_due() -> int:
    """Until nothing is due or under way, or for `ROUND_S`; how many messages were handed over."""
    until, sent = time.monotonic() + ROUND_S, 0
    flights: Flights = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while True:
            taken = [] if time.monotonic() >= until else _take(flights)
            for tenant, delivery in taken:
                flights[pool.submit(_deliver, tenant, delivery)] = (tenant.pk, _receiver(delivery))
            sent += len(taken)
            if not flights:
                return sent
            done, _ = wait(flights, LOOK_EVERY_S, FIRST_COMPLETED)
            for flight in done:
                del flights[flight]
                flight.result()


def _receiver(delivery: Delivery) -> str:
    """One message at a time for each."""
    return str(delivery.endpoint_id or delivery.email)


def _take(flights: Flights) -> list[tuple[Tenant, Delivery]]:
    taken: list[tuple[Tenant, Delivery]] = []
    busy = {receiver for _, receiver in flights.values()}
    load = Counter(tenant_id for tenant_id, _ in flights.values())
    tenants = Tenant.objects.in_bulk(schedule.take_due(timezone.now()))
    for tenant in tenants.values():
        try:
            found = _claim(tenant, busy, min(AT_ONCE_A_TENANT - load[tenant.pk], AT_ONCE - len(flights) - len(taken)))
        except DatabaseError:
            if not connection.is_usable():
                raise
            # It may be deleted in this moment. The sweep comes back to it.
            logger.exception("the alerts of %s were not sent", tenant)
        else:
            taken += [(tenant, delivery) for delivery in found]
    return taken


def _claim(tenant: Tenant, busy: set[str], room: int) -> list[Delivery]:
    """The oldest of each receiver that has nothing under way. They are due again if nobody says how they went."""
    with schema_of(tenant):
        with transaction.atomic():
            now = timezone.now()
            due = Delivery.objects.filter(status=Delivery.Status.WAITING, next_at__lte=now)
            oldest = due.order_by("endpoint_id", "email", "next_at").distinct("endpoint_id", "email")
            free = sorted((one for one in oldest if _receiver(one) not in busy), key=_when_due)
            rows = due.filter(pk__in=[one.pk for one in free[: max(0, room)]])
            locked = list(rows.select_for_update(skip_locked=True, of=("self",)).select_related("event", "endpoint"))
            claimed = [one for one in locked if one.endpoint is None or one.endpoint.enabled]
            Delivery.objects.filter(pk__in=[one.pk for one in claimed]).update(next_at=now + LEASE)
            # Raised in the moment in which its endpoint was switched off.
            Delivery.objects.filter(pk__in=[one.pk for one in locked if one not in claimed]).update(
                status=Delivery.Status.FAILED, next_at=None
            )
        busy.update(map(_receiver, claimed))
        _plan(tenant)
    return claimed


def _when_due(delivery: Delivery) -> float:
    return delivery.next_at.timestamp() if delivery.next_at else 0.0


def _plan(tenant: Tenant) -> None:
    """When this tenant is to be looked at again. Within its schema."""
    waiting = Delivery.objects.filter(status=Delivery.Status.WAITING)
    if (first := waiting.aggregate(first=Min("next_at"))["first"]) is not None:
        # Those that are due wait for one under way: not in a tight loop.
        schedule.put(tenant.pk, max(first, timezone.now() + dt.timedelta(seconds=LOOK_EVERY_S)))


def _deliver(tenant: Tenant, delivery: Delivery) -> None:
    try:
        answer = messages.send(tenant, delivery)
        with schema_of(tenant):
            standing.note(tenant, delivery, answer)
            _plan(tenant)
    except Exception:
        # The row is due again when its lease ends.
        logger.exception("alert %s of %s was not sent", delivery.pk, tenant)
    finally:
        # This thread's own.
        connections.close_all()


def plan_all() -> None:
    """For the sweep: whatever waits anywhere, and Redis has lost."""
    for tenant in Tenant.objects.order_by("pk").iterator():
        try:
            with schema_of(tenant):
                _plan(tenant)
        except DatabaseError:
            if not connection.is_usable():
                raise
            logger.exception("nobody knows what alerts of %s wait", tenant)
