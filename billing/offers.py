"""The plans as people can choose them: what each gives and costs in words, and what its button does. Asks nobody."""

from __future__ import annotations

from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from billing.figures import count, usd
from billing.models import FREE, Plan, Subscription
from tenants.writing import day

Status = Subscription.Status
# Only then does Stripe take another plan; before, a payment is due.
_CHANGEABLE = (Status.ACTIVE, Status.TRIALING)
RATES: dict[str, Promise] = {
    "requests_per_minute": gettext_lazy("%(number)s requests a minute"),
    "tokens_per_minute": gettext_lazy("%(number)s tokens a minute"),
}


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
        _("Any number of requests")
        if plan.monthly_requests is None
        else _("%(number)s requests a month") % {"number": count(plan.monthly_requests)},
        _("Any number of tokens")
        if plan.monthly_tokens is None
        else _("%(number)s tokens a month") % {"number": count(plan.monthly_tokens)},
    ]
    rates = ((text, getattr(plan, name)) for name, text in RATES.items())
    limits += [str(text % {"number": count(limit)}) for text, limit in rates if limit is not None]
    budgets = (
        (plan.daily_budget_usd, _("At most %(usd)s of models a day")),
        (plan.monthly_budget_usd, _("At most %(usd)s of models a month")),
    )
    limits += [text % {"usd": usd(amount)} for amount, text in budgets if amount is not None]
    kept = ngettext("Usage records kept for %(days)s day", "Usage records kept for %(days)s days", plan.retention_days)
    return [*limits, kept % {"days": count(plan.retention_days)}]


def metered(plan: Plan) -> list[str]:
    """What is charged beside the price."""
    words = []
    if plan.request_usd is not None:
        rate = _("%(usd)s for each %(thousand)s requests")
        if plan.included_requests:
            rate = _("%(usd)s for each %(thousand)s requests beyond the first %(included)s")
        facts = {"usd": usd(plan.request_usd * 1000), "thousand": count(1000)}
        words.append(rate % {**facts, "included": count(plan.included_requests)})
    if plan.passes_on_cost:
        words.append(_("Models at cost, where they are called with the gateway's own provider account"))
    return words


def has_trial(plan: Plan, subscription: Subscription) -> bool:
    begins = not subscription.is_stripes or subscription.status == Status.INCOMPLETE
    return bool(plan.trial_days) and subscription.trial_used_at is None and begins


def _trial(plan: Plan, subscription: Subscription) -> str:
    is_other = plan.code != subscription.plan_id
    if is_other and subscription.status == Status.TRIALING and plan.is_sold and not plan.keeps_trial:
        return _("Ends your trial")
    if not has_trial(plan, subscription):
        return ""
    free = ngettext("%(days)s day free, once", "%(days)s days free, once", plan.trial_days)
    return free % {"days": plan.trial_days}


def _state(plan: Plan, subscription: Subscription) -> str:
    if plan.code == subscription.plan_id:
        return _("Your plan")
    if plan.code == subscription.pending_plan and subscription.pending_at:
        return _("From %(day)s") % {"day": day(subscription.pending_at)}
    if plan.code == FREE and subscription.cancel_at:
        return _("From %(day)s") % {"day": day(subscription.cancel_at)}
    return ""


def _act(plan: Plan, subscription: Subscription) -> Act | None:
    if _state(plan, subscription):
        waits = subscription.is_stripes and (subscription.pending_plan or subscription.cancel_at)
        keep = Act("resume", _("Keep %(plan)s") % {"plan": plan.name})
        return keep if waits and plan.code == subscription.plan_id else None
    if plan.code != FREE and not plan.is_sold:
        return None
    if subscription.status in _CHANGEABLE:
        if plan.code == FREE:
            return Act("cancel", _("Downgrade to Free"))
        dearer = plan.price_usd >= subscription.monthly_usd
        return Act("change", (_upgrade() if dearer else _("Downgrade to %(plan)s")) % {"plan": plan.name}, dearer)
    if plan.code == FREE or (subscription.is_stripes and subscription.status != Status.INCOMPLETE):
        return None
    if has_trial(plan, subscription):
        start = ngettext("Start %(days)s-day trial", "Start %(days)s-day trial", plan.trial_days)
        return Act("checkout", start % {"days": plan.trial_days}, is_main=True)
    return Act("checkout", _upgrade() % {"plan": plan.name}, is_main=True)


def _upgrade() -> str:
    return _("Upgrade to %(plan)s")
