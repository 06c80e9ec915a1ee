"""A caller's limits as a list of policies, each with the name that clients read in the RateLimit headers. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from billing import pricing
from tenants.limits import Limits
from tenants.principal import Principal

WINDOWS = {"minute": 60, "hour": 3600, "day": 86400}


@dataclasses.dataclass(frozen=True, slots=True)
class Policy:
    """`what` is requests, tokens, concurrency or budget. `window_s` is 0 where a period or a day is counted instead of
    a window. `limit` is in units of money for a budget. `counter` names what the scripts compare it with.
    """

    name: str
    what: str
    limit: int
    per: str
    of_key: bool
    window_s: int = 0
    burst: int | None = None
    counter: str = ""

    @property
    def header_name(self) -> bytes:
        return self.name.encode()


def header_of(policies: Sequence[Policy], period_s: int) -> bytes:
    """RateLimit-Policy, as draft-ietf-httpapi-ratelimit-headers-10 writes it."""
    return b", ".join(
        b'"%b";q=%d;w=%d' % (policy.header_name, policy.limit, policy.window_s or period_s)
        for policy in policies
        if policy.what in ("requests", "tokens")
    )


def policies_of(principal: Principal) -> tuple[Policy, ...]:
    """The tenant's first, then the key's own."""
    return (*_policies(principal.limits, of_key=False), *_policies(principal.key_limits, of_key=True))


def _policies(limits: Limits, *, of_key: bool) -> list[Policy]:
    prefix = "key-" if of_key else ""
    policies = []
    for what, burst in (("requests", limits.request_burst), ("tokens", limits.token_burst)):
        for per, window_s in WINDOWS.items():
            limit: int | None = getattr(limits, f"{what}_per_{per}")
            if limit is not None:
                bucket = burst if per == "minute" else None
                policies.append(Policy(f"{prefix}{what}-per-{per}", what, limit, per, of_key, window_s, bucket))
    if limits.concurrency is not None:
        policies.append(Policy(f"{prefix}concurrency", "concurrency", limits.concurrency, "", of_key))
    for what, limit in (("requests", limits.monthly_requests), ("tokens", limits.monthly_tokens)):
        if limit is not None:
            policies.append(Policy(f"{prefix}{what}-per-month", what, limit, "month", of_key, counter=what[0]))
    for per, usd, counter in (("day", limits.daily_budget_usd, "d"), ("month", limits.monthly_budget_usd, "c")):
        if usd is not None:
            policies.append(
                Policy(f"{prefix}budget-per-{per}", "budget", pricing.units(usd), per, of_key, counter=counter)
            )
    return policies
