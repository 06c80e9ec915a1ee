"""Freezes a tenant for as long as it is moved to another database: its apps are told to try again, its pages show and
change nothing. Within a second, everywhere; whether it is active or suspended stays as it was.
"""

from __future__ import annotations

from typing import Any, Unpack

from django.db import transaction
from django.utils import timezone

from tenants import audit
from tenants.audit import By
from tenants.models import Tenant

WORDS = "This workspace is being moved; try again in a moment."
CODE = "tenant_moving"
RETRY_AFTER_S = 10


def freeze(tenant: Tenant, **by: Unpack[By]) -> bool:
    """Whether it was not frozen until now."""
    return _set(tenant, "tenant.frozen", by, frozen=True)


def unfreeze(tenant: Tenant, **by: Unpack[By]) -> bool:
    """Whether it was frozen until now."""
    return _set(tenant, "tenant.unfrozen", by, frozen=False)


def _set(tenant: Tenant, action: str, by: By, *, frozen: bool) -> bool:
    with transaction.atomic():
        current: Any = Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
        changed = (current.moving_since is not None) != frozen
        if changed:
            current.moving_since = timezone.now() if frozen else None
            current.save(update_fields=["moving_since"])
            audit.record(action, tenant=current, target=current.slug, **by)
    tenant.moving_since = current.moving_since
    return changed
