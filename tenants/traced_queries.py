"""Postgres in traces: each query of a sampled request is a span, with what it does and not what it says.

The data plane's cursor, and Django's connections.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Self

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from psycopg import AsyncCursor
from psycopg.sql import Composable

from tenants import tracing
from tenants.tracing import CLIENT, SPAN, Attribute

_VERB = re.compile(r"[^A-Za-z]*([A-Za-z]+)")
_LOOKED_AT = 40
_KNOWN = frozenset(
    {
        "SELECT",
        "INSERT",
        "UPDATE",
        "DELETE",
        "WITH",
        "COPY",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "SET",
        "SAVEPOINT",
        "RELEASE",
    }
)


class Cursor(AsyncCursor[Any]):
    async def execute(self, query: Any, *args: Any, **kwargs: Any) -> Self:
        if SPAN.get() is None:
            return await super().execute(query, *args, **kwargs)
        asked = verb_of(query.as_bytes(self) if isinstance(query, Composable) else query)
        with tracing.span(f"postgres {asked}", CLIENT) as span:
            span.tell(told(asked))
            return await super().execute(query, *args, **kwargs)


def watch(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Once for each of Django's connections, which connect again and again."""
    if of_django not in connection.execute_wrappers:
        connection.execute_wrappers.append(of_django)


def of_django(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
    """A wrapper of Django's connections (`connection.execute_wrappers`)."""
    if SPAN.get() is None:
        return execute(sql, params, many, context)
    asked = verb_of(sql)
    with tracing.span(f"postgres {asked}", CLIENT) as span:
        span.tell(told(asked))
        return execute(sql, params, many, context)


def verb_of(query: Any) -> str:
    """Its first word; no more of a query is told."""
    text = query[:_LOOKED_AT].decode(errors="replace") if isinstance(query, bytes) else str(query)[:_LOOKED_AT]
    found = _VERB.match(text)
    verb = found[1].upper() if found else ""
    return verb if verb in _KNOWN else "query"


def told(verb: str) -> dict[str, Attribute | None]:
    return {"db.system.name": "postgresql", "db.operation.name": verb}


connection_created.connect(watch)
