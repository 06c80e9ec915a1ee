"""Changes a subscription that is paid for: another plan, the end of it, and taking either back.

Stripe is told first, then asked, and what it says is applied: a call that fails midway changes nothing here.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Literal, NamedTuple, Unpack

from django.db import transaction

from billing import signals, subscriptions
from billing.models import FREE, Plan, Subscription
from billing.stripe import catalog, configuration, meters, state
from billing.stripe.client import Object, ask, cents, id_of, v1
from billing.stripe.errors import Conflict
from billing.stripe.reading import PAYING
from tenants import audit
from tenants.audit import By
from tenants.models import Tenant

When = Literal["now", "period_end"]
Status = Subscription.Status


class Line(NamedTuple):
    description: str
    amount_usd: Decimal


class Preview(NamedTuple):
    """What a change costs. `due_now_usd` is charged at once; below zero it is credit for the next invoices."""

    plan: str
    effective_at: dt.datetime | None
    due_now_usd: Decimal
    lines: list[Line]
    # What a period costs from then on: without use, taxes and discounts.
    monthly_usd: Decimal


def change(tenant: Tenant, plan_code: str, when: When = "now", **by: Unpack[By]) -> Subscription:
    """A dearer plan now is charged for the rest of the period at once, a cheaper one credited. Raises BillingError."""
    if plan_code == FREE:
        return cancel(tenant, when, **by)
    plan = catalog.sold_plan(plan_code)
    if when == "now":
        _report_usage(tenant)
    with _changing(tenant, "subscription.changed", {"to": plan_code, "when": when}, by) as (subscription, raw):
        if raw["status"] not in {"active", "trialing"}:
            raise Conflict(
                "payment_due", "A payment is due. Settle it in the customer portal first, then change the plan."
            )
        changing = subscription.pending_plan or subscription.cancel_at
        if subscription.plan_id == plan.code and not changing:
            raise Conflict("already_on_plan", f"This workspace is on {plan.name} already.")
        _release(raw)
        if subscription.plan_id == plan.code:
            _stay(raw)
        elif when == "now":
            ask(v1().subscriptions.update, raw["id"], _now(subscription.plan, plan, raw))
        else:
            _stay(raw)
            _schedule(plan, raw)
    return subscription


def cancel(tenant: Tenant, when: When = "period_end", **by: Unpack[By]) -> Subscription:
    """Now: what was used is invoiced, the rest of the period credited. Raises BillingError."""
    if when == "now":
        _report_usage(tenant)
    with _changing(tenant, "subscription.canceled", {"when": when}, by) as (subscription, raw):
        if when == "now":
            _release(raw)
            ask(v1().subscriptions.cancel, raw["id"], {"invoice_now": True, "prorate": True})
        elif subscription.cancel_at is None:
            _release(raw)
            ask(v1().subscriptions.update, raw["id"], {"cancel_at_period_end": True})
    return subscription


def resume(tenant: Tenant, **by: Unpack[By]) -> Subscription:
    """Takes back a cancellation or a change that has not happened yet. Raises BillingError."""
    with _changing(tenant, "subscription.resumed", {}, by) as (subscription, raw):
        if raw["status"] == "paused":
            ask(v1().subscriptions.resume, raw["id"], {"billing_cycle_anchor": "now"})
        elif subscription.pending_plan or subscription.cancel_at:
            _release(raw)
            _stay(raw)
        else:
            raise Conflict("nothing_to_resume", "No cancellation and no change of plan is waiting.")
    return subscription


def preview(tenant: Tenant, plan_code: str, when: When = "now") -> Preview:
    """What `change` would cost, as Stripe reckons; to who does not pay yet, a first period. Nothing changes."""
    configuration.require()
    plan = catalog.sold_plan(plan_code)
    with transaction.atomic():
        subscription = subscriptions.locked(tenant)
        raw = state.look(subscription).raw
    price = plan.price_usd
    lines = [Line(f"{plan.name}, monthly", price)]
    if raw is None or subscription.status not in PAYING:
        trial = plan.trial_days and subscription.trial_used_at is None
        return Preview(plan.code, None, Decimal(0) if trial else price, lines, price)
    if when == "period_end":
        return Preview(plan.code, subscription.period_end, Decimal(0), lines, price)
    if subscription.status == Status.TRIALING:
        until = f"The trial goes on until {subscription.trial_end:%-d %B %Y}"
        return Preview(plan.code, state.database_now(), Decimal(0), [Line(until, Decimal(0))], price)
    details = {name: value for name, value in _now(subscription.plan, plan, raw).items() if name in _PREVIEWED}
    # As if it were charged at once, also when it is a credit.
    details["proration_behavior"] = "always_invoice"
    asked = {"customer": subscription.stripe_customer_id, "subscription": raw["id"], "subscription_details": details}
    invoice = ask(v1().invoices.create_preview, asked)
    due = [Line(line["description"] or "", cents(line["amount"])) for line in invoice["lines"]["data"]]
    return Preview(plan.code, state.database_now(), cents(invoice["total"]), due, price)


_PREVIEWED = ("items", "proration_behavior")


@contextlib.contextmanager
def _changing(tenant: Tenant, action: str, after: Object, by: By) -> Iterator[tuple[Subscription, Object]]:
    """The subscription, locked and as Stripe has it now; after the body it is looked at again."""
    configuration.require()
    with transaction.atomic():
        subscription = subscriptions.locked(tenant)
        raw = state.look(subscription).raw
        if raw is None or not subscription.is_stripes:
            raise Conflict("not_subscribed", "This workspace has no subscription. Begin one with POST /api/checkout.")
        before = {"plan": subscription.plan_id}
        yield subscription, raw
        audit.record(action, tenant=tenant, target=tenant.slug, before=before, after=after, **by)
        state.look(subscription)


def _report_usage(tenant: Tenant) -> None:
    """So that what was used until now is on the invoice for it. Not within a transaction.

    Calls that are in flight are not: what is booked after the change is charged to nobody, and the books say so.
    """
    if Subscription.objects.filter(tenant=tenant, metered_since__isnull=False).exists():
        # A receiver that fails is logged.
        signals.usage_wanted.send_robust(sender=Subscription, tenant=tenant)
        meters.report(tenant, before_change=True)


def _now(old: Plan, new: Plan, raw: Object) -> Object:
    """The update that makes `new` of it. With a card that is refused nothing changes."""
    dearer = new.price_usd >= old.price_usd
    return {
        "items": _replaced(raw, catalog.items(new)),
        # Use that was metered so far is invoiced with it, too.
        "proration_behavior": "always_invoice" if dearer or old.is_metered else "create_prorations",
        "payment_behavior": "error_if_incomplete",
        "metadata": {"plan": new.code},
        **({"cancel_at_period_end": False} if raw["cancel_at_period_end"] else {}),
    }


def _replaced(raw: Object, wanted: list[Object]) -> list[Object]:
    """The monthly item swaps its price, so that Stripe prorates it; metered ones come and go."""
    old = raw["items"]["data"]
    monthly = next((item["id"] for item in old if not item["price"]["recurring"].get("meter")), None)
    items, kept = [], set()
    for item in wanted:
        if "quantity" in item and monthly:
            item, kept = {**item, "id": monthly}, {monthly}
        items.append(item)
    return items + [{"id": item["id"], "deleted": True} for item in old if item["id"] not in kept]


def _release(raw: Object) -> None:
    """Lets go of a change that waits for the end of the period."""
    schedule: Any = raw["schedule"]
    if schedule and schedule["status"] in {"active", "not_started"}:
        ask(v1().subscription_schedules.release, id_of(schedule))


def _stay(raw: Object) -> None:
    if raw["cancel_at_period_end"] or raw["cancel_at"]:
        unset = {"cancel_at_period_end": False} if raw["cancel_at_period_end"] else {"cancel_at": ""}
        ask(v1().subscriptions.update, raw["id"], unset)


def _schedule(plan: Plan, raw: Object) -> None:
    """This plan until the period ends, then the other. Between the two calls a schedule changes nothing."""
    schedule = ask(v1().subscription_schedules.create, {"from_subscription": raw["id"]})
    current = schedule["phases"][0]
    kept = [
        {"price": id_of(item["price"])} | ({"quantity": item["quantity"]} if item.get("quantity") else {})
        for item in current["items"]
    ]
    first: Object = {"items": kept, "start_date": current["start_date"], "end_date": current["end_date"]}
    if current.get("trial_end"):
        first["trial_end"] = current["trial_end"]
    then: Object = {"items": catalog.items(plan), "duration": {"interval": "month", "interval_count": 1}}
    then |= {"proration_behavior": "none", "metadata": {"plan": plan.code}}
    phases = [{**first, "metadata": raw["metadata"]}, then]
    ask(v1().subscription_schedules.update, schedule["id"], {"phases": phases, "end_behavior": "release"})
