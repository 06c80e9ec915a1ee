"""Suspends tenants and takes them back. A suspended one's keys are refused everywhere within a second; its members
still see their pages."""

from __future__ import annotations

from django.db import transaction

from tenants import audit
from tenants.models import Tenant, User


def suspend(tenant: Tenant, *, actor: User | None = None, ip: str | None = None) -> bool:
    """Whether it was active until now."""
    return _set_status(tenant, Tenant.Status.SUSPENDED, "tenant.suspended", actor, ip)


def reactivate(tenant: Tenant, *, actor: User | None = None, ip: str | None = None) -> bool:
    """Whether it was suspended until now."""
    return _set_status(tenant, Tenant.Status.ACTIVE, "tenant.reactivated", actor, ip)


def _set_status(tenant: Tenant, status: Tenant.Status, action: str, actor: User | None, ip: str | None) -> bool:
    with transaction.atomic():
        current = Tenant.objects.select_for_update().get(pk=tenant.pk)
        before, current.status = current.status, status
        tenant.status = status
        if before == status:
            return False
        current.save(update_fields=["status"])
        audit.record(
            action,
            tenant=current,
            actor=actor,
            target=current.slug,
            before={"status": before},
            after={"status": status},
            ip=ip,
        )
    return True
