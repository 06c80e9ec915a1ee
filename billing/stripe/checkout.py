"""Opens Stripe's hosted payment page for a plan, and knows whose page it was when the buyer comes back."""

from __future__ import annotations

import hashlib
import re
from typing import Any, NamedTuple, Unpack

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext as _

from billing import subscriptions
from billing.models import Plan, Subscription
from billing.stripe import catalog, configuration, customers, state
from billing.stripe.client import Object, ask, v1
from billing.stripe.errors import Conflict
from billing.stripe.reading import PAYING
from tenants import audit
from tenants.audit import By
from tenants.models import Tenant


class Session(NamedTuple):
    id: str
    url: str


def start(tenant: Tenant, plan_code: str, *, cancel_url: str | None = None, **by: Unpack[By]) -> Session:
    """The page on which to pay for a plan; the same one when asked twice. Raises BillingError."""
    configuration.require()
    plan = catalog.sold_plan(plan_code)
    with transaction.atomic():
        subscription = subscriptions.locked(tenant)
        # A payment of which we have not heard yet must not be made again.
        state.look(subscription)
        _require_no_subscription(subscription, plan)
        customer = customers.ensure(subscription)
        session = _open_session(customer, plan)
        if session is None:
            session = ask(v1().checkout.sessions.create, _wanted(subscription, plan, cancel_url))
            after = {"plan": plan.code, "session": session["id"]}
            audit.record("checkout.opened", tenant=tenant, target=tenant.slug, after=after, **by)
        Subscription.objects.filter(pk=subscription.pk).update(checkout_session_id=session["id"])
    return Session(session["id"], session["url"])


def buyer(session_id: str) -> Tenant | None:
    """The tenant whose page this was; None: not one of ours. Asks nobody."""
    if not re.fullmatch(r"cs_\w{1,120}", session_id, re.ASCII):
        return None
    return Tenant.objects.filter(subscription__checkout_session_id=session_id).first()


def _require_no_subscription(subscription: Subscription, plan: Plan) -> None:
    if not subscription.is_stripes or subscription.status == Subscription.Status.INCOMPLETE:
        return
    if subscription.plan_id == plan.code and subscription.status in PAYING:
        raise Conflict("already_on_plan", _("This workspace is on %(plan)s already.") % {"plan": plan.name})
    raise Conflict(
        "already_subscribed",
        _(
            "This workspace pays already. Change its plan with POST /api/billing/change, and settle an open invoice in"
            " the customer portal (POST /api/billing/portal)."
        ),
    )


def _open_session(customer: str, plan: Plan) -> Object | None:
    """The page that is open for this plan. Those for others are closed: only one of them may be paid."""
    chosen: Object | None = None
    for session in ask(v1().checkout.sessions.list, {"customer": customer, "status": "open", "limit": 100})["data"]:
        if chosen is None and (session["metadata"] or {}).get("terms") == _terms(plan):
            chosen = session
        else:
            ask(v1().checkout.sessions.expire, session["id"])
    return chosen


def _terms(plan: Plan) -> str:
    """What the buyer is shown. Another price makes another page."""
    words = f"{plan.code} {plan.trial_days} {[(each.lookup_key, each.amount) for each in catalog.prices_of(plan)]}"
    return hashlib.sha256(words.encode()).hexdigest()


def _wanted(subscription: Subscription, plan: Plan, cancel_url: str | None) -> Object:
    tenant = subscription.tenant
    metadata = {"tenant": str(tenant.pk), "plan": plan.code}
    wanted: dict[str, Any] = {
        "mode": "subscription",
        "customer": subscription.stripe_customer_id,
        "client_reference_id": str(tenant.pk),
        "line_items": catalog.items(plan),
        "metadata": {**metadata, "terms": _terms(plan)},
        "subscription_data": {"metadata": metadata},
        "allow_promotion_codes": True,
        # Stripe puts the session's id there itself.
        "success_url": f"{settings.PUBLIC_URL}{reverse('billing-return')}?session_id={{CHECKOUT_SESSION_ID}}",
        "cancel_url": cancel_url or f"{settings.PUBLIC_URL}{reverse('dashboard', args=[tenant.slug])}",
    }
    if plan.trial_days and subscription.trial_used_at is None:
        wanted["subscription_data"]["trial_period_days"] = plan.trial_days
    if settings.STRIPE_TAX:
        wanted |= {
            "automatic_tax": {"enabled": True},
            "tax_id_collection": {"enabled": True},
            "billing_address_collection": "required",
            "customer_update": {"address": "auto", "name": "auto"},
        }
    return wanted
