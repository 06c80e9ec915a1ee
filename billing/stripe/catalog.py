"""What a plan is at Stripe: which prices, under which lookup keys, on which meters. Asks Stripe for their ids only."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from django.utils.translation import gettext as _

from billing.models import FREE, Plan
from billing.stripe.client import Object, ask, v1
from billing.stripe.errors import NotSynced, UnknownPlan
from billing.stripe.owed import MODEL_COST, REQUESTS

METERS = {REQUESTS: "NexusGateway requests", MODEL_COST: "NexusGateway model cost, micro-USD"}
# A micro-USD, in cents: what models cost is passed on as it is.
MICRO_USD_CENTS = Decimal("0.0001")


class WantedPrice(NamedTuple):
    lookup_key: str
    nickname: str
    # None: a fixed sum a month.
    meter: str | None
    # Stripe's parameters for the amount.
    amount: Object


def product_id(plan: Plan) -> str:
    return f"nexus_{plan.code}"


def prices_of(plan: Plan) -> list[WantedPrice]:
    """In the order of the lines of an invoice. A plan without a monthly price may still be metered."""
    wanted = []
    if plan.price_usd or not plan.is_metered:
        amount: Object = {"unit_amount": int(plan.price_usd * 100)}
        wanted.append(WantedPrice(f"nexus_{plan.code}_monthly", f"{plan.name}, monthly", None, amount))
    if plan.request_usd is not None:
        wanted.append(WantedPrice(f"nexus_{plan.code}_requests", f"{plan.name}, requests", REQUESTS, _requests(plan)))
    if plan.passes_on_cost:
        each = {"unit_amount_decimal": str(MICRO_USD_CENTS)}
        wanted.append(WantedPrice(f"nexus_{plan.code}_cost", f"{plan.name}, models at cost", MODEL_COST, each))
    return wanted


def _requests(plan: Plan) -> Object:
    cents = _plain((plan.request_usd or Decimal(0)) * 100)
    if not plan.included_requests:
        return {"unit_amount_decimal": cents}
    tiers = [
        {"up_to": plan.included_requests, "unit_amount_decimal": "0"},
        {"up_to": "inf", "unit_amount_decimal": cents},
    ]
    return {"billing_scheme": "tiered", "tiers_mode": "graduated", "tiers": tiers}


def parameters(plan: Plan, wanted: WantedPrice, meter_ids: Mapping[str, str]) -> Object:
    """For making the price at Stripe."""
    recurring: Object = {"interval": "month"}
    if wanted.meter is not None:
        recurring |= {"usage_type": "metered", "meter": meter_ids[wanted.meter]}
    return {
        "product": product_id(plan),
        "currency": "usd",
        "nickname": wanted.nickname,
        "lookup_key": wanted.lookup_key,
        "recurring": recurring,
        "metadata": {"plan": plan.code},
        **wanted.amount,
    }


def is_same(price: Object, parameters: Object) -> bool:
    """Whether a price of Stripe's, with its tiers, charges what the parameters say."""
    recurring = price["recurring"]
    return (
        _amounts(price) == _amounts(parameters)
        and price["currency"] == parameters["currency"]
        and price["product"] == parameters["product"]
        and recurring["interval"] == parameters["recurring"]["interval"]
        and recurring.get("meter") == parameters["recurring"].get("meter")
    )


def _amounts(price: Object) -> list[tuple[Any, Decimal]]:
    if price.get("tiers"):
        return [(None if tier["up_to"] == "inf" else tier["up_to"], _cents(tier)) for tier in price["tiers"]]
    return [(None, _cents(price))]


def _cents(amount: Object) -> Decimal:
    exact = amount.get("unit_amount_decimal")
    return Decimal(str(amount.get("unit_amount") or 0)) if exact is None else Decimal(str(exact))


def _plain(number: Decimal) -> str:
    return format(number.normalize(), "f")


def sold_plan(code: str) -> Plan:
    """Raises UnknownPlan for what people cannot buy themselves."""
    plan = Plan.objects.filter(code=code, is_public=True).first()
    if plan is None or not plan.is_sold:
        sold = ", ".join(each.code for each in Plan.objects.filter(is_public=True) if each.is_sold)
        raise UnknownPlan(
            _("There is no plan “%(code)s” to buy. There are: %(sold)s.") % {"code": code[:40], "sold": sold}
        )
    return plan


def items(plan: Plan) -> list[Object]:
    """Its prices as items of a subscription. Raises NotSynced."""
    keys = [wanted.lookup_key for wanted in prices_of(plan)]
    prices = ask(v1().prices.list, {"lookup_keys": keys, "active": True, "limit": 100})["data"]
    by_key = {price["lookup_key"]: price for price in prices}
    lacking = [key for key in keys if key not in by_key]
    if lacking:
        raise NotSynced(f"price {lacking[0]}")
    return [
        {"price": by_key[key]["id"]} | ({} if by_key[key]["recurring"].get("meter") else {"quantity": 1})
        for key in keys
    ]


def described() -> list[Object]:
    """The plans that people can choose, for a list of them."""
    return [_described(plan) for plan in Plan.objects.filter(is_public=True) if plan.is_sold or plan.code == FREE]


def _described(plan: Plan) -> Object:
    return {
        "code": plan.code,
        "name": plan.name,
        "price_usd": str(plan.price_usd),
        "trial_days": plan.trial_days,
        "request_usd": None if plan.request_usd is None else _plain(plan.request_usd),
        "included_requests": plan.included_requests,
        "passes_on_cost": plan.passes_on_cost,
        "monthly_requests": plan.monthly_requests,
        "monthly_tokens": plan.monthly_tokens,
        "requests_per_minute": plan.requests_per_minute,
        "retention_days": plan.retention_days,
    }
