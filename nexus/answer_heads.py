"""Writes answers as uvicorn does, for less: a head's headers are checked together, and what is whole leaves at once.

uvicorn looks at each header with two regular expressions, and takes head and body one after the other: of an answer
from the cache, some five microseconds.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HEADER_RE, STATUS_LINE, RequestResponseCycle

from tenants.asgi import WHOLE

START = "http.response.start"
LENGTH = b"content-length"
# These change how the answer is sent: uvicorn's to read.
_SPECIAL = frozenset({LENGTH, b"transfer-encoding", b"connection"})
# All but the tab, which a value may have.
_CONTROLS = bytes({*range(0x20), 0x7F} - {0x09})
# Names that were found to be ordinary and well formed. Those of the gateway's own answers are a few dozen.
_ordinary: set[bytes] = set()
MOST_NAMES = 500
# Named, since `super()` costs each request a tenth of a microsecond a time.
_send = RequestResponseCycle.send


class Cycle(RequestResponseCycle):
    """One request and its answer."""

    # A OneWrite.
    transport: Any

    def send(self, message: Any) -> Coroutine[Any, Any, None]:
        if message["type"] == WHOLE:
            return self._say(message)
        return _send(self, message) if self.response_started else self._begin(message)

    async def _begin(self, message: Any) -> None:
        """Whatever is out of the ordinary, errors too, is uvicorn's."""
        if self._is_ordinary() and message["type"] == START:
            head, length = self._head(message["status"], message.get("headers", ()))
            if head:
                self.response_started = True
                self.waiting_for_100_continue = False
                self.chunked_encoding = False
                self.expected_content_length = length
                self.transport.write(head)
                return
        await _send(self, message)

    async def _say(self, message: Any) -> None:
        """All of an answer."""
        body: bytes = message["body"]
        headers = [*message["headers"], (LENGTH, b"%d" % len(body))]
        if self._is_ordinary() and not self.response_started and self.scope["method"] != "HEAD":
            head, _ = self._head(message["status"], headers)
            if head:
                self.response_started = self.response_complete = True
                self.waiting_for_100_continue = False
                self.transport.write_whole(head, body)
                self.message_event.set()
                self.on_response()
                return
        begun: Any = {"type": START, "status": message["status"], "headers": headers}
        await _send(self, begun)
        await _send(self, {"type": "http.response.body", "body": body})

    def _is_ordinary(self) -> bool:
        return self.keep_alive and not (self.disconnected or self.access_log or self.flow.write_paused)

    def _head(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> tuple[bytes, int]:
        """With the length of what follows. Empty unless that is known and all headers are ordinary."""
        return _rendered(STATUS_LINE[status], [*self.default_headers, *headers])


def _rendered(line: bytes, headers: list[tuple[bytes, bytes]]) -> tuple[bytes, int]:
    length = -1
    parts = [line]
    for name, value in headers:
        if name not in _ordinary and not _learn(name):
            if name != LENGTH or length >= 0 or not value.isdigit():
                return b"", 0
            length = int(value)
        parts += (name, b": ", value, b"\r\n")
    parts.append(b"\r\n")
    head = b"".join(parts)
    # One CR and one LF end each header, the line before and the head; nothing else may control anything.
    controls = len(head) - len(head.translate(None, _CONTROLS))
    return (head, length) if length >= 0 and controls == 2 * (len(headers) + 2) else (b"", 0)


def _learn(name: bytes) -> bool:
    """Whether `name` is ordinary; remembers it."""
    if name in _SPECIAL or name != name.lower() or HEADER_RE.search(name):
        return False
    if len(_ordinary) < MOST_NAMES:
        _ordinary.add(name)
    return True
