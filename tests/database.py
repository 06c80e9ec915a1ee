"""What Postgres itself says of this thread's connection."""

from __future__ import annotations

from django.db import connection


def current_schema() -> str:
    """Where an unqualified table is looked for first."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        (name,) = cursor.fetchone()
    return str(name)
