"""Writes the audit log: who did what, from where, with the values before and after. Postgres refuses to change it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypedDict, Unpack, cast

from django.db import connection
from django.db.models import Model
from django.http import HttpRequest

from tenants import addresses
from tenants.models import AuditEvent, Tenant, User


class By(TypedDict, total=False):
    """Who acts, and from where. A label is for who is no user: an API key."""

    actor: User | None
    actor_label: str
    ip: str | None


def by_of(request: HttpRequest) -> By:
    """Who asks, having logged in."""
    return {"actor": cast(User, request.user), "ip": addresses.client_address(request)}


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
    event = _row(
        action,
        tenant=tenant,
        target=target,
        before=before,
        after=after,
        actor=actor,
        actor_label=actor_label,
        ip=ip,
    )
    event.save(force_insert=True)
    return event


def _row(
    action: str,
    *,
    tenant: Tenant | None,
    target: str,
    before: Any,
    after: Any,
    actor: User | None = None,
    actor_label: str = "",
    ip: str | None = None,
) -> AuditEvent:
    return AuditEvent(
        action=action,
        tenant=tenant,
        actor=actor,
        actor_label=actor_label or (actor.email if actor else "system"),
        target=target,
        before=before,
        after=after,
        ip_address=ip,
    )


def record_change(
    action: str, *, tenant: Tenant | None, target: str, before: Any, after: Any, **by: Unpack[By]
) -> None:
    """What changes nothing leaves no row."""
    if before != after:
        record(action, tenant=tenant, target=target, before=before, after=after, **by)


def change(
    action: str,
    row: Model,
    values: Mapping[str, Any],
    shown: Callable[[Any], Any],
    *,
    tenant: Tenant,
    target: str,
    **by: Unpack[By],
) -> Any:
    """Saves `values` in the row; what it is then, as `shown` has it for people, which is what is recorded."""
    before = shown(row)
    for name, value in values.items():
        setattr(row, name, value)
    row.save()
    after = shown(row)
    record_change(action, tenant=tenant, target=target, before=before, after=after, **by)
    return after


def set_differing(row: Model, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Saves what of `values` is not so yet; as it was, and as it is then."""
    before = {name: getattr(row, name) for name, value in values.items() if getattr(row, name) != value}
    after = {name: values[name] for name in before}
    for name, value in after.items():
        setattr(row, name, value)
    if after:
        row.save(update_fields=list(after))
    return before, after


def record_everywhere(
    action: str,
    tenants: Iterable[Tenant | None],
    *,
    target: str,
    before: Any = None,
    after: Any = None,
    **by: Unpack[By],
) -> None:
    """One row in the log of each of these workspaces; None is the operators'."""
    AuditEvent.objects.bulk_create(
        _row(action, tenant=tenant, target=target, before=before, after=after, **by) for tenant in tenants
    )


@contextlib.contextmanager
def forgetting() -> Iterator[None]:
    """Until the end of the transaction that must be open, names and values may be taken out of rows."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL nexus.forgetting = 'on'")
        yield
        cursor.execute("SET LOCAL nexus.forgetting = 'off'")
