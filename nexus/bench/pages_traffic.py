"""Ninety days of one workspace's usage events, in the order of their times, for `bin/bench --pages`. One seed: the same
each time.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from analytics.events import BYPASS, HIT_EXACT, HIT_SEMANTIC, MISS, REFRESH, UsageEvent

DAYS, DAY_S = 90, 86_400
SEED = 7
# Made, booked and forgotten so many at a time.
BATCH = 5_000
# A tenth of the entries gives half of the hits.
UNEVENNESS = 0.7


class Model(NamedTuple):
    """Prices in 1e-10 USD a token, as the catalog has them."""

    name: str
    provider: str
    share: float
    input: int
    output: int


# The last one stands for an A/B route.
MODELS = (
    Model("gpt-4o-mini", "openai", 0.36, 1_500, 6_000),
    Model("gpt-4o", "openai", 0.16, 25_000, 100_000),
    Model("claude-sonnet-4-5", "anthropic", 0.14, 30_000, 150_000),
    Model("claude-haiku-4-5", "anthropic", 0.10, 10_000, 50_000),
    Model("gemini-2.5-flash", "google", 0.09, 3_000, 25_000),
    Model("o4-mini", "openai", 0.06, 11_000, 44_000),
    Model("gpt-4.1", "openai", 0.04, 20_000, 80_000),
    Model("support", "openai", 0.05, 1_500, 6_000),
)
VARIANTS = ("openai/gpt-4o-mini", "openai/gpt-4.1-mini")
OUTCOMES = {MISS: 0.52, HIT_EXACT: 0.30, HIT_SEMANTIC: 0.12, BYPASS: 0.04, REFRESH: 0.02}
FAILURES = ((502, "provider_failed"), (504, "provider_timeout"), (429, "provider_rate_limited"))
FAILED = 0.02
TAGS: tuple[list[str] | None, ...] = (None, None, ["web"], ["web", "checkout"], ["batch"], ["team-blue", "batch"])
# One request in so many.
RARE_TAG, RARE = "incident-4711", 20_000


class Source(NamedTuple):
    """Whose requests they are. `periods`: when each began, in seconds since 1970."""

    tenant_id: int
    key_ids: Sequence[int]
    entry_ids: Sequence[str]
    periods: Sequence[int]


def batches(source: Source, count: int, end: float) -> Iterator[list[UsageEvent]]:
    rng = np.random.default_rng(SEED)
    times = np.sort(_times(count, end, rng))
    for begin in range(0, count, BATCH):
        yield _events(source, times[begin : begin + BATCH], rng)


def _times(count: int, end: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Busy by day, quiet at night; half of the last day's, too, and somebody asks in this minute."""
    hours = rng.integers(0, DAYS * 24, count) + rng.random(count)
    busy = rng.random(count) < 0.55 + 0.45 * np.sin((hours % 24 - 8) / 24 * 2 * np.pi)
    hours = np.where(busy, hours, rng.random(count) * DAYS * 24)
    return end - DAYS * DAY_S + hours * 3600


def _events(source: Source, times: npt.NDArray[np.float64], rng: np.random.Generator) -> list[UsageEvent]:
    count = len(times)
    columns = zip(
        times.round(3).tolist(),
        _uneven(len(source.key_ids), count, 1.0, rng),
        rng.choice(len(MODELS), count, p=[model.share for model in MODELS]).tolist(),
        rng.choice(list(OUTCOMES), count, p=list(OUTCOMES.values())).tolist(),
        (rng.random(count) < FAILED).tolist(),
        np.clip(rng.lognormal(6, 1, count), 8, 120_000).astype(int).tolist(),
        np.clip(rng.lognormal(5, 0.9, count), 1, 16_000).astype(int).tolist(),
        _uneven(len(source.entry_ids), count, UNEVENNESS, rng),
        rng.integers(0, RARE, count).tolist(),
        strict=True,
    )
    return [_event(source, *row) for row in columns]


def _uneven(choices: int, count: int, unevenness: float, rng: np.random.Generator) -> list[int]:
    weights = (1 + np.arange(choices)) ** -unevenness
    chosen: list[int] = rng.choice(choices, count, p=weights / weights.sum()).tolist()
    return chosen


def _event(
    source: Source,
    at: float,
    key: int,
    model_number: int,
    outcome: str,
    failed: bool,
    prompt: int,
    completion: int,
    entry: int,
    drawn: int,
) -> UsageEvent:
    model = MODELS[model_number]
    name = uuid.uuid4()
    is_hit = outcome in (HIT_EXACT, HIT_SEMANTIC)
    usd = Decimal(prompt * model.input + completion * model.output).scaleb(-10)
    # The names are the events' own.
    facts: dict[str, Any] = {
        "provider": model.provider,
        "catalog": model.provider,
        "upstream_model": "gpt-4o-mini" if model.name == "support" else model.name,
        "variant": VARIANTS[drawn % 2] if model.name == "support" and not is_hit else "",
    }
    if is_hit:
        facts |= {"cost_usd": Decimal(0), "saved_usd": usd, "latency_ms": 0.5 + drawn % 90 / 10}
        facts |= {"entry_id": source.entry_ids[entry]}
        if outcome == HIT_SEMANTIC:
            facts |= {"similarity": 0.85 + drawn % 150 / 1000, "latency_ms": 8 + drawn % 90 / 10}
    elif failed:
        status, error = FAILURES[drawn % len(FAILURES)]
        facts |= {"status": status, "error": error, "cost_usd": None, "saved_usd": None, "latency_ms": 3_000.0}
        prompt = completion = 0
    else:
        waited_ms = 200.0 + completion * 4
        facts |= {"cost_usd": usd, "saved_usd": Decimal(0), "billed_tokens": prompt + completion}
        facts |= {"latency_ms": waited_ms + 3, "provider_ms": waited_ms, "first_token_ms": 203.0}
        if drawn % 25 == 0:
            facts |= {"entry_id": source.entry_ids[entry], "similarity": 0.80, "shadow_saved_usd": usd}
    return UsageEvent(
        id=str(name),
        request_id=f"req-{name.hex[:20]}",
        tenant_id=source.tenant_id,
        key_id=source.key_ids[key],
        at=at,
        period=max(period for period in source.periods if period <= at),
        dialect="openai_chat",
        outcome=outcome,
        model=model.name,
        stream=drawn % 3 == 0,
        prompt_tokens=prompt,
        completion_tokens=completion,
        tags=[RARE_TAG] if drawn == 0 else TAGS[drawn % len(TAGS)],
        **facts,
    )
