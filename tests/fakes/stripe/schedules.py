"""Subscription schedules: phases that change a running subscription's prices when their time comes."""

from __future__ import annotations

from tests.fakes.stripe import changes, invoices, lines, periods, renewal, standing
from tests.fakes.stripe.account import Account, merged_metadata, newest_first
from tests.fakes.stripe.catalog import equal
from tests.fakes.stripe.changes import items_of, period_of
from tests.fakes.stripe.faults import Object, invalid, missing
from tests.fakes.stripe.rendering import page

_DEFAULT_SETTINGS: Object = {
    "application_fee_percent": None,
    "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
    "billing_cycle_anchor": "automatic",
    "billing_thresholds": None,
    "collection_method": "charge_automatically",
    "default_payment_method": None,
    "description": None,
    "invoice_settings": {"account_tax_ids": None, "days_until_due": None, "issuer": {"type": "self"}},
    "on_behalf_of": None,
    "transfer_data": None,
}


def create(account: Account, given: Object) -> Object:
    """From a subscription only: its current period is the first phase."""
    if "from_subscription" not in given:
        raise invalid("The fake makes schedules with from_subscription only.", "from_subscription", "parameter_missing")
    subscription = account.get("subscription", given["from_subscription"], "from_subscription")
    if set(given) - {"from_subscription", "metadata", "expand"}:
        raise invalid("You cannot set other parameters together with from_subscription.", "from_subscription")
    if subscription["schedule"]:
        message = (
            f"You cannot migrate a subscription that is already attached to a schedule: {subscription['schedule']}."
        )
        raise invalid(message, "from_subscription")
    if subscription["status"] in standing.ENDED:
        raise invalid("You cannot schedule a canceled subscription.", "from_subscription")
    start, end = period_of(subscription)
    items = [_phase_item(each["price"]["id"], each.get("quantity")) for each in items_of(subscription)]
    fields = {
        "application": None,
        "billing_mode": subscription["billing_mode"],
        "canceled_at": None,
        "completed_at": None,
        "current_phase": {"start_date": start, "end_date": end},
        "customer": subscription["customer"],
        "customer_account": None,
        "default_settings": dict(_DEFAULT_SETTINGS),
        "end_behavior": "release",
        "metadata": given.get("metadata", {}),
        "phases": [_phase(subscription, items, start, end, "create_prorations")],
        "released_at": None,
        "released_subscription": None,
        "status": "active",
        "subscription": subscription["id"],
        "test_clock": None,
    }
    schedule = account.add("subscription_schedule", fields)
    with account.changing(subscription, "customer.subscription.updated"):
        subscription["schedule"] = schedule["id"]
    account.tell("subscription_schedule.created", schedule)
    return schedule


def _phase_item(price: str, quantity: int | None) -> Object:
    item: Object = {
        "billing_thresholds": None,
        "discounts": [],
        "metadata": {},
        "plan": price,
        "price": price,
        "tax_rates": [],
    }
    return item | ({} if quantity is None else {"quantity": quantity})


def _phase(subscription: Object, items: list[Object], start: int, end: int, behavior: str) -> Object:
    nulls = """application_fee_percent automatic_tax billing_cycle_anchor billing_thresholds collection_method
        default_payment_method description invoice_settings on_behalf_of transfer_data trial_end""".split()
    return {
        **dict.fromkeys(nulls),
        "add_invoice_items": [],
        "currency": subscription["currency"],
        "default_tax_rates": [],
        "discounts": [],
        "end_date": end,
        "items": items,
        "metadata": {},
        "proration_behavior": behavior,
        "start_date": start,
    }


def _require_active(schedule: Object, verb: str) -> None:
    if schedule["status"] not in ("active", "not_started"):
        message = f"You cannot {verb} a subscription schedule that is currently in the `{schedule['status']}` status."
        raise invalid(message)


def update(account: Account, given: Object, id_: str) -> Object:
    schedule = account.get("subscription_schedule", id_)
    _require_active(schedule, "update")
    subscription = account.get("subscription", schedule["subscription"])
    phases = _phases(account, subscription, schedule, given["phases"]) if "phases" in given else schedule["phases"]
    with account.changing(schedule, "subscription_schedule.updated"):
        schedule["phases"] = phases
        schedule["end_behavior"] = given.get("end_behavior", schedule["end_behavior"])
        if "metadata" in given:
            schedule["metadata"] = merged_metadata(schedule["metadata"], given["metadata"])
        now = account.now()
        current = next((each for each in phases if each["start_date"] <= now < each["end_date"]), None)
        if current is None:
            raise invalid("You must keep the current phase among the phases.", "phases")
        schedule["current_phase"] = {name: current[name] for name in ("start_date", "end_date")}
    return schedule


def _phases(account: Account, subscription: Object, schedule: Object, given: list[Object]) -> list[Object]:
    """Each phase starts where the one before it ends; the last may have a duration, or its prices' interval."""
    made: list[Object] = []
    for index, each in enumerate(given):
        param = f"phases[{index}]"
        if not each.get("items"):
            raise missing(f"{param}[items]")
        prices = [changes.chosen_price(account, item, f"{param}[items][{i}]") for i, item in enumerate(each["items"])]
        for position, (price, item) in enumerate(zip(prices, each["items"], strict=True)):
            changes.require_fitting_quantity(price, item, f"{param}[items][{position}]")
        changes.require_one_interval(prices)
        start = _start(account, schedule, each, made, param)
        end = _end(account, each, prices[0], start, last=index == len(given) - 1, param=param)
        if end <= start:
            raise invalid("A phase must end after it starts.", f"{param}[end_date]")
        items = [
            _phase_item(
                price["id"], item.get("quantity", 1) if price["recurring"]["usage_type"] == "licensed" else None
            )
            for price, item in zip(prices, each["items"], strict=True)
        ]
        behavior = each.get("proration_behavior", "create_prorations")
        made.append(_phase(subscription, items, start, end, behavior) | {"metadata": each.get("metadata", {})})
    return made


def _start(account: Account, schedule: Object, given: Object, made: list[Object], param: str) -> int:
    if made:
        start = int(made[-1]["end_date"])
        if given.get("start_date", start) != start:
            raise invalid("A phase must start when the phase before it ends.", f"{param}[start_date]")
        return start
    if "start_date" not in given:
        raise missing(f"{param}[start_date]")
    start = account.now() if given["start_date"] == "now" else given["start_date"]
    if start != schedule["current_phase"]["start_date"]:
        message = "You can not modify the start date of the current phase."
        raise invalid(message, f"{param}[start_date]")
    return int(start)


def _end(account: Account, given: Object, price: Object, start: int, *, last: bool, param: str) -> int:
    if "end_date" in given:
        return account.now() if given["end_date"] == "now" else int(given["end_date"])
    if "duration" in given:
        return periods.add_intervals(start, {"interval_count": 1, **given["duration"]}, 1)
    if not last:
        raise missing(f"{param}[end_date]")
    return periods.add_intervals(start, price["recurring"], 1)


def due_times(schedule: Object) -> list[int]:
    return [int(schedule["current_phase"]["end_date"])] if schedule["current_phase"] else []


def enter_phase(account: Account, schedule: Object) -> None:
    """The current phase is over: the next one's prices apply, or the schedule is."""
    now = schedule["current_phase"]["end_date"]
    subscription = account.get("subscription", schedule["subscription"])
    phase = next((each for each in schedule["phases"] if each["start_date"] == now), None)
    if phase is None:
        return _complete(account, schedule, subscription)
    with account.changing(schedule, "subscription_schedule.updated"):
        schedule["current_phase"] = {name: phase[name] for name in ("start_date", "end_date")}
    with account.changing(subscription, "customer.subscription.updated"):
        at_end = period_of(subscription)[1] == now
        invoice = _apply(account, subscription, phase, now, at_end=at_end)
        if phase["metadata"]:
            subscription["metadata"] = merged_metadata(subscription["metadata"], phase["metadata"])
    if invoice:
        invoices.advance(account, invoice)


def _apply(account: Account, subscription: Object, phase: Object, now: int, *, at_end: bool) -> Object | None:
    """Makes the items those of the phase: the first licensed one changes its price, the others come or go."""
    wanted = {each["price"]: each for each in phase["items"]}
    have = items_of(subscription)
    leaving = [each for each in have if each["price"]["id"] not in wanted]
    coming = [each for price, each in wanted.items() if price not in {item["price"]["id"] for item in have}]
    given: list[Object] = []
    for item in leaving:
        match = next((each for each in coming if _same_sort(account, item, each)), None)
        if match:
            coming.remove(match)
            given.append({"id": item["id"], **_asked(match)})
        else:
            given.append({"id": item["id"], "deleted": True})
    given += [_asked(each) for each in coming]
    given += [
        {"id": each["id"], **_asked(wanted[each["price"]["id"]])} for each in have if each["price"]["id"] in wanted
    ]
    behavior = "none" if at_end else phase["proration_behavior"]
    anew = changes.change_items(account, subscription, given, behavior, now)
    if at_end:
        # The renewal that is due at this moment bills the new prices.
        for item in items_of(subscription):
            item["current_period_end"] = now
        return None
    if anew or behavior == "always_invoice":
        fixed = renewal.advance_lines(account, subscription) if anew else []
        return renewal.bill_now(account, subscription, fixed, lines.take_owed(account, subscription))
    return None


def _same_sort(account: Account, item: Object, wanted: Object) -> bool:
    price = account.objects[wanted["price"]]
    return bool(lines.is_metered(item) == (price["recurring"]["usage_type"] == "metered"))


def _asked(wanted: Object) -> Object:
    return {name: wanted[name] for name in ("price", "quantity") if name in wanted}


def _complete(account: Account, schedule: Object, subscription: Object) -> None:
    if schedule["end_behavior"] != "cancel":
        return _let_go(account, schedule, subscription)
    with account.changing(subscription, "customer.subscription.updated"):
        subscription["schedule"] = None
    schedule.update(status="completed", completed_at=account.now(), subscription=None, current_phase=None)
    account.tell("subscription_schedule.completed", schedule)
    renewal.finish(account, subscription)


def _let_go(account: Account, schedule: Object, subscription: Object) -> None:
    with account.changing(subscription, "customer.subscription.updated"):
        subscription["schedule"] = None
    released = {"released_at": account.now(), "released_subscription": subscription["id"]}
    schedule.update(status="released", subscription=None, current_phase=None, **released)
    account.tell("subscription_schedule.released", schedule)


def release(account: Account, given: Object, id_: str) -> Object:
    """The subscription goes on as it is, on its own."""
    schedule = account.get("subscription_schedule", id_)
    _require_active(schedule, "release")
    _let_go(account, schedule, account.get("subscription", schedule["subscription"]))
    return schedule


def cancel(account: Account, given: Object, id_: str) -> Object:
    """With the subscription, at once."""
    schedule = account.get("subscription_schedule", id_)
    _require_active(schedule, "cancel")
    standing.end_now(account, account.get("subscription", schedule["subscription"]))
    return schedule


def listing(account: Account, given: Object) -> Object:
    chosen = newest_first(equal(account.all("subscription_schedule"), given, ("customer",)))
    return page(account, chosen, given, "/v1/subscription_schedules")
