"""Reads a workspace's audit log: newest first, filtered, page by page."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from django.db.models import Q, QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tenants.models import AuditEvent, Tenant
from tenants.paging import Order

ORDER = Order("audit", ["at", "id"], descending=True)
COLUMNS = ("at", "actor", "action", "target", "ip_address", "before", "after")
# What begins the names of its actions.
AREAS: dict[str, tuple[Promise, tuple[str, ...]]] = {
    "team": (_("Team"), ("member.", "invitation.")),
    "accounts": (_("People's accounts"), ("account.",)),
    "keys": (_("Keys"), ("key.",)),
    "routing": (_("Routing"), ("provider.", "route.", "call_settings.")),
    "cache": (_("Cache"), ("cache",)),
    "billing": (_("Billing"), ("plan.", "subscription.", "budget.", "checkout.", "customer.", "ledger.")),
    "alerts": (_("Alerts"), ("alert", "webhook.")),
    "savings": (_("Savings"), ("savings.",)),
    "workspace": (_("Workspace"), ("tenant.", "support.")),
}
# Of a value on the page; files have all of it.
LONGEST = 4_000


class Change(NamedTuple):
    """One value; None where there was none, or is none any more."""

    name: str
    before: str | None
    after: str | None


def found(tenant: Tenant, filters: Mapping[str, Any]) -> QuerySet[AuditEvent]:
    """`filters` as of a valid TrailForm."""
    events = AuditEvent.objects.filter(tenant=tenant)
    if what := filters.get("what"):
        named = Q(action=what)
        for prefix in AREAS[what][1] if what in AREAS else ():
            named |= Q(action__startswith=prefix)
        events = events.filter(named)
    if who := filters.get("who"):
        events = events.filter(actor_label__icontains=who)
    if start := filters.get("start"):
        events = events.filter(at__gte=_midnight(start))
    if end := filters.get("end"):
        events = events.filter(at__lt=_midnight(end) + dt.timedelta(days=1))
    return events


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC)


def row(event: AuditEvent) -> dict[str, Any]:
    """Of an export: `COLUMNS`."""
    facts = {name: getattr(event, name) for name in COLUMNS if name != "actor"}
    return {**facts, "actor": event.actor_label}


def changes(event: AuditEvent) -> list[Change]:
    """What differs between before and after."""
    before, after = event.before, event.after
    if not isinstance(before or {}, dict) or not isinstance(after or {}, dict):
        return [Change("", _text(before), _text(after))]
    before, after = before or {}, after or {}
    names = [*before, *(name for name in after if name not in before)]
    return [
        Change(name, _text(before.get(name)), _text(after.get(name)))
        for name in names
        if before.get(name) != after.get(name)
    ]


def _text(value: Any) -> str | None:
    if value is None or value == "":
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
