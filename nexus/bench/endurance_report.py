"""The lines and the table of `bin/bench load`, and its verdict. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from nexus.bench.spread import Latencies, quarters, slope

if TYPE_CHECKING:
    from nexus.bench.endurance import Minute
    from nexus.bench.probes import Look
    from nexus.bench.tally import Row

TIERS = ("exact", "semantic", "miss", "stream")
LARGEST = 6


def head(names: Sequence[str]) -> str:
    return (
        f"{'min':>4}{'req/s':>7}" + "".join(f"{tier + ' p50/p95/p99':>23}" for tier in TIERS) + f"{'faults':>8}"
        "  others' cores, resident MB of each, connections Postgres/Redis, tables/indexes/Redis MB, waiting"
    )


def line(number: int, minute: Minute) -> str:
    look: Look = minute.look
    resident = " ".join(f"{name} {mb:.0f}" for name, mb in look.resident.items())
    return (
        f"{number:>4}{minute.requests / minute.seconds:>7.0f}"
        + "".join(f"{_three(minute.tiers[tier]):>23}" for tier in TIERS)
        + f"{minute.faults:>8}  {minute.busy_cores:.2f}; {resident}; "
        f"{look.postgres_connections}/{look.redis_connections}; "
        f"{look.tables_mb:.0f}/{look.indexes_mb:.0f}/{look.redis_mb:.0f}; {look.waiting}"
    )


def _three(latencies: Latencies) -> str:
    return "/".join(f"{latencies.percentile(share):.1f}" for share in (50, 95, 99))


def text(before: Look, minutes: Sequence[Minute], rows: Sequence[Row]) -> str:
    return "\n".join(
        ["", *_latencies(minutes), "", *_statuses(minutes), "", *_growth(before, minutes), "", *_books(rows)]
    )


def _latencies(minutes: Sequence[Minute]) -> Iterator[str]:
    first, last = quarters(len(minutes))
    columns = "".join(f"{name:>9}" for name in ("p50", "p95", "p99", "most"))
    yield f"{'ms from when it was due':26}{'answers':>10}{columns}   p99 of the first and the last quarter"
    for tier in TIERS:
        whole = Latencies.merged(minute.tiers[tier] for minute in minutes)
        begin, end = _p99(minutes[first], tier), _p99(minutes[last], tier)
        drift = f"{begin:.1f} → {end:.1f} ({end / begin - 1:+.0%})" if begin else ""
        figures = "".join(f"{whole.percentile(share):>9.1f}" for share in (50, 95, 99))
        name = "stream, first byte" if tier == "stream" else tier
        yield f"{name:26}{whole.count:>10,}{figures}{whole.longest_ms:>9.0f}   {drift}"


def _p99(minutes: Sequence[Minute], tier: str) -> float:
    return Latencies.merged(minute.tiers[tier] for minute in minutes).percentile(99)


def _statuses(minutes: Sequence[Minute]) -> Iterator[str]:
    total: dict[str, int] = {}
    for minute in minutes:
        for status, count in minute.statuses.items():
            total[status] = total.get(status, 0) + count
    said = ", ".join(f"{status} {count:,}" for status, count in sorted(total.items()))
    yield f"Seen by clients: {said}. Faults: {sum(one.faults for one in minutes):,}."
    busy = sum(one.busy_cores for one in minutes) / len(minutes)
    yield f"Cores that other programs used: {busy:.2f} on the mean."


def growth(before: Look, minutes: Sequence[Minute]) -> dict[str, dict[str, float]]:
    """First, last, and how much more an hour; resident memory by its slope, without the first quarter."""
    looks, hours = [minute.look for minute in minutes], sum(minute.seconds for minute in minutes) / 3600
    after = looks[-1]
    steady = looks[len(looks) // 4 :]
    grown: dict[str, dict[str, float]] = {}
    for name in before.resident:
        an_hour = slope([look.resident[name] for look in steady]) * len(minutes) / hours
        grown[f"{name}, resident MB"] = _row(before.resident[name], after.resident[name], an_hour)
    for name, begin, end in (
        ("Postgres connections", before.postgres_connections, after.postgres_connections),
        ("Redis connections", before.redis_connections, after.redis_connections),
        ("tables, MB", before.tables_mb, after.tables_mb),
        ("indexes, MB", before.indexes_mb, after.indexes_mb),
        ("Redis, MB", before.redis_mb, after.redis_mb),
    ):
        grown[name] = _row(begin, end, (end - begin) / hours)
    for of, begin_by, end_by in (("table", before.tables, after.tables), ("indexes", before.indexes, after.indexes)):
        largest = sorted(end_by, key=lambda name: end_by[name] - begin_by.get(name, 0), reverse=True)[:LARGEST]
        for name in largest:
            begin, end = begin_by.get(name, 0.0), end_by[name]
            if end - begin >= 1:
                grown[f"{of} {name}, MB"] = _row(begin, end, (end - begin) / hours)
    return grown


def _row(begin: float, end: float, an_hour: float) -> dict[str, float]:
    return {"first": begin, "last": end, "an_hour": an_hour}


def _growth(before: Look, minutes: Sequence[Minute]) -> Iterator[str]:
    yield f"{'':48}{'first':>10}{'last':>10}{'an hour':>10}"
    for name, row in growth(before, minutes).items():
        yield f"{name:48}{row['first']:>10,.1f}{row['last']:>10,.1f}{row['an_hour']:>+10,.1f}"


def _books(rows: Sequence[Row]) -> Iterator[str]:
    columns = "".join(f"{name:>10}" for name in ("answered", "unknown", "records", "ledger", "counters", "held"))
    yield f"{'workspace':14}{columns}{'USD':>20}"
    for row in rows:
        yield (
            f"{row.workspace:14}{row.told.answered:>10,}{row.told.unknown:>10,}{row.records:>10,}"
            f"{row.ledger.requests:>10,}{row.counters.requests:>10,}{row.held:>10}{row.ledger.cost_usd:>20,.10f}"
            f"  {'agrees' if row.agrees else 'DIFFERS'}"
        )


def holds(minutes: Sequence[Minute], rows: Sequence[Row]) -> bool:
    return all(row.agrees and not row.held for row in rows) and not any(minute.foreign for minute in minutes)


def figures(before: Look, minutes: Sequence[Minute], rows: Sequence[Row]) -> dict[str, Any]:
    """For machines."""
    return {
        "minutes": [
            {
                "per_s": minute.requests / minute.seconds,
                "faults": minute.faults,
                "others_cores": minute.busy_cores,
                "ms": {
                    tier: {f"p{share}": minute.tiers[tier].percentile(share) for share in (50, 95, 99)}
                    for tier in TIERS
                },
                "resident_mb": minute.look.resident,
                "waiting": minute.look.waiting,
            }
            for minute in minutes
        ],
        "growth": growth(before, minutes),
        "books": {
            row.workspace: {
                "answered": row.told.answered,
                "unknown": row.told.unknown,
                "records": row.records,
                "ledger": row.ledger._asdict(),
                "counters": row.counters._asdict(),
                "agrees": row.agrees,
            }
            for row in rows
        },
        "foreign": sum(minute.foreign for minute in minutes),
        "holds": holds(minutes, rows),
    }
