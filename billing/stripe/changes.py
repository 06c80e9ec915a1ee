"""Changes a subscription that is paid for: another plan, the end of it, and taking either back.

Stripe is told first, then asked, and what it says is applied: a call that fails midway changes nothing here.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Literal, NamedTuple, Unpack, get_args

from django.db import transaction
from django.utils.translation import gettext as _

from billing import signals, subscriptions
from billing.models import FREE, Plan, Subscription
from billing.stripe import catalog, configuration, meters, reading, state
from billing.stripe.client import Object, ask, cents, id_of, v1
from billing.stripe.errors import BillingError, Conflict
from billing.stripe.reading import PAYING
from tenants import audit
from tenants.audit import By
from tenants.models import Tenant
from tenants.writing import day

logger = logging.getLogger(__name__)

When = Literal["now", "period_end"]
WHEN: tuple[When, ...] = get_args(When)
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
    # The trial is over at once: use is charged from then on.
    ends_trial: bool = False


def change(tenant: Tenant, plan_code: str, when: When = "now", **by: Unpack[By]) -> Subscription:
    """A dearer plan now is charged for the rest of the period at once, a cheaper one credited. Raises BillingError."""
    if plan_code == FREE:
        return cancel(tenant, when, **by)
    plan = catalog.sold_plan(plan_code)
    if when == "now":
        _report_usage(tenant, plan)
    with _changing(tenant, "subscription.changed", {"to": plan_code, "when": when}, by) as (subscription, raw):
        if raw["status"] not in {"active", "trialing"}:
            raise Conflict(
                "payment_due", _("A payment is due. Settle it in the customer portal first, then change the plan.")
            )
        changing = subscription.pending_plan or subscription.cancel_at
        if subscription.plan_id == plan.code and not changing:
            raise Conflict("already_on_plan", _("This workspace is on %(plan)s already.") % {"plan": plan.name})
        with _released(raw):
            if subscription.plan_id == plan.code:
                _stay(raw)
            elif when == "now":
                ask(v1().subscriptions.update, raw["id"], _now(subscription, plan, raw))
            else:
                _stay(raw)
                _schedule(raw, [_phase(plan)])
    return subscription


def cancel(tenant: Tenant, when: When = "period_end", **by: Unpack[By]) -> Subscription:
    """Now: what was metered is invoiced, and nothing of the rest of the period is paid back, or to leave and to buy
    again would be a new month's quota for cents. Raises BillingError.
    """
    if when == "now":
        _report_usage(tenant)
    with _changing(tenant, "subscription.canceled", {"when": when}, by) as (subscription, raw):
        if when == "now":
            with _released(raw):
                ask(v1().subscriptions.cancel, raw["id"], {"invoice_now": True, "prorate": False})
        elif subscription.cancel_at is None:
            with _released(raw):
                ask(v1().subscriptions.update, raw["id"], {"cancel_at_period_end": True})
    return subscription


def resume(tenant: Tenant, **by: Unpack[By]) -> Subscription:
    """Takes back a cancellation or a change that has not happened yet. Raises BillingError."""
    with _changing(tenant, "subscription.resumed", {}, by) as (subscription, raw):
        if raw["status"] == "paused":
            ask(v1().subscriptions.resume, raw["id"], {"billing_cycle_anchor": "now"})
        elif subscription.pending_plan or subscription.cancel_at:
            with _released(raw):
                _stay(raw)
        else:
            raise Conflict("nothing_to_resume", _("No cancellation and no change of plan is waiting."))
    return subscription


def preview(tenant: Tenant, plan_code: str, when: When = "now") -> Preview:
    """What `change` would cost, as Stripe reckons; to who does not pay yet, a first period. Nothing changes."""
    configuration.require()
    plan = None if plan_code == FREE else catalog.sold_plan(plan_code)
    with transaction.atomic():
        subscription = subscriptions.locked(tenant)
        raw = state.look(subscription).raw
    if plan is None:
        return _preview_end(subscription, raw, when)
    price = plan.price_usd
    lines = [Line(_("%(plan)s, monthly") % {"plan": plan.name}, price)]
    if raw is None or subscription.status not in PAYING:
        trial = plan.trial_days and subscription.trial_used_at is None
        return Preview(plan.code, None, Decimal(0) if trial else price, lines, price)
    if when == "period_end":
        return Preview(plan.code, subscription.period_end, Decimal(0), lines, price)
    ends_trial = _ends_trial(plan, raw)
    if subscription.status == Status.TRIALING and not ends_trial:
        until = "" if subscription.trial_end is None else day(subscription.trial_end)
        lines = [Line(_("The trial goes on until %(day)s") % {"day": until}, Decimal(0))]
        return Preview(plan.code, state.database_now(), Decimal(0), lines, price)
    details = {name: value for name, value in _now(subscription, plan, raw).items() if name in _PREVIEWED}
    # As if it were charged at once, also when it is a credit.
    details["proration_behavior"] = "always_invoice"
    due, lines = _reckoned(subscription, details)
    return Preview(plan.code, state.database_now(), due, lines, price, ends_trial)


_PREVIEWED = ("items", "proration_behavior", "trial_end")


def _preview_end(subscription: Subscription, raw: Object | None, when: When) -> Preview:
    if raw is None or not subscription.is_stripes:
        raise _not_subscribed()
    nothing = Decimal(0)
    if when == "period_end":
        stays = Line(_("%(plan)s stays until then") % {"plan": subscription.plan.name}, nothing)
        return Preview(FREE, subscription.cancel_at or subscription.period_end, nothing, [stays], nothing)
    due, lines = nothing, [Line(_("Nothing is paid back for the rest of the period"), nothing)]
    if subscription.metered_since is not None:
        due, used = _reckoned(subscription, {"cancel_now": True, "proration_behavior": "none"})
        lines += used
    return Preview(FREE, state.database_now(), due, lines, nothing)


def _reckoned(subscription: Subscription, details: Object) -> tuple[Decimal, list[Line]]:
    """Stripe's invoice for such a change: its total, and its lines."""
    asked = {
        "customer": subscription.stripe_customer_id,
        "subscription": subscription.stripe_subscription_id,
        "subscription_details": details,
    }
    invoice = ask(v1().invoices.create_preview, asked)
    lines = [Line(line["description"] or "", cents(line["amount"])) for line in invoice["lines"]["data"]]
    return cents(invoice["total"]), lines


def _not_subscribed() -> Conflict:
    return Conflict("not_subscribed", _("This workspace has no subscription. Begin one with POST /api/checkout."))


@contextlib.contextmanager
def _changing(tenant: Tenant, action: str, after: Object, by: By) -> Iterator[tuple[Subscription, Object]]:
    """The subscription, locked and as Stripe has it now; after the body it is looked at again."""
    configuration.require()
    with transaction.atomic():
        subscription = subscriptions.locked(tenant)
        raw = state.look(subscription).raw
        if raw is None or not subscription.is_stripes:
            raise _not_subscribed()
        before = {"plan": subscription.plan_id}
        yield subscription, raw
        audit.record(action, tenant=tenant, target=tenant.slug, before=before, after=after, **by)
        state.look(subscription)


def _report_usage(tenant: Tenant, new: Plan | None = None) -> None:
    """So that what was used until now is on the invoice for it, or on none if `new` is the first that is metered. Not
    within a transaction. Raises BillingError.

    Calls that are in flight are not: what is booked after a metered plan is charged to nobody, and the books say so.
    """
    subscription = Subscription.objects.get(tenant=tenant)
    if new is not None and new.code == subscription.plan_id:
        return
    is_metered = subscription.metered_since is not None
    if is_metered or (new is not None and new.is_metered):
        # A receiver that fails is logged.
        signals.usage_wanted.send_robust(sender=Subscription, tenant=tenant)
    if is_metered:
        meters.report(tenant, before_change=True)
        meters.wait_until_counted(tenant)


def _now(subscription: Subscription, new: Plan, raw: Object) -> Object:
    """The update that makes `new` of it. With a card that is refused nothing changes."""
    dearer = new.price_usd >= subscription.monthly_usd
    return {
        "items": _replaced(raw, catalog.items(new)),
        # Use that was metered so far is invoiced with it, too.
        "proration_behavior": "always_invoice" if dearer or subscription.plan.is_metered else "create_prorations",
        "payment_behavior": "error_if_incomplete",
        "metadata": {"plan": new.code},
        **({"trial_end": "now"} if _ends_trial(new, raw) else {}),
        **_without_end(raw),
    }


def _ends_trial(new: Plan, raw: Object) -> bool:
    return raw["status"] == "trialing" and not new.keeps_trial


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


@contextlib.contextmanager
def _released(raw: Object) -> Iterator[None]:
    """Inside, no change waits for the end of the period. If the body fails, what waited waits again."""
    schedule: Any = raw["schedule"]
    if not schedule or schedule["status"] not in {"active", "not_started"}:
        yield
        return
    ask(v1().subscription_schedules.release, id_of(schedule))
    try:
        yield
    except BillingError:
        _wait_again(raw, reading.later_phases(schedule))
        raise


def _wait_again(raw: Object, phases: list[Object]) -> None:
    kept = ("end_date", "proration_behavior", "metadata")
    later = [{"items": _items(phase), **{name: phase[name] for name in kept}} for phase in phases]
    try:
        if later:
            _schedule(raw, later)
    except BillingError as error:
        logger.error("%s: a change of plan does not wait any more: %s", raw["id"], error)


def _without_end(raw: Object) -> Object:
    if raw["cancel_at_period_end"]:
        return {"cancel_at_period_end": False}
    return {"cancel_at": ""} if raw["cancel_at"] else {}


def _stay(raw: Object) -> None:
    if unset := _without_end(raw):
        ask(v1().subscriptions.update, raw["id"], unset)


def _schedule(raw: Object, later: list[Object]) -> None:
    """What there is until the period ends, then the others. Between the two calls a schedule changes nothing."""
    schedule = ask(v1().subscription_schedules.create, {"from_subscription": raw["id"]})
    current = schedule["phases"][0]
    first: Object = {"items": _items(current), "start_date": current["start_date"], "end_date": current["end_date"]}
    if current.get("trial_end"):
        first["trial_end"] = current["trial_end"]
    phases = [{**first, "metadata": raw["metadata"]}, *later]
    ask(v1().subscription_schedules.update, schedule["id"], {"phases": phases, "end_behavior": "release"})


def _phase(plan: Plan) -> Object:
    month = {"interval": "month", "interval_count": 1}
    return {
        "items": catalog.items(plan),
        "duration": month,
        "proration_behavior": "none",
        "metadata": {"plan": plan.code},
    }


def _items(phase: Object) -> list[Object]:
    return [
        {"price": id_of(item["price"])} | ({"quantity": item["quantity"]} if item.get("quantity") else {})
        for item in phase["items"]
    ]
