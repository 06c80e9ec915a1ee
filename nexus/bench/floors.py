"""The floors: the least that any gateway in Python does. `hit` is one Redis GET, `proxy` one aiohttp call."""

from __future__ import annotations

import os
from typing import Any

import aiohttp
import redis.asyncio

REDIS_KEY = "bench:floor"
PROVIDER_URL = "BENCH_PROVIDER"
_HEADERS = [(b"content-type", b"application/json")]


async def hit(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Bare ASGI: reads the body, does one GET, answers with what it found."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    await receive()
    body = await _redis().get(REDIS_KEY) or b"{}"
    await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS, _length(body)]})
    await send({"type": "http.response.body", "body": body})


async def proxy(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Bare ASGI: passes body and answer through, streams too."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    request = (await receive())["body"]
    async with _session().post(os.environ[PROVIDER_URL], data=request, headers=_JSON) as response:
        if response.content_type == "application/json":
            body = await response.read()
            await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS, _length(body)]})
            await send({"type": "http.response.body", "body": body})
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        async for block in response.content.iter_any():
            await send({"type": "http.response.body", "body": block, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


_JSON = {"content-type": "application/json", "authorization": "Bearer x"}
_made: dict[str, Any] = {}


def _redis() -> redis.asyncio.Redis:
    if "redis" not in _made:
        _made["redis"] = redis.asyncio.Redis.from_url(os.environ["REDIS_URL"], protocol=2)
    client: redis.asyncio.Redis = _made["redis"]
    return client


def _session() -> aiohttp.ClientSession:
    if "session" not in _made:
        _made["session"] = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    session: aiohttp.ClientSession = _made["session"]
    return session


def _length(body: Any) -> tuple[bytes, bytes]:
    return b"content-length", b"%d" % len(body)


async def _lifespan(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            if "session" in _made:
                await _made["session"].close()
            return
