"""`tenant_created`, and what snapshots must forget when a tenant or a key changes."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_delete, post_save
from django.dispatch import Signal, receiver

from tenants import revocations
from tenants.models import ApiKey, Tenant

# Sent with `tenant`, within the transaction that creates it.
tenant_created = Signal()
# Sent with `tenant` and `before`, within the transaction that gives it another name or another address for letters; of
# these two `before` has the one that changed, or both.
tenant_changed = Signal()
# Sent with `tenant` and `by`, before an owner's workspace is deleted and not in a transaction. A receiver that raises
# `tenants.deletion.StillBound` keeps it.
tenant_ending = Signal()


@receiver([post_save, post_delete], sender=ApiKey)
def forget_key(instance: ApiKey, **_: Any) -> None:
    revocations.publish(f"key:{instance.public_id}")


@receiver(post_save, sender=Tenant)
def forget_tenant(instance: Tenant, **_: Any) -> None:
    revocations.publish(f"tenant:{instance.pk}")
