"""A tenant's subscription as plain values, from our own tables: for the API and for pages."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db.models import Sum
from django.utils import timezone

from billing.models import LedgerEntry, Plan, Subscription
from billing.periods import period_at
from tenants.models import Tenant

BUDGET = ("daily_budget_usd", "monthly_budget_usd", "budget_mode", "unpriced")


def of(tenant: Tenant) -> dict[str, Any]:
    """Without a word to Stripe, so it is there when Stripe is not. Times are ISO 8601, money is text."""
    subscription = Subscription.objects.select_related("plan").get(tenant=tenant)
    now = timezone.now()
    plan = subscription.effective_plan(now)
    pending = (
        {"plan": subscription.pending_plan, "at": _iso(subscription.pending_at)} if subscription.pending_plan else None
    )
    card = {"brand": subscription.card_brand, "last4": subscription.card_last4} if subscription.card_last4 else None
    return {
        "plan": subscription.plan_id,
        "plan_name": subscription.plan.name,
        # Another than `plan` once the grace after a failed payment is over.
        "limits_of": plan.code,
        "price_usd": str(subscription.monthly_usd),
        "status": subscription.status,
        "pays_through_stripe": subscription.is_stripes,
        "period_start": _iso(subscription.period_start),
        "period_end": _iso(subscription.period_end),
        "trial_end": _iso(subscription.trial_end),
        "grace_until": _iso(subscription.grace_until),
        "cancel_at": _iso(subscription.cancel_at),
        "pending": pending,
        "card": card,
        "quota": _quota(subscription, plan, now),
        "budget": budget(subscription),
        "read_at": _iso(subscription.stripe_read_at),
    }


def budget(subscription: Subscription) -> dict[str, Any]:
    """The tenant's own wishes."""
    values = {name: getattr(subscription, name) for name in BUDGET}
    return {
        name: str(value) if name.endswith("_usd") and value is not None else value for name, value in values.items()
    }


def _quota(subscription: Subscription, plan: Plan, now: dt.datetime) -> dict[str, Any]:
    """Of the period that usage is counted in. What is booked: some seconds old."""
    period = period_at(subscription.anchor_at, now)
    booked = LedgerEntry.objects.filter(tenant=subscription.tenant_id, period_start=period.start).aggregate(
        requests=Sum("requests"), tokens=Sum("tokens")
    )
    limits = {
        name: subscription.overrides.get(name, getattr(plan, name)) for name in ("monthly_requests", "monthly_tokens")
    }
    return {
        "period_start": _iso(period.start),
        "period_end": _iso(period.end),
        "requests": {"limit": limits["monthly_requests"], "used": booked["requests"] or 0},
        "tokens": {"limit": limits["monthly_tokens"], "used": booked["tokens"] or 0},
    }


def _iso(time: dt.datetime | None) -> str | None:
    return None if time is None else time.isoformat()
