"""`WS /ws/chat`: chat over a WebSocket, one question at a time, on the same pipeline as every other.

The key comes with the handshake (Authorization, x-api-key) or, from browsers, which cannot send headers there, as the
subprotocols `nexus` and the key or token itself. Cookies mean nothing here: no other site can speak for its visitors.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings

from gateway import admission, pipeline, runtime
from gateway.dialects import socket_chat
from gateway.errors import GatewayError, InvalidRequest, PayloadTooLarge, TooManyRequests
from tenants import tokens, visits
from tenants.visits import Visit

logger = logging.getLogger(__name__)

SUBPROTOCOL = "nexus"
REFUSED = 4401


class ChatConsumer(AsyncWebsocketConsumer):
    _answering: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        offered = self.scope.get("subprotocols") or []
        self._headers: dict[bytes, bytes] = dict(self.scope["headers"])
        if SUBPROTOCOL in offered:
            key = next((word for word in offered if word.startswith("nk-") or tokens.looks_like_one(word)), "")
            self._headers.setdefault(b"x-api-key", key.encode("latin-1", "replace"))
        # A client is not told the reason of a refusal that comes before the handshake.
        await self.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
        visit = Visit()
        visit.client = self.scope.get("client")
        try:
            await admission.authenticate(await runtime.current(), self._headers, visit)
        except GatewayError as error:
            await self._say(socket_chat.render_error(error, admission.request_id_of(self._headers)))
            await self.close(REFUSED)

    async def disconnect(self, code: int) -> None:
        if self._answering is not None:
            self._answering.cancel()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None, **kwargs: Any) -> None:
        # Each question has an id of its own, whatever the handshake said.
        request_id = admission.new_id()
        try:
            if text_data is None:
                raise InvalidRequest("Send JSON as text, such as {“message”: “Hello”}.")
            if self._answering is not None and not self._answering.done():
                raise TooManyRequests("One question at a time: wait for “done”, or open another socket.")
            body = text_data.encode("utf-8", "surrogatepass")
            if len(body) > settings.MAX_BODY_BYTES:
                raise PayloadTooLarge(f"A message may have up to {settings.MAX_BODY_BYTES:,} bytes.")
        except GatewayError as error:
            await self._say(socket_chat.render_error(error, request_id))
            return
        self._answering = asyncio.create_task(self._answer(body, request_id))

    async def _answer(self, body: bytes, request_id: str) -> None:
        visit = visits.begin(request_id, "WS", "/ws/chat")
        try:
            await self._tell(admission.Incoming(socket_chat, self._headers, body, request_id, visit))
        finally:
            visits.finish(visit)

    async def _tell(self, incoming: admission.Incoming) -> None:
        visit, request_id = incoming.visit, incoming.request_id
        assert visit is not None
        try:
            reply = await pipeline.answer(await runtime.current(), incoming)
            visit.status = reply.status
            if isinstance(reply.body, bytes):
                await self._say(reply.body)
                return
            visit.streamed = True
            # Who gets no further stops listening at once, not when the iterator happens to be collected.
            async with contextlib.aclosing(reply.body) as stream:  # type: ignore[type-var]
                async for lines in stream:
                    if visit.first_byte_s is None:
                        visit.first_byte_s = visit.elapsed_s()
                    visit.bytes_sent += len(lines)
                    await self._say(lines)
        except GatewayError as error:
            visit.status, visit.error = error.status, error.code or error.type
            await self._say(socket_chat.render_error(error, request_id))
        except Exception:
            logger.exception("request %s failed", request_id)
            failure = GatewayError("The gateway failed on this request; its log has the request id.")
            visit.status, visit.error = failure.status, failure.code or failure.type
            await self._say(socket_chat.render_error(failure, request_id))

    async def _say(self, lines: bytes) -> None:
        # The client left: `disconnect` comes next, and ends the answer.
        with contextlib.suppress(OSError):
            for line in lines.rstrip(b"\n").split(b"\n"):
                await self.send(line.decode())
