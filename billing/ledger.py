"""Reads the ledger for the data plane. Rows are written by billing.bookkeeping."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any, NamedTuple

from psycopg_pool import AsyncConnectionPool

# Money's smallest unit in tables and in Redis.
UNIT_USD = Decimal("1e-10")


class Booked(NamedTuple):
    """What the ledger says of one key or the tenant in a period; costs in units of 1e-10 USD, `day_cost` today's.
    `last_adjustment` is the id of the last one in these sums; of the tenant's, Redis remembers it (bookkeeping.adjust).
    """

    requests: int = 0
    tokens: int = 0
    cost: int = 0
    day_cost: int = 0
    last_adjustment: int = 0


Used = dict[int | None, Booked]

_USED = """
SELECT key_id, sum(requests)::bigint, sum(tokens)::bigint, (sum(cost_usd) * 1e10)::bigint,
    (sum(cost_usd) FILTER (WHERE day = %s) * 1e10)::bigint, max(id) FILTER (WHERE kind = 'adjustment'),
    grouping(key_id) = 1
FROM public.billing_ledgerentry WHERE tenant_id = %s AND period_start = %s GROUP BY ROLLUP (key_id)
"""


async def used(pool: AsyncConnectionPool[Any], tenant_id: int, start: dt.datetime, today: dt.date) -> Used:
    """What is booked in the period that began at `start`: for the tenant (None) and for each of its keys."""
    async with pool.connection() as connection:
        cursor = await connection.execute(_USED, (today, tenant_id, start))
        rows = await cursor.fetchall()
    booked: Used = {None: Booked()}
    for key_id, *sums, is_total in rows:
        # A row without a key is an adjustment: it counts in the tenant's sum only.
        if key_id is not None or is_total:
            booked[key_id] = Booked(*(value or 0 for value in sums))
    return booked
