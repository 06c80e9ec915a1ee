"""Makes a tenant's subscription what Stripe says now. Events and returning browsers only say when to look.

A look begins under a lock on the row, so looks at one customer follow each other, and each sees all that happened
before it began: in whatever order events come, how often and how late, the last look has the last word.
"""

from __future__ import annotations

import datetime as dt
import logging
from typing import Unpack

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from billing import signals, subscriptions
from billing.models import FREE, Plan, Subscription
from billing.stripe import owed, reading
from billing.stripe.errors import Conflict, UnknownCustomer
from billing.stripe.reading import PAYING, Facts
from tenants import audit
from tenants.audit import By
from tenants.models import Tenant

logger = logging.getLogger(__name__)

Status = Subscription.Status
# As Stripe's own event does.
TRIAL_NOTICE = dt.timedelta(days=3)
_COPIED = (
    "status", "period_start", "period_end", "trial_end", "cancel_at", "pending_plan", "pending_at", "card_brand",
    "card_last4", "price_usd",
)  # fmt: skip


def refresh(tenant: Tenant, *, heard_at: dt.datetime | None = None) -> Subscription:
    """Asks Stripe and applies its answer; raises BillingError. Tenants without a customer there are left alone.

    With `heard_at`, the database's time when news arrived: a look that began after that has seen it, and is enough.
    """
    with transaction.atomic():
        subscription = subscriptions.locked(tenant)
        read_at = subscription.stripe_read_at
        if heard_at is None or read_at is None or read_at <= heard_at:
            look(subscription)
    return subscription


def look(subscription: Subscription) -> Facts:
    """The same for a subscription that the caller holds `locked`."""
    if not subscription.stripe_customer_id:
        return Facts()
    began_at = database_now()
    facts = reading.read(subscription.stripe_customer_id)
    if facts is None:
        logger.error("%s: customer %s was deleted at Stripe", subscription.tenant, subscription.stripe_customer_id)
        subscription.stripe_customer_id, facts = None, _gone(subscription)
    subscription.stripe_read_at = began_at
    _apply(subscription, facts)
    return facts


def forget(tenant: Tenant, **by: Unpack[By]) -> Subscription:
    """Lets go of a customer of whom Stripe has not heard, as after the change from a test key to a live one: the
    workspace falls to Free, and may buy again. Raises Conflict where Stripe knows the customer; BillingError.
    """
    with transaction.atomic():
        subscription = subscriptions.locked(tenant)
        customer = subscription.stripe_customer_id
        if not customer or _is_known(customer):
            raise Conflict("customer_known", f"Stripe knows the customer of {tenant}, or there is none.")
        subscription.stripe_customer_id, subscription.stripe_read_at = None, database_now()
        _apply(subscription, _gone(subscription))
        audit.record("customer.forgotten", tenant=tenant, target=tenant.slug, before={"customer": customer}, **by)
    return subscription


def _is_known(customer: str) -> bool:
    try:
        reading.read(customer)
    except UnknownCustomer:
        return False
    return True


def database_now() -> dt.datetime:
    """One clock for all processes: what arrived before a look began is known by it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: dt.datetime = cursor.fetchone()[0]
    return now


def _gone(subscription: Subscription) -> Facts:
    if subscription.status == Status.NONE:
        return Facts()
    return Facts(status=Status.CANCELED, subscription_id=subscription.stripe_subscription_id)


def _apply(subscription: Subscription, facts: Facts) -> None:
    before, was_failing = subscription.plan_id, subscription.status in {Status.PAST_DUE, Status.UNPAID}
    plan_code = _plan(subscription, facts)
    subscription.grace_until = _grace(subscription, facts)
    metered = facts.metered and facts.status in PAYING
    if not metered:
        _leave_meters(subscription, facts)
    for name in _COPIED:
        setattr(subscription, name, getattr(facts, name))
    subscription.stripe_subscription_id = facts.subscription_id
    subscription.trial_used_at = subscription.trial_used_at or facts.trial_used_at
    if facts.status in PAYING and facts.anchor_at is not None:
        # Quota is counted in the periods that are invoiced. It stays when the subscription has ended.
        subscription.anchor_at = facts.anchor_at
    tell_trial = _trial_ends(subscription)
    begins = metered and subscription.metered_since is None
    if begins:
        subscription.metered_since = timezone.now()
    subscriptions.assign(subscription, plan_code, actor_label="stripe")
    if begins:
        owed.begin(subscription)
    if before != plan_code:
        logger.info("%s: plan %s is now %s (%s at Stripe)", subscription.tenant, before, plan_code, facts.status)
    _tell(subscription, facts, was_failing=was_failing, tell_trial=tell_trial)


def _leave_meters(subscription: Subscription, facts: Facts) -> None:
    """Within a period the invoice is made already. At its end that stays open for a while."""
    end, left_at = subscription.period_end, facts.ended_at or facts.period_start
    if subscription.metered_since and end and left_at and left_at >= end:
        owed.finish(subscription, end)
    subscription.metered_since = None


def _plan(subscription: Subscription, facts: Facts) -> str:
    """The code of the plan that a reading leads to."""
    if facts.status in PAYING:
        if Plan.objects.filter(code=facts.plan_code or "").exists():
            return facts.plan_code or FREE
        logger.error("%s pays for %s, a plan that is unknown here", subscription.tenant, facts.plan_code)
        return subscription.plan_id
    seen = (subscription.stripe_subscription_id, subscription.status) == (facts.subscription_id, facts.status)
    if facts.status in {Status.NONE, Status.INCOMPLETE} or (facts.status == Status.CANCELED and seen):
        # Nothing that was paid has ended: what an operator has given stays.
        return FREE if subscription.status in {*PAYING, Status.UNPAID, Status.PAUSED} else subscription.plan_id
    return FREE


def _grace(subscription: Subscription, facts: Facts) -> dt.datetime | None:
    """Counted from the invoice that was not paid, whenever we hear of it; another one does not prolong it."""
    if facts.status != Status.PAST_DUE:
        return None
    if subscription.status == Status.PAST_DUE and subscription.grace_until is not None:
        return subscription.grace_until
    return (facts.owed_since or timezone.now()) + dt.timedelta(days=settings.GRACE_DAYS)


def _trial_ends(subscription: Subscription) -> bool:
    """Whether to tell of it, once for each end."""
    end = subscription.trial_end
    if end is None or end == subscription.trial_told_for or not end - TRIAL_NOTICE <= timezone.now() < end:
        return False
    subscription.trial_told_for = end
    return True


def _tell(subscription: Subscription, facts: Facts, *, was_failing: bool, tell_trial: bool) -> None:
    tenant, plan = subscription.tenant, subscription.plan_id
    if facts.status == Status.PAST_DUE and not was_failing:
        signals.tell(
            signals.payment_failed,
            tenant,
            plan=plan,
            amount_usd=facts.owed_usd,
            grace_until=subscription.grace_until,
            next_attempt_at=facts.next_attempt_at,
            invoice_url=facts.invoice_url,
        )
    elif facts.status == Status.ACTIVE and was_failing:
        signals.tell(signals.payment_recovered, tenant, plan=plan)
    if tell_trial:
        known = bool(facts.card_last4)
        signals.tell(signals.trial_ends, tenant, plan=plan, trial_end=subscription.trial_end, card_known=known)
