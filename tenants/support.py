"""Lets the platform's operators see a workspace's prompts and answers, for a while. Without it they never do."""

from __future__ import annotations

import datetime as dt
from typing import Unpack

from django.utils import timezone

from tenants import audit
from tenants.audit import By
from tenants.members import changing
from tenants.models import Tenant

DAYS = (1, 7)


def grant(tenant: Tenant, days: int, **by: Unpack[By]) -> None:
    """From now on; a second time it begins anew."""
    _set(tenant, timezone.now() + dt.timedelta(days=days), "support.granted", by)


def revoke(tenant: Tenant, **by: Unpack[By]) -> None:
    """At once."""
    _set(tenant, None, "support.revoked", by)


def is_open(tenant: Tenant) -> bool:
    return tenant.support_access_until is not None and tenant.support_access_until > timezone.now()


def _set(tenant: Tenant, until: dt.datetime | None, action: str, by: By) -> None:
    with changing(tenant):
        current = Tenant.objects.get(pk=tenant.pk)
        before = _told(current.support_access_until)
        current.support_access_until = tenant.support_access_until = until
        current.save(update_fields=["support_access_until"])
        audit.record_change(action, tenant=current, target=current.slug, before=before, after=_told(until), **by)


def _told(until: dt.datetime | None) -> dict[str, str] | None:
    return None if until is None else {"until": until.astimezone(dt.UTC).isoformat(timespec="seconds")}
