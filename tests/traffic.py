"""The money part of a gateway: real holds, settlements and seeds, without providers."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import uuid
from collections.abc import AsyncIterator, Coroutine
from typing import Any, NamedTuple

from django.conf import settings
from django.utils import timezone

from analytics.events import UsageEvent
from billing import accounts, ledger, plans, pricing, quota
from billing.accounts import Account
from billing.models import Subscription
from billing.periods import Period, period_at
from billing.quota import Ask, Held, Hold, Quota
from tenants.db import make_pool
from tenants.lane import Lane
from tenants.principal import Principal
from tests.conftest import Workspace
from tests.usage import miss


class Gateway(NamedTuple):
    quota: Quota
    principal: Principal

    def account(self, now: dt.datetime) -> Account:
        return accounts.account_of(self.principal, now, hold_ttl_s=settings.HOLD_TTL_S)

    async def admit(self, workspace: Workspace, now: dt.datetime | None = None) -> Call:
        now = now or timezone.now()
        account = self.account(now)
        asked = Ask(str(uuid.uuid4()), 10, 20, None, None, b"{}", int(now.timestamp()) // 86400)
        hold = await self.quota.admit(account, asked)
        assert isinstance(hold, Hold), hold
        return Call(self, workspace, account, asked, hold, now)


class Call(NamedTuple):
    """One that was admitted."""

    gateway: Gateway
    workspace: Workspace
    account: Account
    asked: Ask
    hold: Hold
    now: dt.datetime

    async def settle(self, **facts: Any) -> UsageEvent:
        given = {"id": self.asked.id, "at": self.now.timestamp(), "period": int(self.account.period.id), **facts}
        event = miss(self.workspace, **given)
        await self.gateway.quota.settle(
            quota.settlement(
                self.account,
                self.asked.id,
                held=Held(self.hold.held, self.hold.cost),
                day=self.asked.day,
                requests=int(event.counts),
                tokens=event.billed_tokens,
                cost=pricing.units(event.cost_usd) if event.cost_usd is not None else 0,
                event=event.write(),
            )
        )
        return event


@contextlib.asynccontextmanager
async def gateway(workspace: Workspace) -> AsyncIterator[Gateway]:
    pool, lane = make_pool(), Lane(settings.REDIS_URL, timeout_s=10)
    await pool.open()
    try:

        async def read(tenant_id: int, start: dt.datetime, today: dt.date) -> ledger.Used:
            return await ledger.used(pool, tenant_id, start, today)

        principal = await plans.load_principal(pool, workspace.api_key.public_id)
        assert principal is not None
        yield Gateway(Quota(lane, read), principal)
    finally:
        await lane.aclose()
        await pool.close()


def use(workspace: Workspace, *calls: dict[str, Any], now: dt.datetime | None = None) -> list[UsageEvent]:
    """Calls one after the other, each with what its event says."""

    async def run() -> list[UsageEvent]:
        async with gateway(workspace) as one:
            return [await (await one.admit(workspace, now)).settle(**facts) for facts in calls or [{}]]

    return asyncio.run(run())


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def period_of(workspace: Workspace, now: dt.datetime | None = None) -> Period:
    workspace.tenant.subscription.refresh_from_db()
    return period_at(workspace.tenant.subscription.anchor_at, now or timezone.now())


def ended_ago(workspace: Workspace, ago: dt.timedelta) -> Period:
    """Makes a period of the workspace's that ended so long ago."""
    anchor = timezone.now().replace(microsecond=0) - ago
    Subscription.objects.filter(tenant=workspace.tenant).update(anchor_at=anchor)
    workspace.tenant.subscription.refresh_from_db()
    return period_at(anchor, anchor - dt.timedelta(seconds=1))
