"""What the caller may still use, by the counters that admission looks at: calls in flight are in them.

Every key is told of the workspace's quotas, which bind it; of its money only one with the scope “figures”.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.http import HttpRequest

from analytics.api.base import budget, share
from analytics.api.tenant_figures import shown_limits
from billing.accounts import Account
from billing.ledger import UNIT_USD
from billing.policies import Policy
from billing.quota import RedisAway, Standing
from gateway import admission, runtime
from gateway.errors import Unavailable
from gateway.types import Reply
from gateway.views import DataPlaneView, json_reply
from tenants import roles
from tenants.limits import BUDGET_FIELDS, Limits
from tenants.roles import Action


class UsageView(DataPlaneView):
    """What is used of this period's quotas and budgets, and what is left: the workspace's, then the key's own."""

    async def get(self, request: HttpRequest, headers: dict[bytes, bytes], request_id: str) -> Reply:
        gateway = await runtime.current()
        principal = await admission.authenticate(gateway, headers)
        account = gateway.account_of(principal)
        try:
            tenant, key = await gateway.quota.standing(account)
        except RedisAway:
            raise Unavailable("The counters cannot be read right now; try again.", retry_after_s=2) from None
        of_workspace = _used if roles.does(principal.scopes, Action.FIGURES) else _quotas
        return json_reply(
            {
                "plan": principal.plan,
                "period": {"start": account.period.start.isoformat(), "end": account.period.end.isoformat()},
                **of_workspace(tenant, principal.limits),
                "key": {"id": principal.public_id, **_used(key, principal.key_limits)},
                "rates": _rates(account),
            },
            request_id,
        )


def _quotas(standing: Standing, limits: Limits) -> dict[str, Any]:
    """Without money."""
    return {
        "requests": share(standing.requests + standing.held_requests, limits.monthly_requests),
        "tokens": share(standing.tokens + standing.held_tokens, limits.monthly_tokens),
        "limits": {name: limit for name, limit in shown_limits(limits).items() if name not in BUDGET_FIELDS},
    }


def _used(standing: Standing, limits: Limits) -> dict[str, Any]:
    return {
        **_quotas(standing, limits),
        "budget": {
            "daily": budget(_usd(standing.day_cost + standing.held_day_cost), limits.daily_budget_usd),
            "monthly": budget(_usd(standing.cost + standing.held_cost), limits.monthly_budget_usd),
        },
        "limits": shown_limits(limits),
    }


def _usd(units: int) -> Decimal:
    return units * UNIT_USD


def _rates(account: Account) -> list[dict[str, Any]]:
    """The windows that each call is counted in; what is left of them is in its answer's headers."""
    return [_rate(policy) for policy in account.policies if policy.window_s]


def _rate(policy: Policy) -> dict[str, Any]:
    what = {"name": policy.name, "of": "key" if policy.of_key else "workspace", "unit": policy.what}
    return {**what, "limit": policy.limit, "window_s": policy.window_s, "burst": policy.burst}
