"""What the billing page shows, as text with units: use of the period, days of the ledger, closed periods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import Count, Q, Sum
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from billing.models import ClosedPeriod, LedgerEntry, Plan, Subscription
from billing.periods import Period
from billing.usage import Usage
from tenants.limits import BudgetMode
from tenants.models import ApiKey, Tenant
from tenants.writing import day, number

CLOSED_PERIODS = 12
# From then on a bar warns.
NEAR_PERCENT = 80


def usd(amount: Decimal, digits: int | None = None) -> str:
    """With cents; more digits where cents would say nothing."""
    if digits is None:
        digits = 2 if amount == round(amount, 2) or abs(amount) >= 100 else 4 if abs(amount) >= Decimal("0.01") else 6
    return f"{'−' if amount < 0 else ''}${number(abs(amount), digits)}"


def count(things: int) -> str:
    return number(things).replace("-", "−")


class Bar(NamedTuple):
    """One limit and what there is of it. Without a limit there are no percentages. `level`: calm, near or over."""

    name: str
    used: str
    held: str
    limit: str
    share: str
    used_percent: float = 0
    held_percent: float = 0
    level: str = "calm"


def bars(plan: Plan, subscription: Subscription, usage: Usage) -> list[Bar]:
    """Of the limits that the data plane applies: those of `plan`, the tenant's exceptions, and its own budget."""
    overrides = subscription.overrides
    requests, tokens = (overrides.get(name, getattr(plan, name)) for name in ("monthly_requests", "monthly_tokens"))
    of_period, of_day = (_budget(name, plan, subscription) for name in ("monthly_budget_usd", "daily_budget_usd"))
    return [
        _bar(_("Requests"), usage.requests, usage.held_requests, requests, count),
        _bar(_("Tokens"), usage.tokens, usage.held_tokens, tokens, count),
        _bar(_("Spend, this period"), usage.cost_usd, usage.held_usd, of_period.usd, usd, of_period.says),
        _bar(_("Spend, today (UTC)"), usage.day_usd, usage.held_day_usd, of_day.usd, usd, of_day.says),
    ]


def bars_of_key(key: ApiKey, usage: Usage) -> list[Bar]:
    """Of the key's own limits: those of the workspace count for all of its keys together."""
    says = _says(only_warns=key.budget_mode == BudgetMode.WARN)
    return [
        _bar(_("Requests"), usage.requests, usage.held_requests, key.monthly_requests, count),
        _bar(_("Tokens"), usage.tokens, usage.held_tokens, key.monthly_tokens, count),
        _bar(_("Spend, this period"), usage.cost_usd, usage.held_usd, key.monthly_budget_usd, usd, says),
        _bar(_("Spend, today (UTC)"), usage.day_usd, usage.held_day_usd, key.daily_budget_usd, usd, says),
    ]


class Budget(NamedTuple):
    usd: Decimal | None
    says: str


def _says(*, only_warns: bool) -> str:
    return _("of %(limit)s budget that only warns") if only_warns else _("of %(limit)s budget")


def _budget(name: str, plan: Plan, subscription: Subscription) -> Budget:
    """Of the plan's and the tenant's own: the smaller one that refuses; if none does, the smaller one that warns."""
    overrides = subscription.overrides
    of_plan = overrides.get(name, getattr(plan, name)), overrides.get("budget_mode", plan.budget_mode)
    own = getattr(subscription, name), subscription.budget_mode
    given = [(mode == BudgetMode.WARN, Decimal(str(amount))) for amount, mode in (of_plan, own) if amount is not None]
    if not given:
        return Budget(None, "")
    only_warns, amount = min(given)
    return Budget(amount, _says(only_warns=only_warns))


def _bar(name: str, used: Any, held: Any, limit: Any, text: Callable[[Any], str], says: str = "") -> Bar:
    held_text = _("%(amount)s held") % {"amount": text(held)}
    if limit is None:
        return Bar(name, text(used), held_text, _("· no budget") if text is usd else _("· no limit"), "")
    percent = float(100 * used / limit) if limit else 100.0
    held_percent = float(100 * held / limit) if limit else 0.0
    filled = min(percent, 100.0)
    level = "over" if percent >= 100 else "near" if percent >= NEAR_PERCENT else "calm"
    told = (says or _("of %(limit)s")) % {"limit": text(limit)}
    return Bar(
        name, text(used), held_text, told, f"{number(percent, 1)} %", filled, min(held_percent, 100 - filled), level
    )


class Row(NamedTuple):
    """Sums of a day or of a period."""

    name: str
    requests: str
    tokens: str
    cost: str
    saved: str
    unpriced: str
    # Days: what was corrected by hand. Periods: what came after they were closed.
    note: str = ""


class Days(NamedTuple):
    rows: list[Row]
    total: Row | None


_SUMS = ("requests", "tokens", "cost_usd", "saved_usd", "unpriced")


def days(tenant: Tenant, period: Period) -> Days:
    """The ledger's days of a period, newest first."""
    booked = LedgerEntry.objects.filter(tenant=tenant, period_start=period.start)
    sums: Any = {name: Sum(name) for name in _SUMS}
    by_hand = Count("pk", filter=Q(kind=LedgerEntry.Kind.ADJUSTMENT))
    found = list(booked.values("day").annotate(by_hand=by_hand, **sums).order_by("-day"))
    rows = [_row(day(each["day"]), each, _adjusted(each["by_hand"])) for each in found]
    return Days(rows, _row(_("Period so far"), booked.aggregate(**sums)) if rows else None)


def _adjusted(times: int) -> str:
    if not times:
        return ""
    return ngettext("with %(number)s correction", "with %(number)s corrections", times) % {"number": count(times)}


def periods(tenant: Tenant) -> list[Row]:
    """Those that are closed, newest first, each with its plan."""
    closed = list(ClosedPeriod.objects.filter(tenant=tenant).order_by("-period_start")[:CLOSED_PERIODS])
    late = dict(
        LedgerEntry.objects.filter(
            tenant=tenant, kind=LedgerEntry.Kind.LATE, period_start__in=[each.period_start for each in closed]
        )
        .values_list("period_start")
        .annotate(Sum("requests"))
        .order_by()
    )
    names = dict(Plan.objects.values_list("code", "name"))
    rows = []
    for each in closed:
        after = late.get(each.period_start, 0)
        late_ones = ngettext(
            "%(number)s request came later, and is booked beside",
            "%(number)s requests came later, and are booked beside",
            after,
        )
        note = late_ones % {"number": count(after)} if after else ""
        name = _("%(start)s to %(end)s, %(plan)s") % {
            "start": day(each.period_start),
            "end": day(each.period_end),
            "plan": names.get(each.plan_code, each.plan_code),
        }
        rows.append(_row(name, {sum_: getattr(each, sum_) for sum_ in _SUMS}, note))
    return rows


def _row(name: str, sums: Mapping[str, Any], note: str = "") -> Row:
    digits = 6
    cost, saved = usd(sums["cost_usd"], digits), usd(sums["saved_usd"], digits)
    return Row(name, count(sums["requests"]), count(sums["tokens"]), cost, saved, count(sums["unpriced"]), note)
