"""Writes the ledger: usage in batches, and adjustments by hand. Nothing is booked into a closed period but as late.

Whoever books usage of a tenant shares its lock; who closes, adjusts or compares has it alone, so that what they read
stands still.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import logging
import uuid
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, Unpack

import orjson
import redis
from django.db import OperationalError, connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from psycopg.errors import LockNotAvailable

from billing import pricing
from billing.models import ClosedPeriod, LedgerEntry, Subscription
from billing.periods import Period, period_at
from tenants import audit, keyspace
from tenants.audit import By
from tenants.db import open_redis
from tenants.models import ApiKey, Tenant
from tenants.writing import number

logger = logging.getLogger(__name__)

# Of Postgres' advisory locks: this, and the tenant's id.
_LOCKS = 0x6C65 << 48
PATIENCE_MS = 3000
REDIS_TIMEOUT_S = 2.0
# No correction is as large; what does not fit the columns must not get there.
LARGEST, LARGEST_USD = 10**12, Decimal(10**6)
_ADJUST = (Path(__file__).parent / "lua" / "adjust.lua").read_text()


class Busy(Exception):
    """Others have been writing for too long: try again."""


def join(tenant_id: int) -> None:
    """Until the transaction ends, this tenant's books are neither closed nor compared."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [_LOCKS + tenant_id])


def be_alone(tenant_id: int) -> None:
    """Until the transaction ends nobody else books. What it reads from here on is all there is."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCKS + tenant_id])


@contextlib.contextmanager
def still(tenant_id: int) -> Iterator[None]:
    """Nobody books inside, where other transactions may begin and end. Raises Busy."""
    try:
        with transaction.atomic(durable=True), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = {PATIENCE_MS}")
            # Of the session, not of the transaction. A killed process' lock ends with its connection.
            cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCKS + tenant_id])
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            raise Busy(_("Its usage is being booked.")) from error
        raise
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCKS + tenant_id])


_BOOK = """
INSERT INTO public.billing_ledgerentry (tenant_id, key_id, batch, kind, period_start, day, requests, tokens, cost_usd,
    saved_usd, platform_cost_usd, unpriced, note, created_at)
SELECT %(tenant)s, key_id, %(batch)s, CASE WHEN EXISTS (
        SELECT 1 FROM public.billing_closedperiod closed
        WHERE closed.tenant_id = %(tenant)s AND closed.period_start >= to_timestamp(period)
    ) THEN 'late' ELSE 'usage' END,
    to_timestamp(period), day, requests, tokens, cost_usd, saved_usd, platform_cost_usd, unpriced, '', now()
FROM json_to_recordset(%(rows)s::json) AS row (key_id bigint, period bigint, day date, requests bigint, tokens bigint,
    cost_usd numeric, saved_usd numeric, platform_cost_usd numeric, unpriced bigint)
"""


def book_usage(tenant_id: int, rows: Iterable[Mapping[str, Any]]) -> None:
    """Rows as in the query; `period` is its start in seconds. To be called after `join`, in its transaction."""
    values: dict[str, Any] = {
        "tenant": tenant_id,
        "batch": uuid.uuid4(),
        "rows": orjson.dumps(list(rows), default=str).decode(),
    }
    with connection.cursor() as cursor:
        cursor.execute(_BOOK, values)


class Correction(NamedTuple):
    """What is added to a tenant's open period; less than zero takes away."""

    requests: int = 0
    tokens: int = 0
    cost_usd: Decimal = Decimal(0)


def check(correction: Correction, reason: str) -> None:
    """Raises ValueError with a sentence."""
    if not any(correction):
        raise ValueError(_("Say what to add: requests, tokens or USD."))
    if max(abs(correction.requests), abs(correction.tokens)) > LARGEST:
        raise ValueError(_("Requests and tokens must be within ±%(most)s.") % {"most": number(LARGEST)})
    if not correction.cost_usd.is_finite() or abs(correction.cost_usd) > LARGEST_USD:
        raise ValueError(_("The cost must be within ±%(most)s USD.") % {"most": number(LARGEST_USD)})
    if not reason.strip() or len(reason) > 200 or "\0" in reason:
        raise ValueError(_("Give a reason, of 200 characters at most."))


def open_period(tenant: Tenant) -> Period:
    """That of now. Raises ValueError when it is closed already, as after its anchor was put back."""
    period = period_at(Subscription.objects.get(tenant=tenant).anchor_at, timezone.now())
    if ClosedPeriod.objects.filter(tenant=tenant, period_start__gte=period.start).exists():
        raise ValueError(_("Its period is closed; try again when the next one has begun."))
    return period


def adjust(
    tenant: Tenant,
    correction: Correction,
    *,
    batch: uuid.UUID,
    reason: str,
    key: ApiKey | None = None,
    **by: Unpack[By],
) -> LedgerEntry:
    """Booked once for each `batch`, in the tenant's open period, and counted in Redis. Raises ValueError."""
    check(correction, reason)
    if key is not None and key.tenant_id != tenant.pk:
        raise ValueError(_("The key belongs to another workspace."))
    with transaction.atomic():
        be_alone(tenant.pk)
        if (there := LedgerEntry.objects.filter(batch=batch, tenant=tenant, kind="adjustment").first()) is not None:
            return there
        period = open_period(tenant)
        entry = LedgerEntry.objects.create(
            tenant=tenant,
            key_id=None if key is None else key.pk,
            batch=batch,
            kind=LedgerEntry.Kind.ADJUSTMENT,
            period_start=period.start,
            day=timezone.now().date(),
            saved_usd=0,
            note=reason.strip(),
            **correction._asdict(),
        )
        after = {**correction._asdict(), "cost_usd": str(correction.cost_usd), "reason": entry.note}
        after |= {"period_start": period.start.isoformat(), "key": key and key.public_id}
        audit.record("ledger.adjusted", tenant=tenant, target=str(entry.pk), after=after, **by)
        transaction.on_commit(functools.partial(_count_now, tenant.pk, period.start), robust=True)
    return entry


def _count_now(tenant_id: int, period_start: dt.datetime) -> None:
    try:
        with open_redis(timeout_s=REDIS_TIMEOUT_S) as client:
            count_adjustments(client, tenant_id, period_start)
    except redis.RedisError as error:
        logger.warning("an adjustment of tenant %d is counted with the next comparison: %s", tenant_id, error)


def count_adjustments(client: redis.Redis, tenant_id: int, period_start: dt.datetime) -> int:
    """Those that Redis' counters do not have yet; each is counted once, however often this is called."""
    entries = LedgerEntry.objects.filter(tenant=tenant_id, period_start=period_start, kind="adjustment").order_by("pk")
    rows = [
        {
            "id": entry.pk,
            "k": "" if entry.key_id is None else f"k{entry.key_id}:",
            "r": str(entry.requests),
            "t": str(entry.tokens),
            "c": str(pricing.units(entry.cost_usd)),
            "d": str((entry.day - dt.date(1970, 1, 1)).days),
        }
        for entry in entries
    ]
    if not rows:
        return 0
    counters = keyspace.quota(tenant_id, str(int(period_start.timestamp())))
    counted: Any = client.eval(_ADJUST, 1, counters, orjson.dumps(rows).decode())
    return int(counted)
