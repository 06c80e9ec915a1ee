"""Opens Stripe's customer portal: cards, addresses, tax ids, invoices."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction
from django.urls import reverse

from billing import subscriptions
from billing.stripe import configuration, customers, endpoints
from billing.stripe.client import ask, v1
from tenants.models import Tenant


def open_portal(tenant: Tenant, *, return_url: str | None = None) -> str:
    """Its address, good for one visitor and some minutes. Raises BillingError."""
    configuration.require()
    with transaction.atomic():
        customer = customers.ensure(subscriptions.locked(tenant))
    back = return_url or f"{settings.PUBLIC_URL}{reverse('dashboard', args=[tenant.slug])}"
    wanted = {"customer": customer, "return_url": back}
    if configured := endpoints.portal_id():
        wanted["configuration"] = configured
    return str(ask(v1().billing_portal.sessions.create, wanted)["url"])
