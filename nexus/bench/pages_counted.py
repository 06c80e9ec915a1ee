"""The gateway, which for `bin/bench --pages` says of its last answer what it took: `GET /bench/taken`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import orjson
from django.db.backends.signals import connection_created

from nexus.asgi import application as gateway

PATH = "/bench/taken"
_taken: dict[str, Any] = {}


def _count(execute: Callable[..., Any], *query: Any) -> Any:
    began = time.perf_counter()
    try:
        return execute(*query)
    finally:
        _taken["queries"] += 1
        _taken["database_ms"] += (time.perf_counter() - began) * 1000


def _listen(connection: Any, **_: Any) -> None:
    if _count not in connection.execute_wrappers:
        connection.execute_wrappers.append(_count)


connection_created.connect(_listen)


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """One request at a time: what is counted is counted for all."""
    if scope["type"] != "http":
        await gateway(scope, receive, send)
        return
    if scope["path"] == PATH:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": orjson.dumps(_taken)})
        return
    began, cpu = time.perf_counter(), time.process_time()
    _taken.update(queries=0, database_ms=0.0, first_ms=0.0, ms=0.0, cpu_ms=0.0)

    async def timed(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body":
            _taken["ms"] = (time.perf_counter() - began) * 1000
            _taken["first_ms"] = _taken["first_ms"] or _taken["ms"]
            _taken["cpu_ms"] = (time.process_time() - cpu) * 1000
        await send(message)

    await gateway(scope, receive, timed)
