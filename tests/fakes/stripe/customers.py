"""Customers with their tax ids, and the cards they pay with."""

from __future__ import annotations

from tests.fakes.stripe import cards
from tests.fakes.stripe.account import Account, merged_metadata, newest_first, random_text
from tests.fakes.stripe.cards import Card
from tests.fakes.stripe.catalog import equal
from tests.fakes.stripe.faults import Object, invalid, missing
from tests.fakes.stripe.rendering import page, within

ADDRESS_FIELDS = ("city", "country", "line1", "line2", "postal_code", "state")
PLAIN_FIELDS = ("description", "email", "name", "phone", "preferred_locales", "tax_exempt", "balance")


def create_customer(account: Account, given: Object) -> Object:
    fields: Object = {
        "address": None,
        "balance": 0,
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "invoice_prefix": random_text(8).upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }
    # Checked before it is kept: nothing of a refused customer stays.
    method = _method_given(account, given.get("payment_method")) if "payment_method" in given else None
    _set(fields, given)
    customer = account.add("customer", fields)
    account.tell("customer.created", customer)
    for each in given.get("tax_id_data", []):
        create_tax_id(account, each, customer["id"])
    if method:
        attach(account, method, customer)
    return customer


def _set(customer: Object, given: Object) -> None:
    for name in PLAIN_FIELDS:
        if name in given:
            customer[name] = given[name] if given[name] != "" else None
    if "address" in given:
        customer["address"] = address(given["address"])
    if "metadata" in given:
        customer["metadata"] = merged_metadata(customer["metadata"], given["metadata"])
    for name, value in given.get("invoice_settings", {}).items():
        customer["invoice_settings"][name] = None if value == "" else value


def address(given: Object | str | None) -> Object | None:
    return {name: given.get(name) or None for name in ADDRESS_FIELDS} if isinstance(given, dict) else None


def update_customer(account: Account, given: Object, id_: str) -> Object:
    customer = account.get("customer", id_)
    default = given.get("invoice_settings", {}).get("default_payment_method")
    if default:
        require_method(account, default, id_, "invoice_settings[default_payment_method]")
    with account.changing(customer, "customer.updated"):
        _set(customer, given)
    return customer


def get_customer(account: Account, given: Object, id_: str) -> Object:
    """A deleted one, too: Stripe answers with its stub."""
    found = account.find(id_)
    return found if found and found["object"] == "customer" else account.get("customer", id_)


def list_customers(account: Account, given: Object) -> Object:
    chosen = equal(account.all("customer"), given, ("email",))
    return page(account, newest_first(within(chosen, "created", given.get("created"))), given, "/v1/customers")


def create_tax_id(account: Account, given: Object, customer: str) -> Object:
    account.get("customer", customer)
    value = given["value"].replace(" ", "").upper()
    if not 4 <= len(value) <= 30:
        raise invalid("Invalid value for tax id.", "value", "tax_id_invalid")
    fields = {
        "country": value[:2] if given["type"] == "eu_vat" else given["type"][:2].upper(),
        "customer": customer,
        "customer_account": None,
        "owner": {"account": None, "application": None, "customer": customer, "type": "customer"},
        "type": given["type"],
        "value": value,
        "verification": {"status": "pending", "verified_address": None, "verified_name": None},
    }
    made = account.add("tax_id", fields)
    account.tell("customer.tax_id.created", made)
    return made


def get_tax_id(account: Account, given: Object, customer: str, id_: str) -> Object:
    account.get("customer", customer)
    return account.get("tax_id", id_)


def list_tax_ids(account: Account, given: Object, customer: str) -> Object:
    account.get("customer", customer)
    chosen = newest_first(account.all("tax_id", customer=customer))
    return page(account, chosen, given, f"/v1/customers/{customer}/tax_ids")


def delete_tax_id(account: Account, given: Object, customer: str, id_: str) -> Object:
    account.get("customer", customer)
    made = account.get("tax_id", id_)
    account.tell("customer.tax_id.deleted", made)
    return account.remove(made)


# Payment methods


def make_method(account: Account, card: Card, billing: Object | None = None) -> Object:
    """A card that belongs to nobody yet."""
    billing = billing or {}
    details = {name: billing.get(name) or None for name in ("email", "name", "phone")}
    fields = {
        "allow_redisplay": "unspecified",
        "billing_details": {"address": address(billing.get("address") or {}), **details, "tax_id": None},
        "card": {
            "brand": card.brand,
            "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
            "country": "US",
            "display_brand": card.brand,
            "exp_month": 12,
            "exp_year": 2040,
            "fingerprint": f"fp{card.number}",
            "funding": "credit",
            "generated_from": None,
            "last4": card.last4,
            "networks": {"available": [card.brand], "preferred": None},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        },
        "customer": None,
        "customer_account": None,
        "metadata": {},
        "type": "card",
    }
    return account.add("payment_method", fields, number=card.number)


def _method_given(account: Account, id_: str | None) -> Object:
    """The payment method of that id, or a new one for `pm_card_visa`."""
    if not id_:
        raise missing("payment_method")
    card = cards.by_token(id_)
    if card is None:
        return account.get("payment_method", id_, "payment_method")
    if card.added:
        raise cards.refusal(card.added)
    return make_method(account, card)


def create_method(account: Account, given: Object) -> Object:
    if given.get("type") != "card" or not isinstance(given.get("card"), dict):
        raise invalid("The fake knows payment methods of type card only.", "type")
    token, number = given["card"].get("token"), given["card"].get("number")
    card = cards.by_token(token) if token else cards.known(number or "")
    if card is None:
        raise invalid(f"No such token: '{token}'", "card[token]", "resource_missing")
    return make_method(account, card, given.get("billing_details"))


def attach(account: Account, method: Object, customer: Object) -> Object:
    card = cards.CARDS[account.notes[method["id"]]["number"]]
    if card.added:
        raise cards.refusal(card.added)
    method["customer"] = customer["id"]
    account.tell("payment_method.attached", method)
    return method


def attach_method(account: Account, given: Object, id_: str) -> Object:
    if "customer" not in given:
        raise missing("customer")
    customer = account.get("customer", given["customer"], "customer")
    return attach(account, _method_given(account, id_), customer)


def detach_method(account: Account, given: Object, id_: str) -> Object:
    method = account.get("payment_method", id_)
    if method["customer"] is None:
        message = "The payment method you provided is not attached to a customer so detachment is impossible."
        raise invalid(message, "payment_method")
    customer = account.get("customer", method["customer"])
    method["customer"] = None
    account.tell("payment_method.detached", method, {"customer": customer["id"]})
    if customer["invoice_settings"]["default_payment_method"] == id_:
        with account.changing(customer, "customer.updated"):
            customer["invoice_settings"]["default_payment_method"] = None
    for subscription in account.all("subscription", default_payment_method=id_):
        subscription["default_payment_method"] = None
    return method


def list_methods(account: Account, given: Object) -> Object:
    if "customer" in given:
        return list_customer_methods(account, given, given["customer"])
    return page(account, [], given, "/v1/payment_methods")


def list_customer_methods(account: Account, given: Object, customer: str) -> Object:
    account.get("customer", customer, "customer")
    chosen = newest_first(equal(account.all("payment_method", customer=customer), given, ("type",)))
    return page(account, chosen, given, f"/v1/customers/{customer}/payment_methods")


def create_setup_intent(account: Account, given: Object) -> Object:
    """Of a payment method that is given, confirmed at once; without one it waits for a page that is not faked."""
    customer = account.get("customer", given["customer"], "customer") if "customer" in given else None
    method = _method_given(account, given["payment_method"]) if "payment_method" in given else None
    if method and customer and given.get("confirm"):
        attach(account, method, customer)
    nulls = """application cancellation_reason customer_account description flow_directions last_setup_error
        latest_attempt mandate next_action on_behalf_of payment_method_configuration_details single_use_mandate
        """.split()
    fields = {
        **dict.fromkeys(nulls),
        "automatic_payment_methods": None,
        "client_secret": f"seti_fake_secret_{random_text(24)}",
        "customer": customer["id"] if customer else None,
        "metadata": given.get("metadata", {}),
        "payment_method": method["id"] if method else None,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"],
        "status": "succeeded" if method and given.get("confirm") else "requires_payment_method",
        "usage": "off_session",
    }
    made = account.add("setup_intent", fields)
    account.tell("setup_intent.succeeded" if made["status"] == "succeeded" else "setup_intent.created", made)
    return made


def require_method(account: Account, id_: str, customer: str, param: str) -> Object:
    method = account.get("payment_method", id_, param)
    if method["customer"] != customer:
        message = (
            f"The customer does not have a payment method with the ID {id_}. "
            "The payment method must be attached to the customer."
        )
        raise invalid(message, param, "resource_missing")
    return method


def use_card(account: Account, customer: Object, number: str, billing: Object | None = None) -> Object:
    """A new card that pays from now on, for the customer and for every subscription of theirs."""
    method = attach(account, make_method(account, cards.known(number), billing), customer)
    with account.changing(customer, "customer.updated"):
        customer["invoice_settings"]["default_payment_method"] = method["id"]
    for subscription in account.all("subscription", customer=customer["id"]):
        if subscription["status"] != "canceled":
            with account.changing(subscription, "customer.subscription.updated"):
                subscription["default_payment_method"] = method["id"]
    return method
