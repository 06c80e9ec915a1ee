"""The workspaces of the month: plans, keys, and periods that end on different days of it.

Their limits are as many as their plans', and too large to refuse anything: a month is played in minutes.
"""

from __future__ import annotations

import datetime as dt
import uuid
from pathlib import Path
from typing import NamedTuple

import orjson

from billing import subscriptions
from billing.models import Subscription
from nexus.bench.month_calls import DAYS, keys_of
from tenants import apikeys, registration
from tenants.models import Tenant

PLANS = ("scale", "pro", "free")
LARGE, LARGE_USD = 10**9, "900000"
OF_ALL: dict[str, int | str] = {
    "requests_per_minute": LARGE,
    "monthly_requests": LARGE,
    "monthly_tokens": LARGE * 1000,
}
LIMITS: dict[str, dict[str, int | str]] = {
    "free": OF_ALL,
    "pro": OF_ALL
    | {"tokens_per_minute": LARGE * 10**6, "monthly_budget_usd": LARGE_USD, "daily_budget_usd": LARGE_USD},
    "scale": OF_ALL | {"request_burst": LARGE, "concurrency": LARGE},
}


class Workspace(NamedTuple):
    id: int
    # Their public ids.
    keys: list[str]


def make(count: int, now: dt.datetime) -> list[Workspace]:
    return [_make(number, count, now) for number in range(count)]


def _make(number: int, count: int, now: dt.datetime) -> Workspace:
    made = registration.register(f"month-{uuid.uuid4().hex[:12]}@example.com")
    plan = PLANS[number % len(PLANS)]
    subscriptions.change_plan(made.tenant, plan, overrides=LIMITS[plan])
    # In any order: the largest do not begin first. A period ends within the month, wherever the month begins.
    passed = (0.05 + 0.9 * (number * 37 % count) / count) * dt.timedelta(days=DAYS)
    allow = Subscription.Unpriced.ALLOW
    Subscription.objects.filter(tenant=made.tenant).update(
        anchor_at=(now - passed).replace(microsecond=0), unpriced=allow
    )
    keys = [
        made.issued.key,
        *(apikeys.issue(made.tenant, name=f"app {more}").key for more in range(1, keys_of(number))),
    ]
    return Workspace(made.tenant.pk, [key.public_id for key in keys])


def write(path: Path, workspaces: list[Workspace]) -> None:
    path.write_bytes(orjson.dumps([workspace._asdict() for workspace in workspaces]))


def read(path: Path) -> list[Workspace]:
    return [Workspace(**one) for one in orjson.loads(path.read_bytes())]


def in_order(workspaces: list[Workspace]) -> list[Tenant]:
    tenants = Tenant.objects.in_bulk([workspace.id for workspace in workspaces])
    return [tenants[workspace.id] for workspace in workspaces]
