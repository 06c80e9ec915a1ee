"""From plan, subscription and key to the limits of one caller, in one query without the ORM."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from billing.models import FREE
from tenants.limits import BUDGET_FIELDS, LIMIT_FIELDS, BudgetMode, Limits
from tenants.principal import Principal

_LIMITS = (*LIMIT_FIELDS, "budget_mode")
_CALLER = f"""
SELECT k.id AS key_id, k.public_id, k.secret_sha256, k.scopes, k.allowed_models, k.priority, k.expires_at,
       k.revoked_at IS NOT NULL AS revoked,
       t.id AS tenant_id, t.schema_name, t.slug, t.status,
       t.moving_since IS NOT NULL AS moving,
       p.code AS plan, s.overrides, s.anchor_at, s.unpriced,
       s.daily_budget_usd AS own_daily_budget_usd, s.monthly_budget_usd AS own_monthly_budget_usd,
       s.budget_mode AS own_budget_mode,
       {", ".join(f"p.{name}" for name in _LIMITS)},
       {", ".join(f"k.{name} AS key_{name}" for name in _LIMITS)}
FROM public.tenants_apikey k
JOIN public.tenants_tenant t ON t.id = k.tenant_id
JOIN public.billing_subscription s ON s.tenant_id = t.id
JOIN public.billing_plan p ON p.code = CASE WHEN s.grace_until <= now() THEN '{FREE}' ELSE s.plan_id END
WHERE k.public_id = %s
"""


async def load_principal(pool: AsyncConnectionPool[Any], public_id: str) -> Principal | None:
    """Who calls with this key, with the limits of the plan as the tenant's subscription and the key narrow them."""
    async with pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_CALLER, (public_id,))
        row = await cursor.fetchone()
    return _principal(row) if row else None


def _principal(row: dict[str, Any]) -> Principal:
    return Principal(
        tenant_id=row["tenant_id"],
        schema=row["schema_name"],
        slug=row["slug"],
        active=row["status"] == "active" and not row["moving"],
        key_id=row["key_id"],
        public_id=row["public_id"],
        secret_sha256=bytes(row["secret_sha256"]),
        plan=row["plan"],
        limits=tenant_limits(row, row["overrides"]),
        key_limits=_limits({name: row[f"key_{name}"] for name in _LIMITS}),
        refuse_unpriced=row["unpriced"] == "refuse",
        scopes=frozenset(row["scopes"]),
        allowed_models=frozenset(row["allowed_models"]),
        priority=row["priority"],
        expires_at=row["expires_at"],
        revoked=row["revoked"],
        moving=row["moving"],
        period_anchor=row["anchor_at"],
    )


def tenant_limits(row: Mapping[str, Any], overrides: Mapping[str, Any]) -> Limits:
    """The plan's, with the tenant's exceptions; of the budgets, the smaller one of those and the tenant's own."""
    limits = _limits({name: overrides.get(name, row[name]) for name in _LIMITS})
    if row["own_budget_mode"] != BudgetMode.HARD:
        return limits
    return dataclasses.replace(
        limits,
        daily_budget_usd=_smaller(limits.daily_budget_usd, row["own_daily_budget_usd"]),
        monthly_budget_usd=_smaller(limits.monthly_budget_usd, row["own_monthly_budget_usd"]),
    )


def _limits(values: dict[str, Any]) -> Limits:
    """Budgets that only warn limit nothing. Those in overrides are text, or numbers of JSON."""
    hard = values.pop("budget_mode") == BudgetMode.HARD
    for name in BUDGET_FIELDS:
        usd = values[name] if hard else None
        values[name] = None if usd is None else Decimal(str(usd))
    return Limits(**values)


def _smaller(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return min(usd for usd in (one, other) if usd is not None) if one is not None or other is not None else None
