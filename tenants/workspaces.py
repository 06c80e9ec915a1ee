"""A workspace's name, address for letters and retention, and another workspace for somebody who has one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from django.db import transaction
from django.utils.translation import gettext as _

from tenants import apikeys, audit, registration
from tenants.apikeys import Issued
from tenants.audit import By
from tenants.models import Membership, Role, Tenant, User
from tenants.signals import tenant_changed

# Each has the Free plan's allowance.
MAX_OWNED = 20


class TooMany(ValueError):
    """One person owns as many as they may."""


def change(tenant: Tenant, values: Mapping[str, Any], **by: Unpack[By]) -> None:
    """`values`: some of name, email and retention_days. What changes nothing leaves no audit row."""
    with transaction.atomic():
        current = Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
        before, after = audit.set_differing(current, values)
        if not before:
            return
        for name in after:
            setattr(tenant, name, after[name])
        audit.record("tenant.changed", tenant=current, target=current.slug, before=before, after=after, **by)
        if told := {name: before[name] for name in ("name", "email") if name in before}:
            tenant_changed.send(Tenant, tenant=current, before=told)


def add(owner: User, name: str, *, ip: str | None) -> tuple[Tenant, Issued]:
    """With a first key. Raises TooMany."""
    with transaction.atomic():
        # Two at once would both find the last place free.
        User.objects.select_for_update(no_key=True).get(pk=owner.pk)
        owned = Membership.objects.filter(user=owner, role=Role.OWNER).exclude(tenant__status=Tenant.Status.DELETED)
        if owned.count() >= MAX_OWNED:
            raise TooMany(_("One person owns %(most)d workspaces at most. Delete one first.") % {"most": MAX_OWNED})
        tenant = registration.open_workspace(owner, name=name, ip=ip)
        return tenant, apikeys.issue(tenant, created_by=owner, ip=ip)
