"""Counts the WebSockets of this process, whoever serves them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from gateway import process_gauges
from gateway.metrics import WEBSOCKETS

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

CHAT = "/ws/chat"
# All others are pages' own.
LIVE = "/ws/t/{workspace}/live/"


class Counted:
    """An ASGI application for WebSockets, with those counted that were let in."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = CHAT if scope["path"] == CHAT else LIVE
        is_open = False

        async def noting(message: Any) -> None:
            nonlocal is_open
            if message["type"] == "websocket.accept":
                is_open = True
                WEBSOCKETS.add((route,))
                process_gauges.opened(route)
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            if is_open:
                process_gauges.closed(route)
