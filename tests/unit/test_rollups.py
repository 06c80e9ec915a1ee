"""What a batch of events adds to which minute and hour."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

from analytics import rollups
from analytics.events import HIT_EXACT, MISS, UsageEvent
from analytics.models import HOUR_S, MINUTE_S

NOON = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)


def event(seconds: float = 0, **facts: Any) -> UsageEvent:
    defaults: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "request_id": "r",
        "tenant_id": 1,
        "key_id": 2,
        "at": NOON.timestamp() + seconds,
        "period": 0,
        "dialect": "openai_chat",
        "outcome": MISS,
        "model": "gpt-4o-mini",
        "provider": "openai",
        "prompt_tokens": 10,
        "completion_tokens": 20,
        "billed_tokens": 30,
        "cost_usd": Decimal("0.1"),
        "saved_usd": Decimal(0),
        "latency_ms": 5.0,
    }
    return UsageEvent(**{**defaults, **facts})


def summed(*events: UsageEvent) -> dict[tuple[dt.datetime, int, str], dict[str, Any]]:
    return {part[:3]: dict(zip(rollups.SUMS, sums, strict=True)) for part, sums in rollups.sums_of(events).items()}


def test_events_are_summed_by_their_own_minute_and_hour_not_by_ours() -> None:
    sums = summed(event(59.9), event(60), event(3599.9), event(3600))
    requests = {part[:2]: values["requests"] for part, values in sums.items()}
    minute, hour = dt.timedelta(minutes=1), dt.timedelta(hours=1)
    assert requests == {
        (NOON, MINUTE_S): 1,
        (NOON + minute, MINUTE_S): 1,
        (NOON + 59 * minute, MINUTE_S): 1,
        (NOON + hour, MINUTE_S): 1,
        (NOON, HOUR_S): 3,
        (NOON + hour, HOUR_S): 1,
    }


def test_every_sum_is_of_all_events_of_the_slice() -> None:
    sums = summed(event(), event(cost_usd=Decimal("0.2"), latency_ms=7.5))[NOON, HOUR_S, MISS]
    assert sums == {
        "requests": 2,
        "errors": 0,
        "prompt_tokens": 20,
        "completion_tokens": 40,
        "billed_tokens": 60,
        "cost_usd": Decimal("0.3"),
        "saved_usd": Decimal(0),
        "unpriced": 0,
        "latency_ms_sum": 12.5,
    }


def test_outcome_model_provider_and_key_are_kept_apart() -> None:
    others: list[dict[str, Any]] = [{"outcome": HIT_EXACT}, {"model": "gpt-4o"}, {"provider": "azure"}, {"key_id": 3}]
    assert len(rollups.sums_of([event(), event(), *(event(**other) for other in others)])) == 2 * 5


def test_an_answer_without_a_price_is_counted_as_such_and_a_failure_is_not() -> None:
    failed = event(status=502, cost_usd=None, billed_tokens=0)
    sums = summed(event(cost_usd=None), event(saved_usd=None), event(), failed)[NOON, HOUR_S, MISS]
    assert (sums["requests"], sums["errors"], sums["unpriced"]) == (4, 1, 2)
