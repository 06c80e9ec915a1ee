"""One customer at Stripe for each tenant that ever went to pay."""

from __future__ import annotations

import hashlib

from billing.models import Subscription
from billing.stripe.client import Object, ask, v1


def ensure(subscription: Subscription) -> str:
    """The customer's id, made if there is none. To be called with the subscription `locked`."""
    if not subscription.stripe_customer_id:
        tenant = subscription.tenant
        # dj-stripe finds the tenant of a customer by the second.
        metadata = {"tenant": str(tenant.pk), "djstripe_subscriber": str(tenant.pk), "workspace": tenant.slug}
        customer: Object = {"email": tenant.email, "name": tenant.name or tenant.slug, "metadata": metadata}
        # If we die before this is committed, the next attempt gets the same customer. Another reading: one was deleted.
        words = f"{tenant.pk} {tenant.schema_name} {tenant.created_at} {subscription.stripe_read_at} {customer}"
        key = f"nexus-customer-{hashlib.sha256(words.encode()).hexdigest()}"
        subscription.stripe_customer_id = ask(v1().customers.create, customer, {"idempotency_key": key})["id"]
        subscription.save(update_fields=["stripe_customer_id"])
    return subscription.stripe_customer_id or ""
