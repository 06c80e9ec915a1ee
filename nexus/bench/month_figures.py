"""What the month takes on disk, and how long its pages and answers take for a large and a median tenant."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import statistics
import time
import zoneinfo
from collections.abc import Callable, Iterator, Sequence

from django.conf import settings
from django.db import connection
from django.utils import timezone

from analytics import costs, dashboard, queries, windows
from analytics.api.exports import LEDGER_COLUMNS
from analytics.costs import Question
from analytics.windows import Choice
from billing import accounts, ledger, plans, usage
from billing import figures as billing_figures
from billing.accounts import Account
from billing.models import LedgerEntry, Subscription
from billing.periods import period_at
from billing.quota import Quota
from tenants.db import make_lane, make_pool, schema_of
from tenants.models import ApiKey, Tenant
from tenants.paging import Order

TIMES = 5
PAGE = 100
_SIZES = """
SELECT sum(pg_relation_size(c.oid)) FILTER (WHERE relname = 'analytics_usagerecord'),
    sum(pg_indexes_size(c.oid)) FILTER (WHERE relname = 'analytics_usagerecord'),
    sum(pg_total_relation_size(c.oid)) FILTER (WHERE relname = 'analytics_usagerollup'),
    sum(pg_total_relation_size(c.oid)) FILTER (WHERE relname = 'billing_ledgerentry')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ANY(%s)
"""


def sizes(tenants: Sequence[Tenant]) -> dict[str, int]:
    """Bytes on disk; the ledger is everybody's."""
    with connection.cursor() as cursor:
        cursor.execute(_SIZES, [["public", *(tenant.schema_name for tenant in tenants)]])
        row = cursor.fetchone()
    return dict(zip(("records", "their indexes", "rollups", "ledger"), map(int, row), strict=True))


def ledger_rows(tenants: Sequence[Tenant]) -> int:
    return LedgerEntry.objects.filter(tenant__in=list(tenants)).count()


def times(tenant: Tenant) -> dict[str, float]:
    """Milliseconds by what is asked: the median of five, after one that nobody counts."""
    with _usage(tenant) as read_usage:
        return {name: _median_ms(ask) for name, ask in (_questions(tenant) | {"GET /v1/usage": read_usage}).items()}


def _median_ms(ask: Callable[[], object]) -> float:
    took = []
    for _ in range(1 + TIMES):
        started = time.perf_counter()
        ask()
        took.append((time.perf_counter() - started) * 1000)
    return statistics.median(took[1:])


def _questions(tenant: Tenant) -> dict[str, Callable[[], object]]:
    now = timezone.now()
    days = windows.window_of(Choice("30d"), now)
    end = now.replace(minute=0, second=0, microsecond=0) + dt.timedelta(hours=1)
    subscription = Subscription.objects.select_related("plan").get(tenant=tenant)
    period = period_at(subscription.anchor_at, now)

    def within(ask: Callable[[], object]) -> Callable[[], object]:
        def asked() -> object:
            with schema_of(tenant):
                return ask()

        return asked

    def by(*groups: str) -> Callable[[], object]:
        question = Question(end - dt.timedelta(days=30), end, zoneinfo.ZoneInfo("UTC"), groups)
        return lambda: costs.breakdown(tenant.schema_name, question)

    def export() -> object:
        order = Order("ledger", ["period_start", "id"])
        found = order.page(LedgerEntry.objects.filter(tenant=tenant), PAGE, None).rows
        return [[getattr(row, name) for name in LEDGER_COLUMNS if name != "key"] for row in found]

    def billing() -> object:
        used = usage.of(tenant, period, now.date())
        return (
            billing_figures.bars(subscription.plan, subscription, used),
            billing_figures.days(tenant, period),
            billing_figures.periods(tenant),
        )

    return {
        "dashboard: totals of all time": within(queries.totals),
        "dashboard: sums of 30 days": within(lambda: queries.sums(days)),
        "dashboard: latest": within(queries.latest),
        "dashboard of an hour, all of it": within(
            lambda: dashboard.dashboard(windows.window_of(Choice("1h"), now), now)
        ),
        "dashboard of 30 days, all of it": within(lambda: dashboard.dashboard(days, now)),
        "costs by day": by("day"),
        "costs by model": by("model"),
        "costs by key": by("key"),
        "costs by tag": by("tag"),
        "ledger, first page": export,
        "billing page": billing,
    }


@contextlib.contextmanager
def _usage(tenant: Tenant) -> Iterator[Callable[[], object]]:
    """The counters as the data plane reads them, over one connection that is there."""
    key = ApiKey.objects.filter(tenant=tenant).earliest("pk")

    async def begin() -> tuple[Quota, Account]:
        await pool.open()
        principal = await plans.load_principal(pool, key.public_id)
        assert principal is not None
        account = accounts.account_of(principal, timezone.now(), hold_ttl_s=settings.HOLD_TTL_S)
        return Quota(lane, lambda *asked: ledger.used(pool, *asked)), account

    async def end() -> None:
        await lane.aclose()
        await pool.close()

    with asyncio.Runner() as runner:
        pool, lane = make_pool(), make_lane(timeout_s=5)
        asked, account = runner.run(begin())
        try:
            yield lambda: runner.run(asked.standing(account))
        finally:
            runner.run(end())
