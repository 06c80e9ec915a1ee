"""What a workspace should know of its subscription before anything else, and what it can do about it. Asks nobody."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import NamedTuple

from django.utils.translation import gettext as _

from billing.figures import usd
from billing.models import Plan, Subscription
from tenants.writing import day, moment

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
    update = ("portal", _("Update card"))
    if subscription.status == Status.PAST_DUE and grace is not None:
        if grace > now:
            text = _(
                "You keep %(plan)s until %(until)s. After that the limits are those of Free, until it is paid."
            ) % {"plan": plan, "until": moment(grace)}
            yield Notice("warning", _("A payment failed."), text, *update)
        else:
            text = _("Since %(since)s the limits are those of Free. Pay, and %(plan)s is back within seconds.") % {
                "since": moment(grace),
                "plan": plan,
            }
            yield Notice("error", _("A payment failed, and the time to pay is over."), text, *update)
    elif subscription.status == Status.UNPAID:
        text = _("The limits are those of Free until the open invoice is paid. Nothing was deleted.")
        yield Notice("error", _("Several payments failed."), text, *update)
    elif subscription.status == Status.INCOMPLETE:
        text = _(
            "The first payment was not completed, so nothing has begun. Choose the plan again, or settle the invoice."
        )
        yield Notice("warning", _("Not paid yet."), text, "portal", _("Open invoices and cards"))
    elif subscription.status == Status.PAUSED:
        text = _("The trial ended without a card. Add one in the customer portal below, then resume.")
        yield Notice("warning", _("The subscription is paused."), text, "resume", _("Resume"))


def _ahead(subscription: Subscription) -> Iterator[Notice]:
    plan = subscription.plan.name
    keep = _("Keep %(plan)s") % {"plan": plan}
    if subscription.cancel_at is not None:
        text = _("You keep %(plan)s until %(until)s. From then on the workspace is on Free.") % {
            "plan": plan,
            "until": moment(subscription.cancel_at),
        }
        yield Notice("warning", _("The subscription is canceled."), text, "resume", keep)
    elif subscription.pending_plan and subscription.pending_at is not None:
        to = Plan.objects.filter(code=subscription.pending_plan).values_list("name", flat=True).first()
        text = _("You keep %(plan)s until %(until)s. Then %(next)s begins.") % {
            "plan": plan,
            "until": moment(subscription.pending_at),
            "next": to or subscription.pending_plan,
        }
        yield Notice("info", _("The plan will change."), text, "resume", keep)
    elif subscription.status == Status.TRIALING and subscription.trial_end is not None:
        title = _("Trial until %(until)s.") % {"until": moment(subscription.trial_end)}
        facts = {"plan": plan, "price": usd(subscription.monthly_usd), "day": day(subscription.trial_end)}
        if subscription.card_last4:
            text = _("On %(day)s %(plan)s begins to cost %(price)s a month. Cancel before, and it costs nothing.")
            yield Notice("info", title, text % facts)
        else:
            text = _("There is no card yet. Add one, and %(plan)s goes on for %(price)s a month.")
            yield Notice("warning", title, text % facts, "portal", _("Add card"))
