"""Subscriptions in the API: begin, change, list."""

from __future__ import annotations

from tests.fakes.stripe import changes, invoices, lines, periods, renewal, standing
from tests.fakes.stripe.account import Account, merged_metadata, newest_first
from tests.fakes.stripe.catalog import equal
from tests.fakes.stripe.changes import items_of, period_of
from tests.fakes.stripe.coupons import redeem
from tests.fakes.stripe.customers import require_method
from tests.fakes.stripe.faults import Fault, Object, invalid, missing
from tests.fakes.stripe.rendering import page, within

# What is set as it is given; an empty text unsets.
PLAIN_FIELDS = ("description", "collection_method", "days_until_due", "pause_collection")
STARTS_UNSUPPORTED = ("billing_cycle_anchor", "billing_cycle_anchor_config", "backdate_start_date", "add_invoice_items")


def _defaults(account: Account) -> Object:
    nulls = """application application_fee_percent billing_cycle_anchor_config billing_thresholds cancel_at canceled_at
        customer_account days_until_due default_payment_method default_source description ended_at latest_invoice
        next_pending_invoice_item_invoice on_behalf_of pause_collection pending_invoice_item_interval
        pending_setup_intent pending_update schedule test_clock transfer_data trial_end trial_start""".split()
    settings = {"payment_method_options": None, "payment_method_types": None, "save_default_payment_method": "off"}
    return {
        **dict.fromkeys(nulls),
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": account.now(),
        "billing_mode": {
            "flexible": {"proration_discounts": "included"},
            "type": "flexible",
            "updated_at": account.now(),
        },
        "billing_schedules": [],
        "cancel_at_period_end": False,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": "charge_automatically",
        "default_tax_rates": [],
        "discounts": [],
        "invoice_settings": {"account_tax_ids": None, "issuer": {"type": "self"}},
        "metadata": {},
        "payment_settings": settings,
        "start_date": account.now(),
        "status": "incomplete",
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
    }


def create(account: Account, given: Object) -> Object:
    if "customer" not in given:
        raise missing("customer")
    customer = account.get("customer", given["customer"], "customer")
    for name in STARTS_UNSUPPORTED:
        if name in given:
            raise invalid(f"The fake does not do {name}: every subscription starts now.", name)
    with account.undone(only_on_fault=True):
        subscription, fault = begin(account, customer, given)
        if fault and (given.get("payment_behavior") == "error_if_incomplete" or fault.status != 402):
            raise fault
    return subscription


def begin(
    account: Account, customer: Object, given: Object, *, session: str | None = None
) -> tuple[Object, Fault | None]:
    """A new subscription with its first invoice; the refusal of its payment, if there was one."""
    prices = [changes.chosen_price(account, each, f"items[{i}]") for i, each in enumerate(given.get("items", []))]
    if not prices:
        raise missing("items")
    for index, (price, each) in enumerate(zip(prices, given["items"], strict=True)):
        changes.require_fitting_quantity(price, each, f"items[{index}]")
    changes.require_one_interval(prices)
    if given.get("default_payment_method"):
        require_method(account, given["default_payment_method"], customer["id"], "default_payment_method")
    now, trial_end = account.now(), _trial_end(account, given)
    subscription = account.add(
        "subscription",
        {
            **_defaults(account),
            "currency": prices[0]["currency"],
            "customer": customer["id"],
            "default_payment_method": given.get("default_payment_method"),
            "metadata": given.get("metadata", {}),
            **({"billing_cycle_anchor": trial_end, "trial_start": now, "trial_end": trial_end} if trial_end else {}),
        },
    )
    url = f"/v1/subscription_items?subscription={subscription['id']}"
    subscription["items"] = {"object": "list", "data": [], "has_more": False, "total_count": 0, "url": url}
    for price, each in zip(prices, given["items"], strict=True):
        end = trial_end or periods.next_end(now, price["recurring"], now)
        changes.add_item(account, subscription, price, each, (now, end))
    _set_plain(account, subscription, given)
    if given.get("discounts"):
        subscription["discounts"] = redeem(account, given["discounts"], subscription, session)
    set_cancellation(account, subscription, given)
    free = changes.first_charge(account, items_of(subscription)) == 0
    subscription["status"] = "trialing" if trial_end else "active" if free else "incomplete"
    account.tell("customer.subscription.created", subscription)
    fault = _bill_first(account, customer, subscription, given.get("payment_behavior", "allow_incomplete"))
    if trial_end and trial_end - now <= renewal.TRIAL_NOTICE_S:
        renewal.tell_trial_end(account, subscription)
    return subscription, fault


def _trial_end(account: Account, given: Object) -> int | None:
    if "trial_end" in given and "trial_period_days" in given:
        raise invalid("You may only specify one of these parameters: trial_end, trial_period_days.", "trial_end")
    if given.get("trial_end", "now") != "now":
        if given["trial_end"] <= account.now():
            raise invalid("Invalid timestamp: must be an integer Unix timestamp in the future.", "trial_end")
        return int(given["trial_end"])
    days = given.get("trial_period_days", 0)
    return account.now() + days * periods.DAY_S if days > 0 else None


def _bill_first(account: Account, customer: Object, subscription: Object, behavior: str) -> Fault | None:
    trial = subscription["status"] == "trialing"
    fixed = renewal.advance_lines(account, subscription, trial=trial)
    if not fixed:
        # Only metered items: there is nothing to bill yet, and no invoice of nothing.
        return None
    invoice = invoices.draft(account, customer, "subscription_create", subscription, fixed=fixed)
    subscription["latest_invoice"] = invoice["id"]
    return settle(account, subscription, invoice, behavior)


def settle(account: Account, subscription: Object, invoice: Object, behavior: str) -> Fault | None:
    """Finalizes the invoice and, unless someone wants to confirm the payment, charges it."""
    if behavior == "pending_if_incomplete":
        raise invalid("The fake does not do pending updates: use error_if_incomplete.", "payment_behavior")
    if behavior == "default_incomplete":
        invoices.finalize(account, invoice)
        return None
    return invoices.advance(account, invoice)


def _set_plain(account: Account, subscription: Object, given: Object) -> None:
    for name in PLAIN_FIELDS:
        if name in given:
            subscription[name] = None if given[name] == "" else given[name]
    for name in ("automatic_tax", "payment_settings", "trial_settings", "cancellation_details", "invoice_settings"):
        subscription[name] |= given.get(name, {})
    if "metadata" in given:
        subscription["metadata"] = merged_metadata(subscription["metadata"], given["metadata"])
    if given.get("default_payment_method"):
        require_method(account, given["default_payment_method"], subscription["customer"], "default_payment_method")
        subscription["default_payment_method"] = given["default_payment_method"]


def set_cancellation(account: Account, subscription: Object, given: Object) -> None:
    """At the period's end, at a time, or not any more."""
    if "cancel_at_period_end" not in given and "cancel_at" not in given:
        return
    if given.get("cancel_at_period_end") and "cancel_at" in given:
        raise invalid("You may only specify one of these parameters: cancel_at, cancel_at_period_end.", "cancel_at")
    at = given.get("cancel_at") or None
    if given.get("cancel_at_period_end") or at in ("min_period_end", "max_period_end"):
        at = period_of(subscription)[1]
    elif isinstance(at, int) and at <= account.now():
        raise invalid("Invalid timestamp: must be an integer Unix timestamp in the future.", "cancel_at")
    subscription.update(
        cancel_at=at,
        cancel_at_period_end=bool(given.get("cancel_at_period_end")),
        canceled_at=account.now() if at else None,
    )
    reason = "cancellation_requested" if at else None
    subscription["cancellation_details"]["reason"] = reason


def update(account: Account, given: Object, id_: str) -> Object:
    subscription = account.get("subscription", id_)
    if subscription["status"] in standing.ENDED:
        message = "A canceled subscription can only update its cancellation_details and metadata."
        if set(given) - {"cancellation_details", "metadata"}:
            raise invalid(message, code="subscription_canceled")
    if subscription["schedule"] and {"cancel_at_period_end", "cancel_at"} & set(given):
        message = (
            f"The subscription is managed by the subscription schedule `{subscription['schedule']}`, and updating any "
            "cancelation behavior directly is not allowed. Please update the schedule instead."
        )
        raise invalid(message, "cancel_at_period_end")
    with account.undone(only_on_fault=True):
        fault = _update(account, subscription, given)
        if fault and given.get("payment_behavior") == "error_if_incomplete":
            raise fault
    return subscription


def _update(account: Account, subscription: Object, given: Object) -> Fault | None:
    behavior = given.get("proration_behavior", "create_prorations")
    invoice = None
    with account.changing(subscription, "customer.subscription.updated"):
        _set_plain(account, subscription, given)
        set_cancellation(account, subscription, given)
        if "discounts" in given:
            subscription["discounts"] = redeem(account, given["discounts"], subscription)
        if given.get("trial_end", "now") != "now":
            _extend_trial(account, subscription, given)
        invoice = change(account, subscription, given, behavior)
    if given.get("trial_end") == "now" and subscription["status"] == "trialing":
        return renewal.end_trial(account, subscription)
    if invoice is None:
        return None
    return settle(account, subscription, invoice, given.get("payment_behavior", "allow_incomplete"))


def change(account: Account, subscription: Object, given: Object, behavior: str) -> Object | None:
    """The items, and the period if it is to begin now; the draft of what is due at once, if anything is."""
    at = given.get("proration_date") or account.now()
    start, end = period_of(subscription)
    if not start <= at <= max(end, account.now()):
        raise invalid("The proration date must be within the current period.", "proration_date")
    anew = (
        changes.change_items(account, subscription, given.get("items", []), behavior, at)
        if given.get("items")
        else False
    )
    if given.get("billing_cycle_anchor") == "now" and not anew:
        arrears = renewal.take_arrears(account, subscription, at)
        for item in items_of(subscription):
            if not lines.is_metered(item) and behavior != "none":
                lines.credit_rest(account, subscription, item, at)
        changes.begin_period(subscription, at, at)
        return renewal.bill_now(account, subscription, renewal.advance_lines(account, subscription), arrears)
    if anew:
        fixed = renewal.advance_lines(account, subscription)
        return renewal.bill_now(account, subscription, fixed, lines.take_owed(account, subscription))
    if behavior == "always_invoice" and given.get("items"):
        return renewal.bill_now(account, subscription, [], lines.take_owed(account, subscription))
    return None


def _extend_trial(account: Account, subscription: Object, given: Object) -> None:
    end = _trial_end(account, given)
    for item in items_of(subscription):
        item["current_period_end"] = end
    subscription.update(
        status="trialing",
        trial_end=end,
        trial_start=subscription["trial_start"] or account.now(),
        billing_cycle_anchor=end,
    )
    account.notes[subscription["id"]].pop("trial_told", None)


def listing(account: Account, given: Object) -> Object:
    """Without the canceled ones, unless they are asked for."""
    chosen = equal(account.all("subscription"), given, ("customer", "collection_method"))
    status = given.get("status")
    if status is None:
        chosen = [each for each in chosen if each["status"] not in standing.ENDED]
    elif status == "ended":
        chosen = [each for each in chosen if each["status"] in standing.ENDED]
    elif status != "all":
        chosen = [each for each in chosen if each["status"] == status]
    if "price" in given:
        chosen = [each for each in chosen if any(i["price"]["id"] == given["price"] for i in items_of(each))]
    return page(account, newest_first(within(chosen, "created", given.get("created"))), given, "/v1/subscriptions")
