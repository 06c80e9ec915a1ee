"""Writes the audit log: who did what, from where, with the values before and after. Postgres refuses to change it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, TypedDict

from django.db import connection

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


@contextlib.contextmanager
def forgetting() -> Iterator[None]:
    """Until the end of the transaction that must be open, names and values may be taken out of rows."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL nexus.forgetting = 'on'")
        yield
        cursor.execute("SET LOCAL nexus.forgetting = 'off'")
