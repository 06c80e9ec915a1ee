"""What an installation takes at one moment: memory of its processes, connections, sizes of tables and indexes, Redis'
memory, and what waits in the usage streams.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Sequence

import psutil
import redis
from django.db import connection

from nexus.bench.crowd import Workspace
from nexus.supervisor import Supervisor
from tenants import keyspace

_SIZES = """
SELECT c.relname, sum(pg_table_size(c.oid)), sum(pg_indexes_size(c.oid))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema') GROUP BY 1
"""
_CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@dataclasses.dataclass(frozen=True, slots=True)
class Look:
    """Sizes in MB; `tables` are sums over all schemas, without their indexes."""

    resident: dict[str, float]
    postgres_connections: int
    redis_connections: int
    tables: dict[str, float]
    indexes: dict[str, float]
    redis_mb: float
    waiting: int

    @property
    def tables_mb(self) -> float:
        return sum(self.tables.values())

    @property
    def indexes_mb(self) -> float:
        return sum(self.indexes.values())


def look(supervisor: Supervisor, names: Iterable[str], client: redis.Redis, workspaces: Sequence[Workspace]) -> Look:
    """For sync code."""
    with connection.cursor() as cursor:
        cursor.execute(_CONNECTIONS)
        (connections,) = cursor.fetchone()
        cursor.execute(_SIZES)
        rows = cursor.fetchall()
    memory, clients = client.info("memory"), client.info("clients")
    return Look(
        resident={name: resident_mb(supervisor.pid(name)) for name in names},
        postgres_connections=connections,
        redis_connections=int(clients["connected_clients"]) - 1,
        tables={name: float(size) / 1e6 for name, size, _ in rows},
        indexes={name: float(size) / 1e6 for name, _, size in rows},
        redis_mb=int(memory["used_memory"]) / 1e6,
        waiting=waiting(client, workspaces),
    )


def resident_mb(pid: int) -> float:
    """Of a process and its children; what they share, such as Postgres' buffers, counts for the first alone."""
    total = 0
    with contextlib.suppress(psutil.Error):
        tree = psutil.Process(pid)
        for process in (tree, *tree.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                memory = process.memory_info()
                total += memory.rss if process.pid == pid else memory.rss - memory.shared
    return total / 1e6


def waiting(client: redis.Redis, workspaces: Sequence[Workspace]) -> int:
    """Events of theirs, and of who shares a stream with them, that are not booked."""
    streams = {keyspace.usage_stream(keyspace.partition(one.id)) for one in workspaces}
    return sum(int(client.xlen(stream)) for stream in streams)
