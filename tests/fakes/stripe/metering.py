"""Meters, the events that report usage to them, and what the events of a customer add up to."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from tests.fakes.stripe.account import Account, newest_first, random_text
from tests.fakes.stripe.catalog import equal
from tests.fakes.stripe.faults import Object, invalid, missing
from tests.fakes.stripe.periods import DAY_S
from tests.fakes.stripe.rendering import page

OLDEST_S, NEWEST_S = 35 * DAY_S, 300
# Stripe promises at least that long.
IDENTIFIERS_UNIQUE_S = DAY_S
LONGEST_NAME = 100
GRAINS_S = {"hour": 3600, "day": DAY_S}


def create_meter(account: Account, given: Object) -> Object:
    if account.all("billing.meter", event_name=given["event_name"], status="active"):
        message = f"An active meter with event_name {given['event_name']} already exists."
        raise invalid(message, "event_name", "resource_already_exists")
    fields = {
        "customer_mapping": given.get("customer_mapping", {"event_payload_key": "stripe_customer_id", "type": "by_id"}),
        "default_aggregation": given["default_aggregation"],
        "display_name": given["display_name"],
        "event_name": given["event_name"],
        "event_time_window": given.get("event_time_window"),
        "status": "active",
        "status_transitions": {"deactivated_at": None},
        "updated": account.now(),
        "value_settings": given.get("value_settings", {"event_payload_key": "value"}),
    }
    meter = account.add("billing.meter", fields)
    account.tell("billing.meter.created", meter)
    return meter


def update_meter(account: Account, given: Object, id_: str) -> Object:
    meter = account.get("billing.meter", id_)
    with account.changing(meter, "billing.meter.updated"):
        meter["display_name"] = given.get("display_name", meter["display_name"])
        meter["updated"] = account.now()
    return meter


def deactivate_meter(account: Account, given: Object, id_: str) -> Object:
    return _turn(account, id_, "inactive", "billing.meter.deactivated")


def reactivate_meter(account: Account, given: Object, id_: str) -> Object:
    return _turn(account, id_, "active", "billing.meter.reactivated")


def _turn(account: Account, id_: str, status: str, type_: str) -> Object:
    meter = account.get("billing.meter", id_)
    if meter["status"] == status:
        raise invalid(f"The meter is already {status}.", "id")
    with account.changing(meter, type_):
        meter["status"] = status
        meter["status_transitions"]["deactivated_at"] = account.now() if status == "inactive" else None
        meter["updated"] = account.now()
    return meter


def list_meters(account: Account, given: Object) -> Object:
    chosen = equal(account.all("billing.meter"), given, ("status",))
    return page(account, newest_first(chosen), given, "/v1/billing/meters")


def create_event(account: Account, given: Object) -> Object:
    """Refuses what Stripe refuses at once: a used identifier, a bad time, a payload without customer or value.

    An unknown customer or meter is found out later: the event is taken, counts for nobody, and is in the errors.
    """
    now = account.now()
    timestamp = given.get("timestamp", now)
    identifier = given.get("identifier") or random_text(32)
    if len(identifier) > LONGEST_NAME or len(given["event_name"]) > LONGEST_NAME:
        raise invalid(f"Identifiers and event names have at most {LONGEST_NAME} characters.", "identifier")
    if timestamp < now - OLDEST_S:
        raise invalid(
            "The timestamp must be within the past 35 calendar days.", "timestamp", "timestamp_too_far_in_past"
        )
    if timestamp > now + NEWEST_S:
        raise invalid("The timestamp may be at most 5 minutes in the future.", "timestamp", "timestamp_in_future")
    used = account.meter_identifiers.get(identifier)
    if used is not None and used > now - IDENTIFIERS_UNIQUE_S:
        raise invalid(f"An event already exists with identifier {identifier}.", "identifier")
    made = {
        "object": "billing.meter_event",
        "created": now,
        "event_name": given["event_name"],
        "identifier": identifier,
        "livemode": False,
        "payload": given["payload"],
        "timestamp": timestamp,
    }
    meters = account.all("billing.meter", event_name=given["event_name"], status="active")
    counted = _counted(account, meters[0], made) if meters else None
    account.meter_identifiers[identifier] = now
    if counted is None:
        account.meter_errors.append({"code": "no_meter", "event": made})
    elif account.find(counted["customer"]) is None:
        account.meter_errors.append({"code": "meter_event_customer_not_found", "event": made})
    else:
        account.meter_events.append(counted)
    return made


def _counted(account: Account, meter: Object, made: Object) -> Object:
    payload = made["payload"]
    customer_key = meter["customer_mapping"]["event_payload_key"]
    value_key = meter["value_settings"]["event_payload_key"]
    if customer_key not in payload:
        raise missing(f"payload[{customer_key}]")
    value = payload.get(value_key, "1" if meter["default_aggregation"]["formula"] == "count" else None)
    if value is None:
        raise missing(f"payload[{value_key}]")
    try:
        number = Decimal(value)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number != number.to_integral_value():
        message = f"The value of a meter event must be a whole number, not {value}."
        raise invalid(message, f"payload[{value_key}]", "meter_event_invalid_value")
    return {
        "meter": meter["id"],
        "customer": payload[customer_key],
        "value": int(number),
        "timestamp": made["timestamp"],
        "created": made["created"],
        "identifier": made["identifier"],
    }


def used(account: Account, meter: str, customer: str, start: int, end: int) -> int:
    """What the events from `start` until before `end` add up to."""
    values = [
        event["value"]
        for event in sorted(account.meter_events, key=lambda event: event["timestamp"])
        if event["meter"] == meter
        and event["customer"] == customer
        and start <= event["timestamp"] < end
        and event["created"] + account.settings["meter_lag_s"] <= account.now()
    ]
    formulas: dict[str, int] = {"sum": sum(values), "count": len(values), "last": values[-1] if values else 0}
    return formulas[account.objects[meter]["default_aggregation"]["formula"]]


def list_summaries(account: Account, given: Object, meter: str) -> Object:
    """One for the whole time, or one for each hour or day that has events."""
    account.get("billing.meter", meter)
    account.get("customer", given["customer"], "customer")
    start, end = given["start_time"], given["end_time"]
    grain = GRAINS_S.get(given.get("value_grouping_window", ""), 60)
    for name, time in (("start_time", start), ("end_time", end)):
        if time % grain:
            raise invalid(f"{name} must be aligned with {grain} s boundaries.", name)
    if start >= end:
        raise invalid("start_time must be before end_time.", "start_time")
    step = grain if "value_grouping_window" in given else end - start
    spans = [(at, at + step) for at in range(start, end, step)]
    if len(spans) > 1:
        times = {event["timestamp"] // step * step for event in account.meter_events if event["meter"] == meter}
        spans = [span for span in spans if span[0] in times]
    summaries = [_summary(account, meter, given["customer"], *span) for span in reversed(spans)]
    return page(account, summaries, given, f"/v1/billing/meters/{meter}/event_summaries")


def _summary(account: Account, meter: str, customer: str, start: int, end: int) -> Object:
    return {
        "id": f"mtrusg_test_{meter[-8:]}{customer[-8:]}{start}{end}",
        "object": "billing.meter_event_summary",
        "aggregated_value": float(used(account, meter, customer, start, end)),
        "end_time": end,
        "livemode": False,
        "meter": meter,
        "start_time": start,
    }
