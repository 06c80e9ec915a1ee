"""Before a workspace is deleted its subscription at Stripe ends: what was used is invoiced, nothing is paid back."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from billing.models import Subscription
from billing.stripe import changes
from billing.stripe.errors import BillingError
from tenants.audit import By
from tenants.deletion import StillBound
from tenants.models import Tenant
from tenants.signals import tenant_ending


@receiver(tenant_ending)
def cancel(tenant: Tenant, by: By, **_: Any) -> None:
    if not Subscription.objects.get(tenant=tenant).is_stripes:
        return
    try:
        changes.cancel(tenant, "now", **by)
    except BillingError as error:
        raise StillBound(str(error)) from error
