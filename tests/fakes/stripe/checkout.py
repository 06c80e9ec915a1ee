"""Checkout sessions for subscriptions: made by the API, paid on the hosted page."""

from __future__ import annotations

from decimal import Decimal

from tests.fakes.stripe import cards, changes, charging, customers, subscriptions
from tests.fakes.stripe.account import Account, merged_metadata, newest_first
from tests.fakes.stripe.catalog import equal
from tests.fakes.stripe.coupons import find_promotion_code, require_valid_coupon, require_valid_promotion_code
from tests.fakes.stripe.customers import address
from tests.fakes.stripe.faults import Object, invalid, missing
from tests.fakes.stripe.periods import DAY_S
from tests.fakes.stripe.rendering import page, within

SHORTEST_S, LONGEST_S = 30 * 60, DAY_S
_UNSUPPORTED = ("payment_intent_data", "setup_intent_data", "shipping_options", "optional_items", "custom_fields")


def create(account: Account, given: Object) -> Object:
    mode = given.get("mode")
    if mode is None:
        raise missing("mode")
    if mode != "subscription" or given.get("ui_mode", "hosted_page") != "hosted_page":
        raise invalid("The fake does hosted pages with mode=subscription only.", "mode")
    for name in _UNSUPPORTED:
        if name in given:
            raise invalid(f"The fake does not do {name}.", name)
    if "success_url" not in given:
        raise missing("success_url")
    customer = account.get("customer", given["customer"], "customer") if "customer" in given else None
    _require_consistent(account, given, customer)
    items = _line_items(account, given.get("line_items") or [])
    expires_at = given.get("expires_at", account.now() + LONGEST_S)
    if not SHORTEST_S - 60 <= expires_at - account.now() <= LONGEST_S + 60:
        raise invalid("The `expires_at` timestamp must be between 30 minutes and 24 hours from now.", "expires_at")
    subtotal = _subtotal(items, given)
    session = account.add(
        "checkout.session", _fields(given, items, subtotal, expires_at), line_items=items, given=given
    )
    _show_totals(account, session, given.get("discounts", []))
    session["url"] = f"{account.url}/c/pay/{session['id']}"
    return session


def _require_consistent(account: Account, given: Object, customer: Object | None) -> None:
    """Refuses what Stripe refuses about parameters that depend on each other."""
    saved = given.get("customer_update", {})
    if customer is None and "customer_update" in given:
        raise invalid("`customer_update` can only be used with `customer`.", "customer_update")
    if customer and "customer_email" in given:
        raise invalid("You may only specify one of these parameters: customer, customer_email.", "customer")
    if given.get("allow_promotion_codes") and given.get("discounts"):
        raise invalid("You may only specify one of these parameters: allow_promotion_codes, discounts.", "discounts")
    if len(given.get("discounts", [])) > 1:
        raise invalid("Only one discount can be applied to a Checkout Session.", "discounts")
    placed = customer is None or (customer["address"] or {}).get("country")
    placed = placed or "auto" in (saved.get("address"), saved.get("shipping"))
    if given.get("automatic_tax", {}).get("enabled") and not placed:
        raise invalid(
            "Automatic tax calculation in Checkout requires a valid address on the Customer. Add a valid address to "
            "the Customer or set either `customer_update[address]` to 'auto' or `customer_update[shipping]` to "
            "'auto' to save the address entered in Checkout to the Customer.",
            "automatic_tax",
        )
    if customer and given.get("tax_id_collection", {}).get("enabled") and saved.get("name") != "auto":
        raise invalid(
            "Tax ID collection requires updating business name on the customer. To enable tax ID collection for an "
            "existing customer, please set `customer_update[name]` to `auto`.",
            "customer_update[name]",
        )
    for each in given.get("discounts", []):
        if "promotion_code" in each:
            code = account.get("promotion_code", each["promotion_code"], "discounts[0][promotion_code]")
            require_valid_promotion_code(account, code, "discounts[0][promotion_code]", given.get("customer"))
        elif "coupon" in each:
            require_valid_coupon(account, each["coupon"], "discounts[0][coupon]")


def _line_items(account: Account, given: list[Object]) -> list[Object]:
    if not given:
        raise missing("line_items")
    made = []
    for index, each in enumerate(given):
        param = f"line_items[{index}]"
        if "price_data" in each:
            raise invalid("The fake takes prices, not price_data.", f"{param}[price_data]")
        price = changes.chosen_price(account, each, param)
        changes.require_fitting_quantity(price, each, param)
        metered = price["recurring"]["usage_type"] == "metered"
        if not metered and "quantity" not in each:
            raise invalid(f"Quantity is required. Add `quantity` to `{param}`", f"{param}[quantity]")
        amount = 0 if metered else charging.charge(account, price, each["quantity"])
        made.append(
            {
                "id": account.new_id("item"),
                "object": "item",
                "adjustable_quantity": None,
                "amount_discount": 0,
                "amount_subtotal": amount,
                "amount_tax": 0,
                "amount_total": amount,
                "currency": price["currency"],
                "description": account.objects[price["product"]]["name"],
                "discounts": [],
                "metadata": {},
                "price": price,
                "quantity": None if metered else each["quantity"],
            }
        )
    changes.require_one_interval([each["price"] for each in made])
    return made


def has_trial(given: Object) -> bool:
    data = given.get("subscription_data", {})
    return bool(data.get("trial_period_days") or data.get("trial_end"))


def _subtotal(items: list[Object], given: Object) -> int:
    return 0 if has_trial(given) else sum(each["amount_subtotal"] for each in items)


def _fields(given: Object, items: list[Object], subtotal: int, expires_at: int) -> Object:
    nulls = """after_expiration billing_address_collection branding_settings client_secret collected_information consent
        consent_collection currency_conversion customer_account customer_details invoice invoice_creation locale
        origin_context payment_intent payment_link payment_method_configuration_details permissions recovered_from
        redirect_on_completion return_url saved_payment_method_options setup_intent shipping_address_collection
        shipping_cost submit_type subscription wallet_options""".split()
    as_given = "cancel_url client_reference_id customer customer_email success_url allow_promotion_codes".split()
    return {
        **dict.fromkeys(nulls),
        **{name: given.get(name) for name in (*as_given, "billing_address_collection", "locale")},
        "adaptive_pricing": {"enabled": False},
        "amount_subtotal": subtotal,
        "amount_total": subtotal,
        "automatic_tax": {
            "enabled": given.get("automatic_tax", {}).get("enabled", False),
            "liability": None,
            "provider": None,
            "status": None,
        },
        "currency": items[0]["currency"],
        "custom_fields": [],
        "custom_text": dict.fromkeys(("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")),
        "customer_creation": None if "customer" in given else "always",
        "discounts": [{"coupon": None, "promotion_code": None, **each} for each in given.get("discounts", [])],
        "expires_at": expires_at,
        "metadata": given.get("metadata", {}),
        "mode": "subscription",
        "payment_method_collection": given.get("payment_method_collection", "always"),
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"],
        "payment_status": "unpaid",
        "phone_number_collection": {"enabled": False},
        "shipping_options": [],
        "status": "open",
        "tax_id_collection": {"enabled": False, "required": "never", **given.get("tax_id_collection", {})},
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "url": None,
    }


def _show_totals(account: Account, session: Object, discounts: list[Object]) -> None:
    """The total with a discount, before tax."""
    for each in discounts:
        coupon = each.get("coupon") or account.objects[each["promotion_code"]]["promotion"]["coupon"]
        set_discount(session, account.objects[coupon])


def set_discount(session: Object, coupon: Object) -> None:
    taken = price_off(session["amount_subtotal"], coupon)
    session["total_details"]["amount_discount"] = taken
    session["amount_total"] = session["amount_subtotal"] - taken


def price_off(amount: int, coupon: Object) -> int:
    if coupon["percent_off"] is None:
        return min(int(coupon["amount_off"]), amount)
    return charging.cents(Decimal(amount) * Decimal(str(coupon["percent_off"])) / 100)


def update(account: Account, given: Object, id_: str) -> Object:
    session = account.get("checkout.session", id_)
    session["metadata"] = merged_metadata(session["metadata"], given.get("metadata", {}))
    return session


def listing(account: Account, given: Object) -> Object:
    chosen = equal(account.all("checkout.session"), given, ("customer", "status", "subscription"))
    return page(account, newest_first(within(chosen, "created", given.get("created"))), given, "/v1/checkout/sessions")


def list_line_items(account: Account, given: Object, id_: str) -> Object:
    account.get("checkout.session", id_)
    return page(account, account.notes[id_]["line_items"], given, f"/v1/checkout/sessions/{id_}/line_items")


def expire_session(account: Account, given: Object, id_: str) -> Object:
    session = account.get("checkout.session", id_)
    if session["status"] != "open":
        message = f'Only Checkout Sessions with a status in ["open"] can be expired. This one is {session["status"]}.'
        raise invalid(message)
    expire(account, session)
    return session


def expire(account: Account, session: Object) -> None:
    session.update(status="expired", url=None)
    account.tell("checkout.session.expired", session)


def pay(account: Account, id_: str, filled: Object) -> Object:
    """The customer pressed the button. `filled` has card, and perhaps promotion_code, email, name, country, tax_id.

    Raises the card's refusal: the session then stays open, and nothing else has happened.
    """
    session = account.get("checkout.session", id_)
    if session["status"] != "open":
        raise invalid(f"This session is {session['status']}.", "session")
    with account.undone(only_on_fault=True):
        _complete(account, session, filled)
    return account.get("checkout.session", id_)


def _complete(account: Account, session: Object, filled: Object) -> None:
    given = account.notes[session["id"]]["given"]
    place = {"country": filled.get("country"), "postal_code": filled.get("postal_code")}
    card = cards.known(filled.get("card") or "")
    customer = _customer(account, session, given, filled, place)
    discounts = _discounts(account, given, filled, customer)
    billing = {"address": place, "email": customer["email"], "name": filled.get("name") or customer["name"]}
    method = customers.attach(account, customers.make_method(account, card, billing), customer)
    data = given.get("subscription_data", {})
    wanted: Object = {
        **{name: data[name] for name in ("trial_period_days", "trial_end", "metadata", "description") if name in data},
        **{name: data[name] for name in ("trial_settings",) if name in data},
        "items": [
            {"price": each["price"]["id"], **({} if each["quantity"] is None else {"quantity": each["quantity"]})}
            for each in account.notes[session["id"]]["line_items"]
        ],
        "default_payment_method": method["id"],
        "automatic_tax": {"enabled": session["automatic_tax"]["enabled"]},
        "discounts": discounts,
    }
    subscription, fault = subscriptions.begin(account, customer, wanted, session=session["id"])
    if fault:
        raise fault
    _close(account, session, customer, subscription)


def _customer(account: Account, session: Object, given: Object, filled: Object, place: Object) -> Object:
    """The session's customer with what the page asked for, or a new one."""
    entered: Object = {"address": place} if place["country"] else {}
    if session["customer"]:
        customer = account.get("customer", session["customer"], "customer")
        saved = {name for name, value in given.get("customer_update", {}).items() if value == "auto"}
        changed = {name: value for name, value in entered.items() if name in saved}
        changed |= {"name": filled["name"]} if filled.get("name") and "name" in saved else {}
        with account.changing(customer, "customer.updated"):
            customer.update({**changed, **({"address": address(place)} if "address" in changed else {})})
    else:
        email = session["customer_email"] or filled.get("email") or "someone@example.com"
        customer = customers.create_customer(account, {"email": email, "name": filled.get("name") or None, **entered})
        session["customer"] = customer["id"]
    if session["tax_id_collection"]["enabled"] and filled.get("tax_id"):
        customers.create_tax_id(account, {"type": "eu_vat", "value": filled["tax_id"]}, customer["id"])
    return customer


def _discounts(account: Account, given: Object, filled: Object, customer: Object) -> list[Object]:
    typed = filled.get("promotion_code")
    if not typed:
        return list(given.get("discounts", []))
    if not given.get("allow_promotion_codes"):
        raise invalid("This session takes no promotion codes.", "promotion_code")
    code = find_promotion_code(account, typed)
    if code is None:
        raise invalid("This code is invalid.", "promotion_code", "resource_missing")
    require_valid_promotion_code(account, code, "promotion_code", customer["id"])
    return [{"promotion_code": code["id"]}]


def _close(account: Account, session: Object, customer: Object, subscription: Object) -> None:
    invoice = account.find(subscription["latest_invoice"])
    if invoice:
        taken = sum(each["amount"] for each in invoice["total_discount_amounts"])
        tax = sum(each["amount"] for each in invoice["total_taxes"])
        session.update(amount_subtotal=invoice["subtotal"], amount_total=invoice["total"], invoice=invoice["id"])
        session["total_details"] |= {"amount_discount": taken, "amount_tax": tax}
        session["automatic_tax"] |= {name: invoice["automatic_tax"][name] for name in ("status", "provider")}
    details = {name: customer[name] for name in ("address", "email", "name", "phone", "tax_exempt")}
    tax_ids = [
        {"type": each["type"], "value": each["value"]} for each in account.all("tax_id", customer=customer["id"])
    ]
    session.update(
        status="complete",
        payment_status="paid" if session["amount_total"] else "no_payment_required",
        customer_details={**details, "business_name": None, "individual_name": customer["name"], "tax_ids": tax_ids},
        subscription=subscription["id"],
        url=None,
    )
    account.tell("checkout.session.completed", session)
