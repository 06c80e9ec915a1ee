"""Stripe's customer has the workspace's name and its address for letters: who changes these, changes those.

A name that was given at Stripe, for invoices, stays.
"""

from __future__ import annotations

import functools
import logging
import uuid
from typing import Any

from django.db import transaction
from django.dispatch import receiver

from billing.models import Subscription
from billing.stripe import configuration, customers
from billing.stripe.errors import BillingError
from tenants.handover import Away, hand_over
from tenants.models import Tenant
from tenants.signals import tenant_changed

logger = logging.getLogger(__name__)

UPDATE = "billing.tasks.update_customer"


@receiver(tenant_changed)
def follow(tenant: Tenant, before: dict[str, str], **_: Any) -> None:
    if Subscription.objects.filter(tenant=tenant, stripe_customer_id__gt="").exists():
        transaction.on_commit(functools.partial(_update_later, tenant, before))


def _update_later(tenant: Tenant, before: dict[str, str]) -> None:
    """By a worker: Stripe may take its time. Without the queue once, at once."""
    if not configuration.configured():
        return
    try:
        hand_over(UPDATE, tenant.pk, before)
    except Away:
        try:
            customers.update(tenant, before, uuid.uuid4().hex)
        except BillingError as error:
            logger.error("Stripe has the name and address that %s had before: %s", tenant, error)
