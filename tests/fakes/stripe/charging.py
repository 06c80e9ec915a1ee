"""How much a price asks for a quantity: tiers, rounding to whole cents, discounts, tax. Money is `Decimal`."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from tests.fakes.stripe.account import Account
from tests.fakes.stripe.catalog import amount_text
from tests.fakes.stripe.coupons import coupon_of
from tests.fakes.stripe.faults import Object

# Percent that `automatic_tax` adds, by country. Nothing is owed elsewhere: no registration there.
TAX_PERCENT = {"DE": 19, "FR": 20, "GB": 20, "IE": 23, "NL": 21, "ES": 21, "IT": 22, "AT": 20, "CH": 8, "AU": 10}


class Part(NamedTuple):
    """A piece of a charge: so many units at a price for one, in cents."""

    quantity: int
    unit: Decimal
    amount: int
    note: str = ""


def cents(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), ROUND_HALF_UP))


def share(amount: int, part: int, whole: int) -> int:
    """That part of an amount; half a cent goes up."""
    return cents(Decimal(amount) * part / whole) if whole else 0


def parts(account: Account, price: Object, quantity: int) -> list[Part]:
    """One for each tier that is reached, each rounded on its own; one in all for a price without tiers."""
    if price["billing_scheme"] == "per_unit":
        quantity = _transformed(price, quantity)
        unit = Decimal(price["unit_amount_decimal"])
        return [Part(quantity, unit, cents(unit * quantity))]
    tiers = account.notes[price["id"]]["tiers"]
    if price["tiers_mode"] == "volume":
        tier = next(each for each in tiers if each["up_to"] is None or quantity <= each["up_to"])
        return list(_tier_parts(tier, quantity, "for all units"))
    return list(_graduated(tiers, quantity))


def _graduated(tiers: list[Object], quantity: int) -> Iterator[Part]:
    below = 0
    for number, tier in enumerate(tiers, 1):
        top = quantity if tier["up_to"] is None else min(quantity, tier["up_to"])
        if number == 1 or top > below:
            yield from _tier_parts(tier, top - below, f"Tier {number}")
        below = top


def _tier_parts(tier: Object, quantity: int, note: str) -> Iterator[Part]:
    unit = Decimal(tier["unit_amount_decimal"] or 0)
    yield Part(quantity, unit, cents(unit * quantity), f"{note} at ${amount_text(unit / 100)}")
    if tier["flat_amount_decimal"] and quantity:
        flat = Decimal(tier["flat_amount_decimal"])
        yield Part(1, flat, cents(flat), f"{note} flat fee")


def _transformed(price: Object, quantity: int) -> int:
    transform = price["transform_quantity"]
    if not transform:
        return quantity
    whole, rest = divmod(quantity, int(transform["divide_by"]))
    return whole + 1 if rest and transform["round"] == "up" else whole


def charge(account: Account, price: Object, quantity: int) -> int:
    """The whole amount in cents."""
    return sum(part.amount for part in parts(account, price, quantity))


def discount_lines(account: Account, lines: list[Object], discounts: list[str]) -> None:
    """Sets what each discount takes from each line: a percentage of it, or its share of a fixed amount."""
    for id_ in discounts:
        coupon = coupon_of(account, id_)
        open_lines = [
            line for line in lines if line["discountable"] and _left(line) > 0 and _applies(account, coupon, line)
        ]
        if coupon["percent_off"] is not None:
            taken = [cents(Decimal(_left(line)) * Decimal(str(coupon["percent_off"])) / 100) for line in open_lines]
        else:
            taken = _spread(
                min(coupon["amount_off"], sum(map(_left, open_lines))), [_left(line) for line in open_lines]
            )
        for line, amount in zip(open_lines, taken, strict=True):
            line["discount_amounts"].append({"amount": amount, "discount": id_})


def _applies(account: Account, coupon: Object, line: Object) -> bool:
    only = (account.notes[coupon["id"]].get("applies_to") or {}).get("products")
    return not only or line["pricing"]["price_details"]["product"] in only


def _left(line: Object) -> int:
    return int(line["amount"]) - sum(int(each["amount"]) for each in line["discount_amounts"])


def _spread(amount: int, weights: list[int]) -> list[int]:
    """Parts in proportion to the weights that add up to the amount exactly."""
    made: list[int] = []
    taken = weight = 0
    for each in weights:
        weight += each
        upto = share(amount, weight, sum(weights))
        made.append(upto - taken)
        taken = upto
    return made


def tax_lines(lines: list[Object], customer: Object) -> str:
    """Sets each line's tax on top of its amount, and says how that went."""
    country = (customer["address"] or {}).get("country")
    if not country:
        return "requires_location_inputs"
    percent = TAX_PERCENT.get(country, 0)
    reasons = {"exempt": "customer_exempt", "reverse": "reverse_charge"}
    reason = reasons.get(customer["tax_exempt"], "standard_rated" if percent else "not_collecting")
    for line in lines:
        taxable = _left(line)
        owed = cents(Decimal(taxable) * percent / 100) if reason == "standard_rated" else 0
        line["taxes"] = [
            {
                "amount": owed,
                "tax_behavior": "exclusive",
                "tax_rate_details": {"tax_rate": f"txr_fake_{country.lower()}"},
                "taxability_reason": reason,
                "taxable_amount": taxable if reason == "standard_rated" else 0,
                "type": "tax_rate_details",
            }
        ]
    return "complete"
