"""A workspace's requests of some days, booked through the drain, for tests of what is said about them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from analytics.events import HIT_SEMANTIC, UsageEvent
from analytics.tasks import drain_usage
from tests.conftest import Workspace
from tests.usage import COST_USD, exact_hit, miss, send, stream_of

# Noon, so that the hours around it are of the same day in UTC.
NOON = dt.datetime.now(dt.UTC).replace(hour=12, minute=0, second=0, microsecond=0) - dt.timedelta(days=2)


def at(days: float = 0, hours: float = 0) -> float:
    """Seconds since 1970, from `NOON` on."""
    return (NOON + dt.timedelta(days=days, hours=hours)).timestamp()


def book(workspace: Workspace, *events: UsageEvent) -> None:
    send(stream_of(workspace), *events)
    drain_usage()


def week(workspace: Workspace) -> list[UsageEvent]:
    """Two misses, both kinds of hits, a failure and an answer without a price, on two days."""
    free = {"billed_tokens": 0, "cost_usd": Decimal(0), "saved_usd": COST_USD}
    events = [
        miss(workspace, at=at(), tags=["blue", "red"], token_details={"cached": 4, "reasoning": 7}),
        miss(workspace, at=at(hours=1), tags=["blue"], model="gpt-4o", cost_usd=Decimal("0.0000000001")),
        exact_hit(workspace, at=at(hours=1)),
        miss(workspace, at=at(1), outcome=HIT_SEMANTIC, **free, similarity=0.9),
        miss(workspace, at=at(1), status=502, error="provider_failed", cost_usd=None, saved_usd=None, billed_tokens=0),
        miss(workspace, at=at(1), model="unheard-of", cost_usd=None, saved_usd=None),
    ]
    book(workspace, *events)
    return events
