"""Many rows in one INSERT, as one JSON array: the statement does not grow with them, and is read fast."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from django.db import connection
from django.db.models import Model
from psycopg import sql

from tenants.db import table


class Source(NamedTuple):
    """What a column is made of, where a row has it under another name or as another type."""

    field: str
    type: str
    expression: str


def insert_query(
    schema: str, model: type[Model], columns: Sequence[str], sources: Mapping[str, Source] | None = None
) -> sql.Composed:
    """Takes `encode(rows)` as its parameter; the caller adds what is to happen on conflict."""
    read = [(sources or {}).get(name) or Source(name, _type(model, name), name) for name in columns]
    return sql.SQL("INSERT INTO {} AS stored ({}) SELECT {} FROM json_to_recordset(%s::json) AS row ({})").format(
        table(schema, model._meta.db_table),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(", ").join(sql.SQL(source.expression) for source in read),
        sql.SQL(", ").join(sql.SQL(f"{source.field} {source.type}") for source in read),
    )


def _type(model: type[Model], name: str) -> str:
    # Without the length: a cast to varchar(64) would cut a longer text, and not complain.
    return str(model._meta.get_field(name).db_type(connection)).partition("(")[0]


def encode(rows: Iterable[Any]) -> str:
    """Mappings or dataclasses; money as text."""
    return orjson.dumps(list(rows), default=str).decode()
