"""`/_fake/…`: what a test or a demo does to the fake itself. No part of Stripe's API."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson

from tests.fakes.http import send_json
from tests.fakes.stripe import checkout, clock, customers
from tests.fakes.stripe.account import DEFAULT_SETTINGS
from tests.fakes.stripe.faults import Fault, Object, invalid, missing

if TYPE_CHECKING:
    from tests.fakes.stripe.server import Server

Control = Callable[["Server", Object, tuple[str, ...]], Any]
LONGEST_ADVANCE_S = 5 * 366 * 86_400
MOST_FAILURES = 1000


def ready(server: Server, given: Object, ids: tuple[str, ...]) -> Object:
    now = server.account.now()
    return {"ready": True, "now": now, "offset_s": server.account.offset_s, "settings": server.account.settings}


def reset(server: Server, given: Object, ids: tuple[str, ...]) -> Object:
    server.clear()
    return ready(server, given, ids)


def advance(server: Server, given: Object, ids: tuple[str, ...]) -> Object:
    """Moves the clock forward, and does what is due on the way."""
    account = server.account
    to = given["to"] if "to" in given else account.now() + _number(given, "seconds")
    if not isinstance(to, int) or not account.now() <= to <= account.now() + LONGEST_ADVANCE_S:
        raise invalid(f"The clock goes forward only, and at most {LONGEST_ADVANCE_S} s at once.", "to")
    return {"done": clock.move(account, to), "now": account.now()}


def _number(given: Object, name: str) -> int:
    value = given.get(name)
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise missing(name) if value is None else invalid(f"Invalid number: {value}", name)
    return int(value)


def settings(server: Server, given: Object, ids: tuple[str, ...]) -> Object:
    """Of dunning and notices; what is not named stays."""
    for name in given:
        if name not in DEFAULT_SETTINGS:
            raise invalid(f"Unknown setting: {name}. There are {', '.join(DEFAULT_SETTINGS)}.", name)
    if given.get("dunning_end", "unpaid") not in ("unpaid", "canceled", "past_due"):
        raise invalid("dunning_end is unpaid, canceled or past_due.", "dunning_end")
    server.account.settings |= given
    return server.account.settings


def pay_session(server: Server, given: Object, ids: tuple[str, ...]) -> Object:
    """As the hosted page does; a declined card is a 402 here."""
    filled = {"card": "4242424242424242", "country": "US", **given}
    return checkout.pay(server.account, ids[0], filled)


def set_card(server: Server, given: Object, ids: tuple[str, ...]) -> Object:
    """The customer pays with this card from now on."""
    if "number" not in given:
        raise missing("number")
    customer = server.account.get("customer", ids[0])
    return customers.use_card(server.account, customer, str(given["number"]))


def set_webhooks(server: Server, given: Object, ids: tuple[str, ...]) -> Object:
    if given.get("deliver") not in ("now", "hold"):
        raise invalid("deliver is now or hold.", "deliver")
    (server.deliveries.hold if given["deliver"] == "hold" else server.deliveries.release)()
    return {"deliver": given["deliver"]}


def events(server: Server, given: Object, ids: tuple[str, ...]) -> Object:
    """All, oldest first, each with the tries to deliver it."""
    account = server.account
    return {"events": [{**each, "attempts": account.notes[each["id"]]["attempts"]} for each in account.all("event")]}


async def deliver(server: Server, given: Object, ids: tuple[str, ...]) -> Object:
    """These events, in this order; without any, all that wait. Answers when it is done."""
    if "ids" in given:
        return {"answers": await server.deliveries.deliver([str(id_) for id_ in given["ids"]])}
    server.deliveries.release()
    await server.deliveries.drained()
    return {"answers": []}


def fail(server: Server, given: Object, ids: tuple[str, ...]) -> Object:
    """The next API calls fail, hang first, or (`when` = after) are carried out and answered with the failure."""
    from tests.fakes.stripe.server import Failure

    count = _number(given, "next")
    if not 0 <= count <= MOST_FAILURES or given.get("when", "before") not in ("before", "after"):
        raise invalid(f"next is at most {MOST_FAILURES}; when is before or after.", "next")
    failure = Failure(
        status=int(given.get("status", 500)),
        path=str(given.get("path", "/v1/")),
        hang_s=float(given.get("hang_s", 0)),
        after=given.get("when") == "after",
    )
    server.failures = [failure] * count
    return {"next": count}


def calls(server: Server, given: Object, ids: tuple[str, ...]) -> Object:
    return {"counts": dict(server.counts), "calls": server.calls}


def meter_errors(server: Server, given: Object, ids: tuple[str, ...]) -> Object:
    """Meter events that were taken and then counted for nobody."""
    return {"errors": server.account.meter_errors}


CONTROLS: list[tuple[str, str, Control]] = [
    ("GET", r"ready", ready),
    ("POST", r"reset", reset),
    ("POST", r"advance", advance),
    ("POST", r"settings", settings),
    ("POST", r"sessions/([^/]+)/pay", pay_session),
    ("POST", r"customers/([^/]+)/card", set_card),
    ("POST", r"webhooks", set_webhooks),
    ("GET", r"events", events),
    ("POST", r"deliver", deliver),
    ("POST", r"fail", fail),
    ("GET", r"calls", calls),
    ("GET", r"meter_errors", meter_errors),
]


async def answer(server: Server, scope: Object, body: bytes, send: Any) -> None:
    try:
        result = await _carry_out(server, scope, body)
    except Fault as fault:
        await send_json(send, fault.status, {"error": fault.error})
    else:
        await send_json(send, 200, result)


async def _carry_out(server: Server, scope: Object, body: bytes) -> Any:
    path = scope["path"].removeprefix("/_fake/")
    for method, pattern, control in CONTROLS:
        found = re.fullmatch(pattern, path)
        if not found or method != scope["method"]:
            continue
        try:
            result = control(server, _given(body), found.groups())
            return await result if hasattr(result, "__await__") else result
        finally:
            server.deliveries.collect()
    known = ", ".join(f"{method} /_fake/{pattern}" for method, pattern, _ in CONTROLS)
    raise invalid(f"No such control. There are: {known}.", status=404)


def _given(body: bytes) -> Object:
    try:
        given = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as error:
        raise invalid(f"The body is not JSON: {error}.") from None
    if not isinstance(given, dict):
        raise invalid("The body must be a JSON object.")
    return given
