"""The two workspaces of the canaries: one that keeps a secret, one that asks for it. Nobody can log in to them.

They are internal: operators' lists and sums leave them out. A simulated provider answers there, and nothing is paid.
"""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

from django.db import transaction
from django.utils import timezone

from billing import subscriptions
from gateway import setups
from tenants import apikeys, keys, provisioning, revocations
from tenants.models import ApiKey, Tenant
from tenants.roles import ADMIN_SCOPE

KEEPER, ASKER = "canary-keeper", "canary-asker"
# No address of a person's: by it they are told from what somebody has called the same.
EMAIL = "canary@nexus.invalid"
# A run needs some sixty calls.
PER_MINUTE = 600
_LIMITS = dict.fromkeys(
    ("monthly_requests", "monthly_tokens", "tokens_per_minute", "daily_budget_usd", "monthly_budget_usd")
)


class Party(NamedTuple):
    tenant: Tenant
    public_id: str
    key: str


def prepare(slug: str) -> Party:
    """Makes what is missing, and a new secret for its one key. Raises SlugTaken."""
    with transaction.atomic():
        tenant = Tenant.objects.filter(slug=slug, email=EMAIL, internal=True).first() or _make(slug)
        key = ApiKey.objects.filter(tenant=tenant).order_by("pk").first()
        if key is None:
            key = apikeys.issue(tenant, name="canary", scopes=[ADMIN_SCOPE], actor_label="canary").key
        # One row for ever, and no line in the audit log for each run: nobody but us has ever had it.
        secret = keys.new_secret()
        ApiKey.objects.filter(pk=key.pk).update(
            secret_sha256=keys.digest(secret), expires_at=timezone.now() + dt.timedelta(hours=1)
        )
    revocations.publish(f"key:{key.public_id}")
    return Party(tenant, key.public_id, keys.render(key.public_id, secret))


def own_model(slug: str) -> str:
    """Of a second provider, which is called as the workspace and has this model alone."""
    return f"{slug}-model"


def _make(slug: str) -> Tenant:
    tenant = provisioning.create_tenant(name="Canary", email=EMAIL, slug=slug, actor_label="canary")
    tenant.internal = True
    tenant.save(update_fields=["internal"])
    subscriptions.change_plan(tenant, "scale", overrides={**_LIMITS, "requests_per_minute": PER_MINUTE})
    # Of their own, so that the platform's is never asked, nor paid; and of one name, since who would answer is a part
    # of a request's digest: with two names no wall would be tried but that one.
    setups.configure_provider(tenant, name="own", kind="simulated", latency_ms=0, tokens=8)
    setups.configure_provider(tenant, name=slug, kind="simulated", latency_ms=0, models=[own_model(slug)])
    return tenant
