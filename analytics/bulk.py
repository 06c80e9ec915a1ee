"""Many rows in one INSERT: one array a column, so that its text does not grow with the rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection
from django.db.models import Model
from psycopg import sql

from tenants.db import table


def insert_query(schema: str, model: type[Model], columns: Sequence[str]) -> sql.Composed:
    """Takes `arrays` as its parameters; the caller adds what is to happen on conflict."""
    # Without the length: a cast to varchar(64) would cut a longer text, and not complain.
    types = [str(model._meta.get_field(name).db_type(connection)).partition("(")[0] for name in columns]
    return sql.SQL("INSERT INTO {} AS stored ({}) SELECT * FROM unnest({})").format(
        table(schema, model._meta.db_table),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(", ").join(sql.SQL("%s::{}[]").format(sql.SQL(name)) for name in types),
    )


def arrays(rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
    """Rows to columns."""
    return [list(column) for column in zip(*rows, strict=True)]
