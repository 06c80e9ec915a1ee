"""Reads the ledger for the data plane. Rows are written by analytics.drain, with the usage records they stand for."""

from __future__ import annotations

from typing import Any

from psycopg_pool import AsyncConnectionPool

from billing.periods import Period
from billing.quota import Used
from tenants.principal import Principal

_USED = """
SELECT key_id, sum(requests)::bigint, sum(tokens)::bigint, grouping(key_id) = 1
FROM public.billing_ledgerentry WHERE tenant_id = %s AND period_start = %s GROUP BY ROLLUP (key_id)
"""


async def used(pool: AsyncConnectionPool[Any], principal: Principal, period: Period) -> Used:
    """Requests and tokens booked in a period: for the tenant (None) and for each of its keys."""
    async with pool.connection() as connection:
        rows = await (await connection.execute(_USED, (principal.tenant_id, period.start))).fetchall()
    booked: Used = {None: (0, 0)}
    for key_id, requests, tokens, is_total in rows:
        # A row without a key is an adjustment: it counts in the tenant's sum only.
        if key_id is not None or is_total:
            booked[key_id] = (requests or 0, tokens or 0)
    return booked
