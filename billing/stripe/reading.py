"""What Stripe says of a customer's subscriptions, as facts. One call, and pure functions on its answer."""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
from decimal import Decimal

from django.conf import settings

from billing.models import Subscription
from billing.stripe.client import Object, ask, cents, id_of, moment, v1
from billing.stripe.errors import Refused, UnknownCustomer

logger = logging.getLogger(__name__)

Status = Subscription.Status
_STATUSES = {
    "trialing": Status.TRIALING,
    "active": Status.ACTIVE,
    "past_due": Status.PAST_DUE,
    "unpaid": Status.UNPAID,
    "paused": Status.PAUSED,
    "incomplete": Status.INCOMPLETE,
    "canceled": Status.CANCELED,
    "incomplete_expired": Status.NONE,
}
# Of several subscriptions the one that gives most counts, then the newest.
_RANK = (
    Status.ACTIVE,
    Status.TRIALING,
    Status.PAST_DUE,
    Status.UNPAID,
    Status.PAUSED,
    Status.INCOMPLETE,
    Status.CANCELED,
)
PAYING = frozenset({Status.ACTIVE, Status.TRIALING, Status.PAST_DUE})
EXPAND = [
    "data.default_payment_method",
    "data.customer.invoice_settings.default_payment_method",
    "data.schedule",
    "data.latest_invoice",
]


@dataclasses.dataclass(frozen=True, slots=True)
class Facts:
    """Of the one subscription that counts; of a customer who never had one, the defaults."""

    status: Status = Status.NONE
    subscription_id: str = ""
    plan_code: str | None = None
    metered: bool = False
    # A month, without use, taxes and discounts, while it is paid for.
    price_usd: Decimal | None = None
    anchor_at: dt.datetime | None = None
    period_start: dt.datetime | None = None
    period_end: dt.datetime | None = None
    trial_end: dt.datetime | None = None
    trial_used_at: dt.datetime | None = None
    cancel_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None
    pending_plan: str = ""
    pending_at: dt.datetime | None = None
    card_brand: str = ""
    card_last4: str = ""
    # Of the newest invoice, if it is not paid.
    owed_usd: Decimal | None = None
    owed_since: dt.datetime | None = None
    next_attempt_at: dt.datetime | None = None
    invoice_url: str = ""
    # As it came, for changing it.
    raw: Object | None = dataclasses.field(default=None, repr=False)


def read(customer_id: str) -> Facts | None:
    """None: the customer was deleted at Stripe. One of whom Stripe never heard is another matter: with a key of another
    account, or of the other mode, it has heard of none. Raises BillingError.
    """
    asked = {"customer": customer_id, "status": "all", "limit": 100, "expand": EXPAND}
    try:
        found = facts(ask(v1().subscriptions.list, asked)["data"])
        # A deleted one's subscriptions are still listed; they have ended.
        if found.status not in PAYING and ask(v1().customers.retrieve, customer_id).get("deleted"):
            return None
        return found
    except Refused as error:
        if error.stripe_code == "resource_missing":
            raise UnknownCustomer(customer_id, settings.STRIPE_SECRET_KEY) from error
        raise


def facts(subscriptions: list[Object]) -> Facts:
    started = [each for each in subscriptions if _STATUSES.get(each["status"]) in _RANK]
    if not started:
        return Facts()
    chosen = min(started, key=lambda each: (_RANK.index(_STATUSES[each["status"]]), -each["created"]))
    paying = [each["id"] for each in started if _STATUSES[each["status"]] in PAYING]
    if len(paying) > 1:
        logger.error("%s pays for %s: %s counts", id_of(chosen["customer"]), " and ".join(paying), chosen["id"])
    trials = [each["trial_start"] for each in started if each["trial_start"]]
    return dataclasses.replace(_facts(chosen), trial_used_at=moment(min(trials, default=None)))


def _facts(raw: Object) -> Facts:
    status, items = _STATUSES[raw["status"]], raw["items"]["data"]
    start = moment(min((item["current_period_start"] for item in items), default=None))
    ended = status is Status.CANCELED
    cancel_at = raw["cancel_at"] or None
    return Facts(
        status=status,
        subscription_id=raw["id"],
        plan_code=_plan_of(items),
        metered=any(map(_is_metered, items)),
        price_usd=_price(items) if status in PAYING else None,
        # A trial's periods begin with it; paid ones on the day that Stripe bills.
        anchor_at=start if status is Status.TRIALING else moment(raw["billing_cycle_anchor"]),
        period_start=start,
        period_end=moment(max((item["current_period_end"] for item in items), default=None)),
        trial_end=moment(raw["trial_end"]) if status is Status.TRIALING else None,
        cancel_at=None if ended else moment(cancel_at),
        ended_at=moment(raw["ended_at"]),
        **({} if ended else _pending(raw)),
        **_card(raw),
        **_owed(raw),
        raw=raw,
    )


def _is_metered(item: Object) -> bool:
    return bool(item["price"]["recurring"].get("meter"))


def _price(items: list[Object]) -> Decimal:
    fixed = [item for item in items if not _is_metered(item)]
    in_cents = (Decimal(item["price"]["unit_amount_decimal"] or 0) * item.get("quantity", 1) for item in fixed)
    return round(sum(in_cents, Decimal(0)) / 100, 2)


def _plan_of(items: list[Object]) -> str | None:
    """The price says it, that of the monthly sum first: a price that was archived keeps its metadata."""
    for item in sorted(items, key=_is_metered):
        if code := item["price"]["metadata"].get("plan"):
            return str(code)
    return None


def _pending(raw: Object) -> Object:
    """The next phase of a schedule: a change at the end of the period."""
    schedule = raw["schedule"]
    if not schedule or schedule["status"] not in {"active", "not_started"}:
        return {}
    later = later_phases(schedule)
    if not later or not (plan := (later[0]["metadata"] or {}).get("plan")):
        return {}
    return {"pending_plan": plan, "pending_at": moment(later[0]["start_date"])}


def later_phases(schedule: Object) -> list[Object]:
    current = (schedule["current_phase"] or {}).get("start_date", 0)
    return [phase for phase in schedule["phases"] if phase["start_date"] > current]


def _card(raw: Object) -> Object:
    of_customer = raw["customer"].get("invoice_settings") if isinstance(raw["customer"], dict) else None
    method = raw["default_payment_method"] or (of_customer or {}).get("default_payment_method")
    card = method.get("card") if isinstance(method, dict) else None
    return {"card_brand": card["brand"], "card_last4": card["last4"]} if card else {}


def _owed(raw: Object) -> Object:
    invoice = raw["latest_invoice"]
    if not isinstance(invoice, dict) or invoice["status"] not in {"open", "uncollectible"}:
        return {}
    since = (invoice.get("status_transitions") or {}).get("finalized_at") or invoice["created"]
    return {
        "owed_usd": cents(invoice["amount_remaining"]),
        "owed_since": moment(since),
        "next_attempt_at": moment(invoice.get("next_payment_attempt")),
        "invoice_url": invoice.get("hosted_invoice_url") or "",
    }
