"""What the fakes of providers have in common: requests and answers on the bare ASGI interface. Knows no API."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from nexus.bench.provider import body_of

Object = dict[str, Any]
Header = tuple[bytes, bytes]


def serving(answer: Callable[[Object, bytes, Any, Any], Awaitable[None]], seen: Callable[[], Object]) -> Any:
    """The ASGI application that answers with `answer(scope, body, receive, send)`.

    `GET /calls` tells what was seen, and through how many connections.
    """
    connections: set[tuple[str, int]] = set()

    async def application(scope: Object, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = await body_of(receive)
        if scope["path"] == "/calls":
            await send_json(send, 200, {**seen(), "connections": len(connections)})
        else:
            connections.add(scope["client"])
            await answer(scope, body, receive, send)

    return application


async def send_json(send: Any, status: int, value: Any, *headers: Header) -> None:
    await send_bytes(send, status, orjson.dumps(value), *headers)


async def send_bytes(
    send: Any, status: int, body: bytes, *headers: Header, content_type: bytes = b"application/json"
) -> None:
    sent = [(b"content-type", content_type), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": sent})
    await send({"type": "http.response.body", "body": body})


async def begin_stream(send: Any, content_type: bytes = b"text/event-stream", *headers: Header) -> None:
    started = [(b"content-type", content_type), *headers]
    await send({"type": "http.response.start", "status": 200, "headers": started})


async def send_piece(send: Any, data: bytes = b"", *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": more})


async def end_stream(send: Any) -> None:
    """A moment after the last piece, as over a network."""
    await asyncio.sleep(0.01)
    await send_piece(send, more=False)


async def client_left(receive: Any) -> None:
    """Returns when the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass
