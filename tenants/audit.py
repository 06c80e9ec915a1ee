"""Writes the audit log: who did what, from where, with the values before and after."""

from __future__ import annotations

from typing import Any, TypedDict

from tenants.models import AuditEvent, Tenant, User


class By(TypedDict, total=False):
    """Who acts, and from where. A label is for who is no user: an API key."""

    actor: User | None
    actor_label: str
    ip: str | None


def record(
    action: str,
    *,
    tenant: Tenant | None,
    actor: User | None = None,
    actor_label: str = "",
    target: str = "",
    before: Any = None,
    after: Any = None,
    ip: str | None = None,
) -> AuditEvent:
    """To be called in the transaction of the act itself."""
    return AuditEvent.objects.create(
        action=action,
        tenant=tenant,
        actor=actor,
        actor_label=actor_label or (actor.email if actor else "system"),
        target=target,
        before=before,
        after=after,
        ip_address=ip,
    )
