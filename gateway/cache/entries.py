"""The cache's rows: an answer and what may be done with it, beside the vectors by which it is found.

Both are written in one statement, and deleted in one: there is no foreign key between them. What else may be told from
an entry (how often it answered) is counted from usage records, later.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import orjson
from pgvector import HalfVector
from psycopg import AsyncConnection, sql
from psycopg.types.json import Jsonb

from gateway.cache.embedding.base import Vector
from gateway.types import Meta
from tenants.db import table

# As good as never, and a date that every tool can show.
PINNED_UNTIL = dt.datetime(9999, 12, 31, tzinfo=dt.UTC)


class Entry(NamedTuple):
    """One complete answer. `scope` is empty when it is never compared by meaning."""

    scope: str
    fingerprint: str
    namespace: str
    tags: tuple[str, ...]
    end_user: str
    model: str
    prompt: str
    answer: bytes
    meta: Meta
    ttl_s: int
    stale_s: int
    pinned: bool = False


class Embedded(NamedTuple):
    """A prompt's vector, and the name of the model that made it."""

    vector: Vector
    embedder: str


_COLUMNS = (
    "id", "scope", "fingerprint", "namespace", "tags", "end_user", "model", "prompt", "embedder", "answer", "meta",
    "pinned", "created_at", "expires_at", "stale_until",
)  # fmt: skip
_UPDATES = sql.SQL(", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name != "fingerprint"))
# Another answer to the same request takes the entry's place, unless people have put it there.
_STORE = """
WITH entry AS (
    INSERT INTO {entries} AS kept ({columns}, hits, saved_usd)
    VALUES ({values}, 0, 0)
    ON CONFLICT (fingerprint) DO UPDATE SET {updates} WHERE NOT kept.pinned OR excluded.pinned
    RETURNING id
), gone AS (
    DELETE FROM {vectors} WHERE entry_id IN (SELECT id FROM {entries} WHERE fingerprint = %(fingerprint)s)
        AND EXISTS (SELECT FROM entry)
)
"""
_WITH_VECTOR = """
INSERT INTO {vectors} (entry_id, scope, embedder, dimensions, embedding, created_at, expires_at, stale_until)
SELECT id, %(scope)s, %(embedder)s, %(dimensions)s, %(vector)s, %(created_at)s, %(expires_at)s, %(stale_until)s
FROM entry
"""


# Many in one parameter, since each parameter costs as much as a row.
_STORE_MANY = """
WITH given AS (
    SELECT * FROM json_to_recordset(%s::json) AS given (
        id uuid, scope text, fingerprint text, namespace text, tags text[], end_user text, model text, prompt text,
        embedder text, answer text, meta jsonb, pinned boolean, created_at timestamptz, expires_at timestamptz,
        stale_until timestamptz)
), entry AS (
    INSERT INTO {entries} AS kept ({columns}, hits, saved_usd)
    SELECT {given}, 0, 0 FROM given ORDER BY fingerprint
    ON CONFLICT (fingerprint) DO UPDATE SET {updates} WHERE NOT kept.pinned OR excluded.pinned
    RETURNING fingerprint
)
DELETE FROM {vectors} WHERE entry_id IN (
    SELECT id FROM {entries} WHERE fingerprint IN (SELECT fingerprint FROM entry))
"""


async def store_many(connection: AsyncConnection[Any], schema: str, some: Iterable[Entry]) -> None:
    """Entries that are never compared, of different fingerprints. Raises psycopg.Error."""
    rows = [_values(entry) | {"embedder": "", "answer": entry.answer.decode()} for entry in some]
    await connection.execute(_store_many_query(schema), [orjson.dumps(rows).decode()], prepare=False)


@functools.lru_cache(maxsize=4096)
def _store_many_query(schema: str) -> bytes:
    given = ("convert_to(answer, 'UTF8')" if name == "answer" else name for name in _COLUMNS)
    query = sql.SQL(_STORE_MANY).format(
        entries=table(schema, "gateway_cacheentry"),
        vectors=table(schema, "gateway_cachevector"),
        columns=sql.SQL(", ".join(_COLUMNS)),
        given=sql.SQL(", ".join(given)),
        updates=_UPDATES,
    )
    return query.as_bytes(None)


async def store(connection: AsyncConnection[Any], schema: str, entry: Entry, embedded: Embedded | None) -> None:
    """Raises psycopg.Error."""
    values = _values(entry) | {
        "embedder": "" if embedded is None else embedded.embedder,
        "meta": Jsonb(entry.meta.facts()),
    }
    if embedded is not None:
        values |= {"dimensions": len(embedded.vector), "vector": half(embedded.vector)}
    await connection.execute(_store_query(schema, embedded is not None), values)


@functools.lru_cache(maxsize=4096)
def _store_query(schema: str, with_vector: bool) -> bytes:
    """As text: putting it together takes longer than sending it."""
    query = sql.SQL(_STORE + (_WITH_VECTOR if with_vector else "SELECT FROM entry")).format(
        entries=table(schema, "gateway_cacheentry"),
        vectors=table(schema, "gateway_cachevector"),
        columns=sql.SQL(", ".join(_COLUMNS)),
        values=sql.SQL(", ".join(f"%({name})s" for name in _COLUMNS)),
        updates=_UPDATES,
    )
    return query.as_bytes(None)


def _values(entry: Entry) -> dict[str, Any]:
    created_at = dt.datetime.fromtimestamp(entry.meta.created_at, dt.UTC)
    expires_at = PINNED_UNTIL if entry.pinned else created_at + dt.timedelta(seconds=entry.ttl_s)
    return {
        **entry._asdict(),
        "id": entry.meta.entry_id,
        "tags": list(entry.tags),
        "meta": entry.meta.facts(),
        "created_at": created_at,
        "expires_at": expires_at,
        "stale_until": PINNED_UNTIL if entry.pinned else expires_at + dt.timedelta(seconds=entry.stale_s),
    }


def half(vector: Vector) -> HalfVector:
    return HalfVector(vector.astype(np.float16))


def delete_query(schema: str, condition: sql.Composable) -> sql.Composed:
    """Deletes entries and their vectors; `condition` speaks of `entry`. Gives each one's fingerprint."""
    return sql.SQL(
        "WITH gone AS (DELETE FROM {} AS entry WHERE {} RETURNING id, fingerprint),"
        " vectors AS (DELETE FROM {} WHERE entry_id IN (SELECT id FROM gone))"
        " SELECT fingerprint FROM gone"
    ).format(table(schema, "gateway_cacheentry"), condition, table(schema, "gateway_cachevector"))
