"""Compares what a tenant has used and how its traffic goes with its rules, and raises what is due: each once.

Any number of workers may do it at the same time; an alert's dedupe key decides who was first.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import DatabaseError, connection
from django.utils import timezone

from analytics.alerts import limits, rules, schedule, traffic
from analytics.alerts.models import AlertEvent
from analytics.alerts.raising import raise_alert
from billing.models import Subscription
from billing.periods import Period, period_at
from tenants.db import schema_of
from tenants.models import ApiKey, Tenant

logger = logging.getLogger(__name__)

# Then another task gets the worker; whoever is left over waits for the next pass.
PASS_S = 2.0
# A month of steady traffic is a million rows of the ledger, and a second to add up: a tenant takes 1 part in 21 of a
# worker's time at most.
REST = 20
# A workspace without a request in this time has nothing new to evaluate.
ACTIVE = dt.timedelta(days=1)


class Due(NamedTuple):
    """An alert that the figures ask for; whether it was raised before is another question."""

    kind: str
    subject: str
    facts: dict[str, Any]
    dedupe_key: str
    quiet: bool = False


def evaluate_marked() -> int:
    """Tenants that used something since they were evaluated last; how many there were."""
    until, done = time.monotonic() + PASS_S, 0
    while time.monotonic() < until and (tenant_id := schedule.take_marked(timezone.now())) is not None:
        if rest_s := schedule.rest_left_s(tenant_id):
            schedule.mark(tenant_id, in_s=rest_s)
        elif (tenant := Tenant.objects.filter(pk=tenant_id).first()) is not None:
            done += 1
            _evaluate_or_log(tenant)
    return done


def _evaluate_or_log(tenant: Tenant) -> None:
    started = time.monotonic()
    try:
        evaluate(tenant)
    except DatabaseError:
        if not connection.is_usable():
            raise
        # It may be deleted in this moment. The sweep comes back to it.
        logger.exception("the alerts of %s were not evaluated", tenant)
    schedule.rest(tenant.pk, REST * (time.monotonic() - started))


def mark_active() -> None:
    """Whom a crash, or a Redis that was away, may have kept from being evaluated."""
    active = ApiKey.objects.filter(last_used_at__gt=timezone.now() - ACTIVE).order_by("tenant_id")
    schedule.mark(*active.values_list("tenant_id", flat=True).distinct())


def evaluate(tenant: Tenant) -> list[AlertEvent]:
    """What was raised just now."""
    subscription = Subscription.objects.select_related("plan", "tenant").get(tenant=tenant)
    with schema_of(tenant):
        known = rules.read_all()
        due = [one for one in _due(subscription, known, timezone.now()) if known[one.kind].enabled]
        keys = [one.dedupe_key for one in due]
        there = set(AlertEvent.objects.filter(dedupe_key__in=keys).values_list("dedupe_key", flat=True))
    raised = [
        raise_alert(tenant, one.kind, one.subject, one.facts, one.dedupe_key, quiet=one.quiet)
        for one in due
        if one.dedupe_key not in there
    ]
    return [event for event in raised if event is not None]


def _due(subscription: Subscription, known: dict[str, rules.Rule], now: dt.datetime) -> Iterator[Due]:
    period = period_at(subscription.anchor_at, now)
    for account in limits.accounts(subscription, period, now):
        yield from _reached(account, known[account.meter.kind], subscription.tenant, period, now.date())
    if known["spend_spike"].enabled:
        yield from _spike(subscription.tenant, known["spend_spike"], now)
    if known["error_rate"].enabled:
        yield from _failures(subscription.tenant, known["error_rate"], now)


def _reached(
    account: limits.Account, rule: rules.Rule, tenant: Tenant, period: Period, today: dt.date
) -> Iterator[Due]:
    """Of several thresholds at once only the highest is told; the others are in the history."""
    meter, key = account.meter, account.key
    daily = meter.kind == "budget_daily"
    span = today.isoformat() if daily else period.id
    facts: dict[str, Any] = {
        "account": "key" if key else "workspace",
        "key": key.public_id if key else None,
        "span": today.isoformat() if daily else period.start.isoformat(),
    }
    if meter.what:
        facts |= {"what": meter.what, "used": int(account.used), "limit": int(account.limit)}
    else:
        facts |= {
            "used_usd": _usd(account.used),
            "limit_usd": _usd(account.limit),
            "mode": account.mode,
        }
    reached = sorted((p for p in rule.thresholds["percents"] if account.used * 100 >= account.limit * p), reverse=True)
    # A new limit is a new question: whoever gets more, and uses half of it, is told again.
    place = f"{meter.kind}:{f'k{key.pk}' if key else 't'}:{span}:{account.limit.normalize():f}"
    for percent in reached:
        yield Due(
            meter.kind,
            str(key or tenant),
            {**facts, "percent": percent},
            f"{place}:{percent}",
            quiet=percent != reached[0],
        )


def _spike(tenant: Tenant, rule: rules.Rule, now: dt.datetime) -> Iterator[Due]:
    if (found := traffic.spike(now, **rule.thresholds)) is None:
        return
    facts: dict[str, Any] = {
        "hour": found.hour.isoformat(),
        "cost_usd": _usd(found.cost_usd),
        "mean_usd": _usd(found.mean_usd),
        "hours": found.hours,
    }
    # Of nothing there is no multiple.
    if found.mean_usd:
        facts["times"] = round(float(found.cost_usd / found.mean_usd), 1)
    yield Due("spend_spike", str(tenant), facts, f"spend_spike:{found.hour:%Y-%m-%d}")


def _failures(tenant: Tenant, rule: rules.Rule, now: dt.datetime) -> Iterator[Due]:
    if (found := traffic.failures(now, **rule.thresholds)) is None:
        return
    facts = {
        **found._asdict(),
        "minutes": rule.thresholds["minutes"],
        "percent": round(100 * found.failed / found.requests, 1),
    }
    yield Due("error_rate", str(tenant), facts, f"error_rate:{now:%Y-%m-%dT%H}")


def _usd(amount: Decimal) -> str:
    """To the cent, and below that as exact as it takes to see something."""
    return f"{amount:.2f}" if amount >= 1 or not amount else f"{amount:.4f}"
