"""What billing tells the apps above, once it is committed; every tenant begins on the Free plan; what changes a limit
or a price makes snapshots forget.
"""

from __future__ import annotations

import functools
from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import Signal, receiver

from billing.models import FREE, Plan, PlatformLimits, PriceOverride, Subscription
from tenants import revocations
from tenants.models import Tenant
from tenants.signals import tenant_created

# Each is sent with `tenant`, and with these facts as plain values:
# before, after: codes of plans.
plan_changed = Signal()
# plan, amount_usd (a Decimal or None), grace_until, next_attempt_at (or None), invoice_url (or "").
payment_failed = Signal()
# plan.
payment_recovered = Signal()
# plan, trial_end, card_known (bool): days before a trial ends.
trial_ends = Signal()
# Nothing: all that the tenant has used is to be booked before this returns. Not sent within a transaction.
usage_wanted = Signal()


def tell(signal: Signal, tenant: Tenant, **facts: Any) -> None:
    """A receiver that fails is logged, and keeps nobody from what they have paid for."""
    send = functools.partial(signal.send_robust, sender=Subscription, tenant=tenant, **facts)
    transaction.on_commit(send, robust=True)


@receiver(tenant_created)
def begin_on_the_free_plan(tenant: Tenant, **_: Any) -> None:
    Subscription.objects.create(tenant=tenant, plan_id=FREE)


@receiver(post_save, sender=Subscription)
def forget_tenant(instance: Subscription, **_: Any) -> None:
    revocations.publish(f"tenant:{instance.tenant_id}")


@receiver(post_save, sender=Plan)
def forget_all(**_: Any) -> None:
    revocations.publish("*")


@receiver([post_save, post_delete], sender=PriceOverride)
def forget_prices(**_: Any) -> None:
    revocations.publish("prices")


@receiver(post_save, sender=PlatformLimits)
def forget_platform_limits(**_: Any) -> None:
    revocations.publish("platform")
