"""A tenant's rules: each kind's defaults under what the tenant has set. Within the tenant's schema."""

from __future__ import annotations

import dataclasses
from typing import Any

from analytics.alerts.kinds import KINDS
from analytics.alerts.models import AlertRule


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    kind: str
    enabled: bool
    thresholds: dict[str, Any]
    channels: tuple[str, ...]
    roles: tuple[str, ...]


def default_of(kind: str) -> Rule:
    known = KINDS[kind]
    return Rule(kind, True, known.defaults(), known.channels, known.roles)


def read(kind: str) -> Rule:
    return _over(default_of(kind), AlertRule.objects.filter(kind=kind).first())


def read_all() -> dict[str, Rule]:
    rows = {row.kind: row for row in AlertRule.objects.all()}
    return {kind: _over(default_of(kind), rows.get(kind)) for kind in KINDS}


def _over(default: Rule, row: AlertRule | None) -> Rule:
    if row is None:
        return default
    # A threshold that is newer than the row has its default.
    thresholds = {name: row.thresholds.get(name, value) for name, value in default.thresholds.items()}
    return Rule(row.kind, row.enabled, thresholds, tuple(row.channels), tuple(row.roles))


def shown(rule: Rule) -> dict[str, Any]:
    """As the API and the audit log show it."""
    return {
        "kind": rule.kind,
        "watches": str(KINDS[rule.kind].watches),
        "enabled": rule.enabled,
        "thresholds": rule.thresholds,
        "channels": list(rule.channels),
        "roles": list(rule.roles),
    }
