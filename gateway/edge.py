"""ASGI in front of Django for the data plane: exact hits and refusals end here, the rest enters DRF.

Everything else (web pages, admin, management API) passes through to Django untouched.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from gateway import admission, answers, passthrough, runtime, scrape
from gateway.bodies import Bounds, Gone, Receive, Upload, Watch, read_body
from gateway.errors import GatewayError, MethodNotAllowed
from gateway.runtime import Gateway
from gateway.types import Reply
from gateway.urls import EDGE_PATHS
from tenants import trace_export, tracing, visits
from tenants.asgi import WHOLE
from tenants.visits import Visit

logger = logging.getLogger(__name__)

Scope = dict[str, Any]
Headers = dict[bytes, bytes]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Serve = Callable[[Scope, Headers, Visit, Receive, Watch], Awaitable[Reply]]

HEALTH = frozenset({"/health", "/healthz", "/readyz"})
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
STATIC = "/static/"


class Edge:
    def __init__(self, django: App) -> None:
        self._django = django
        self._gateway: Gateway | None = None
        self._stopping = False
        self._bounds = Bounds.from_settings()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers, method = dict(scope["headers"]), scope["method"]
            visit = visits.begin(admission.request_id_of(headers), method if method in METHODS else "other", "other")
            scope[visits.IN_SCOPE] = visit
            tracing.begin(visit, headers)
            visit.client = scope.get("client")
            try:
                await self._answer(scope, headers, visit, receive, send)
            except Exception:
                visit.status = visit.status or 500
                raise
            finally:
                visits.finish(visit)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await self._django(scope, receive, send)

    def _answer(self, scope: Scope, headers: Headers, visit: Visit, receive: Receive, send: Send) -> Awaitable[None]:
        """By its path. To be awaited: one more coroutine around each would cost each a microsecond."""
        path = scope["path"]
        if path in EDGE_PATHS:
            visit.route = path
            return self._until_left(self._serve, scope, headers, receive, send)
        if path.startswith("/v1/") and passthrough.takes(path[4:]):
            visit.route = f"/v1/{passthrough.route_of(path[4:])}"
            return self._until_left(self._pass_on, scope, headers, receive, send)
        if path in HEALTH:
            visit.route = path
            return self._health(scope, visit, send)
        if path == scrape.PATH:
            visit.route = path
            return self._scraped(scope, visit, send)
        if path.startswith(STATIC):
            visit.route = STATIC
        return self._django(scope, receive, noting(visit, send))

    async def _scraped(self, scope: Scope, visit: Visit, send: Send) -> None:
        # A page that grows with the processes: not on the loop that answers the others.
        await send_reply(await asyncio.to_thread(scrape.answer, scope), scope, visit, send)

    async def _until_left(self, serve: Serve, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        """Sends the reply, or the error; ends early when the client leaves."""
        watch, visit = Watch(receive), scope[visits.IN_SCOPE]
        try:
            try:
                reply = await serve(scope, headers, visit, receive, watch)
            except GatewayError as error:
                reply = _refusal(scope, visit, error)
            except Gone:
                visit.client_left = True
                return
            except Exception:
                logger.exception("request %s failed at the edge", visit.request_id)
                failure = GatewayError("The gateway failed on this request; its log has the request id.")
                reply = _refusal(scope, visit, failure)
            await send_reply(reply, scope, visit, send)
        except asyncio.CancelledError:
            # Its call goes on, or is stopped, and is settled in a task of its own.
            visit.client_left = True
            if not watch.left:
                raise
        finally:
            watch.end()

    async def _serve(self, scope: Scope, headers: Headers, visit: Visit, receive: Receive, watch: Watch) -> Reply:
        if scope["method"] != "POST":
            raise MethodNotAllowed(scope["method"], ["POST"])
        view = EDGE_PATHS[scope["path"]]
        visit.dialect = view.dialect.NAME
        gateway = self._gateway or await self._start()
        # Before the body is read: strangers cannot make us read 10 MB each.
        principal = await admission.authenticate(gateway, headers, visit)
        body = await read_body(headers, receive, self._bounds)
        incoming = admission.Incoming(view.dialect, headers, body, visit.request_id, visit)
        admitted = await view.admit(gateway, principal, incoming)
        if isinstance(admitted, Reply):
            return admitted
        watch.begin(asyncio.current_task())
        # The DRF view, without the thread and the middleware that Django's own handler gives each request.
        with tracing.span(view.__name__):
            reply: Reply = await view().serve(gateway, admitted)
        return reply

    async def _pass_on(self, scope: Scope, headers: Headers, visit: Visit, receive: Receive, watch: Watch) -> Reply:
        if scope["method"] not in passthrough.METHODS:
            raise MethodNotAllowed(scope["method"], passthrough.METHODS)
        visit.dialect = passthrough.NAME
        gateway = self._gateway or await self._start()
        principal = await admission.authenticate(gateway, headers, visit)
        if scope["method"] not in passthrough.WITH_BODY:
            watch.begin(asyncio.current_task())
        incoming = passthrough.Incoming(
            scope["method"],
            scope["path"].removeprefix("/v1/"),
            scope["query_string"],
            headers,
            visit.request_id,
            Upload(receive, watch).read,
            visit,
        )
        return await passthrough.answer(gateway, principal, incoming)

    async def _start(self) -> Gateway:
        self._gateway = await runtime.current()
        return self._gateway

    async def _health(self, scope: Scope, visit: Visit, send: Send) -> None:
        """`/readyz` asks no other part: who restarts all gateways because Redis is away makes it worse."""
        ready = self._gateway is not None and self._gateway.ready and not self._stopping
        status = 200 if ready or scope["path"] != "/readyz" else 503
        body = orjson.dumps({"status": "ok" if status == 200 else "not ready"})
        await send_reply(Reply(status, [(b"content-type", b"application/json")], body), scope, visit, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    trace_export.start("nexus-gateway")
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
                await asyncio.to_thread(trace_export.stop)
                await send({"type": "lifespan.shutdown.complete"})
                return


def _refusal(scope: Scope, visit: Visit, error: GatewayError) -> Reply:
    visit.error = error.code or error.type
    view = EDGE_PATHS.get(scope["path"])
    return answers.refusal(error, view.dialect if view else passthrough.Dialect, visit.request_id)


async def send_reply(reply: Reply, scope: Scope, visit: Visit, send: Send) -> None:
    visit.status = reply.status
    if isinstance(reply.body, bytes):
        visit.bytes_sent = len(reply.body)
        if WHOLE in scope.get("extensions", ()):
            await send({"type": WHOLE, "status": reply.status, "headers": reply.headers, "body": reply.body})
            return
        headers = [*reply.headers, (b"content-length", b"%d" % len(reply.body))]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})
        return
    visit.streamed = True
    await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
    try:
        # Whoever leaves stops listening at once, not when the iterator happens to be collected.
        async with contextlib.aclosing(reply.body) as blocks:  # type: ignore[type-var]
            async for block in blocks:
                if visit.first_byte_s is None:
                    visit.first_byte_s = visit.elapsed_s()
                visit.bytes_sent += len(block)
                await send({"type": "http.response.body", "body": block, "more_body": True})
    except OSError:
        visit.client_left = True
        return
    await send({"type": "http.response.body", "body": b""})


def noting(visit: Visit, send: Send) -> Send:
    """Of what Django sends: its status and size; with the request's id, by which an operator finds it."""

    async def noted(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            visit.status = message["status"]
            if visit.route != STATIC and not any(name == b"x-request-id" for name, _ in message["headers"]):
                # Others keep the list that they gave.
                named = [*message["headers"], (b"x-request-id", visit.request_id.encode())]
                message = {**message, "headers": named}
        elif message["type"] == "http.response.body":
            visit.bytes_sent += len(message.get("body", b""))
            if message.get("more_body") and visit.first_byte_s is None:
                visit.streamed, visit.first_byte_s = True, visit.elapsed_s()
        await send(message)

    return noted
