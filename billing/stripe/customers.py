"""One customer at Stripe for each tenant that ever went to pay."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from django.db import transaction

from billing import subscriptions
from billing.models import Subscription
from billing.stripe.client import Object, ask, v1
from tenants.models import Tenant


def ensure(subscription: Subscription) -> str:
    """The customer's id, made if there is none. To be called with the subscription `locked`."""
    if not subscription.stripe_customer_id:
        tenant = subscription.tenant
        # dj-stripe finds the tenant of a customer by the second.
        metadata = {"tenant": str(tenant.pk), "djstripe_subscriber": str(tenant.pk), "workspace": tenant.slug}
        customer: Object = {**_contact(tenant), "metadata": metadata}
        # If we die before this is committed, the next attempt gets the same customer. Another reading: one was deleted.
        words = f"{tenant.pk} {tenant.schema_name} {tenant.created_at} {subscription.stripe_read_at} {customer}"
        key = f"nexus-customer-{hashlib.sha256(words.encode()).hexdigest()}"
        subscription.stripe_customer_id = ask(v1().customers.create, customer, {"idempotency_key": key})["id"]
        subscription.save(update_fields=["stripe_customer_id"])
    return subscription.stripe_customer_id or ""


def update(tenant: Tenant, before: Mapping[str, str], change: str) -> None:
    """Gives the customer, if there is one, the name and address of now. Raises BillingError.

    `before`: what of the two has changed, as it was. `change` names the change: Stripe takes it once, and an equal one
    another time.
    """
    with transaction.atomic():
        # One at a time, so that the last word is the last one's.
        subscription = subscriptions.locked(tenant)
        now, customer = _contact(subscription.tenant), subscription.stripe_customer_id
        if not customer or not now["email"]:
            return
        wanted = {name: now[name] for name in before}
        if "name" in wanted and ask(v1().customers.retrieve, customer).get("name") != before["name"]:
            # Whoever paid gave the name that invoices are to have.
            del wanted["name"]
        if wanted:
            words = f"{customer} {change} {wanted}"
            key = f"nexus-contact-{hashlib.sha256(words.encode()).hexdigest()}"
            ask(v1().customers.update, customer, wanted, {"idempotency_key": key})


def _contact(tenant: Tenant) -> Object:
    return {"email": tenant.email, "name": tenant.name or tenant.slug}
