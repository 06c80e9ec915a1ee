"""Changes what a tenant may use: its plan, and single limits that replace the plan's."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import transaction

from billing.models import Plan, Subscription
from billing.plans import LIMIT_FIELDS
from tenants import audit
from tenants.models import Tenant, User


def change_plan(
    tenant: Tenant,
    plan_code: str,
    *,
    overrides: Mapping[str, int | None] | None = None,
    actor: User | None = None,
    ip: str | None = None,
) -> Subscription:
    """Takes effect within a second in every process. `overrides` of None keeps those there are. Raises ValueError."""
    if unknown := sorted(set(overrides or ()) - set(LIMIT_FIELDS)):
        raise ValueError(f"{unknown[0]} is not a limit; there are {', '.join(LIMIT_FIELDS)}.")
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
