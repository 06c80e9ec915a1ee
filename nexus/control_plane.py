"""The control plane's server: daphne, with what it lacks: a lifespan, and a way out that loses no request.

SIGTERM: as for the data plane (nexus.data_plane); a second one cuts all waits.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

# Before anything else of Twisted: it installs the reactor that runs on asyncio.
from daphne.server import Server as Daphne

from daphne.endpoints import build_endpoint_description_strings  # isort: skip
from daphne.ws_protocol import WebSocketProtocol  # isort: skip
from django.conf import settings  # isort: skip
from twisted.internet import reactor as _reactor  # isort: skip

from gateway import departure

logger = logging.getLogger(__name__)

Message = dict[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]

RESTARTING = 1012
LOOK_EVERY_S = 0.05
# As the data plane's keep: WebSockets take messages no larger than bodies.
_SLACK_BYTES = 1024
reactor: Any = _reactor


class Lifespan:
    """The application's start and end, which daphne does not tell it of."""

    def __init__(self, application: App) -> None:
        self._application = application
        self._told: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises RuntimeError with what the application says."""
        self._task = asyncio.ensure_future(self._run())
        await self._tell("startup")

    async def stop(self) -> None:
        if self._task is not None and not self._task.done():
            await self._tell("shutdown")

    async def _run(self) -> None:
        await self._application({"type": "lifespan", "asgi": {"version": "3.0"}}, self._told.get, self._answers.put)

    async def _tell(self, what: str) -> None:
        self._told.put_nowait({"type": f"lifespan.{what}"})
        answer = await self._answers.get()
        if answer["type"] != f"lifespan.{what}.complete":
            raise RuntimeError(answer.get("message") or f"the application's {what} failed")


class ControlPlane(Daphne):  # type: ignore[misc]
    """Daphne's server with our signals."""

    def __init__(self, application: App, host: str, port: int) -> None:
        self._lifespan = Lifespan(application)
        self.status = 0
        super().__init__(
            application=closing_when_leaving(application),
            endpoints=build_endpoint_description_strings(host=host, port=port),
            signal_handlers=False,
            verbosity=0,
            server_name="",
            websocket_max_message_size=settings.MAX_BODY_BYTES + _SLACK_BYTES,
            websocket_max_frame_size=settings.MAX_BODY_BYTES + _SLACK_BYTES,
        )

    def run(self) -> None:
        reactor.callWhenRunning(lambda: asyncio.ensure_future(self._begin()))
        super().run()

    async def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        self._skip = asyncio.Event()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, self._on_signal)
        try:
            await self._lifespan.start()
        except Exception as error:
            logger.error("the control plane does not start: %s", error)
            self.status = 3
            reactor.stop()

    def _on_signal(self) -> None:
        if departure.is_leaving():
            departure.hurry()
            self._skip.set()
            return
        departure.leave()
        self._leaving = asyncio.ensure_future(self._leave())

    async def _leave(self) -> None:
        try:
            await self._unless_hurried(settings.DRAIN_DELAY_S)
            for listener in self.listeners:
                if listener.result is not None:
                    listener.result.stopListening()
            for protocol in list(self.connections):
                if isinstance(protocol, WebSocketProtocol):
                    # Its polite way allows codes of applications only.
                    protocol.sendCloseFrame(code=RESTARTING)
            await self._answered(settings.DRAIN_TIMEOUT_S)
            await self._lifespan.stop()
        except Exception:
            logger.exception("the control plane did not stop in order")
            self.status = 1
        finally:
            reactor.stop()

    async def _unless_hurried(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._skip.wait(), seconds)
        except TimeoutError:
            return True
        return False

    async def _answered(self, timeout_s: float) -> None:
        """Returns when nothing is under way, when that takes too long, or in a hurry."""
        until = asyncio.get_running_loop().time() + timeout_s
        while self._under_way() and asyncio.get_running_loop().time() < until:
            if not await self._unless_hurried(LOOK_EVERY_S):
                return

    def _under_way(self) -> bool:
        tasks = (details.get("application_instance") for details in self.connections.values())
        return any(task is not None and not task.done() for task in tasks)

    def kill_all_applications(self) -> Any:
        # Daphne's own fails on connections that have no application (yet).
        for details in self.connections.values():
            details.setdefault("application_instance", _nothing())
        return super().kill_all_applications()


def _nothing() -> asyncio.Future[None]:
    done: asyncio.Future[None] = asyncio.get_event_loop().create_future()
    done.set_result(None)
    return done


def closing_when_leaving(application: App) -> App:
    """Proxies drop the connections to a process that leaves one by one, each with an answer on it."""

    async def serve(scope: Message, receive: Any, send: Any) -> None:
        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start" and departure.is_leaving():
                message = {**message, "headers": [*message.get("headers", []), (b"Connection", b"close")]}
            await send(message)

        await application(scope, receive, tell if scope["type"] == "http" else send)

    return serve


def run(host: str, port: int) -> None:
    """Serves until it is told to leave. Raises SystemExit with what went wrong."""
    from nexus.asgi import application

    server = ControlPlane(application, host, port)
    server.run()
    if server.status:
        sys.exit(server.status)
