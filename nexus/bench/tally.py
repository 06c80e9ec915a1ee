"""What was answered against what is written down: usage records, the ledger and Redis' counters, by workspace.

Refuses to call a difference small: one request, or one unit of 1e-10 USD, differs.
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

import redis
from django.db import connection
from django.utils import timezone
from psycopg import sql

from analytics import reconciliation
from analytics.books import Sums
from billing.bookkeeping import Busy
from billing.models import Subscription
from billing.periods import period_at
from nexus.bench.crowd import Workspace
from nexus.bench.openloop import Seen
from nexus.bench.probes import waiting
from tenants import keyspace
from tenants.db import table
from tenants.models import Tenant

PATIENCE_S, LOOK_S = 60.0, 0.5


@dataclasses.dataclass(slots=True)
class Told:
    """What a workspace's apps were told: answers, and how many nobody knows the end of."""

    answered: int = 0
    unknown: int = 0

    def add(self, seen: Seen) -> None:
        self.answered += seen.answered
        # A stream that ends in an error has no answer, and may have cost something all the same.
        self.unknown += seen.status in {0, 200} and not seen.answered


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One workspace. `records` are those of answered requests; `held` is what no settlement has given back."""

    workspace: str
    told: Told
    records: int
    ledger: Sums
    counters: Sums
    recorded: Sums
    held: int

    @property
    def lost(self) -> int:
        return max(0, self.told.answered - self.records)

    @property
    def surplus(self) -> int:
        """Records beyond what may have been answered."""
        return max(0, self.records - self.told.answered - self.told.unknown)

    @property
    def agrees(self) -> bool:
        return not self.lost and not self.surplus and self.ledger == self.counters == self.recorded


def settled(client: redis.Redis, workspaces: Sequence[Workspace], patience_s: float = PATIENCE_S) -> bool:
    """Waits until nothing of theirs waits to be booked; whether that came."""
    until = time.monotonic() + patience_s
    while waiting(client, workspaces) or any(held(client, one) for one in workspaces):
        if time.monotonic() > until:
            return False
        time.sleep(LOOK_S)
    return True


def rows(client: redis.Redis, workspaces: Sequence[Workspace], told: dict[int, Told]) -> list[Row]:
    return [_row(client, one, told.get(one.id, Told())) for one in workspaces]


def _row(client: redis.Redis, workspace: Workspace, told: Told) -> Row:
    tenant = Tenant.objects.get(pk=workspace.id)
    period = period_at(Subscription.objects.get(tenant=tenant).anchor_at, timezone.now())
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            found = reconciliation.compare(client, tenant, period)
            break
        except Busy:
            if time.monotonic() > until:
                raise
    nothing = Sums()
    said = {name: book if isinstance(book, Sums) else nothing for name, book in found.books.items()}
    answered = records_of(tenant.schema_name)
    return Row(
        workspace.name,
        told,
        sum(count for (_, is_answer), count in answered.items() if is_answer),
        said["ledger"],
        said["redis"],
        said["records"],
        held(client, workspace),
    )


def records_of(schema: str) -> Counter[tuple[str, bool]]:
    """How many records each request id has, of answers and of others."""
    query = sql.SQL("SELECT request_id, status < 400, count(*) FROM {} GROUP BY 1, 2").format(
        table(schema, "analytics_usagerecord")
    )
    with connection.cursor() as cursor:
        cursor.execute(query)
        return Counter({(request_id, is_answer): count for request_id, is_answer, count in cursor.fetchall()})


def costs_of(schema: str) -> dict[str, Decimal]:
    """By request id, what all its records say that it cost."""
    query = sql.SQL("SELECT request_id, coalesce(sum(cost_usd), 0) FROM {} GROUP BY 1").format(
        table(schema, "analytics_usagerecord")
    )
    with connection.cursor() as cursor:
        cursor.execute(query)
        return dict(cursor.fetchall())


def held(client: redis.Redis, workspace: Workspace) -> int:
    """Requests for which something is held."""
    total = 0
    for key in client.scan_iter(match=keyspace.tenant_pattern(workspace.id).replace("*", "q:*"), count=1000):
        total += int(client.hget(key, "hr") or 0)
    return total
