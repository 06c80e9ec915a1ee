"""Objects as the API shows them: copies, with what `expand` asks for, and lists a page at a time."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from tests.fakes.stripe.account import Account
from tests.fakes.stripe.faults import Object, invalid

# Fields that hold another object's id and may be expanded.
EXPANDABLE = frozenset(
    """
    charge configuration coupon customer default_payment_method default_price default_source discount invoice
    latest_charge latest_invoice payment_intent payment_method pending_setup_intent price product promotion_code
    schedule setup_intent subscription balance_transaction test_clock
    """.split()
)
# Lists of ids that may be expanded.
EXPANDABLE_LISTS = frozenset({"discounts"})
# Fields that exist only when they are asked for: (object, field) to what they hold.
Included = Callable[[Account, Object], Any]
INCLUDABLE: dict[tuple[str, str], Included] = {
    ("price", "tiers"): lambda account, price: account.notes[price["id"]].get("tiers"),
    ("price", "currency_options"): lambda account, price: _currency_options(account, price),
    ("coupon", "applies_to"): lambda account, coupon: account.notes[coupon["id"]].get("applies_to"),
    ("customer", "sources"): lambda account, customer: listed([], f"/v1/customers/{customer['id']}/sources"),
    ("customer", "subscriptions"): lambda account, customer: listed(
        [each for each in account.all("subscription", customer=customer["id"]) if each["status"] != "canceled"],
        f"/v1/customers/{customer['id']}/subscriptions",
    ),
    ("customer", "tax_ids"): lambda account, customer: listed(
        account.all("tax_id", customer=customer["id"]), f"/v1/customers/{customer['id']}/tax_ids"
    ),
    ("customer", "tax"): lambda account, customer: customer_tax(customer),
    ("checkout.session", "line_items"): lambda account, session: listed(
        account.notes[session["id"]]["line_items"], f"/v1/checkout/sessions/{session['id']}/line_items"
    ),
    ("invoice", "payments"): lambda account, invoice: listed(
        account.all("invoice_payment", invoice=invoice["id"]), "/v1/invoice_payments"
    ),
    ("invoice", "confirmation_secret"): lambda account, invoice: account.notes.get(invoice["id"], {}).get("secret"),
    ("item", "discounts"): lambda account, item: [],
    ("checkout.session", "total_details.breakdown"): lambda account, session: {"discounts": [], "taxes": []},
}


def _currency_options(account: Account, price: Object) -> Object:
    same = {name: price[name] for name in ("custom_unit_amount", "tax_behavior", "unit_amount", "unit_amount_decimal")}
    tiers = account.notes[price["id"]].get("tiers")
    return {price["currency"]: {**same, **({"tiers": tiers} if tiers else {})}}


def customer_tax(customer: Object) -> Object:
    country = (customer.get("address") or {}).get("country")
    place = (
        {"country": country, "source": "billing_address", "state": customer["address"]["state"]} if country else None
    )
    status = "supported" if country else "unrecognized_location"
    return {"automatic_tax": status, "ip_address": None, "location": place, "provider": "stripe"}


def listed(objects: list[Object], url: str, *, more: bool = False) -> Object:
    return {"object": "list", "data": objects, "has_more": more, "url": url}


def shown(account: Account, value: Object, expand: list[str] | None = None) -> Object:
    """A copy that may leave the account."""
    copied = copy.deepcopy(value)
    for path in expand or []:
        _expand(account, copied, path.split("."), path)
    return copied


def _expand(account: Account, here: Any, path: list[str], whole: str) -> None:
    if not path or here is None:
        return
    if isinstance(here, list):
        for each in here:
            _expand(account, each, path, whole)
        return
    if not isinstance(here, dict) or here.get("deleted"):
        return
    name = path[0]
    for length in (2, 1):
        include = INCLUDABLE.get((here.get("object", ""), ".".join(path[:length])))
        if include:
            _include(account, here, path[:length], include)
            return _expand(account, _down(here, path[:length]), path[length:], whole)
    if isinstance(here.get(name), str) and name in EXPANDABLE:
        here[name] = copy.deepcopy(account.find(here[name])) or here[name]
    elif name in EXPANDABLE_LISTS and isinstance(here.get(name), list):
        here[name] = [copy.deepcopy(account.find(id_)) if isinstance(id_, str) else id_ for id_ in here[name]]
    elif name not in here:
        raise invalid(
            f"This property cannot be expanded ({whole}). You may want to try expanding 'data.{whole}' instead."
            if here.get("object") == "list"
            else f"This property cannot be expanded ({whole}).",
            "expand",
        )
    _expand(account, here[name], path[1:], whole)


def _include(account: Account, here: Object, path: list[str], include: Included) -> None:
    holder = _down(here, path[:-1])
    if not isinstance(holder.get(path[-1]), (dict, list)):
        holder[path[-1]] = copy.deepcopy(include(account, here))


def _down(here: Any, path: list[str]) -> Any:
    for name in path:
        here = here[name]
    return here


def page(account: Account, objects: list[Object], given: Object, url: str) -> Object:
    """One page of a list that is in its final order, and whether there is more."""
    limit = given.get("limit", 10)
    if not 1 <= limit <= 100:
        raise invalid(f"Invalid integer: limit must be between 1 and 100, not {limit}", "limit")
    ids = [each["id"] for each in objects]
    if "starting_after" in given:
        rest = objects[_position(ids, given["starting_after"], "starting_after") + 1 :]
        chosen, more = rest[:limit], len(rest) > limit
    elif "ending_before" in given:
        rest = objects[: _position(ids, given["ending_before"], "ending_before")]
        chosen, more = rest[-limit:], len(rest) > limit
    else:
        chosen, more = objects[:limit], len(objects) > limit
    return listed(chosen, url, more=more)


def _position(ids: list[str], id_: str, param: str) -> int:
    if id_ not in ids:
        raise invalid(f"No such object: '{id_}'", param, "resource_missing")
    return ids.index(id_)


def within(objects: list[Object], name: str, bounds: Object | int | None) -> list[Object]:
    """Those whose time `name` fits `created=…` or `created[gte]=…`."""
    if bounds is None:
        return objects
    tests: dict[str, Callable[[int, int], bool]] = {
        "gt": lambda time, bound: time > bound,
        "gte": lambda time, bound: time >= bound,
        "lt": lambda time, bound: time < bound,
        "lte": lambda time, bound: time <= bound,
    }
    if isinstance(bounds, int):
        return [each for each in objects if each[name] == bounds]
    return [each for each in objects if all(tests[sort](each[name], bound) for sort, bound in bounds.items())]
