"""A Postgres that hangs without a word: whoever waits for it is told, and the next connection is a new one."""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from psycopg_pool import AsyncConnectionPool

from nexus.bench.proxy import CUT, FREEZE, PASS, Route
from nexus.ports import HOST, free_port
from tenants import impatient
from tenants.db import make_pool


class Far(NamedTuple):
    pool: AsyncConnectionPool[Any]
    route: Route


@pytest.fixture
async def far(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Far]:
    """The data plane's pool, with a network between it and Postgres."""
    parts = urllib.parse.urlsplit(os.environ["DATABASE_URL"])
    query = dict(urllib.parse.parse_qsl(parts.query))
    target: int | str = parts.port or 5432
    if "host" in query:
        target = f"{query['host']}/.s.PGSQL.{query.get('port', 5432)}"
    route = Route(port := free_port(), target)
    await route.go(PASS)
    away = {"HOST": HOST, "PORT": str(port), "NAME": connection.settings_dict["NAME"], "OPTIONS": {}}
    monkeypatch.setitem(settings.DATABASES, "default", {**settings.DATABASES["default"], **away})
    monkeypatch.setattr(settings, "DATABASE_POOL_SIZE", 1)
    monkeypatch.setattr(impatient, "SILENT_S", 0.3)
    pool = make_pool()
    await pool.open()
    try:
        yield Far(pool, route)
    finally:
        await route.go(PASS)
        await pool.close()
        await route.go(CUT)


async def test_who_waits_for_a_silent_postgres_is_told_and_the_next_one_is_answered(far: Far) -> None:
    async with far.pool.connection() as one:
        await one.execute("SELECT 1")
        await far.route.go(FREEZE)
        with pytest.raises(psycopg.OperationalError, match="said nothing"):
            await one.execute("SELECT 2")
        assert one.closed
    await far.route.go(PASS)
    async with far.pool.connection(timeout=30) as another:
        found = await (await another.execute("SELECT 3")).fetchone()
    assert found == (3,)
