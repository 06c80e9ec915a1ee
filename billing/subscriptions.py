"""Changes what a tenant may use: its plan, and single limits that replace the plan's. Every change of a plan comes
through `assign`, and leaves an audit row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from django.db import transaction
from django.utils.translation import gettext as _

from billing import signals
from billing.models import Plan, Subscription
from tenants import audit, limits
from tenants.audit import By
from tenants.models import Tenant


class StripeDecides(ValueError):
    """The tenant pays for its plan: what it is on is changed at Stripe, or at the next reading it is changed back."""

    def __init__(self, tenant: Tenant) -> None:
        text = _(
            "%(workspace)s pays through Stripe, which decides on its plan. Change or cancel the subscription there, or"
            " in the workspace's billing; this page follows within seconds."
        )
        super().__init__(text % {"workspace": tenant})


def change_plan(
    tenant: Tenant, plan_code: str, *, overrides: Mapping[str, Any] | None = None, **by: Unpack[By]
) -> Subscription:
    """Takes effect within a second in every process. `overrides` of None keeps those there are. Raises ValueError."""
    check_overrides(overrides or {})
    with transaction.atomic():
        subscription = locked(tenant)
        if plan_code != subscription.plan_id and subscription.is_stripes:
            raise StripeDecides(tenant)
        assign(subscription, plan_code, overrides=overrides, **by)
    return subscription


def locked(tenant: Tenant) -> Subscription:
    """The tenant's subscription, held until the end of the transaction: nobody else changes it meanwhile."""
    return Subscription.objects.select_for_update(of=("self",)).select_related("tenant", "plan").get(tenant=tenant)


def assign(
    subscription: Subscription, plan_code: str, *, overrides: Mapping[str, Any] | None = None, **by: Unpack[By]
) -> None:
    """Saves a `locked` subscription with this plan, and whatever else was set on it."""
    stored = Subscription.objects.only("plan", "overrides").get(pk=subscription.pk)
    before = {"plan": stored.plan_id, "overrides": stored.overrides}
    if subscription.plan_id != plan_code:
        subscription.plan = Plan.objects.get(code=plan_code)
    if overrides is not None:
        subscription.overrides = dict(overrides)
    subscription.save()
    after = {"plan": subscription.plan_id, "overrides": subscription.overrides}
    if after != before:
        tenant = subscription.tenant
        audit.record("plan.changed", tenant=tenant, target=tenant.slug, before=before, after=after, **by)
    if after["plan"] != before["plan"]:
        signals.tell(signals.plan_changed, subscription.tenant, before=before["plan"], after=after["plan"])


def check_overrides(overrides: Any) -> None:
    """Raises ValueError with a sentence about the first that the data plane could not apply."""
    if not isinstance(overrides, Mapping):
        raise ValueError(_("Overrides are a JSON object of limits."))
    limits.check(overrides)
