"""ASGI in front of Django for the data plane: exact hits and refusals end here, the rest enters DRF.

Everything else (web pages, admin, management API) passes through to Django untouched.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from django.conf import settings

from gateway import admission, answers, runtime
from gateway.errors import GatewayError, InvalidRequest, MethodNotAllowed, PayloadTooLarge
from gateway.runtime import Gateway
from gateway.types import Reply
from gateway.urls import EDGE_PATHS

logger = logging.getLogger(__name__)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# A body that does not arrive in this time is given up.
BODY_TIMEOUT_S = 60.0
# Whoever leaves sooner is noticed with the first byte that cannot be sent: most calls end before, and save a task.
WATCH_AFTER_S = 0.5


class Gone(Exception):
    """The client went away before its request was complete."""


class Edge:
    def __init__(self, django: App) -> None:
        self._django = django
        self._gateway: Gateway | None = None
        self._stopping = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http" and scope["path"] in EDGE_PATHS:
            await self._chat(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] in {"/health", "/healthz", "/readyz"}:
            await self._health(scope["path"], send)
        else:
            await self._django(scope, receive, send)

    async def _chat(self, scope: Scope, receive: Receive, send: Send) -> None:
        watch = Watch(receive)
        try:
            await self._serve(scope, receive, send, watch)
        except asyncio.CancelledError:
            # Its call goes on, or is stopped, and is settled in a task of its own.
            if not watch.left:
                raise
        finally:
            watch.end()

    async def _serve(self, scope: Scope, receive: Receive, send: Send, watch: Watch) -> None:
        view = EDGE_PATHS[scope["path"]]
        headers = dict(scope["headers"])
        request_id = admission.request_id_of(headers)
        try:
            reply = await self._answer(view, scope, headers, request_id, receive, watch)
        except GatewayError as error:
            reply = answers.refusal(error, view.dialect, request_id)
        except Gone:
            return
        except Exception:
            logger.exception("request %s failed at the edge", request_id)
            failure = GatewayError("The gateway failed on this request; its log has the request id.")
            reply = answers.refusal(failure, view.dialect, request_id)
        await send_reply(reply, send)

    async def _answer(
        self, view: Any, scope: Scope, headers: dict[bytes, bytes], request_id: str, receive: Receive, watch: Watch
    ) -> Reply:
        if scope["method"] != "POST":
            raise MethodNotAllowed(f"{scope['method']} is not possible here; send a POST.")
        gateway = self._gateway or await self._start()
        # Before the body is read: strangers cannot make us read 10 MB each.
        principal = await admission.authenticate(gateway, headers)
        body = await read_body(headers, receive)
        incoming = admission.Incoming(view.dialect, headers, body, request_id)
        admitted = await view.admit(gateway, principal, incoming)
        if isinstance(admitted, Reply):
            return admitted
        watch.begin()
        # The DRF view, without the thread and the middleware that Django's own handler gives each request.
        reply: Reply = await view().serve(gateway, admitted)
        return reply

    async def _start(self) -> Gateway:
        self._gateway = await runtime.current()
        return self._gateway

    async def _health(self, path: str, send: Send) -> None:
        """`/readyz` asks no other part: who restarts all gateways because Redis is away makes it worse."""
        ready = self._gateway is not None and self._gateway.ready and not self._stopping
        status = 200 if ready or path != "/readyz" else 503
        body = orjson.dumps({"status": "ok" if status == 200 else "not ready"})
        await send_reply(Reply(status, [(b"content-type", b"application/json")], body), send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await self._start()
                except Exception as error:
                    logger.exception("the gateway does not start")
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                await send({"type": "lifespan.startup.complete"})
            else:
                self._stopping = True
                await runtime.close()
                await send({"type": "lifespan.shutdown.complete"})
                return


class Watch:
    """Ends a request, by cancelling its task, when its client leaves."""

    def __init__(self, receive: Receive) -> None:
        self.left = False
        self._receive = receive
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Once the body has been read: the only message left is that the client is gone."""
        loop, request = asyncio.get_running_loop(), asyncio.current_task()
        assert request is not None
        self._timer = loop.call_later(WATCH_AFTER_S, self._look, request)

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _look(self, request: asyncio.Task[Any]) -> None:
        self._task = asyncio.create_task(self._wait(request))

    async def _wait(self, request: asyncio.Task[Any]) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.left = True
        request.cancel()


async def read_body(headers: dict[bytes, bytes], receive: Receive) -> bytes:
    """Raises PayloadTooLarge before more than the limit has been read, Gone, InvalidRequest."""
    limit = settings.MAX_BODY_BYTES
    declared = headers.get(b"content-length", b"0")
    if declared.isdigit() and int(declared) > limit:
        raise PayloadTooLarge(f"The body may have up to {limit:,} bytes; this one has {int(declared):,}.")
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise InvalidRequest("Compressed request bodies are not read; send plain JSON.", param="Content-Encoding")
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Gone
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        if len(body) > limit:
            raise PayloadTooLarge(f"The body may have up to {limit:,} bytes.")
        return body
    return await _read_rest(body, limit, receive)


async def _read_rest(first: bytes, limit: int, receive: Receive) -> bytes:
    blocks, size = [first], len(first)
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                block = message.get("body", b"")
                blocks.append(block)
                size += len(block)
                if size > limit:
                    raise PayloadTooLarge(f"The body may have up to {limit:,} bytes.")
                if not message.get("more_body"):
                    return b"".join(blocks)
    except TimeoutError:
        raise InvalidRequest(f"The body did not arrive within {BODY_TIMEOUT_S:g} s.") from None


async def send_reply(reply: Reply, send: Send) -> None:
    if isinstance(reply.body, bytes):
        headers = [*reply.headers, (b"content-length", b"%d" % len(reply.body))]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})
        return
    await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
    try:
        async for block in reply.body:
            await send({"type": "http.response.body", "body": block, "more_body": True})
    except OSError:
        # The client left.
        await reply.body.aclose()  # type: ignore[attr-defined]
        return
    await send({"type": "http.response.body", "body": b""})
