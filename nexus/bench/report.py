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
RESIDENT_MB = 250
# What the second half of a soak may add and still count as flat: allocators breathe.
FLAT_MB = 10
# More of other programs' work than this, and only ratios of CPU mean anything.
BUSY_CORES = 0.3


@dataclasses.dataclass(slots=True)
class Row:
    """One mode at one concurrency, a figure per round: the gateway, its floor, and where they matter the provider
    without us (`direct`) and the embedding alone."""

    mode: str
    connections: int
    target: list[Sample] = dataclasses.field(default_factory=list)
    floor: list[Sample] = dataclasses.field(default_factory=list)
    direct: list[Sample] = dataclasses.field(default_factory=list)
    embedding_us: list[float] = dataclasses.field(default_factory=list)

    @property
    def ratio(self) -> float:
        """Of rounds that ran next to each other."""
        return statistics.median(t.cpu_us / f.cpu_us for t, f in zip(self.target, self.floor, strict=True))

    @property
    def beyond_embedding_us(self) -> float | None:
        if not self.embedding_us:
            return None
        return statistics.median(t.cpu_us - e for t, e in zip(self.target, self.embedding_us, strict=True))

    @property
    def first_token_beyond_ms(self) -> float | None:
        """Median time to first byte, less the provider's own."""
        if not self.direct:
            return None
        return _latency_ms([s.first_byte_ms for s in self.target], 50) - _latency_ms(
            [s.first_byte_ms for s in self.direct], 50
        )


def table(rows: list[Row], others_cores: float) -> str:
    """`others_cores`: how many cores other programs kept busy meanwhile."""
    lines = [
        f"{'':18}{'at':>6}{'':>8}{'latency, ms':>16}{'CPU µs a request':>25}{'floor':>8}{'floor':>8}",
        f"{'':18}{'once':>6}{'req/s':>8}{'p50':>8}{'p95':>8}{'all':>9}{'user':>8}{'system':>8}{'p50':>8}{'CPU':>8}"
        f"{'ratio':>7}  budget",
    ]
    lines += [_line(row) for row in rows]
    lines += ["", "CPU: of the process, median of the rounds. Floors: one ASGI app doing one Redis GET (hits),"]
    lines += ["one passing the request on with aiohttp (misses). Ratio: gateway's CPU to floor's, side by side."]
    for row in rows:
        if row.embedding_us and row.connections == 1:
            lines.append(f"The embedding alone, {row.mode}: {statistics.median(row.embedding_us):.0f} µs a text.")
    if others_cores > BUSY_CORES:
        lines.append(f"Other programs kept {others_cores:.1f} cores busy: distrust latencies and req/s, run it again.")
    return "\n".join(lines)


def _line(row: Row) -> str:
    latencies = [sample.latency_ms for sample in row.target]
    per_second = statistics.median(len(s.latency_ms) / s.elapsed_s for s in row.target)
    cpu_us, user_us, system_us = (
        statistics.median(values)
        for values in zip(*((s.cpu_us, s.user_us, s.system_us) for s in row.target), strict=True)
    )
    floor_ms = _latency_ms([sample.latency_ms for sample in row.floor], 50)
    floor_us = statistics.median(sample.cpu_us for sample in row.floor)
    return (
        f"{row.mode:18}{row.connections:>6}{per_second:>8.0f}"
        f"{_latency_ms(latencies, 50):>8.2f}{_latency_ms(latencies, 95):>8.2f}"
        f"{cpu_us:>9.0f}{user_us:>8.0f}{system_us:>8.0f}{floor_ms:>8.2f}{floor_us:>8.0f}{row.ratio:>7.2f}"
        f"  {_verdict(row)}"
    ).rstrip()


def _latency_ms(rounds: list[list[float]], percent: float) -> float:
    return statistics.median(percentile(values, percent) for values in rounds)


def _verdict(row: Row) -> str:
    if row.mode in RATIO_BUDGETS:
        return f"ratio {_kept(row.ratio, RATIO_BUDGETS[row.mode])}"
    if row.beyond_embedding_us is not None:
        budget = SEMANTIC_BEYOND_EMBEDDING_US if row.mode == "semantic hit" else None
        return f"beyond the embedding {row.beyond_embedding_us:.0f} µs {_kept(row.beyond_embedding_us, budget)}"
    # Where requests wait for each other, this is their queue.
    if row.connections == 1 and (beyond_ms := row.first_token_beyond_ms) is not None:
        return f"first token {beyond_ms:+.2f} ms {_kept(beyond_ms, FIRST_TOKEN_MS)}"
    return ""


def _kept(value: float, budget: float | None) -> str:
    if budget is None:
        return ""
    return f"≤ {budget:g}: kept" if value <= budget else f"≤ {budget:g}: MISSED"


def memory(count: int, seen_mb: list[float]) -> str:
    """The verdict on a soak: figures in order of time, the first before it began."""
    growth_mb = seen_mb[-1] - seen_mb[len(seen_mb) // 2]
    return (
        f"Memory: {seen_mb[0]:.0f} MB before, {seen_mb[-1]:.0f} MB after {count:,} requests"
        f" {_kept(max(seen_mb), RESIDENT_MB)}; second half {growth_mb:+.1f} MB {_kept(growth_mb, FLAT_MB)}"
    )
