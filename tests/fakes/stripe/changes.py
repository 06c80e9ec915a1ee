"""What an update does to a subscription's items: prices, quantities, prorations, and what is billed at once."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from tests.fakes.stripe import charging, lines, periods
from tests.fakes.stripe.account import Account, merged_metadata
from tests.fakes.stripe.faults import Object, invalid, missing

MOST_ITEMS = 20


def plan_of(price: Object) -> Object:
    """The price in the old form, which items still show."""
    recurring = price["recurring"]
    same = "active billing_scheme created currency livemode metadata nickname product tiers_mode".split()
    return {
        "id": price["id"],
        "object": "plan",
        **{name: price[name] for name in same},
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "interval": recurring["interval"],
        "interval_count": recurring["interval_count"],
        "meter": recurring["meter"],
        "transform_usage": price["transform_quantity"],
        "trial_period_days": recurring["trial_period_days"],
        "usage_type": recurring["usage_type"],
    }


def chosen_price(account: Account, given: Object, param: str) -> Object:
    """The recurring, active price that an item names; its quantity fits it."""
    if "price" not in given:
        raise missing(f"{param}[price]")
    price = account.get("price", given["price"], f"{param}[price]")
    if not price["recurring"]:
        message = (
            "The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`."
        )
        raise invalid(message, f"{param}[price]")
    if not price["active"]:
        message = "The price specified is inactive. This field only accepts active prices."
        raise invalid(message, f"{param}[price]")
    return price


def require_fitting_quantity(price: Object, given: Object, param: str) -> None:
    if price["recurring"]["usage_type"] == "metered" and "quantity" in given:
        message = f"Quantity should not be specified where usage_type is `metered`. Remove quantity from `{param}`"
        raise invalid(message, f"{param}[quantity]")
    if given.get("quantity", 1) < 0:
        raise invalid("Invalid non-negative integer", f"{param}[quantity]")


def require_one_interval(prices: list[Object]) -> None:
    """Stripe mixes intervals in its flexible billing mode; the fake does not, and says so."""
    if len({(each["recurring"]["interval"], each["recurring"]["interval_count"]) for each in prices}) > 1:
        raise invalid("The fake bills one interval per subscription: give all items the same.", "items")
    if len({each["currency"] for each in prices}) > 1:
        raise invalid("All prices on a subscription must have the same currency.", "items")
    if len({each["id"] for each in prices}) < len(prices):
        raise invalid("Cannot add multiple subscription items with the same price.", "items")
    if len(prices) > MOST_ITEMS:
        raise invalid(f"A subscription has at most {MOST_ITEMS} items.", "items")


def add_item(account: Account, subscription: Object, price: Object, given: Object, period: tuple[int, int]) -> Object:
    fields = {
        "billing_thresholds": None,
        "current_period_start": period[0],
        "current_period_end": period[1],
        "discounts": [],
        "metadata": given.get("metadata", {}),
        "plan": plan_of(price),
        "price": price,
        "subscription": subscription["id"],
        "tax_rates": [],
    }
    if price["recurring"]["usage_type"] == "licensed":
        fields["quantity"] = given.get("quantity", 1)
    item = account.add("subscription_item", fields, since=period[0])
    del item["livemode"]
    subscription["items"]["data"].append(item)
    subscription["items"]["total_count"] = len(subscription["items"]["data"])
    return item


def remove_item(account: Account, subscription: Object, item: Object) -> None:
    subscription["items"]["data"].remove(item)
    subscription["items"]["total_count"] = len(subscription["items"]["data"])
    # Invoices name it still; the API does not know it any more.
    account.kinds["subscription_item"].remove(item["id"])


def items_of(subscription: Object) -> list[Object]:
    return list(subscription["items"]["data"])


def period_of(subscription: Object) -> tuple[int, int]:
    first = subscription["items"]["data"][0]
    return first["current_period_start"], first["current_period_end"]


def change_items(account: Account, subscription: Object, given: list[Object], behavior: str, at: int) -> bool:
    """Carries out `items[…]`. True when the billing period begins anew, and its invoice is due now."""
    targets = [_target(account, subscription, each, f"items[{index}]") for index, each in enumerate(given)]
    gone = {each.item["id"] for each in targets if each.item and each.given.get("deleted")}
    changed = {each.item["id"]: each.price for each in targets if each.item}
    staying = [each for each in items_of(subscription) if each["id"] not in gone]
    after = [changed[each["id"]] if each["id"] in changed else each["price"] for each in staying]
    after += [each.price for each in targets if each.item is None]
    if not after:
        raise invalid("A subscription must have at least one active plan. Cancel it instead.", "items")
    require_one_interval(after)
    trial = subscription["status"] == "trialing"
    anew = not trial and _begins_anew(items_of(subscription), after)
    prorated = behavior != "none" and not trial
    for target in targets:
        _change(account, subscription, target, at, prorated=prorated, anew=anew)
    if anew:
        _restart(account, subscription, at)
    return anew


class Target(NamedTuple):
    """The item that is meant, none for a new one; what is asked of it; the price it will have."""

    item: Object | None
    given: Object
    price: Object


def _target(account: Account, subscription: Object, given: Object, param: str) -> Target:
    item = None
    if "id" in given:
        own = {each["id"]: each for each in items_of(subscription)}
        if given["id"] not in own:
            message = f"Invalid subscription_item id: {given['id']} is not an item of {subscription['id']}."
            raise invalid(message, f"{param}[id]", "resource_missing")
        item = own[given["id"]]
    price = item["price"] if item and "price" not in given else chosen_price(account, given, param)
    require_fitting_quantity(price, given, param)
    return Target(item, given, price)


def _begins_anew(before: list[Object], after: list[Object]) -> bool:
    """Another interval, or a first price that costs something, starts a period now, as Stripe does."""

    def interval(price: Object) -> tuple[str, int]:
        return price["recurring"]["interval"], price["recurring"]["interval_count"]

    free = not any(lines.is_metered(each) or _costs(each["price"]) for each in before)
    return interval(before[0]["price"]) != interval(after[0]) or (free and any(map(_costs, after)))


def _costs(price: Object) -> bool:
    """Whether a licensed price is more than nothing."""
    licensed = price["recurring"]["usage_type"] == "licensed"
    return licensed and (price["billing_scheme"] == "tiered" or Decimal(price["unit_amount_decimal"]) > 0)


def _change(account: Account, subscription: Object, target: Target, at: int, *, prorated: bool, anew: bool) -> None:
    item, given, price = target
    if item is None:
        item = add_item(account, subscription, price, given, period_of(subscription))
        account.notes[item["id"]]["since"] = at
    else:
        quantity = given.get("quantity", item.get("quantity"))
        if not given.get("deleted") and price["id"] == item["price"]["id"] and quantity == item.get("quantity"):
            item["metadata"] = merged_metadata(item["metadata"], given.get("metadata", {}))
            return
        if lines.is_metered(item):
            lines.owe(account, subscription, item, at)
        elif prorated:
            lines.credit_rest(account, subscription, item, at)
        if given.get("deleted"):
            return remove_item(account, subscription, item)
        _set_price(item, price, given)
    if prorated and not anew and not lines.is_metered(item):
        lines.debit_rest(account, subscription, item, at)


def _set_price(item: Object, price: Object, given: Object) -> None:
    item.update(price=price, plan=plan_of(price), metadata=merged_metadata(item["metadata"], given.get("metadata", {})))
    if price["recurring"]["usage_type"] == "licensed":
        # Stripe keeps the quantity that was, unless another is given.
        item["quantity"] = given.get("quantity", item.get("quantity", 1))
    else:
        item.pop("quantity", None)


def _restart(account: Account, subscription: Object, at: int) -> None:
    """Every item's period begins now. What the others were billed for is given back, or was used up."""
    for item in items_of(subscription):
        if lines.is_metered(item):
            lines.owe(account, subscription, item, at)
        else:
            lines.credit_rest(account, subscription, item, at)
    begin_period(subscription, at, at)


def begin_period(subscription: Object, start: int, anchor: int) -> None:
    subscription["billing_cycle_anchor"] = anchor
    for item in items_of(subscription):
        end = periods.next_end(anchor, item["price"]["recurring"], start)
        item.update(current_period_start=start, current_period_end=end)


def first_charge(account: Account, items: list[Object]) -> int:
    """What the licensed items cost for a period, before discounts and tax."""
    licensed = [each for each in items if not lines.is_metered(each)]
    return sum(charging.charge(account, each["price"], each["quantity"]) for each in licensed)
