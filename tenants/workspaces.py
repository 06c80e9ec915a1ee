"""A workspace's name and address for letters, and another workspace for somebody who has one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Unpack

from django.db import transaction
from django.utils.translation import gettext as _

from tenants import apikeys, audit, registration
from tenants.apikeys import Issued
from tenants.audit import By
from tenants.models import Membership, Role, Tenant, User

# Each has the Free plan's allowance.
MAX_OWNED = 20


class TooMany(ValueError):
    """One person owns as many as they may."""


def change(tenant: Tenant, values: Mapping[str, str], **by: Unpack[By]) -> None:
    """`values`: name and email, or one of them. What changes nothing leaves no audit row."""
    with transaction.atomic():
        current = Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
        before = {name: getattr(current, name) for name, value in values.items() if getattr(current, name) != value}
        if not before:
            return
        after = {name: values[name] for name in before}
        for name, value in after.items():
            setattr(current, name, value)
            setattr(tenant, name, value)
        current.save(update_fields=list(after))
        audit.record("tenant.changed", tenant=current, target=current.slug, before=before, after=after, **by)


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
