"""Who is limited: a caller in one billing period, the names of its counters, and what the scripts know of it. Pure."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any

import orjson

from billing.periods import Period, period_at
from billing.policies import Policy, header_of, policies_of
from tenants import keyspace
from tenants.principal import Principal


@dataclasses.dataclass(frozen=True, slots=True)
class Account:
    """Where a caller's counters are in one period, and what limits them; made once per caller and period."""

    principal: Principal
    period: Period
    quota_key: str
    holds_key: str
    rates_key: str
    stream: str
    in_flight_keys: tuple[str, str]
    facts: bytes
    policies: tuple[Policy, ...]
    has_budget: bool
    policy_header: bytes


def account_of(principal: Principal, now: dt.datetime, *, hold_ttl_s: int) -> Account:
    period = period_at(principal.period_anchor, now)
    tenant_id = principal.tenant_id
    policies = policies_of(principal)
    return Account(
        principal=principal,
        period=period,
        quota_key=keyspace.quota(tenant_id, period.id),
        holds_key=keyspace.holds(tenant_id, period.id),
        rates_key=keyspace.rates(tenant_id),
        stream=keyspace.usage_stream(keyspace.partition(tenant_id)),
        in_flight_keys=(keyspace.in_flight(tenant_id), keyspace.in_flight(tenant_id, principal.key_id)),
        facts=_facts(principal, period, policies, hold_ttl_s),
        policies=policies,
        has_budget=any(policy.what == "budget" for policy in policies),
        policy_header=header_of(policies, int((period.end - period.start).total_seconds())),
    )


def _facts(principal: Principal, period: Period, policies: Sequence[Policy], hold_ttl_s: int) -> bytes:
    """What the scripts know of the caller."""
    facts: dict[str, Any] = {
        "k": principal.key_id,
        # For who has to seed the counters: whose they are, and from when on.
        "i": principal.tenant_id,
        "p": int(period.start.timestamp()),
        "h": hold_ttl_s,
        "x": int(period.end.timestamp()),
        "u": principal.refuse_unpriced,
        "e": max(map(_lasts_s, policies), default=0),
        "w": [],
        "n": [],
        "q": [],
    }
    for number, policy in enumerate(policies):
        of_key = {"k": True} if policy.of_key else {}
        if policy.window_s:
            scope = f"k{principal.key_id}:" if policy.of_key else ""
            rule: dict[str, Any] = {"i": number, "s": policy.window_s, "l": policy.limit}
            rule["f"] = f"{scope}{policy.what[0]}{'b' if policy.burst else policy.window_s}"
            if policy.what == "tokens":
                rule["t"] = True
            if policy.burst:
                rule["b"] = policy.burst
            facts["w"].append(rule)
        elif policy.what == "concurrency":
            facts["n"].append({"i": number, "l": policy.limit, **of_key})
        else:
            facts["q"].append({"i": number, "l": policy.limit, "w": policy.counter, **of_key})
    return compact(orjson.dumps(facts))


def _lasts_s(policy: Policy) -> int:
    """After so long it is as if nothing had been asked: a window has passed, with its oldest slot; a bucket is full."""
    full_s = policy.window_s * policy.burst // max(policy.limit, 1) if policy.burst else 0
    return max(2 * policy.window_s, full_s + 1)


def compact(data: bytes) -> bytes:
    """A copy in no more memory than it needs: behind a short text, orjson leaves all of its buffer, 4 KB and more."""
    return bytes(memoryview(data))
