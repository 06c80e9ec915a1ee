"""The plans as people can choose them: what each gives and costs in words, and what its button does. Asks nobody."""

from __future__ import annotations

from typing import NamedTuple

from billing.figures import count, day, usd
from billing.models import FREE, Plan, Subscription

Status = Subscription.Status
# Only then does Stripe take another plan; before, a payment is due.
_CHANGEABLE = (Status.ACTIVE, Status.TRIALING)
RATES = (("requests_per_minute", "requests a minute"), ("tokens_per_minute", "tokens a minute"))


class Act(NamedTuple):
    """`does`: checkout, change, cancel or resume."""

    does: str
    label: str
    is_main: bool = False


class Offer(NamedTuple):
    """`state` is what a badge says: that it is the current plan, or when it will be."""

    code: str
    name: str
    price: str
    trial: str
    gives: list[str]
    metered: list[str]
    state: str
    act: Act | None


def offers(subscription: Subscription, *, for_sale: bool) -> list[Offer]:
    """`for_sale`: Stripe is configured."""
    return [
        Offer(
            plan.code,
            plan.name,
            usd(subscription.monthly_usd if plan.code == subscription.plan_id else plan.price_usd),
            _trial(plan, subscription),
            gives(plan),
            metered(plan),
            _state(plan, subscription),
            _act(plan, subscription) if for_sale else None,
        )
        for plan in Plan.objects.filter(is_public=True)
    ]


def gives(plan: Plan) -> list[str]:
    limits = [
        f"{count(plan.monthly_requests)} requests a month"
        if plan.monthly_requests is not None
        else "Any number of requests",
        f"{count(plan.monthly_tokens)} tokens a month" if plan.monthly_tokens is not None else "Any number of tokens",
    ]
    limits += [f"{count(limit)} {what}" for name, what in RATES if (limit := getattr(plan, name)) is not None]
    budgets = ((plan.daily_budget_usd, "day"), (plan.monthly_budget_usd, "month"))
    limits += [f"At most {usd(amount)} of models a {per}" for amount, per in budgets if amount is not None]
    return [*limits, f"Usage records kept for {plan.retention_days} days"]


def metered(plan: Plan) -> list[str]:
    """What is charged beside the price."""
    words = []
    if plan.request_usd is not None:
        rate = f"{usd(plan.request_usd * 1000)} for each 1,000 requests"
        more = f" beyond the first {count(plan.included_requests)}" if plan.included_requests else ""
        words.append(f"{rate}{more}")
    if plan.passes_on_cost:
        words.append("Models at cost, where they are called with the gateway's own provider account")
    return words


def has_trial(plan: Plan, subscription: Subscription) -> bool:
    begins = not subscription.is_stripes or subscription.status == Status.INCOMPLETE
    return bool(plan.trial_days) and subscription.trial_used_at is None and begins


def _trial(plan: Plan, subscription: Subscription) -> str:
    is_other = plan.code != subscription.plan_id
    if is_other and subscription.status == Status.TRIALING and plan.is_sold and not plan.keeps_trial:
        return "Ends your trial"
    return f"{plan.trial_days} days free, once" if has_trial(plan, subscription) else ""


def _state(plan: Plan, subscription: Subscription) -> str:
    if plan.code == subscription.plan_id:
        return "Your plan"
    if plan.code == subscription.pending_plan and subscription.pending_at:
        return f"From {day(subscription.pending_at)}"
    if plan.code == FREE and subscription.cancel_at:
        return f"From {day(subscription.cancel_at)}"
    return ""


def _act(plan: Plan, subscription: Subscription) -> Act | None:
    if _state(plan, subscription):
        waits = subscription.is_stripes and (subscription.pending_plan or subscription.cancel_at)
        return Act("resume", f"Keep {plan.name}") if waits and plan.code == subscription.plan_id else None
    if plan.code != FREE and not plan.is_sold:
        return None
    if subscription.status in _CHANGEABLE:
        if plan.code == FREE:
            return Act("cancel", "Downgrade to Free")
        dearer = plan.price_usd >= subscription.monthly_usd
        return Act("change", f"{'Upgrade' if dearer else 'Downgrade'} to {plan.name}", dearer)
    if plan.code == FREE or (subscription.is_stripes and subscription.status != Status.INCOMPLETE):
        return None
    if has_trial(plan, subscription):
        return Act("checkout", f"Start {plan.trial_days}-day trial", is_main=True)
    return Act("checkout", f"Upgrade to {plan.name}", is_main=True)
