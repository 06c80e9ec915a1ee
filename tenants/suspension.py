"""Suspends tenants and takes them back. A suspended one's keys are refused everywhere within a second; its members
still see their pages."""

from __future__ import annotations

from typing import Unpack

from django.db import transaction

from tenants import audit
from tenants.audit import By
from tenants.models import Tenant


def suspend(tenant: Tenant, **by: Unpack[By]) -> bool:
    """Whether it was active until now."""
    return _set_status(tenant, Tenant.Status.SUSPENDED, "tenant.suspended", by)


def reactivate(tenant: Tenant, **by: Unpack[By]) -> bool:
    """Whether it was suspended until now."""
    return _set_status(tenant, Tenant.Status.ACTIVE, "tenant.reactivated", by)


def _set_status(tenant: Tenant, status: Tenant.Status, action: str, by: By) -> bool:
    with transaction.atomic():
        current = Tenant.objects.select_for_update(no_key=True).filter(pk=tenant.pk).first()
        if current is None:
            # It has been deleted meanwhile.
            return False
        before, current.status = current.status, status
        tenant.status = status
        if before == status:
            return False
        current.save(update_fields=["status"])
        audit.record(
            action,
            tenant=current,
            target=current.slug,
            before={"status": before},
            after={"status": status},
            **by,
        )
    return True
