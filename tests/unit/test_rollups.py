"""What a batch of events adds to which minute, hour and day, and which sums add up to a time."""

from __future__ import annotations

import datetime as dt
import uuid
import zoneinfo
from decimal import Decimal
from typing import Any

import pytest

from analytics import rollups
from analytics.events import HIT_EXACT, MISS, UsageEvent
from analytics.models import DAY_S, HOUR_S, MINUTE_S

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


def test_events_are_summed_by_their_own_minute_hour_and_day_not_by_ours() -> None:
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
        (NOON - 12 * hour, DAY_S): 4,
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
    assert len(rollups.sums_of([event(), event(), *(event(**other) for other in others)])) == 3 * 5


def test_an_answer_without_a_price_is_counted_as_such_and_a_failure_is_not() -> None:
    failed = event(status=502, cost_usd=None, billed_tokens=0)
    sums = summed(event(cost_usd=None), event(saved_usd=None), event(), failed)[NOON, HOUR_S, MISS]
    assert (sums["requests"], sums["errors"], sums["unpriced"]) == (4, 1, 2)


MIDNIGHT = NOON - dt.timedelta(hours=12)
LONG_AGO = MIDNIGHT - dt.timedelta(days=9)


@pytest.mark.parametrize("finest_s", [MINUTE_S, HOUR_S])
@pytest.mark.parametrize("widest_s", [HOUR_S, DAY_S])
@pytest.mark.parametrize(
    ("start", "end"),
    [
        (NOON, NOON),
        (NOON, NOON + dt.timedelta(minutes=7)),
        (NOON - dt.timedelta(minutes=1), NOON + dt.timedelta(hours=1, minutes=1)),
        (MIDNIGHT, MIDNIGHT + dt.timedelta(days=1)),
        (MIDNIGHT, NOON),
        (LONG_AGO, NOON),
        (LONG_AGO + dt.timedelta(hours=3), MIDNIGHT),
        (LONG_AGO - dt.timedelta(minutes=61), NOON + dt.timedelta(minutes=1)),
        (NOON.astimezone(zoneinfo.ZoneInfo("Asia/Kolkata")), NOON + dt.timedelta(days=3)),
    ],
)
def test_pieces_cover_the_time_once_and_without_a_gap(
    start: dt.datetime, end: dt.datetime, finest_s: int, widest_s: int
) -> None:
    found = rollups.pieces(start, end, finest_s=finest_s, widest_s=widest_s)
    assert found[0].start == start and found[-1].end == end
    assert [piece.end for piece in found[:-1]] == [piece.start for piece in found[1:]]
    for width_s, begin, until in found:
        assert finest_s <= width_s <= widest_s
        assert width_s == finest_s or begin.timestamp() % width_s == until.timestamp() % width_s == 0


def test_whole_days_are_added_up_by_day() -> None:
    days = rollups.pieces(LONG_AGO, MIDNIGHT)
    assert days == [(DAY_S, LONG_AGO, MIDNIGHT)]
    assert [piece.width_s for piece in rollups.pieces(LONG_AGO, NOON)] == [DAY_S, HOUR_S]
    ends = rollups.pieces(LONG_AGO + dt.timedelta(minutes=1), NOON + dt.timedelta(minutes=1), finest_s=MINUTE_S)
    assert [piece.width_s for piece in ends] == [MINUTE_S, HOUR_S, DAY_S, HOUR_S, MINUTE_S]
