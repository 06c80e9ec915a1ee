"""What a replay has seen so far, and the table made of it. Pure."""

from __future__ import annotations

import dataclasses
from collections import Counter
from decimal import Decimal
from typing import Any

TIERS = ("HIT-EXACT", "HIT-SEMANTIC", "MISS", "REFRESH", "BYPASS")
HITS = ("HIT-EXACT", "HIT-SEMANTIC")
PERCENTILES = (50, 95, 99)


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """One answered question. Of a miss, `entry_id` is under what it was stored; of a hit, what was served."""

    tier: str
    latency_ms: float
    entry_id: str
    cluster: str | None
    tokens: int
    cost_usd: Decimal | None
    saved_usd: Decimal | None


@dataclasses.dataclass(slots=True)
class Failures:
    """Those of one kind; messages differ in ids and times, so the first stands for all."""

    count: int
    first_message: str


class Report:
    def __init__(self, asked: int = 0) -> None:
        self.asked = asked
        self.latencies_ms: dict[str, list[float]] = {}
        self.failures: dict[str, Failures] = {}
        self.waits = 0
        self.tokens: Counter[str] = Counter()
        self.cost_usd = Decimal(0)
        self.saved_usd = Decimal(0)
        self.unpriced = 0
        self.elapsed_s = 0.0
        self._cluster_of_entry: dict[str, str | None] = {}
        self._served: list[tuple[str, str, str | None]] = []

    def add(self, answer: Answer) -> None:
        self.latencies_ms.setdefault(answer.tier, []).append(answer.latency_ms)
        self.tokens["cache" if answer.tier in HITS else "provider"] += answer.tokens
        if answer.cost_usd is None or answer.saved_usd is None:
            self.unpriced += 1
        self.cost_usd += answer.cost_usd or 0
        self.saved_usd += answer.saved_usd or 0
        if answer.tier in HITS:
            self._served.append((answer.tier, answer.entry_id, answer.cluster))
        elif answer.entry_id:
            self._cluster_of_entry[answer.entry_id] = answer.cluster

    def fail(self, kind: str, message: str) -> None:
        """`kind`: the status, or what went wrong on the way."""
        self.failures.setdefault(kind, Failures(0, message)).count += 1

    @property
    def answered(self) -> int:
        return sum(map(len, self.latencies_ms.values()))

    def hits(self, tier: str) -> int:
        return len(self.latencies_ms.get(tier, ()))

    def judged(self, tier: str) -> tuple[int, int]:
        """Hits of the tier whose truth is known, and how many of them served another cluster's answer.

        Judged at the end: with requests in flight side by side, a hit may come back before the miss that it came from.
        """
        known = [
            (cluster, self._cluster_of_entry[entry])
            for served, entry, cluster in self._served
            if served == tier and cluster is not None and entry in self._cluster_of_entry
        ]
        return len(known), sum(cluster != truth for cluster, truth in known)

    def summary(self) -> dict[str, Any]:
        """For `--json`: counts, rates 0 to 1, latencies in ms."""
        hits = sum(self.hits(tier) for tier in HITS)
        judged = [self.judged(tier) for tier in HITS]
        return {
            "asked": self.asked,
            "answered": self.answered,
            "errors": {kind: dataclasses.asdict(failures) for kind, failures in self.failures.items()},
            "rate_limit_waits": self.waits,
            "elapsed_s": round(self.elapsed_s, 3),
            "hits": {tier: self.hits(tier) for tier in HITS},
            "hit_rate": hits / self.answered if self.answered else None,
            "judged_hits": sum(known for known, _ in judged),
            "wrong_hits": {tier: wrong for tier, (_, wrong) in zip(HITS, judged, strict=True)},
            "latency_ms": {
                tier: {f"p{p}": round(percentile(self.latencies_ms[tier], p), 3) for p in PERCENTILES}
                for tier in TIERS
                if tier in self.latencies_ms
            },
            "tokens": dict(self.tokens),
            "cost_usd": str(self.cost_usd),
            "saved_usd": str(self.saved_usd),
            "unpriced": self.unpriced,
        }

    def table(self) -> str:
        lines = [
            f"{'':14}{'requests':>10}{'share':>9}{'wrong':>8}{'wrong/hits':>12}"
            + "".join(f"{f'p{percent} ms':>10}" for percent in PERCENTILES)
        ]
        for tier in TIERS:
            if values := self.latencies_ms.get(tier):
                lines.append(self._row(tier, values))
        hits = sum(self.hits(tier) for tier in HITS)
        known, wrong = (sum(column) for column in zip(*(self.judged(tier) for tier in HITS), strict=True))
        rate = hits / self.answered if self.answered else 0.0
        lines.append(f"{'all hits':14}{hits:>10,}{rate:>9.1%}{_wrong(known, wrong)}")
        speed = self.answered / self.elapsed_s if self.elapsed_s else 0.0
        lines += [
            "",
            f"answered {self.answered:,} of {self.asked:,} in {self.elapsed_s:.1f} s ({speed:.0f} a second);"
            f" waited for a rate limit {self.waits:,} times",
            f"tokens: {self.tokens['cache']:,} from the cache, {self.tokens['provider']:,} from the provider",
            f"dollars: {self.saved_usd:f} saved, {self.cost_usd:f} spent{self._unpriced()}",
        ]
        if 0 < known < hits:
            lines.append(f"not judged: {hits - known:,} hits, which served what no row of this replay had stored")
        lines += [
            f"failed {failures.count:,} ×: {kind} {failures.first_message}"
            for kind, failures in sorted(self.failures.items(), key=lambda item: -item[1].count)
        ]
        return "\n".join(lines)

    def _unpriced(self) -> str:
        if not self.unpriced:
            return ""
        return f"; {self.unpriced:,} answers told no price (a streamed one's is known at its end, in the usage records)"

    def _row(self, tier: str, values: list[float]) -> str:
        known, wrong = self.judged(tier) if tier in HITS else (0, 0)
        latency = "".join(f"{percentile(values, p):>10.1f}" for p in PERCENTILES)
        return f"{tier:14}{len(values):>10,}{len(values) / self.answered:>9.1%}{_wrong(known, wrong)}{latency}"


def _wrong(known: int, wrong: int) -> str:
    return f"{wrong:>8,}{wrong / known:>12.2%}" if known else f"{'–':>8}{'–':>12}"


def percentile(values: list[float], percent: float) -> float:
    """By nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * percent // 100).__int__() - 1))]
