"""What comes from a client: its body, bounded and in time, and that it leaves. Refuses what is no plain JSON."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from django.conf import settings

from gateway.errors import ClientLeft, InvalidRequest, PayloadTooLarge, RequestTimeout, UnsupportedMediaType

Receive = Callable[[], Awaitable[dict[str, Any]]]

# Whoever leaves sooner is noticed with the first byte that cannot be sent: most calls end before, and save a task.
WATCH_AFTER_S = 0.5


class Gone(Exception):
    """The client went away before its request was complete."""


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


_IS_JSON = re.compile(rb"\s*application/(?:json|[\w.+-]+\+json)\s*(?:;|$)", re.IGNORECASE)


_LATE = "the body is late"


class Bounds(NamedTuple):
    """What a body may be. Read from the settings once: their look-up costs each request microseconds."""

    most_bytes: int
    wait_s: float

    @classmethod
    def from_settings(cls) -> Bounds:
        return cls(settings.MAX_BODY_BYTES, settings.BODY_TIMEOUT_S)


async def read_body(headers: dict[bytes, bytes], receive: Receive, bounds: Bounds) -> bytes:
    """Raises PayloadTooLarge before more than the limit has been read, RequestTimeout, UnsupportedMediaType, Gone,
    InvalidRequest.
    """
    limit, wait_s = bounds
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
    late = asyncio.get_running_loop().call_later(wait_s, task.cancel, _LATE)
    try:
        return await _read(limit, receive)
    except asyncio.CancelledError as cancelled:
        if cancelled.args != (_LATE,):
            raise
        task.uncancel()
        raise RequestTimeout(f"The body did not arrive within {wait_s:g} s.") from None
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
