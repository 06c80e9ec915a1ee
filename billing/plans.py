"""From plan, subscription and key to the limits of one caller, in one query without the ORM."""

from __future__ import annotations

from typing import Any

from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from tenants.principal import Limits, Principal

LIMIT_FIELDS = ("requests_per_minute", "tokens_per_minute", "monthly_requests", "monthly_tokens")

_CALLER = """
SELECT k.id AS key_id, k.public_id, k.secret_sha256, k.scopes, k.allowed_models, k.priority, k.expires_at,
       k.revoked_at IS NOT NULL AS revoked,
       k.requests_per_minute AS key_requests_per_minute, k.tokens_per_minute AS key_tokens_per_minute,
       k.monthly_requests AS key_monthly_requests, k.monthly_tokens AS key_monthly_tokens,
       t.id AS tenant_id, t.schema_name, t.slug, t.status,
       p.code AS plan, p.requests_per_minute, p.tokens_per_minute, p.monthly_requests, p.monthly_tokens,
       s.overrides, s.anchor_at
FROM public.tenants_apikey k
JOIN public.tenants_tenant t ON t.id = k.tenant_id
JOIN public.billing_subscription s ON s.tenant_id = t.id
JOIN public.billing_plan p ON p.code = s.plan_id
WHERE k.public_id = %s
"""


async def load_principal(pool: AsyncConnectionPool[Any], public_id: str) -> Principal | None:
    """Who calls with this key, with the limits of the plan as the tenant's subscription and the key narrow them."""
    async with pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_CALLER, (public_id,))
        row = await cursor.fetchone()
    return _principal(row) if row else None


def _principal(row: dict[str, Any]) -> Principal:
    overrides: dict[str, int | None] = row["overrides"]
    return Principal(
        tenant_id=row["tenant_id"],
        schema=row["schema_name"],
        slug=row["slug"],
        active=row["status"] == "active",
        key_id=row["key_id"],
        public_id=row["public_id"],
        secret_sha256=bytes(row["secret_sha256"]),
        plan=row["plan"],
        limits=Limits(**{name: overrides.get(name, row[name]) for name in LIMIT_FIELDS}),
        key_limits=Limits(**{name: row[f"key_{name}"] for name in LIMIT_FIELDS}),
        scopes=frozenset(row["scopes"]),
        allowed_models=frozenset(row["allowed_models"]),
        priority=row["priority"],
        expires_at=row["expires_at"],
        revoked=row["revoked"],
        period_anchor=row["anchor_at"],
    )
