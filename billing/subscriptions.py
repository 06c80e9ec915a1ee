"""Changes what a tenant may use: its plan, and single limits that replace the plan's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from billing.models import Plan, Subscription
from billing.plans import LIMIT_FIELDS
from tenants import audit
from tenants.models import Tenant, User

# Lua's numbers are exact up to here.
LARGEST = 2**53


def change_plan(
    tenant: Tenant,
    plan_code: str,
    *,
    overrides: Mapping[str, int | None] | None = None,
    actor: User | None = None,
    ip: str | None = None,
) -> Subscription:
    """Takes effect within a second in every process. `overrides` of None keeps those there are. Raises ValueError."""
    check_overrides(overrides or {})
    with transaction.atomic():
        subscription = Subscription.objects.select_for_update().get(tenant=tenant)
        before = {"plan": subscription.plan_id, "overrides": subscription.overrides}
        subscription.plan = Plan.objects.get(code=plan_code)
        if overrides is not None:
            subscription.overrides = dict(overrides)
        subscription.save()
        after = {"plan": subscription.plan_id, "overrides": subscription.overrides}
        if after != before:
            audit.record(
                "plan.changed", tenant=tenant, actor=actor, target=tenant.slug, before=before, after=after, ip=ip
            )
    return subscription


def check_overrides(overrides: Any) -> None:
    """Raises ValueError with a sentence about the first that the data plane could not apply."""
    if not isinstance(overrides, Mapping):
        raise ValueError("Overrides are a JSON object of limits.")
    for name, value in overrides.items():
        if name not in LIMIT_FIELDS:
            raise ValueError(f"{name} is not a limit; there are {', '.join(LIMIT_FIELDS)}.")
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST):
            raise ValueError(f"{name} must be a whole number from 0 to {LARGEST}, or null for no limit.")
