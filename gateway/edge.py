"""ASGI in front of Django for the data plane: exact hits and refusals end here, the rest enters DRF.

Everything else (web pages, admin, management API) passes through to Django untouched.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from django.conf import settings

from gateway import admission, answers, passthrough, runtime, scrape
from gateway.errors import (
    ClientLeft,
    GatewayError,
    InvalidRequest,
    MethodNotAllowed,
    PayloadTooLarge,
    RequestTimeout,
    UnsupportedMediaType,
)
from gateway.runtime import Gateway
from gateway.types import Reply
from gateway.urls import EDGE_PATHS

logger = logging.getLogger(__name__)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

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
            await self._until_left(self._serve, scope, receive, send)
        elif scope["type"] == "http" and scope["path"].startswith("/v1/") and passthrough.takes(scope["path"][4:]):
            await self._until_left(self._pass_on, scope, receive, send)
        elif scope["type"] == "http" and scope["path"] in {"/health", "/healthz", "/readyz"}:
            await self._health(scope["path"], send)
        elif scope["type"] == "http" and scope["path"] == scrape.PATH:
            # A page that grows with the processes: not on the loop that answers the others.
            await send_reply(await asyncio.to_thread(scrape.answer, scope), send)
        else:
            await self._django(scope, receive, send)

    async def _until_left(
        self, serve: Callable[[Scope, Receive, Watch], Awaitable[Reply]], scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Sends the reply, or the error; ends early when the client leaves."""
        watch = Watch(receive)
        try:
            try:
                reply = await serve(scope, receive, watch)
            except GatewayError as error:
                reply = _refusal(scope, error)
            except Gone:
                return
            except Exception:
                logger.exception("request %s failed at the edge", _request_id(scope))
                reply = _refusal(scope, GatewayError("The gateway failed on this request; its log has the request id."))
            await send_reply(reply, send)
        except asyncio.CancelledError:
            # Its call goes on, or is stopped, and is settled in a task of its own.
            if not watch.left:
                raise
        finally:
            watch.end()

    async def _serve(self, scope: Scope, receive: Receive, watch: Watch) -> Reply:
        if scope["method"] != "POST":
            raise MethodNotAllowed(scope["method"], ["POST"])
        view, headers = EDGE_PATHS[scope["path"]], dict(scope["headers"])
        request_id = scope["nexus.request_id"] = admission.request_id_of(headers)
        gateway = self._gateway or await self._start()
        # Before the body is read: strangers cannot make us read 10 MB each.
        principal = await admission.authenticate(gateway, headers)
        body = await read_body(headers, receive)
        incoming = admission.Incoming(view.dialect, headers, body, request_id)
        admitted = await view.admit(gateway, principal, incoming)
        if isinstance(admitted, Reply):
            return admitted
        watch.begin(asyncio.current_task())
        # The DRF view, without the thread and the middleware that Django's own handler gives each request.
        reply: Reply = await view().serve(gateway, admitted)
        return reply

    async def _pass_on(self, scope: Scope, receive: Receive, watch: Watch) -> Reply:
        if scope["method"] not in passthrough.METHODS:
            raise MethodNotAllowed(scope["method"], passthrough.METHODS)
        headers = dict(scope["headers"])
        gateway = self._gateway or await self._start()
        principal = await admission.authenticate(gateway, headers)
        if scope["method"] not in passthrough.WITH_BODY:
            watch.begin(asyncio.current_task())
        incoming = passthrough.Incoming(
            scope["method"],
            scope["path"].removeprefix("/v1/"),
            scope["query_string"],
            headers,
            _request_id(scope),
            Upload(receive, watch).read,
        )
        return await passthrough.answer(gateway, principal, incoming)

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
                    # All this lives as long as the process: the collector need not look at it again and again.
                    gc.collect()
                    gc.freeze()
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

    __slots__ = ("_receive", "_task", "_timer", "left")

    def __init__(self, receive: Receive) -> None:
        self.left = False
        self._receive = receive
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def begin(self, request: asyncio.Task[Any] | None) -> None:
        """Once the body has been read: what comes then is that the client is gone. `request` is cancelled then."""
        assert request is not None
        self._timer = request.get_loop().call_later(WATCH_AFTER_S, self._look, request)

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


class Upload:
    """A body, block by block; once it has been read, the client is watched."""

    def __init__(self, receive: Receive, watch: Watch) -> None:
        self._receive = receive
        self._watch = watch
        self._request = asyncio.current_task()
        self._ended = False

    async def read(self) -> bytes | None:
        """The next block, None at the end. Raises RequestTimeout, ClientLeft."""
        if self._ended:
            return None
        try:
            async with asyncio.timeout(settings.BODY_TIMEOUT_S):
                message = await self._receive()
        except TimeoutError:
            raise RequestTimeout(f"No more of the body arrived for {settings.BODY_TIMEOUT_S:g} s.") from None
        if message["type"] == "http.disconnect":
            raise ClientLeft("The client left.")
        if not message.get("more_body"):
            self._ended = True
            self._watch.begin(self._request)
        return bytes(message.get("body", b""))


def _refusal(scope: Scope, error: GatewayError) -> Reply:
    view = EDGE_PATHS.get(scope["path"])
    return answers.refusal(error, view.dialect if view else passthrough.Dialect, _request_id(scope))


def _request_id(scope: Scope) -> str:
    """The same each time it is asked for."""
    known: str | None = scope.get("nexus.request_id")
    if known is None:
        known = scope["nexus.request_id"] = admission.request_id_of(dict(scope["headers"]))
    return known


_IS_JSON = re.compile(rb"\s*application/(?:json|[\w.+-]+\+json)\s*(?:;|$)", re.IGNORECASE)


_LATE = "the body is late"


async def read_body(headers: dict[bytes, bytes], receive: Receive) -> bytes:
    """Raises PayloadTooLarge before more than the limit has been read, RequestTimeout, UnsupportedMediaType, Gone,
    InvalidRequest.
    """
    limit = settings.MAX_BODY_BYTES
    declared = headers.get(b"content-length", b"0")
    if declared.isdigit() and int(declared) > limit:
        raise PayloadTooLarge(f"The body may have up to {limit:,} bytes; this one has {int(declared):,}.")
    kind = headers.get(b"content-type", b"application/json")
    if kind != b"application/json" and not _IS_JSON.match(kind):
        raise UnsupportedMediaType("The body must be JSON, sent with “Content-Type: application/json”.")
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise InvalidRequest("Compressed request bodies are not read; send plain JSON.", param="Content-Encoding")
    task = asyncio.current_task()
    assert task is not None
    # As asyncio.timeout would, for less than half its price: every request pays it.
    late = asyncio.get_running_loop().call_later(settings.BODY_TIMEOUT_S, task.cancel, _LATE)
    try:
        return await _read(limit, receive)
    except asyncio.CancelledError as cancelled:
        if cancelled.args != (_LATE,):
            raise
        task.uncancel()
        raise RequestTimeout(f"The body did not arrive within {settings.BODY_TIMEOUT_S:g} s.") from None
    finally:
        late.cancel()


async def _read(limit: int, receive: Receive) -> bytes:
    blocks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        block: bytes = message.get("body", b"")
        size += len(block)
        if size > limit:
            raise PayloadTooLarge(f"The body may have up to {limit:,} bytes.")
        blocks.append(block)
        if not message.get("more_body"):
            return block if len(blocks) == 1 else b"".join(blocks)


async def send_reply(reply: Reply, send: Send) -> None:
    if isinstance(reply.body, bytes):
        headers = [*reply.headers, (b"content-length", b"%d" % len(reply.body))]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})
        return
    await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
    try:
        # Whoever leaves stops listening at once, not when the iterator happens to be collected.
        async with contextlib.aclosing(reply.body) as blocks:  # type: ignore[type-var]
            async for block in blocks:
                await send({"type": "http.response.body", "body": block, "more_body": True})
    except OSError:
        # The client left.
        return
    await send({"type": "http.response.body", "body": b""})
