"""Stripe's events. dj-stripe checks their signature, keeps them and mirrors their objects; here each only says that a
customer is to be looked at.

What fails here is a 500, the event is not kept, and Stripe sends it again.
"""

from __future__ import annotations

import logging
from typing import Any

from django.dispatch import receiver
from djstripe.event_handlers import djstripe_receiver
from djstripe.models import Event, WebhookEventTrigger
from djstripe.signals import webhook_processing_error

from billing.models import Subscription
from billing.stripe import state
from billing.stripe.client import id_of
from billing.stripe.errors import BillingError

logger = logging.getLogger(__name__)

# After these, the customer's subscription may not be what it was.
HEARD = (
    "checkout.session.async_payment_failed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.completed",
    "customer.deleted",
    "customer.subscription.created",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.pending_update_applied",
    "customer.subscription.pending_update_expired",
    "customer.subscription.resumed",
    "customer.subscription.trial_will_end",
    "customer.subscription.updated",
    "customer.updated",
    "invoice.finalized",
    "invoice.marked_uncollectible",
    "invoice.paid",
    "invoice.payment_action_required",
    "invoice.payment_failed",
    "invoice.voided",
    "payment_method.attached",
    "payment_method.automatically_updated",
    "payment_method.detached",
    "payment_method.updated",
    "subscription_schedule.canceled",
    "subscription_schedule.created",
    "subscription_schedule.released",
    "subscription_schedule.updated",
)
# For dj-stripe's tables alone.
MIRRORED = ("invoice.created", "invoice.updated", "price.updated", "product.updated")


@djstripe_receiver(list(HEARD))
def look_at_customer(event: Event, **_: Any) -> None:
    _look(event.type, event.id, event.data)


@receiver(webhook_processing_error, sender=WebhookEventTrigger)
def look_all_the_same(instance: WebhookEventTrigger, exception: Exception, **_: Any) -> None:
    """A mirror that cannot keep an object does not keep a customer from what they paid for."""
    if instance.valid and not isinstance(exception, BillingError):
        body: Any = instance.json_body
        if body.get("type") in HEARD:
            _look(body["type"], body["id"], body["data"])


def _look(type_: str, event_id: str, data: dict[str, Any]) -> None:
    heard_at = state.database_now()
    customer = customer_of(data)
    known = (
        Subscription.objects.filter(stripe_customer_id=customer).select_related("tenant").first() if customer else None
    )
    if known is None:
        logger.info("%s (%s) is about customer %s, who is none of ours", type_, event_id, customer or "–")
        return
    state.refresh(known.tenant, heard_at=heard_at)


def customer_of(data: dict[str, Any]) -> str:
    """Of an event's data; empty where it is about nobody."""
    subject, previous = data.get("object") or {}, data.get("previous_attributes") or {}
    if subject.get("object") == "customer":
        return str(subject["id"])
    # A card that was taken away no longer says whose it was.
    return id_of(subject.get("customer") or previous.get("customer"))
