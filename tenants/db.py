"""How Postgres and Redis are reached. The only way into a tenant's schema: by qualified name on the data plane,
by search path in sync code."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import redis.asyncio
from django.conf import settings
from django_tenants.utils import tenant_context
from pgvector.psycopg import register_vector_async
from psycopg import AsyncConnection, sql
from psycopg.conninfo import make_conninfo
from psycopg_pool import AsyncConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

if TYPE_CHECKING:
    from tenants.models import Tenant

PUBLIC = "public"
REDIS_CONNECTIONS, REDIS_LINE_S = 32, 5.0


def table(schema: str, name: str) -> sql.Identifier:
    """A table's qualified, quoted name for psycopg."""
    return sql.Identifier(schema, name)


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
        kwargs={"autocommit": True, "connect_timeout": 5, "application_name": "nexus-gateway"},
        configure=configure,
        min_size=1,
        max_size=settings.DATABASE_POOL_SIZE,
        timeout=2.0,
        max_idle=300.0,
        reconnect_timeout=30.0,
        open=False,
    )


def make_redis(url: str, *, timeout_s: float | None) -> redis.asyncio.Redis:
    """A client that fails after `timeout_s`, and at once: retries are decided where their cost is known.

    None is for clients that block on purpose (pub/sub).
    """
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        url,
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
