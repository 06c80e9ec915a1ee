"""Which of a workspace's limits are used up, or nearly, and what that means for its requests: in words, for its pages.

Refused requests leave no record: who looks at the figures alone would see only that they stand still.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from billing import usage
from billing.figures import NEAR_PERCENT, count, usd
from billing.models import Plan, Subscription
from billing.periods import Period, period_at
from billing.usage import Usage
from tenants.limits import BudgetMode
from tenants.models import Tenant
from tenants.writing import moment


class Shortage(NamedTuple):
    """`kind`: error where requests are refused, warning where they soon will be. `is_budget`: it can be raised at will,
    without another plan.
    """

    kind: str
    title: str
    text: str
    is_budget: bool


def of(tenant: Tenant, now: dt.datetime) -> list[Shortage]:
    subscription = Subscription.objects.select_related("plan").get(tenant=tenant)
    plan = subscription.effective_plan(now)
    if not any(limit is not None for limit in _limits(plan, subscription).values()):
        return []
    period = period_at(subscription.anchor_at, now)
    return list(shortages(plan, subscription, usage.of(tenant, period, now.date()), period, now))


class _Counted(NamedTuple):
    """`name` is its field of Usage. What is said of it when 80 % are used, and when all is."""

    name: str
    near: Promise
    over: Promise


_REQUESTS = _Counted(
    "requests",
    _("%(share)s %% of the %(limit)s requests of this period are used."),
    _("The %(limit)s requests of this period are used up."),
)
_TOKENS = _Counted(
    "tokens",
    _("%(share)s %% of the %(limit)s tokens of this period are used."),
    _("The %(limit)s tokens of this period are used up."),
)
_PERIOD = _Counted(
    "cost_usd",
    _("%(share)s %% of this period's budget of %(limit)s is spent."),
    _("This period's budget of %(limit)s is spent."),
)
_DAY = _Counted(
    "day_usd",
    _("%(share)s %% of today's budget of %(limit)s is spent."),
    _("Today's budget of %(limit)s is spent."),
)
# A request is let in with what it may need at most: large ones are refused before all is used.
_SOON = _("Until %(until)s, what needs more than the rest is refused with 402.")
_NOW = _("Until %(until)s, %(refused)s is refused with 402.")
# What the exact cache answers takes no tokens and no money.
_EVERY, _OTHERS = _("every request"), _("every request that the exact cache cannot answer")


def shortages(
    plan: Plan, subscription: Subscription, used: Usage, period: Period, now: dt.datetime
) -> Iterator[Shortage]:
    """`plan` is the one whose limits apply. Budgets that only warn refuse nobody."""
    midnight = (now + dt.timedelta(days=1)).replace(hour=0, minute=0)
    for counted, limit in _limits(plan, subscription).items():
        if limit is None or not (share := _share(getattr(used, counted.name), limit)):
            continue
        is_budget = counted in (_PERIOD, _DAY)
        facts = {
            "share": share,
            "limit": usd(Decimal(limit)) if is_budget else count(int(limit)),
            "refused": _EVERY if counted is _REQUESTS else _OTHERS,
            "until": moment(midnight if counted is _DAY else period.end),
        }
        if share < 100:
            yield Shortage("warning", counted.near % facts, _SOON % facts, is_budget)
        else:
            yield Shortage("error", counted.over % facts, _NOW % facts, is_budget)


def _limits(plan: Plan, subscription: Subscription) -> dict[_Counted, Decimal | int | None]:
    overrides = subscription.overrides
    return {
        _REQUESTS: overrides.get("monthly_requests", plan.monthly_requests),
        _TOKENS: overrides.get("monthly_tokens", plan.monthly_tokens),
        _PERIOD: _budget("monthly_budget_usd", plan, subscription),
        _DAY: _budget("daily_budget_usd", plan, subscription),
    }


def _budget(name: str, plan: Plan, subscription: Subscription) -> Decimal | None:
    """The smaller one that refuses, of the plan's and the tenant's own."""
    overrides = subscription.overrides
    of_plan = overrides.get(name, getattr(plan, name)), overrides.get("budget_mode", plan.budget_mode)
    own = getattr(subscription, name), subscription.budget_mode
    hard = [Decimal(str(amount)) for amount, mode in (of_plan, own) if amount is not None and mode == BudgetMode.HARD]
    return min(hard, default=None)


def _share(used: Decimal | int, limit: Decimal | int) -> int:
    """In percent, 100 only of all of it; 0 is not worth a word. Of nothing, all is used."""
    share = int(100 * used / limit) if limit else 100
    return min(share, 100) if share >= NEAR_PERCENT else 0
