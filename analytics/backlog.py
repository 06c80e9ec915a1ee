"""What /metrics says of the whole installation: what waits in Redis, who is alive, whether Redis and Postgres answer.

Every web process that is asked says the same: dashboards take the largest, and add nothing up.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import orjson
import redis
from django.conf import settings
from django.db import DatabaseError, connection
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from analytics.drain import GROUP, STREAMS
from analytics.gauges import BookGauges
from tenants import keyspace
from tenants.db import open_redis

logger = logging.getLogger(__name__)

TIMEOUT_S, STATEMENT_MS = 1.0, 2000
# Workers tell every few seconds.
WORKER_ALIVE_S = 60.0

HELP = {
    "nexus_redis_up": "1 when Redis answered.",
    "nexus_redis_memory_bytes": "What Redis uses.",
    "nexus_redis_memory_max_bytes": "What it may use; 0: as much as there is.",
    "nexus_stream_waiting": "Usage events that are not booked yet.",
    "nexus_stream_taken": "Of these, those that a worker has taken.",
    "nexus_stream_oldest_seconds": "How long the oldest of them has waited.",
    "nexus_dead_letters": "Usage events that cannot be booked.",
    "nexus_celery_queue_length": "Tasks that no worker has taken.",
    "nexus_workers": "Workers that told they are alive in the last minute.",
    "nexus_task_last_success_timestamp_seconds": "When a task last succeeded.",
    "nexus_tasks_failed": "Failed tasks that operators have not looked after; no more than 200 are kept.",
    "nexus_verdicts": "Verdicts on cached answers, since the first one: by the judge or a reviewer.",
    "nexus_canary_leaks": "Probes of the canaries' last run that got what is another workspace's.",
    "nexus_canary_failed": "Probes of that run that could not be tried.",
    "nexus_canary_last_run_timestamp_seconds": "When that run began.",
    "nexus_spool_bytes": "Settlements that wait in this machine's NEXUS_SPOOL_DIR.",
    "nexus_postgres_up": "1 when Postgres answered.",
    "nexus_postgres_connections": "Connections to Postgres, of all programs.",
    "nexus_postgres_connections_max": "How many Postgres allows.",
}
LABELS = {
    "nexus_celery_queue_length": ("queue",),
    "nexus_task_last_success_timestamp_seconds": ("task",),
    "nexus_verdicts": ("kind", "verdict", "source"),
}
COUNTERS = frozenset({"nexus_verdicts"})


class Value(NamedTuple):
    name: str
    value: float
    labels: tuple[str, ...] = ()


class Backlog(Collector):
    """Read anew each time: `analytics.kept` sees to it that this is seldom."""

    def collect(self) -> Iterable[Metric]:
        yield from metrics([*_redis(), *_broker(), *_spool(), *_postgres()])
        yield from BookGauges().collect()


def metrics(values: Iterable[Value]) -> list[Metric]:
    found: dict[str, Any] = {}
    for name, value, labels in values:
        family = found.get(name)
        if family is None:
            kind = CounterMetricFamily if name in COUNTERS else GaugeMetricFamily
            family = found[name] = kind(name, HELP[name], labels=LABELS.get(name, ()))
        family.add_metric(labels, value)
    return list(found.values())


def _redis() -> Iterator[Value]:
    """Of the tenants' data. Nothing but that it is away, where it is."""
    try:
        with open_redis(timeout_s=TIMEOUT_S) as client:
            found = list(_streams(client))
    except (redis.RedisError, OSError) as error:
        logger.warning("the usage streams cannot be read for /metrics: %s", error)
        yield Value("nexus_redis_up", 0)
        return
    yield Value("nexus_redis_up", 1)
    yield from found


def _streams(client: redis.Redis) -> Iterator[Value]:
    lengths = _all(client, [("XLEN", stream) for stream in STREAMS])
    dead = _all(client, [("XLEN", keyspace.dead_letters_of(stream)) for stream in STREAMS])
    busy = [stream for stream, length in zip(STREAMS, lengths, strict=True) if length]
    pending = _all(client, [("XPENDING", stream, GROUP) for stream in busy])
    oldest = _all(client, [("XRANGE", stream, "-", "+", "COUNT", 1) for stream in busy])
    since = [int(entries[0][0].partition(b"-")[0]) / 1000 for entries in oldest if entries]
    yield Value("nexus_stream_waiting", sum(length or 0 for length in lengths))
    yield Value("nexus_stream_taken", sum(_taken(told) for told in pending))
    yield Value("nexus_stream_oldest_seconds", max(0.0, time.time() - min(since)) if since else 0.0)
    yield Value("nexus_dead_letters", sum(length or 0 for length in dead))
    told: Any = client.get(keyspace.CANARY)
    if told:
        report = orjson.loads(told)
        yield Value("nexus_canary_leaks", len(report["leaks"]))
        yield Value("nexus_canary_failed", len(report["failed"]))
        yield Value("nexus_canary_last_run_timestamp_seconds", report["at"])


def _taken(told: Any) -> int:
    """XPENDING's answer, as this version of the library gives it."""
    if isinstance(told, dict):
        return int(told.get("pending") or 0)
    return int(told[0]) if told else 0


def _all(client: redis.Redis, commands: list[tuple[Any, ...]]) -> list[Any]:
    """In one round trip; None for a command that failed by itself. Raises what says that Redis is away."""
    if not commands:
        return []
    with client.pipeline(transaction=False) as pipe:
        for words in commands:
            pipe.execute_command(*words)
        replies: list[Any] = pipe.execute(raise_on_error=False)
    for reply in replies:
        if isinstance(reply, Exception) and not isinstance(reply, redis.ResponseError):
            raise reply
    return [None if isinstance(reply, Exception) else reply for reply in replies]


def _broker() -> Iterator[Value]:
    """Of REDIS_URL: the queue, and what workers tell. Nothing while it is away."""
    prefix = settings.CELERY_BROKER_TRANSPORT_OPTIONS["global_keyprefix"]
    try:
        with redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, protocol=2
        ) as client:
            memory: Any = client.info("memory")
            length: Any = client.llen(f"{prefix}celery")
            failed: Any = client.llen(keyspace.TASKS_FAILED)
            alive, done = _numbers(client, keyspace.WORKERS), _numbers(client, keyspace.TASKS_DONE)
            verdicts = _numbers(client, keyspace.VERDICTS)
    except (redis.RedisError, OSError) as error:
        logger.warning("the queue cannot be read for /metrics: %s", error)
        return
    yield Value("nexus_redis_memory_bytes", float(memory["used_memory"]))
    yield Value("nexus_redis_memory_max_bytes", float(memory.get("maxmemory") or 0))
    yield Value("nexus_celery_queue_length", length, ("celery",))
    yield Value("nexus_tasks_failed", failed)
    yield Value("nexus_workers", sum(time.time() - at < WORKER_ALIVE_S for at in alive.values()))
    known = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    for task in sorted(known & done.keys()):
        yield Value("nexus_task_last_success_timestamp_seconds", done[task], (task,))
    for name, count in sorted(verdicts.items()):
        kind, verdict, source = name.split(":")
        yield Value("nexus_verdicts", count, (kind, verdict, source))


def _numbers(client: redis.Redis, key: str) -> dict[str, float]:
    found: Any = client.hgetall(key)
    return {name.decode(): float(value) for name, value in found.items()}


def _spool() -> Iterator[Value]:
    size = 0
    for path in settings.SPOOL_DIR.glob("*.jsonl"):
        try:
            size += path.stat().st_size
        except FileNotFoundError:
            # It was sent in this moment.
            continue
    yield Value("nexus_spool_bytes", size)


def _postgres() -> Iterator[Value]:
    try:
        with connection.cursor() as cursor:
            # This thread's own connection, for as long as it reads.
            cursor.execute("SET statement_timeout = %s", [STATEMENT_MS])
            cursor.execute(
                "SELECT (SELECT sum(numbackends) FROM pg_stat_database), current_setting('max_connections')::int"
            )
            used, most = cursor.fetchone()
    except DatabaseError as error:
        logger.warning("Postgres cannot be asked for /metrics: %s", error)
        yield Value("nexus_postgres_up", 0)
        return
    yield Value("nexus_postgres_up", 1)
    yield Value("nexus_postgres_connections", float(used))
    yield Value("nexus_postgres_connections_max", float(most))
