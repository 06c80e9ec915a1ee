"""A tenant's own budget: what it wishes to spend at most, beside what its plan allows."""

from __future__ import annotations

from decimal import Decimal
from typing import TypedDict, Unpack

from django.db import transaction

from billing import subscriptions, summary
from billing.models import Subscription
from tenants import audit
from tenants.audit import By
from tenants.models import Tenant


class Budget(TypedDict):
    daily_budget_usd: Decimal | None
    monthly_budget_usd: Decimal | None
    budget_mode: str
    unpriced: str


def of(subscription: Subscription) -> Budget:
    return Budget(
        daily_budget_usd=subscription.daily_budget_usd,
        monthly_budget_usd=subscription.monthly_budget_usd,
        budget_mode=subscription.budget_mode,
        unpriced=subscription.unpriced,
    )


def change(tenant: Tenant, budget: Budget, **by: Unpack[By]) -> Subscription:
    """Takes effect within a second in every process."""
    with transaction.atomic():
        subscription = subscriptions.locked(tenant)
        audit.change("budget.changed", subscription, budget, summary.budget, tenant=tenant, target=tenant.slug, **by)
    return subscription
