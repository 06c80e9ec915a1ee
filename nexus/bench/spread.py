"""Figures of long runs in little memory: latencies in classes of 2 %, and straight lines through what grows. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

STEP = math.log(1.02)


class Latencies:
    """How often each was seen, to 2 %."""

    def __init__(self) -> None:
        self._classes: Counter[int] = Counter()
        self.count = 0
        self.longest_ms = 0.0

    def add(self, ms: float) -> None:
        self._classes[round(math.log(max(ms, 0.01)) / STEP)] += 1
        self.count += 1
        self.longest_ms = max(self.longest_ms, ms)

    def percentile(self, share: float) -> float:
        """In ms; 0 without any. `share` in percent."""
        wanted, passed = math.ceil(self.count * share / 100), 0
        for number in sorted(self._classes):
            passed += self._classes[number]
            if passed >= wanted:
                return math.exp(number * STEP)
        return 0.0

    @classmethod
    def merged(cls, parts: Iterable[Latencies]) -> Latencies:
        whole = cls()
        for part in parts:
            whole._classes += part._classes
            whole.count += part.count
            whole.longest_ms = max(whole.longest_ms, part.longest_ms)
        return whole


def quarters(length: int) -> tuple[slice, slice]:
    """The first and the last quarter of as many minutes; at least one each."""
    size = max(1, length // 4)
    return slice(0, size), slice(length - size, length)


def slope(values: Sequence[float]) -> float:
    """Of the straight line that lies nearest, per step; 0 for fewer than two."""
    count = len(values)
    if count < 2:
        return 0.0
    middle, mean = (count - 1) / 2, sum(values) / count
    apart = sum((at - middle) ** 2 for at in range(count))
    return sum((at - middle) * (value - mean) for at, value in enumerate(values)) / apart
