"""How Postgres and Redis are reached. The only way into a tenant's schema: by qualified name on the data plane,
by search path in sync code."""

from __future__ import annotations

import contextlib
import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import redis.asyncio
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django_tenants.utils import tenant_context
from pgvector.psycopg import register_vector_async
from psycopg import AsyncConnection, sql
from psycopg.conninfo import make_conninfo
from psycopg_pool import AsyncConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, ClusterPipeline
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException, RedisError
from redis.retry import Retry as SyncRetry

from tenants import cluster, traced_queries
from tenants.cluster import AnyLane, ClusterLane
from tenants.impatient import Impatient
from tenants.lane import Lane

if TYPE_CHECKING:
    from tenants.models import Tenant

logger = logging.getLogger(__name__)

PUBLIC = "public"
REDIS_CONNECTIONS, REDIS_LINE_S = 32, 5.0


def table(schema: str, name: str) -> sql.Identifier:
    """A table's qualified, quoted name for psycopg."""
    return sql.Identifier(schema, name)


@contextlib.contextmanager
def alone(lock: int) -> Iterator[bool]:
    """Whether nobody else holds this one of Postgres' advisory locks. A killed worker's ends with its connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [lock])
        (got,) = cursor.fetchone()
    try:
        yield got
    finally:
        if got:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [lock])


@contextlib.contextmanager
def schema_of(tenant: Tenant) -> Iterator[None]:
    """Sync code inside sees the tenant's tables through the ORM; the previous schema comes back after."""
    with tenant_context(tenant):
        yield


def make_pool() -> AsyncConnectionPool[AsyncConnection[Any]]:
    """The data plane's pool; not opened yet. A connection is never held while a provider is called."""

    async def configure(connection: AsyncConnection[Any]) -> None:
        await register_vector_async(connection)
        # Iterative scan: within a small scope the index alone would stop before it has enough neighbours.
        await connection.execute("SET hnsw.iterative_scan = 'strict_order'")
        await connection.execute("SET hnsw.ef_search = 200")
        # To start helpers takes longer than any query of ours, and takes cores from others.
        await connection.execute("SET max_parallel_workers_per_gather = 0")

    database = settings.DATABASES["default"]
    names = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    parameters = {name: database[key] for name, key in names.items() if database[key]}
    return AsyncConnectionPool(
        make_conninfo(**parameters, **database["OPTIONS"]),
        connection_class=Impatient,
        kwargs={
            "autocommit": True,
            "connect_timeout": 5,
            "application_name": "nexus-gateway",
            "cursor_factory": traced_queries.Cursor,
        },
        configure=configure,
        min_size=1,
        max_size=settings.DATABASE_POOL_SIZE,
        timeout=2.0,
        max_idle=300.0,
        # Attempts are further and further apart: so long, and the next who asks makes the first one of a new row.
        reconnect_timeout=4.0,
        open=False,
    )


def make_bus(*, timeout_s: float | None) -> redis.asyncio.Redis:
    """For pub/sub, which is REDIS_URL's also where a cluster has the data: there each message would go to every node.

    Fails after `timeout_s`, and at once; None is for who listens. Tenants' data is reached by `make_lane`.
    """
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        settings.REDIS_URL,
        # A burst waits here, in line, instead of in Redis, where its time would count against the timeout.
        max_connections=REDIS_CONNECTIONS,
        timeout=REDIS_LINE_S,
        protocol=2,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s or 5.0,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
    )
    return redis.asyncio.Redis.from_pool(pool)


def make_lane(*, timeout_s: float) -> AnyLane:
    """The data plane's way to the tenants' data in Redis."""
    address = cluster.parse(settings.REDIS_CLUSTER)
    if address is None:
        return Lane(settings.REDIS_URL, timeout_s=timeout_s)
    return ClusterLane(address, timeout_s=timeout_s)


async def check_lane(lane: AnyLane) -> None:
    """Raises ImproperlyConfigured where Redis is there and will never do what we ask."""
    if refusal := await lane.refusal():
        setting = "NEXUS_REDIS_CLUSTER" if settings.REDIS_CLUSTER else "REDIS_URL"
        raise ImproperlyConfigured(f"Redis refuses what {setting} says: {refusal}")


def open_redis(*, timeout_s: float) -> redis.Redis:
    """The tenants' data in Redis, for sync code. Raises RedisError when no node of a cluster is there.

    On a cluster all keys of a command or a transaction share a slot; see `by_node` and `find_keys` for the others.
    """
    address = cluster.parse(settings.REDIS_CLUSTER)
    timeouts: dict[str, Any] = {"socket_timeout": timeout_s, "socket_connect_timeout": 1.0, "protocol": 2}
    if address is None:
        return redis.Redis.from_url(settings.REDIS_URL, **timeouts)
    with _told_as_redis_errors():
        client = _ClusterClient(
            startup_nodes=[ClusterNode(host, port) for host, port in address.nodes],
            username=address.username,
            password=address.password,
            ssl=address.tls,
            # The slots of a node that is gone are missing, not all others.
            require_full_coverage=False,
            # Once more, at who took over.
            retry=SyncRetry(NoBackoff(), 1),
            **timeouts,
        )
    # Not a subclass of it, but with its commands.
    return cast(redis.Redis, client)


def by_node(client: redis.Redis, keys: Sequence[str]) -> list[list[str]]:
    """The keys in groups, each on one node: what fails for one of a group fails for all of it."""
    if not isinstance(client, _ClusterClient):
        return [list(keys)]
    groups: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        nodes = client.nodes_manager.slots_cache.get(client.keyslot(key))
        groups[nodes[0].name if nodes else ""].append(key)
    return list(groups.values())


def find_keys(client: redis.Redis, pattern: str) -> Iterator[bytes]:
    """All keys that match a pattern which has a hash tag. Raises RedisError."""
    if not isinstance(client, _ClusterClient):
        yield from client.scan_iter(match=pattern, count=1000)
        return
    with _told_as_redis_errors():
        owner = client.get_node_from_key(pattern)
        yield from client.get_redis_connection(owner).scan_iter(match=pattern, count=1000)
        # Keys of a slot that is on its way have left for another node: after them, so that none slips through.
        for node in client.get_primaries():
            if node == owner:
                continue
            try:
                yield from client.get_redis_connection(node).scan_iter(match=pattern, count=1000)
            except RedisError as error:
                logger.warning("a node of the Redis Cluster that owns none of %s was not asked: %s", pattern, error)


class _ClusterClient(redis.RedisCluster):
    """The library's; but whatever goes wrong is a RedisError, as it is with one Redis."""

    def execute_command(self, *args: Any, **kwargs: Any) -> Any:
        with _told_as_redis_errors():
            return super().execute_command(*args, **kwargs)

    def pipeline(self, transaction: Any = None, shard_hint: Any = None) -> ClusterPipeline:
        pipe: ClusterPipeline = super().pipeline(transaction, shard_hint)
        execute = pipe.execute

        def told(raise_on_error: bool = True) -> list[Any]:
            with _told_as_redis_errors():
                replies: list[Any] = execute(raise_on_error)
                return replies

        pipe.execute = told  # type: ignore[method-assign]
        return pipe


@contextlib.contextmanager
def _told_as_redis_errors() -> Iterator[None]:
    try:
        yield
    except RedisClusterException as error:
        raise RedisConnectionError(str(error)) from error
