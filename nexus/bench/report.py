"""From samples to the table: medians over rounds, ratios to the floor, and the budgets they are held against. Pure."""

from __future__ import annotations

import dataclasses
import statistics

from nexus.bench.load import Sample
from nexus.replay.report import percentile

# Name of the mode → most times the floor's CPU a request (the design's budgets).
RATIO_BUDGETS = {"exact hit": 1.6, "miss, semantic off": 4.0}
SEMANTIC_BEYOND_EMBEDDING_US = 3000
FIRST_TOKEN_MS = 3.0


@dataclasses.dataclass(slots=True)
class Row:
    """One mode at one concurrency: a sample of target and floor per round; `direct` is the provider without us."""

    mode: str
    connections: int
    target: list[Sample]
    floor_name: str
    floor: list[Sample]
    direct: list[Sample]

    @property
    def cpu_us(self) -> float:
        return statistics.median(sample.cpu_us for sample in self.target)

    @property
    def floor_cpu_us(self) -> float:
        return statistics.median(sample.cpu_us for sample in self.floor)

    @property
    def ratio(self) -> float:
        """Of rounds that ran next to each other."""
        return statistics.median(t.cpu_us / f.cpu_us for t, f in zip(self.target, self.floor, strict=True))

    @property
    def per_second(self) -> float:
        return statistics.median(len(sample.latency_ms) / sample.elapsed_s for sample in self.target)

    def latency_ms(self, percent: float) -> float:
        return statistics.median(percentile(sample.latency_ms, percent) for sample in self.target)

    @property
    def first_token_beyond_ms(self) -> float | None:
        """Median time to first byte, less the provider's own."""
        if not self.direct:
            return None
        ours, theirs = (
            statistics.median(percentile(sample.first_byte_ms, 50) for sample in samples)
            for samples in (self.target, self.direct)
        )
        return ours - theirs


def table(rows: list[Row], embedding_us: float) -> str:
    lines = [
        f"{'':20}{'at once':>8}{'req/s':>8}{'p50 ms':>9}{'p95 ms':>9}{'CPU µs':>9}{'floor µs':>10}{'ratio':>7}  budget",
    ]
    for row in rows:
        lines.append(
            f"{row.mode:20}{row.connections:>8}{row.per_second:>8.0f}{row.latency_ms(50):>9.2f}{row.latency_ms(95):>9.2f}"
            f"{row.cpu_us:>9.0f}{row.floor_cpu_us:>10.0f}{row.ratio:>7.2f}  {_verdict(row, embedding_us)}"
        )
    lines += [
        "",
        "CPU µs: user and system time of the process, per request. Floors: one ASGI app doing a Redis GET (hits),",
        f"one passing the request on with aiohttp (misses). An embedding alone takes {embedding_us:.0f} µs here.",
    ]
    return "\n".join(lines)


def _verdict(row: Row, embedding_us: float) -> str:
    if row.mode in RATIO_BUDGETS:
        return f"ratio {_kept(row.ratio, RATIO_BUDGETS[row.mode])}"
    if row.mode == "semantic hit":
        beyond = row.cpu_us - embedding_us
        return f"beyond the embedding {beyond:.0f} µs {_kept(beyond, SEMANTIC_BEYOND_EMBEDDING_US)}"
    # Where requests wait for each other, this is their queue.
    if row.connections == 1 and (beyond_ms := row.first_token_beyond_ms) is not None:
        return f"first token {beyond_ms:+.2f} ms {_kept(beyond_ms, FIRST_TOKEN_MS)}"
    return ""


def _kept(value: float, budget: float) -> str:
    return f"≤ {budget:g}: kept" if value <= budget else f"≤ {budget:g}: MISSED"
