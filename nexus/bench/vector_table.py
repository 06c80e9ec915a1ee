"""Tenants' tables of vectors for `bin/bench --vectors`: made as Django makes them, indexed when filled."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import psycopg
from pgvector import HalfVector
from pgvector.psycopg import register_vector
from psycopg import sql

from nexus.bench.corpus import Halves

Connection = psycopg.Connection[Any]

EMBEDDER = "bench"
# An index that does not fit is built many times slower; a helper more would take the core that others use.
BUILD_SETTINGS = {"maintenance_work_mem": "2GB", "max_parallel_maintenance_workers": "1"}
_COPY = """
COPY {} (entry_id, scope, embedder, dimensions, embedding, created_at, expires_at, stale_until)
FROM STDIN (FORMAT BINARY)
"""
_TYPES = ("uuid", "varchar", "varchar", "int2", "halfvec", "timestamptz", "timestamptz", "timestamptz")


class Table(NamedTuple):
    """Sizes are those of the table, of its indexes by meaning, and of its others."""

    name: sql.Identifier
    rows: int
    table_mb: float
    by_meaning_mb: float
    others_mb: float
    # To build what finds by meaning.
    build_s: float

    def __str__(self) -> str:
        return (
            f"{self.rows:,} vectors: {self.table_mb:,.0f} MB; by meaning {self.by_meaning_mb:,.0f} MB in "
            f"{self.build_s:,.0f} s; other indexes {self.others_mb:,.0f} MB"
        )


def connect(url: str) -> Connection:
    connection = psycopg.connect(url, autocommit=True)
    connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    register_vector(connection)
    return connection


def scope_name(number: int) -> str:
    return f"{number:032d}"


def fill(connection: Connection, schema: str, stored: dict[str, Halves]) -> Table:
    """One tenant's table. Its rows come as apps store them: scopes take turns, so that a scope's rows lie far apart."""
    connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {0} CASCADE").format(sql.Identifier(schema)))
    connection.execute(sql.SQL("CREATE SCHEMA {0}").format(sql.Identifier(schema)))
    name = sql.Identifier(schema, "gateway_cachevector")
    with settings(connection, {"search_path": f"{schema}, public"} | BUILD_SETTINGS):
        table, *others = definitions()
        run_all(connection, [table])
        load(connection, name, stored)
        run_all(connection, [statement for statement in others if "hnsw" not in statement])
        began = time.monotonic()
        run_all(connection, [statement for statement in others if "hnsw" in statement])
        build_s = time.monotonic() - began
    connection.execute(sql.SQL("VACUUM ANALYZE {}").format(name))
    return Table(name, sum(map(len, stored.values())), *sizes_mb(connection, schema), build_s)


def definitions() -> list[str]:
    """How Django makes the table: the table first, then its indexes. Needs Django to be set up."""
    from django.db import connection as django

    from gateway.models import CacheVector

    with django.schema_editor(collect_sql=True) as editor:
        editor.create_model(CacheVector)
        return [*editor.collected_sql, *map(str, editor.deferred_sql)]


def run_all(connection: Connection, statements: Sequence[str]) -> None:
    for statement in statements:
        connection.execute(statement.encode())


@contextlib.contextmanager
def settings(connection: Connection, values: dict[str, str]) -> Iterator[None]:
    for name, value in values.items():
        connection.execute("SELECT set_config(%s, %s, false)", [name, value])
    try:
        yield
    finally:
        for name in values:
            connection.execute(sql.SQL("RESET {}").format(sql.SQL(name)))


def load(connection: Connection, table: sql.Identifier, stored: dict[str, Halves]) -> None:
    """One entry in ten has a day left, the others a week."""
    now = dt.datetime.now(dt.UTC)
    ends = [now + dt.timedelta(days=days) for days in (1, *[7] * 9)]
    turns = np.repeat(np.arange(len(stored)), [len(rows) for rows in stored.values()])
    np.random.default_rng(1).shuffle(turns)
    scopes = [(scope, iter(rows)) for scope, rows in stored.items()]
    with connection.cursor() as cursor, cursor.copy(sql.SQL(_COPY).format(table)) as copy:
        copy.set_types(_TYPES)
        for turn, end in zip(turns, itertools.cycle(ends), strict=False):
            scope, rows = scopes[turn]
            vector = next(rows)
            copy.write_row((uuid.uuid4(), scope, EMBEDDER, len(vector), HalfVector(vector), now, end, end))


def sizes_mb(connection: Connection, schema: str) -> tuple[float, float, float]:
    query = """
        SELECT CASE WHEN relkind = 'r' THEN 'table' WHEN amname = 'hnsw' THEN 'by meaning' ELSE 'others' END,
               sum(pg_relation_size(c.oid)) / 1e6
        FROM pg_class c LEFT JOIN pg_am a ON a.oid = relam
        WHERE relnamespace = %s::regnamespace AND relkind IN ('r', 'i') GROUP BY 1
    """
    found = dict(connection.execute(query, [schema]).fetchall())
    return float(found["table"]), float(found.get("by meaning", 0)), float(found["others"])
