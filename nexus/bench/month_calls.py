"""A month of calls as one table: which tenant asks when and for what, and how it goes. Pure; the same from one seed.

What is asked again is there again: whether the exact cache answers it is Redis' to say.
"""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

CALLS = "calls.npy"
DAYS, HOUR_S = 30, 3600
# The largest of a hundred tenants has a fifth of the traffic, half of them have a twelfth together.
UNEVENNESS = 1.1
QUESTIONS = 200
ASKED_ONCE = -1
Calls = npt.NDArray[np.void]
Numbers = npt.NDArray[np.floating[Any]]


class Kind(enum.IntEnum):
    """How a call goes, if the exact cache does not answer it."""

    AGAIN = 0
    ONCE = 1
    BYPASS = 2
    REFRESH = 3
    SEMANTIC = 4
    SHARED = 5
    FAILED = 6
    LEFT = 7


SHARES = {
    Kind.AGAIN: 0.36,
    Kind.ONCE: 0.28,
    Kind.BYPASS: 0.12,
    Kind.REFRESH: 0.02,
    Kind.SEMANTIC: 0.10,
    Kind.SHARED: 0.04,
    Kind.FAILED: 0.05,
    Kind.LEFT: 0.03,
}


class Model(NamedTuple):
    """Under the name by which it is asked for; `details` are the kinds of tokens that its answers tell apart."""

    name: str
    catalog: str
    share: float
    details: tuple[str, ...] = ()


MODELS = (
    Model("gpt-4o-mini", "openai", 0.34, ("cached",)),
    Model("gpt-4o", "openai", 0.14, ("cached",)),
    Model("o4-mini", "openai", 0.10, ("cached", "reasoning")),
    Model("claude-sonnet-4-5", "anthropic", 0.14, ("cached", "cache_write")),
    Model("claude-haiku-4-5", "anthropic", 0.12, ("cached",)),
    Model("gemini-2.5-flash", "google", 0.08, ("input_audio",)),
    # Nobody knows what it costs.
    Model("in-house-7b", "openai", 0.08),
)
TAGS: tuple[tuple[str, ...], ...] = ((), (), ("web",), ("web", "checkout"), ("batch",), ("team-blue", "batch"))
CALL = np.dtype(
    [
        ("at", "f8"), ("tenant", "i4"), ("key", "i1"), ("kind", "i1"), ("model", "i1"), ("question", "i4"),
        ("prompt", "i4"), ("completion", "i4"), ("apart", "i4"), ("latency_ms", "f4"), ("stream", "?"),
        ("bounded", "?"), ("tags", "i1"),
    ]
)  # fmt: skip


def keys_of(tenant: int) -> int:
    """How many keys it has: one to three."""
    return 1 + tenant % 3


def month(count: int, tenants: int, end: float, rng: np.random.Generator) -> Calls:
    """In the order of their times, which are seconds since 1970, the last `DAYS` before `end`."""
    calls = np.zeros(count, CALL)
    calls["at"] = np.sort(end - DAYS * 24 * HOUR_S + (_hours(count, end, rng) + rng.random(count)) * HOUR_S)
    calls["tenant"] = rng.choice(tenants, count, p=_share((1 + np.arange(tenants)) ** -UNEVENNESS))
    calls["key"] = rng.random(count) ** 2 * (1 + calls["tenant"] % 3)
    calls["kind"] = rng.choice(list(SHARES), count, p=_share(np.array(list(SHARES.values()))))
    calls["model"] = rng.choice(len(MODELS), count, p=_share(np.array([model.share for model in MODELS])))
    popular = rng.choice(QUESTIONS, count, p=_share((1 + np.arange(QUESTIONS)) ** -1.0))
    calls["question"] = np.where(calls["kind"] == Kind.AGAIN, popular, ASKED_ONCE)
    calls["prompt"] = np.clip(rng.lognormal(6.0, 1.1, count), 8, 120_000)
    calls["completion"] = np.clip(rng.lognormal(5.0, 0.9, count), 1, 16_000)
    calls["apart"] = np.where(rng.random(count) < 0.4, calls["prompt"] * rng.random(count), 0)
    calls["latency_ms"] = 200 + calls["completion"] * 4
    calls["stream"] = rng.random(count) < 0.4
    calls["bounded"] = rng.random(count) < 0.85
    calls["tags"] = rng.integers(0, len(TAGS), count)
    # The same question is the same request.
    again = calls["kind"] == Kind.AGAIN
    calls["model"][again] = calls["question"][again] % len(MODELS)
    return calls


def _hours(count: int, end: float, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Which hour of the month each call is in: busy by day, quiet at night, and less at weekends."""
    first = int(end // HOUR_S) - DAYS * 24
    hours = first + np.arange(DAYS * 24)
    waves = 1 + 0.8 * np.sin((hours % 24 - 8) / 24 * 2 * np.pi)
    # The first day of 1970 was a Thursday.
    waves[(hours // 24 + 3) % 7 >= 5] *= 0.4
    return rng.choice(DAYS * 24, count, p=_share(waves))


def _share(weights: Numbers) -> Numbers:
    shares: Numbers = weights / weights.sum()
    return shares
