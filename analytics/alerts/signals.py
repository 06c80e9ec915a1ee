"""What alerts hear of: usage that was booked, books that differ, and what becomes of plans and payments."""

from __future__ import annotations

import datetime as dt
import functools
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.dispatch import receiver
from django.utils import timezone

from analytics.alerts import schedule
from analytics.alerts.raising import raise_alert
from analytics.signals import drift_found, records_booked
from billing import signals as billing
from billing.models import Reconciliation
from tenants.models import Tenant


@receiver(records_booked)
def mark_for_evaluation(tenant: Tenant, **_: Any) -> None:
    """Booking does not wait for it, and goes on without Redis: the sweep finds the tenant."""
    transaction.on_commit(functools.partial(schedule.mark, tenant.pk), robust=True)


@receiver(drift_found)
def tell_of_drift(tenant: Tenant, comparison: Reconciliation, **_: Any) -> None:
    """Once for each time that the books begin to differ."""
    period, since = comparison.period_start.isoformat(), comparison.drifting_since or comparison.compared_at
    facts = {
        "period_start": period,
        "drift_requests": comparison.drift_requests,
        "drift_tokens": comparison.drift_tokens,
        "drift_usd": str(comparison.drift_usd),
        "books": comparison.books,
    }
    raise_alert(tenant, "drift", str(tenant), facts, f"drift:{period}:{since.isoformat()}")


@receiver(billing.plan_changed)
def tell_of_plan(tenant: Tenant, before: str, after: str, **_: Any) -> None:
    # Back and forth are two changes, also on one day.
    key = f"plan_changed:{timezone.now().isoformat()}"
    raise_alert(tenant, "plan_changed", str(tenant), {"before": before, "after": after}, key)


@receiver(billing.payment_failed)
def tell_of_failed_payment(
    tenant: Tenant,
    plan: str,
    amount_usd: Decimal | None,
    grace_until: dt.datetime | None,
    next_attempt_at: dt.datetime | None,
    invoice_url: str,
    **_: Any,
) -> None:
    facts = {
        "plan": plan,
        "amount_usd": None if amount_usd is None else f"{amount_usd:.2f}",
        "grace_until": _iso(grace_until),
        "next_attempt_at": _iso(next_attempt_at),
        "invoice_url": invoice_url,
    }
    # One for each time that the plan's grace begins.
    raise_alert(
        tenant, "payment_failed", str(tenant), facts, f"payment_failed:{_iso(grace_until) or timezone.now().date()}"
    )


@receiver(billing.payment_recovered)
def tell_of_recovered_payment(tenant: Tenant, plan: str, **_: Any) -> None:
    key = f"payment_recovered:{timezone.now().isoformat()}"
    raise_alert(tenant, "payment_recovered", str(tenant), {"plan": plan}, key)


@receiver(billing.trial_ends)
def tell_of_trial(tenant: Tenant, plan: str, trial_end: dt.datetime | None, card_known: bool, **_: Any) -> None:
    facts = {"plan": plan, "trial_end": _iso(trial_end), "card_known": card_known}
    raise_alert(tenant, "trial_ends", str(tenant), facts, f"trial_ends:{_iso(trial_end) or timezone.now().date()}")


def _iso(at: dt.datetime | None) -> str | None:
    return at.isoformat() if at else None
