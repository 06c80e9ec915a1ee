"""What operators see of workspaces: use of the period, spend, health; and messages that failed. Never content.

What lies in the workspaces' own schemas is read in one query for all that a page shows.
"""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import DatabaseError, connection, transaction
from django.db.models import F, Max, Min, Sum
from django.utils import timezone
from django.utils.translation import gettext
from psycopg import sql

from analytics.alerts.models import AlertEvent, Delivery, WebhookEndpoint
from analytics.alerts.standing import origin
from analytics.figures import count, percent
from analytics.models import UsageRollup
from billing.figures import usd
from billing.models import LedgerEntry, Reconciliation
from billing.periods import Period, period_at
from tenants.models import Tenant

logger = logging.getLogger(__name__)

HOUR_S = 3600
OF_ERRORS, OF_MESSAGES = dt.timedelta(days=1), dt.timedelta(days=7)
# From then on errors are said to be many; with fewer requests, none are.
MANY_ERRORS, AT_LEAST = 0.05, 20
# Whose schemas the page of failures looks into, and how many rows it shows.
WORKSPACES, MESSAGES = 300, 100


class Inside(NamedTuple):
    """Of a workspace's own schema: calls and failed ones of the last day, messages that failed in the last week."""

    calls: int = 0
    errors: int = 0
    failed_messages: int = 0


class Standing(NamedTuple):
    period: Period
    requests: int
    tokens: int
    cost_usd: Decimal
    saved_usd: Decimal
    drifting_since: dt.datetime | None
    grace_until: dt.datetime | None
    is_suspended: bool
    is_frozen: bool
    inside: Inside | None

    @property
    def error_share(self) -> float | None:
        return None if self.inside is None or not self.inside.calls else self.inside.errors / self.inside.calls

    @property
    def faults(self) -> list[str]:
        """What an operator should look at, the worst first."""
        share, inside = self.error_share, self.inside
        many = share is not None and inside is not None and inside.calls >= AT_LEAST and share >= MANY_ERRORS
        found = [
            (self.is_suspended, gettext("suspended")),
            (self.is_frozen, gettext("being moved")),
            (self.drifting_since is not None, gettext("books differ")),
            (self.grace_until is not None, gettext("payment failed")),
            (many, gettext("%(share)s errors") % {"share": percent(share)}),
            (
                inside is not None and inside.failed_messages > 0,
                gettext("messages failed: %(number)s") % {"number": inside and inside.failed_messages},
            ),
            (inside is None, gettext("schema not read")),
        ]
        return [words for is_so, words in found if is_so]

    @property
    def figures(self) -> list[tuple[str, str]]:
        inside = self.inside or Inside()
        return [
            (gettext("Requests"), count(self.requests)),
            (gettext("Tokens"), count(self.tokens)),
            (gettext("Spend"), usd(self.cost_usd, 2)),
            (gettext("Saved"), usd(self.saved_usd, 2)),
            (
                gettext("Errors, 24 h"),
                gettext("%(errors)s of %(calls)s") % {"errors": count(inside.errors), "calls": count(inside.calls)},
            ),
            (gettext("Messages failed, 7 days"), count(inside.failed_messages)),
        ]


def standings(tenants: Sequence[Tenant]) -> dict[int, Standing]:
    """By id; three queries, however many they are. Their subscriptions have been read with them."""
    now = timezone.now()
    periods = {tenant.pk: period_at(tenant.subscription.anchor_at, now) for tenant in tenants}
    sums: Any = {name: Sum(name) for name in ("requests", "tokens", "cost_usd", "saved_usd")}
    booked: dict[Any, dict[str, Any]] = {
        (row["tenant_id"], row["period_start"]): dict(row)
        for row in LedgerEntry.objects.filter(
            tenant_id__in=periods, period_start__in={period.start for period in periods.values()}
        )
        .values("tenant_id", "period_start")
        .annotate(**sums)
        .order_by()
    }
    drifting = Reconciliation.objects.filter(tenant_id__in=periods, drifting_since__isnull=False)
    since = dict(drifting.values_list("tenant_id").annotate(Min("drifting_since")).order_by())
    inside = _inside(tenants, now)
    found = {}
    for tenant in tenants:
        row = booked.get((tenant.pk, periods[tenant.pk].start), {})
        found[tenant.pk] = Standing(
            periods[tenant.pk],
            row.get("requests", 0),
            row.get("tokens", 0),
            row.get("cost_usd", Decimal(0)),
            row.get("saved_usd", Decimal(0)),
            since.get(tenant.pk),
            tenant.subscription.grace_until,
            tenant.status == Tenant.Status.SUSPENDED,
            tenant.moving_since is not None,
            inside.get(tenant.pk),
        )
    return found


_INSIDE = """
(SELECT {id}, rolled.calls, rolled.errors, sent.failed FROM
    (SELECT coalesce(sum(requests), 0)::bigint AS calls, coalesce(sum(errors), 0)::bigint AS errors
     FROM {rollups} WHERE width_s = {hour} AND bucket >= {day}) rolled,
    (SELECT count(*) AS failed FROM {deliveries} WHERE status = 'failed' AND created_at >= {week}) sent)
"""


def _inside(tenants: Sequence[Tenant], now: dt.datetime) -> dict[int, Inside]:
    values = {"hour": HOUR_S, "day": now - OF_ERRORS, "week": now - OF_MESSAGES}
    return {row[0]: Inside(*row[1:]) for row in _united(_INSIDE, tenants, values)}


class Message(NamedTuple):
    """A webhook that failed. `to` is its origin only: what follows may be a secret of the receiver's."""

    tenant: Tenant
    id: uuid.UUID
    kind: str
    to: str
    at: dt.datetime
    tries: int
    error: str
    can_retry: bool


_FAILED = """
(SELECT {id}, sent.id, raised.kind, hook.url, sent.created_at, sent.tries, sent.attempts -> -1 ->> 'error',
    hook.enabled
 FROM {deliveries} sent
    JOIN {events} raised ON raised.id = sent.event_id JOIN {hooks} hook ON hook.id = sent.endpoint_id
 WHERE sent.status = 'failed' AND sent.created_at >= {week} ORDER BY sent.created_at DESC LIMIT {most})
"""


def failed_messages(tenants: Sequence[Tenant]) -> list[Message]:
    """Of the last week, the newest first."""
    by_id = {tenant.pk: tenant for tenant in tenants}
    values = {"week": timezone.now() - OF_MESSAGES, "most": MESSAGES}
    found = [
        Message(by_id[row[0]], row[1], row[2], origin(row[3]), row[4], row[5], row[6] or "", row[7])
        for row in _united(_FAILED, tenants, values)
    ]
    return sorted(found, key=lambda message: message.at, reverse=True)[:MESSAGES]


def newest_workspaces() -> list[Tenant]:
    """Those whose keys were used last."""
    living = Tenant.objects.filter(internal=False).annotate(used_at=Max("keys__last_used_at"))
    return list(living.order_by(F("used_at").desc(nulls_last=True), "-pk")[:WORKSPACES])


_TABLES = {"rollups": UsageRollup, "deliveries": Delivery, "events": AlertEvent, "hooks": WebhookEndpoint}


def _united(query: str, tenants: Sequence[Tenant], values: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The rows of all tenants' tables in one query; none when a schema is gone in this moment."""
    if not tenants:
        return []
    parts = []
    for tenant in tenants:
        tables = {name: sql.Identifier(tenant.schema_name, model._meta.db_table) for name, model in _TABLES.items()}
        literals = {name: sql.Literal(value) for name, value in {**values, "id": tenant.pk}.items()}
        parts.append(sql.SQL(query).format(**tables, **literals))
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql.SQL(" UNION ALL ").join(parts))
            return list(cursor.fetchall())
    except DatabaseError as error:
        if not connection.is_usable():
            raise
        logger.warning("the workspaces' schemas were not read: %s", error)
        return []
