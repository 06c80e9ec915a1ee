"""What a workspace should know of its subscription before anything else, and what it can do about it. Asks nobody."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import NamedTuple

from billing.figures import day, moment, usd
from billing.models import Plan, Subscription

Status = Subscription.Status


class Notice(NamedTuple):
    """`kind`: error, warning or info. `act`: portal or resume, with the button's `label`."""

    kind: str
    title: str
    text: str
    act: str = ""
    label: str = ""


def notices(subscription: Subscription, now: dt.datetime) -> list[Notice]:
    return [*_payment(subscription, now), *_ahead(subscription)]


def _payment(subscription: Subscription, now: dt.datetime) -> Iterator[Notice]:
    plan, grace = subscription.plan.name, subscription.grace_until
    update = ("portal", "Update card")
    if subscription.status == Status.PAST_DUE and grace is not None:
        if grace > now:
            text = f"You keep {plan} until {moment(grace)}. After that the limits are those of Free, until it is paid."
            yield Notice("warning", "A payment failed.", text, *update)
        else:
            text = f"Since {moment(grace)} the limits are those of Free. Pay, and {plan} is back within seconds."
            yield Notice("error", "A payment failed, and the time to pay is over.", text, *update)
    elif subscription.status == Status.UNPAID:
        text = "The limits are those of Free until the open invoice is paid. Nothing was deleted."
        yield Notice("error", "Several payments failed.", text, *update)
    elif subscription.status == Status.INCOMPLETE:
        text = (
            "The first payment was not completed, so nothing has begun. Choose the plan again, or settle the invoice."
        )
        yield Notice("warning", "Not paid yet.", text, "portal", "Open invoices and cards")
    elif subscription.status == Status.PAUSED:
        text = "The trial ended without a card. Add one in the customer portal below, then resume."
        yield Notice("warning", "The subscription is paused.", text, "resume", "Resume")


def _ahead(subscription: Subscription) -> Iterator[Notice]:
    plan = subscription.plan.name
    if subscription.cancel_at is not None:
        text = f"You keep {plan} until {moment(subscription.cancel_at)}. From then on the workspace is on Free."
        yield Notice("warning", "The subscription is canceled.", text, "resume", f"Keep {plan}")
    elif subscription.pending_plan and subscription.pending_at is not None:
        to = Plan.objects.filter(code=subscription.pending_plan).values_list("name", flat=True).first()
        text = (
            f"You keep {plan} until {moment(subscription.pending_at)}. Then {to or subscription.pending_plan} begins."
        )
        yield Notice("info", "The plan will change.", text, "resume", f"Keep {plan}")
    elif subscription.status == Status.TRIALING and subscription.trial_end is not None:
        price = f"{usd(subscription.monthly_usd)} a month"
        if subscription.card_last4:
            text = (
                f"On {day(subscription.trial_end)} {plan} begins to cost {price}. Cancel before, and it costs nothing."
            )
            yield Notice("info", f"Trial until {moment(subscription.trial_end)}.", text)
        else:
            text = f"There is no card yet. Add one, and {plan} goes on for {price}."
            yield Notice("warning", f"Trial until {moment(subscription.trial_end)}.", text, "portal", "Add card")
