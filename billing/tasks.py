"""Celery's part: usage and new addresses go to Stripe, subscriptions not heard of are looked at, old events let go."""

from __future__ import annotations

import datetime as dt
import logging
import time
from typing import Any

from celery import shared_task
from django.db import close_old_connections
from django.db.models import Q
from django.utils import timezone
from djstripe.models import Event, WebhookEventTrigger

from billing.models import Subscription
from billing.stripe import configuration, customers, meters, state
from billing.stripe.errors import BillingError, Unavailable
from tenants.db import alone
from tenants.models import Tenant

logger = logging.getLogger(__name__)

# Events may be lost: an endpoint that was wrong for days gets none again.
UNHEARD = dt.timedelta(days=1)
# At Stripe's rate limit, and in one run.
LOOKS = 500
# Of Postgres' advisory locks. With the time that a run has, each task keeps one worker at most, and gives it back:
# usage is booked by the others meanwhile.
METERS_LOCK, LOOKS_LOCK = 0x6D6574657273, 0x6C6F6F6B73
ROUND_S = 30.0
# Stripe is away, not one customer's affairs in disorder.
FAILURES = 3
# Stripe sends an event again for three days. One that came back later would do no harm: it is only looked into.
KEPT = dt.timedelta(days=90)


@shared_task
def report_meters() -> int:
    """For how many tenants Stripe has what the ledger says. One at a time; who finds no time has it the next time."""
    close_old_connections()
    if not configuration.configured():
        return 0
    with alone(METERS_LOCK) as is_alone:
        return _report(until=time.monotonic() + ROUND_S) if is_alone else 0


def _report(until: float) -> int:
    done = failures = 0
    # In any order: one whose reports fail or take long does not keep the same others waiting each time.
    for tenant in meters.tenants_with_work().order_by("?"):
        if time.monotonic() >= until:
            logger.warning("not all usage was reported within %d s: the rest follows", ROUND_S)
            break
        try:
            meters.report(tenant)
            done += 1
        except Unavailable:
            failures += 1
            if failures == FAILURES:
                break
        except BillingError as error:
            logger.error("usage of %s waits: %s", tenant, error)
    return done


@shared_task
def refresh_subscriptions() -> int:
    """Looks at customers of whom nothing was heard for a day; at how many. One at a time."""
    close_old_connections()
    if not configuration.configured():
        return 0
    with alone(LOOKS_LOCK) as is_alone:
        return _look(until=time.monotonic() + ROUND_S) if is_alone else 0


def _look(until: float) -> int:
    unheard = Q(stripe_read_at=None) | Q(stripe_read_at__lt=timezone.now() - UNHEARD)
    due = Subscription.objects.filter(unheard, stripe_customer_id__isnull=False)
    # Deleted workspaces are left alone. In any order: those that fail do not keep others out.
    due = due.exclude(tenant__status=Tenant.Status.DELETED).select_related("tenant").order_by("?")
    done = 0
    for tenant in (subscription.tenant for subscription in due[:LOOKS]):
        if time.monotonic() >= until:
            break
        try:
            state.refresh(tenant)
            done += 1
        except Unavailable:
            break
        except BillingError as error:
            logger.error("the subscription of %s was not looked at: %s", tenant, error)
    return done


@shared_task(bind=True, autoretry_for=(Unavailable,), retry_backoff=10, retry_backoff_max=600, max_retries=12)
def update_customer(self: Any, tenant_id: int, before: dict[str, str]) -> None:
    """Tells Stripe of another name or address. A workspace that is gone needs none."""
    close_old_connections()
    tenant = Tenant.objects.filter(pk=tenant_id).first()
    if tenant is None or not configuration.configured():
        return
    try:
        customers.update(tenant, before, self.request.id)
    except Unavailable:
        raise
    except BillingError as error:
        logger.error("Stripe has the name and address that %s had before: %s", tenant, error)


@shared_task
def purge_events() -> int:
    """Deletes dj-stripe's copies of old events, and of what was posted as one; how many."""
    close_old_connections()
    before = timezone.now() - KEPT
    posted: int = WebhookEventTrigger.objects.filter(created__lt=before).delete()[0]
    events: int = Event.objects.filter(djstripe_created__lt=before).delete()[0]
    return posted + events
