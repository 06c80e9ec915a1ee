"""What makes it cheaper: coupons, the promotion codes that customers type, and discounts, a coupon at work."""

from __future__ import annotations

from collections.abc import Callable

from tests.fakes.stripe.account import Account, newest_first, random_text
from tests.fakes.stripe.catalog import equal, set_fields
from tests.fakes.stripe.faults import Object, invalid, missing
from tests.fakes.stripe.periods import add_months
from tests.fakes.stripe.rendering import page


def create_coupon(account: Account, given: Object) -> Object:
    if ("percent_off" in given) == ("amount_off" in given):
        raise invalid("You must pass either `percent_off` or `amount_off`, and not both.", "percent_off")
    if "amount_off" in given and "currency" not in given:
        raise missing("currency")
    if not 0 < given.get("percent_off", 1) <= 100:
        raise invalid("percent_off must be above 0 and at most 100.", "percent_off")
    duration = given.get("duration", "once")
    if (duration == "repeating") != ("duration_in_months" in given):
        raise invalid("`duration_in_months` is for `duration=repeating`, which needs it.", "duration_in_months")
    optional = "amount_off currency duration_in_months max_redemptions name percent_off redeem_by".split()
    fields: Object = {name: given.get(name) for name in optional}
    fields |= {"duration": duration, "times_redeemed": 0, "valid": True, "metadata": given.get("metadata", {})}
    coupon = account.add(
        "coupon", {**fields, "id": given.get("id") or random_text(8)}, applies_to=given.get("applies_to")
    )
    account.tell("coupon.created", coupon)
    return coupon


def update_coupon(account: Account, given: Object, id_: str) -> Object:
    coupon = account.get("coupon", id_)
    with account.changing(coupon, "coupon.updated"):
        set_fields(coupon, given, ["name"])
    return coupon


def delete_coupon(account: Account, given: Object, id_: str) -> Object:
    coupon = account.get("coupon", id_)
    coupon["valid"] = False
    account.tell("coupon.deleted", coupon)
    account.notes[id_]["deleted"] = coupon
    return account.remove(coupon)


def list_coupons(account: Account, given: Object) -> Object:
    return page(account, newest_first(account.all("coupon")), given, "/v1/coupons")


def create_promotion_code(account: Account, given: Object) -> Object:
    coupon = given["promotion"].get("coupon")
    if not coupon:
        raise missing("promotion[coupon]")
    account.get("coupon", coupon, "promotion[coupon]")
    code = given.get("code") or random_text(8).upper()
    if find_promotion_code(account, code):
        raise invalid(f"An active promotion code with `code: {code}` already exists.", "code")
    restrictions: Object = {"first_time_transaction": False, "minimum_amount": None, "minimum_amount_currency": None}
    optional: Object = {name: given.get(name) for name in ("customer", "expires_at", "max_redemptions")}
    fields: Object = {
        **optional,
        "active": given.get("active", True),
        "code": code,
        "customer_account": None,
        "metadata": given.get("metadata", {}),
        "promotion": {"coupon": coupon, "type": "coupon"},
        "restrictions": {**restrictions, **given.get("restrictions", {})},
        "times_redeemed": 0,
    }
    made = account.add("promotion_code", fields)
    account.tell("promotion_code.created", made)
    return made


def find_promotion_code(account: Account, code: str) -> Object | None:
    """The active one a customer means; its case does not matter."""
    active = account.all("promotion_code", active=True)
    return next((each for each in active if each["code"].lower() == code.lower()), None)


def update_promotion_code(account: Account, given: Object, id_: str) -> Object:
    made = account.get("promotion_code", id_)
    with account.changing(made, "promotion_code.updated"):
        set_fields(made, given, ["active"])
    return made


def list_promotion_codes(account: Account, given: Object) -> Object:
    chosen = equal(account.all("promotion_code"), given, ("active", "code", "customer"))
    if "coupon" in given:
        chosen = [each for each in chosen if each["promotion"]["coupon"] == given["coupon"]]
    return page(account, newest_first(chosen), given, "/v1/promotion_codes")


# Discounts


def require_valid_coupon(account: Account, id_: str, param: str) -> Object:
    coupon = account.get("coupon", id_, param)
    limit, ends = coupon["max_redemptions"], coupon["redeem_by"]
    if not coupon["valid"] or (limit and coupon["times_redeemed"] >= limit) or (ends and ends < account.now()):
        raise invalid(f"Coupon expired: {id_}", param, "coupon_expired")
    return coupon


def require_valid_promotion_code(account: Account, made: Object, param: str, customer: str | None) -> Object:
    """Refuses a code that is used up, over, another customer's, or only for a first order."""
    limit, ends = made["max_redemptions"], made["expires_at"]
    if not made["active"] or (limit and made["times_redeemed"] >= limit) or (ends and ends < account.now()):
        raise invalid("This promotion code is no longer valid.", param, "resource_missing")
    if made["customer"] and made["customer"] != customer:
        raise invalid("This promotion code is for another customer.", param)
    if made["restrictions"]["first_time_transaction"] and account.all("charge", customer=customer, status="succeeded"):
        message = "This promotion code cannot be redeemed because the associated customer has prior transactions."
        raise invalid(message, param, "promotion_code_customer_not_first_time")
    return require_valid_coupon(account, made["promotion"]["coupon"], param)


def redeem(account: Account, given: list[Object] | str, subscription: Object, session: str | None = None) -> list[str]:
    """New discounts for a subscription, in place of those it has; their ids. Those it keeps are named by id."""
    made: list[str] = []
    asked: list[Object] = given if isinstance(given, list) else []
    for index, each in enumerate(asked):
        param = f"discounts[{index}]"
        if "discount" in each:
            made.append(account.get("discount", each["discount"], f"{param}[discount]")["id"])
            continue
        code = None
        if "promotion_code" in each:
            param += "[promotion_code]"
            code = account.get("promotion_code", each["promotion_code"], param)
            coupon = require_valid_promotion_code(account, code, param, subscription["customer"])
            code["times_redeemed"] += 1
        elif "coupon" in each:
            coupon = require_valid_coupon(account, each["coupon"], f"{param}[coupon]")
        else:
            raise missing(f"{param}[coupon]")
        coupon["times_redeemed"] += 1
        made.append(_discount(account, coupon, code, subscription, session)["id"])
    return made


def _discount(
    account: Account, coupon: Object, code: Object | None, subscription: Object, session: str | None
) -> Object:
    now = account.now()
    end = add_months(now, coupon["duration_in_months"]) if coupon["duration"] == "repeating" else None
    fields = {
        "checkout_session": session,
        "customer": subscription["customer"],
        "customer_account": None,
        "end": end,
        "invoice": None,
        "invoice_item": None,
        "promotion_code": code["id"] if code else None,
        "source": {"coupon": coupon["id"], "type": "coupon"},
        "start": now,
        "subscription": subscription["id"],
        "subscription_item": None,
    }
    discount = account.add("discount", fields)
    # Stripe's discounts have neither.
    del discount["livemode"], discount["created"]
    account.tell("customer.discount.created", discount)
    return discount


def coupon_of(account: Account, discount: str) -> Object:
    """A deleted coupon goes on working where it is in use."""
    id_ = account.get("discount", discount)["source"]["coupon"]
    return account.find(id_) or account.notes[id_]["deleted"]


def spend(account: Account, subscription: Object) -> None:
    """After an invoice: discounts for once are gone."""
    _drop(account, subscription, lambda id_: coupon_of(account, id_)["duration"] == "once")


def drop_over(account: Account, subscription: Object) -> None:
    """Before an invoice: discounts whose months are over are gone."""
    now = account.now()
    _drop(account, subscription, lambda id_: (account.objects[id_]["end"] or now + 1) <= now)


def _drop(account: Account, subscription: Object, gone: Callable[[str], bool]) -> None:
    for id_ in list(subscription["discounts"]):
        if gone(id_):
            subscription["discounts"].remove(id_)
            account.tell("customer.discount.deleted", account.objects[id_])
