"""What is sold: products and their prices."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.fakes.stripe.account import Account, merged_metadata, newest_first
from tests.fakes.stripe.faults import Object, invalid, missing
from tests.fakes.stripe.rendering import page, within

PRODUCT_DEFAULTS: Object = {
    "active": True,
    "default_price": None,
    "description": None,
    "images": [],
    "marketing_features": [],
    "package_dimensions": None,
    "shippable": None,
    "statement_descriptor": None,
    "tax_code": None,
    "type": "service",
    "unit_label": None,
    "url": None,
}
# What an update may set, as it is given.
PRODUCT_FIELDS = "active default_price description images marketing_features name statement_descriptor tax_code".split()
PRODUCT_FIELDS += ["unit_label", "url", "shippable"]


def create_product(account: Account, given: Object) -> Object:
    if "default_price_data" in given:
        raise invalid("The fake makes no price with a product: create it on its own.", "default_price_data")
    fields = {name: given[name] for name in PRODUCT_FIELDS if name in given}
    made: Object = {**PRODUCT_DEFAULTS, **fields, "metadata": given.get("metadata", {}), "updated": account.now()}
    if "id" in given:
        made["id"] = given["id"]
    product = account.add("product", made)
    account.tell("product.created", product)
    return product


def update_product(account: Account, given: Object, id_: str) -> Object:
    product = account.get("product", id_)
    with account.changing(product, "product.updated"):
        set_fields(product, given, PRODUCT_FIELDS)
        product["updated"] = account.now()
    return product


def delete_product(account: Account, given: Object, id_: str) -> Object:
    product = account.get("product", id_)
    if account.all("price", product=id_):
        raise invalid("This product cannot be deleted because it has one or more user-created prices.", "id")
    account.tell("product.deleted", product)
    return account.remove(product)


def list_products(account: Account, given: Object) -> Object:
    chosen = equal(account.all("product"), given, ("active", "shippable", "url"))
    if "ids" in given:
        chosen = [each for each in chosen if each["id"] in given["ids"]]
    return page(account, newest_first(within(chosen, "created", given.get("created"))), given, "/v1/products")


def list_features(account: Account, given: Object, id_: str) -> Object:
    """Entitlements are not faked: no product has any."""
    account.get("product", id_)
    return page(account, [], given, f"/v1/products/{id_}/features")


def set_fields(changed: Object, given: Object, names: list[str]) -> None:
    """Sets what is given; an empty text unsets."""
    changed.update({name: None if given[name] == "" else given[name] for name in names if name in given})
    if "metadata" in given:
        changed["metadata"] = merged_metadata(changed["metadata"], given["metadata"])


def equal(objects: list[Object], given: Object, names: tuple[str, ...]) -> list[Object]:
    wanted = {name: given[name] for name in names if name in given}
    return [each for each in objects if all(each.get(name) == value for name, value in wanted.items())]


# Prices


def amount_text(amount: Decimal) -> str:
    return format(amount.normalize(), "f")


def _amounts(given: Object) -> Object:
    """`unit_amount` in whole cents where it is, and the exact text."""
    exact = given.get("unit_amount_decimal", given.get("unit_amount"))
    if exact is None:
        return {"unit_amount": None, "unit_amount_decimal": None}
    exact = Decimal(exact)
    if exact < 0:
        raise invalid("Invalid non-negative integer", "unit_amount")
    whole = exact == exact.to_integral_value()
    return {"unit_amount": int(exact) if whole else None, "unit_amount_decimal": amount_text(exact)}


def create_price(account: Account, given: Object) -> Object:
    if "product" not in given:
        raise missing("product")
    account.get("product", given["product"], "product")
    recurring = _recurring(account, given.get("recurring"))
    tiered = given.get("billing_scheme", "per_unit") == "tiered"
    if tiered and not ("tiers" in given and "tiers_mode" in given):
        raise missing("tiers" if "tiers" not in given else "tiers_mode")
    if not tiered and "unit_amount" not in given and "unit_amount_decimal" not in given:
        raise missing("unit_amount")
    fields = {
        "active": given.get("active", True),
        "billing_scheme": given.get("billing_scheme", "per_unit"),
        "currency": given["currency"].lower(),
        "custom_unit_amount": None,
        "lookup_key": None,
        "metadata": given.get("metadata", {}),
        "nickname": given.get("nickname"),
        "product": given["product"],
        "recurring": recurring,
        "tax_behavior": given.get("tax_behavior", "unspecified"),
        "tiers_mode": given.get("tiers_mode"),
        "transform_quantity": given.get("transform_quantity"),
        "type": "recurring" if recurring else "one_time",
        **_amounts({} if tiered else given),
    }
    tiers = [_tier(each, index, len(given["tiers"])) for index, each in enumerate(given.get("tiers", []))]
    _require_free_lookup_key(account, given)
    price = account.add("price", fields, **({"tiers": tiers} if tiered else {}))
    _take_lookup_key(account, price, given)
    account.tell("price.created", price)
    return price


def _recurring(account: Account, given: Object | None) -> Object | None:
    if given is None:
        return None
    metered = given.get("usage_type", "licensed") == "metered"
    if metered and "meter" not in given:
        message = "Metered prices need a meter: usage records were removed in 2025-03-31.basil."
        raise invalid(message, "recurring[meter]", "parameter_missing")
    if not metered and "meter" in given:
        raise invalid("A meter is only for prices with usage_type=metered.", "recurring[meter]")
    if metered and account.get("billing.meter", given["meter"], "recurring[meter]")["status"] != "active":
        raise invalid(f"The meter {given['meter']} is inactive.", "recurring[meter]")
    defaults: Object = {"interval_count": 1, "meter": None, "trial_period_days": None, "usage_type": "licensed"}
    return {**defaults, **given}


def _tier(given: Object, index: int, count: int) -> Object:
    last = index == count - 1
    if (given["up_to"] == "inf") != last:
        raise invalid("The last tier, and only that, has `up_to` set to `inf`.", f"tiers[{index}][up_to]")
    flat = _amounts({name.replace("flat", "unit"): value for name, value in given.items() if name.startswith("flat")})
    unit = _amounts(given)
    return {
        "flat_amount": flat["unit_amount"],
        "flat_amount_decimal": flat["unit_amount_decimal"],
        **unit,
        "up_to": None if last else given["up_to"],
    }


def _require_free_lookup_key(account: Account, given: Object) -> None:
    holders = account.all("price", lookup_key=given["lookup_key"]) if given.get("lookup_key") else []
    if holders and not given.get("transfer_lookup_key"):
        message = f"A price (`{holders[0]['id']}`) already uses that lookup key."
        raise invalid(message, "lookup_key", "resource_already_exists")


def _take_lookup_key(account: Account, price: Object, given: Object) -> None:
    if given.get("lookup_key"):
        for holder in account.all("price", lookup_key=given["lookup_key"]):
            with account.changing(holder, "price.updated"):
                holder["lookup_key"] = None
        price["lookup_key"] = given["lookup_key"]


def update_price(account: Account, given: Object, id_: str) -> Object:
    price = account.get("price", id_)
    if given.get("lookup_key") != price["lookup_key"]:
        _require_free_lookup_key(account, given)
    with account.changing(price, "price.updated"):
        _take_lookup_key(account, price, given)
        set_fields(price, given, ["active", "nickname", "tax_behavior"])
    return price


def list_prices(account: Account, given: Object) -> Object:
    chosen = equal(account.all("price"), given, ("active", "currency", "product", "type"))
    if "lookup_keys" in given:
        chosen = [each for each in chosen if each["lookup_key"] in given["lookup_keys"]]
    for name, value in given.get("recurring", {}).items():
        chosen = [each for each in chosen if each["recurring"] and each["recurring"][name] == value]
    return page(account, newest_first(within(chosen, "created", given.get("created"))), given, "/v1/prices")


def retrieve(kind: str) -> Any:
    """A handler that shows one object of that sort."""
    return lambda account, given, id_: account.get(kind, id_)
