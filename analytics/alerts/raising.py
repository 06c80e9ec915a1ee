"""Raises an alert: its row and one outbox row a receiver, in one transaction, once for each dedupe key.

Refuses to send: that is `analytics.alerts.outbox`, after the commit.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.utils import timezone

from analytics.alerts import rules, schedule
from analytics.alerts.kinds import EMAIL, TEST, WEBHOOK
from analytics.alerts.models import AlertEvent, Delivery, WebhookEndpoint
from tenants.db import schema_of
from tenants.models import Membership, Tenant

SUBJECT_LENGTH = 200


def raise_alert(
    tenant: Tenant, kind: str, subject: str, facts: dict[str, Any], dedupe_key: str, *, quiet: bool = False
) -> AlertEvent | None:
    """None where the tenant does not want this kind, or there is one with this key already.

    `facts` are JSON, and fill the kind's texts. A `quiet` one is in the history only. Also within a transaction of the
    caller's: then it is raised with its commit, or not at all.
    """
    with schema_of(tenant), transaction.atomic():
        rule = rules.read(kind)
        # Looked up first: nearly always it is there, and a conflict would be one more line in Postgres' log.
        if not rule.enabled or AlertEvent.objects.filter(dedupe_key=dedupe_key).exists():
            return None
        event, created = AlertEvent.objects.get_or_create(
            dedupe_key=dedupe_key, defaults={"kind": kind, "subject": subject[:SUBJECT_LENGTH], "facts": facts}
        )
        if not created:
            return None
        if not quiet:
            _address(tenant, event, rule)
        return event


def raise_test(tenant: Tenant, endpoint: WebhookEndpoint) -> Delivery:
    """Within the tenant's schema, in a transaction."""
    event = AlertEvent(kind=TEST, subject=tenant.slug, facts={})
    event.dedupe_key = f"{TEST}:{event.pk}"
    event.save()
    delivery = Delivery.objects.create(event=event, endpoint=endpoint)
    announce(tenant)
    return delivery


def announce(tenant: Tenant) -> None:
    """The outbox looks at this tenant once the transaction is committed; without Redis, the sweep finds it."""
    transaction.on_commit(functools.partial(schedule.put, tenant.pk, timezone.now()), robust=True)


def _address(tenant: Tenant, event: AlertEvent, rule: rules.Rule) -> None:
    deliveries = []
    if EMAIL in rule.channels:
        deliveries += [Delivery(event=event, email=email) for email in _emails(tenant, rule.roles)]
    if WEBHOOK in rule.channels:
        endpoints = WebhookEndpoint.objects.filter(enabled=True)
        deliveries += [
            Delivery(event=event, endpoint=endpoint)
            for endpoint in endpoints
            # One that fails is not told so by itself.
            if (not endpoint.kinds or event.kind in endpoint.kinds) and str(endpoint.pk) != event.facts.get("endpoint")
        ]
    Delivery.objects.bulk_create(deliveries)
    if deliveries:
        announce(tenant)


def _emails(tenant: Tenant, roles: Iterable[str]) -> list[str]:
    """The workspace's own address first; each once, however it is spelled."""
    members = Membership.objects.filter(tenant=tenant, role__in=roles, user__is_active=True).order_by("pk")
    found = [tenant.email, *members.values_list("user__email", flat=True)]
    return list({email.lower(): email for email in reversed(found) if email}.values())[::-1]
