"""What stands behind a proxy: says what reached it. `/v1/slow` goes on when `/v1/go` was asked; RUDE hangs up."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import orjson

_go = asyncio.Event()
_seen: dict[str, int] = {}


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await _echo(receive, send)
    elif scope["type"] == "http":
        path = scope["path"]
        _seen[path] = _seen.get(path, 0) + 1
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        if path == "/v1/rude" and "RUDE" in os.environ:
            os._exit(1)
        await _answer(scope, body, send)


async def _answer(scope: dict[str, Any], body: bytes, send: Any) -> None:
    headers = [(name.decode(), value.decode("latin-1")) for name, value in scope["headers"]]
    told = {"path": scope["path"], "headers": headers, "bytes": len(body), "seen": _seen}
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    if scope["path"] == "/v1/go":
        _go.set()
    elif scope["path"] == "/v1/slow":
        await send({"type": "http.response.body", "body": b"first\n", "more_body": True})
        await _go.wait()
    await send({"type": "http.response.body", "body": orjson.dumps(told)})


async def _echo(receive: Any, send: Any) -> None:
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] != "websocket.disconnect":
        if text := message.get("text"):
            await send({"type": "websocket.send", "text": text})
