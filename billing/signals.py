"""Every tenant begins on the Free plan; what changes a limit or a price makes snapshots forget."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from billing.models import Plan, PriceOverride, Subscription
from tenants import revocations
from tenants.models import Tenant
from tenants.signals import tenant_created

FIRST_PLAN = "free"


@receiver(tenant_created)
def begin_on_the_free_plan(tenant: Tenant, **_: Any) -> None:
    Subscription.objects.create(tenant=tenant, plan_id=FIRST_PLAN)


@receiver(post_save, sender=Subscription)
def forget_tenant(instance: Subscription, **_: Any) -> None:
    revocations.publish(f"tenant:{instance.tenant_id}")


@receiver(post_save, sender=Plan)
def forget_all(**_: Any) -> None:
    revocations.publish("*")


@receiver([post_save, post_delete], sender=PriceOverride)
def forget_prices(**_: Any) -> None:
    revocations.publish("prices")
