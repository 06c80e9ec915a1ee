"""What Redis says of a workspace's quota."""

from __future__ import annotations

import asyncio
from typing import Any

from django.utils import timezone

from billing import accounts
from billing.quota import Quota, Standing
from tenants.db import make_lane
from tenants.limits import NO_LIMITS
from tenants.principal import Principal
from tests.conftest import Workspace


def standing(workspace: Workspace) -> tuple[Standing, Standing]:
    """Of the tenant, and of its key."""
    account = account_of(workspace)

    async def look() -> tuple[Standing, Standing]:
        lane = make_lane(timeout_s=5)
        try:
            return await Quota(lane, _nothing).standing(account)
        finally:
            await lane.aclose()

    return asyncio.run(look())


def account_of(workspace: Workspace) -> accounts.Account:
    workspace.tenant.subscription.refresh_from_db()
    principal = Principal(
        tenant_id=workspace.tenant.pk,
        schema=workspace.tenant.schema_name,
        slug=workspace.tenant.slug,
        active=True,
        key_id=workspace.api_key.pk,
        public_id=workspace.api_key.public_id,
        secret_sha256=b"",
        plan="",
        limits=NO_LIMITS,
        period_anchor=workspace.tenant.subscription.anchor_at,
    )
    return accounts.account_of(principal, timezone.now(), hold_ttl_s=300)


async def _nothing(*_: Any) -> Any:
    raise AssertionError("Redis has no counters")
