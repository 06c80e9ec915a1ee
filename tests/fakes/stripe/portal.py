"""The billing portal: its configurations, sessions, and what a customer may do there."""

from __future__ import annotations

from tests.fakes.stripe import customers, endings, invoices, schedules, standing, subscriptions
from tests.fakes.stripe.account import Account, merged_metadata, newest_first
from tests.fakes.stripe.catalog import equal
from tests.fakes.stripe.changes import items_of, period_of
from tests.fakes.stripe.faults import Object, invalid, missing
from tests.fakes.stripe.lines import is_metered
from tests.fakes.stripe.rendering import page

_FEATURES: Object = {
    "customer_update": {"allowed_updates": [], "enabled": False},
    "invoice_history": {"enabled": False},
    "payment_method_update": {"enabled": False, "payment_method_configuration": None},
    "subscription_cancel": {
        "cancellation_reason": {"enabled": False, "options": []},
        "enabled": False,
        "mode": "at_period_end",
        "proration_behavior": "none",
    },
    "subscription_update": {
        "billing_cycle_anchor": "unchanged",
        "default_allowed_updates": [],
        "enabled": False,
        "products": [],
        "proration_behavior": "none",
        "schedule_at_period_end": {"conditions": []},
        "trial_update_behavior": "end_trial",
    },
}
_PROFILE = {"headline": None, "privacy_policy_url": None, "terms_of_service_url": None}


def create_configuration(account: Account, given: Object) -> Object:
    first = not account.all("billing_portal.configuration")
    fields = {
        "active": True,
        "application": None,
        "business_profile": _PROFILE | given.get("business_profile", {}),
        "default_return_url": given.get("default_return_url") or None,
        "features": _features(account, {}, given.get("features", {})),
        "is_default": first,
        "login_page": {"enabled": False, "url": None},
        "metadata": given.get("metadata", {}),
        "name": given.get("name") or None,
        "updated": account.now(),
    }
    made = account.add("billing_portal.configuration", fields)
    account.tell("billing_portal.configuration.created", made)
    return made


def _features(account: Account, before: Object, given: Object) -> Object:
    update = given.get("subscription_update", {})
    if update.get("enabled") and not (update.get("products") or before.get("subscription_update", {}).get("products")):
        raise missing("features[subscription_update][products]")
    for index, each in enumerate(update.get("products") or []):
        param = f"features[subscription_update][products][{index}]"
        account.get("product", each["product"], f"{param}[product]")
        for position, price in enumerate(each["prices"]):
            if account.get("price", price, f"{param}[prices][{position}]")["product"] != each["product"]:
                raise invalid(f"The price {price} is not a price of {each['product']}.", f"{param}[prices][{position}]")
    made = {name: {**default, **before.get(name, {}), **given.get(name, {})} for name, default in _FEATURES.items()}
    quantity = {"enabled": False, "maximum": None, "minimum": 0}
    made["subscription_update"]["products"] = [
        {"adjustable_quantity": quantity, **each} for each in made["subscription_update"]["products"] or []
    ]
    return made


def update_configuration(account: Account, given: Object, id_: str) -> Object:
    made = account.get("billing_portal.configuration", id_)
    features = _features(account, made["features"], given.get("features", {}))
    with account.changing(made, "billing_portal.configuration.updated"):
        made["features"] = features
        made["business_profile"] |= given.get("business_profile", {})
        for name in ("active", "default_return_url", "name"):
            made[name] = (given[name] if given[name] != "" else None) if name in given else made[name]
        if "metadata" in given:
            made["metadata"] = merged_metadata(made["metadata"], given["metadata"])
        made["updated"] = account.now()
    return made


def list_configurations(account: Account, given: Object) -> Object:
    chosen = equal(account.all("billing_portal.configuration"), given, ("active", "is_default"))
    return page(account, newest_first(chosen), given, "/v1/billing_portal/configurations")


def create_session(account: Account, given: Object) -> Object:
    if "customer" not in given:
        raise missing("customer")
    account.get("customer", given["customer"], "customer")
    if "configuration" in given:
        configuration = account.get("billing_portal.configuration", given["configuration"], "configuration")
    else:
        defaults = account.all("billing_portal.configuration", is_default=True)
        if not defaults:
            raise invalid(
                "You can't create a portal session in test mode until you save your customer portal settings in test "
                "mode: no configuration provided and your test mode default configuration has not been created.",
                "configuration",
            )
        configuration = defaults[0]
    fields = {
        "configuration": configuration["id"],
        "customer": given["customer"],
        "customer_account": None,
        "flow": _flow(account, given["customer"], given["flow_data"]) if "flow_data" in given else None,
        "locale": given.get("locale"),
        "on_behalf_of": None,
        "return_url": given.get("return_url") or configuration["default_return_url"],
    }
    session = account.add("billing_portal.session", fields)
    session["url"] = f"{account.url}/p/session/{session['id']}"
    return session


def _flow(account: Account, customer: str, given: Object) -> Object:
    """What the page shows alone; a subscription that it names must be the customer's."""
    sort = given["type"]
    details = given.get(sort)
    if sort.startswith("subscription_"):
        if not details:
            raise missing(f"flow_data[{sort}]")
        param = f"flow_data[{sort}][subscription]"
        if account.get("subscription", details["subscription"], param)["customer"] != customer:
            raise invalid(f"No such subscription: '{details['subscription']}'", param, "resource_missing")
    after = {
        "hosted_confirmation": None,
        "redirect": None,
        "type": "portal_homepage",
        **given.get("after_completion", {}),
    }
    sorts = ("customer_update", "subscription_cancel", "subscription_update", "subscription_update_confirm")
    return {**dict.fromkeys(sorts), "after_completion": after, "type": sort, **({sort: details} if details else {})}


# What the customer does


def features_of(account: Account, session: Object) -> Object:
    features: Object = account.objects[session["configuration"]]["features"]
    return features


def subscriptions_of(account: Account, session: Object) -> list[Object]:
    all_theirs = account.all("subscription", customer=session["customer"])
    return [each for each in newest_first(all_theirs) if each["status"] not in standing.ENDED]


def _require(account: Account, session: Object, feature: str) -> Object:
    chosen: Object = features_of(account, session)[feature]
    if not chosen["enabled"]:
        raise invalid(f"The portal's configuration does not enable {feature}.")
    return chosen


def _own(account: Account, session: Object, id_: str) -> Object:
    subscription = account.get("subscription", id_, "subscription")
    if subscription["customer"] != session["customer"]:
        raise invalid(f"No such subscription: '{id_}'", "subscription", "resource_missing")
    return subscription


def set_card(account: Account, session: Object, number: str) -> None:
    _require(account, session, "payment_method_update")
    customers.use_card(account, account.get("customer", session["customer"]), number)


def set_details(account: Account, session: Object, filled: Object) -> None:
    """The name and the country, where the configuration lets the customer."""
    allowed = _require(account, session, "customer_update")["allowed_updates"]
    changed: Object = {"name": filled["name"]} if filled.get("name") and "name" in allowed else {}
    if filled.get("country") and "address" in allowed:
        changed["address"] = {"country": filled["country"]}
    customers.update_customer(account, changed, session["customer"])


def cancel(account: Account, session: Object, id_: str) -> None:
    feature = _require(account, session, "subscription_cancel")
    subscription = _own(account, session, id_)
    if feature["mode"] == "immediately":
        endings.cancel(account, {"prorate": feature["proration_behavior"] != "none"}, id_)
        return
    if subscription["schedule"]:
        schedules.release(account, {}, subscription["schedule"])
    subscriptions.update(account, {"cancel_at_period_end": True}, id_)


def resume(account: Account, session: Object, id_: str) -> None:
    _require(account, session, "subscription_cancel")
    _own(account, session, id_)
    subscriptions.update(account, {"cancel_at_period_end": False}, id_)


def change_price(account: Account, session: Object, id_: str, price: str) -> None:
    """An update as configured: at once with its proration, or at the period's end when the amount decreases."""
    feature = _require(account, session, "subscription_update")
    subscription = _own(account, session, id_)
    if price not in {each for product in feature["products"] for each in product["prices"]}:
        raise invalid("The portal's configuration does not offer this price.", "price")
    item = next(each for each in items_of(subscription) if not is_metered(each))
    conditions = {each["type"] for each in feature["schedule_at_period_end"].get("conditions", [])}
    if "decreasing_item_amount" in conditions and _amount(account.objects[price]) < _amount(item["price"]):
        return _schedule(account, subscription, item, price)
    if subscription["schedule"]:
        schedules.release(account, {}, subscription["schedule"])
    behavior = {"proration_behavior": feature["proration_behavior"], "payment_behavior": "error_if_incomplete"}
    subscriptions.update(account, {"items": [{"id": item["id"], "price": price}], **behavior}, id_)


def _amount(price: Object) -> float:
    return float(price["unit_amount_decimal"] or 0)


def _schedule(account: Account, subscription: Object, item: Object, price: str) -> None:
    if subscription["schedule"]:
        schedules.release(account, {}, subscription["schedule"])
    schedule = schedules.create(account, {"from_subscription": subscription["id"]})
    start, end = period_of(subscription)
    now = [_phase_item(each, each["price"]["id"]) for each in items_of(subscription)]
    then = [_phase_item(each, price if each is item else each["price"]["id"]) for each in items_of(subscription)]
    phases = [{"items": now, "start_date": start, "end_date": end}, {"items": then, "proration_behavior": "none"}]
    schedules.update(account, {"phases": phases}, schedule["id"])


def _phase_item(item: Object, price: str) -> Object:
    return {"price": price, **({} if is_metered(item) else {"quantity": item["quantity"]})}


def retry(account: Account, session: Object, id_: str) -> None:
    """Pays an open invoice with the customer's card of now."""
    invoice = account.get("invoice", id_)
    if invoice["customer"] != session["customer"] or invoice["status"] != "open":
        raise invalid("This invoice cannot be paid here.", "invoice")
    fault = invoices.collect(account, invoice)
    if fault:
        raise fault


def prices_offered(account: Account, session: Object) -> list[Object]:
    feature = features_of(account, session)["subscription_update"]
    ids = [each for product in feature["products"] for each in product["prices"]] if feature["enabled"] else []
    return [price for price in map(account.find, ids) if price]
