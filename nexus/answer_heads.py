"""Writes an answer's head as uvicorn does, for less: its headers are checked together.

uvicorn looks at each header with two regular expressions: of an answer from the cache, some three microseconds.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from uvicorn.protocols.http.httptools_impl import HEADER_RE, STATUS_LINE, RequestResponseCycle

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

    def send(self, message: Any) -> Coroutine[Any, Any, None]:
        return _send(self, message) if self.response_started else self._begin(message)

    async def _begin(self, message: Any) -> None:
        """Whatever is out of the ordinary, errors too, is uvicorn's."""
        if not (self.disconnected or self.access_log) and self.keep_alive and not self.flow.write_paused:
            head, length = _head(message, self.default_headers)
            if head:
                self.response_started = True
                self.waiting_for_100_continue = False
                self.chunked_encoding = False
                self.expected_content_length = length
                self.transport.write(head)
                return
        await _send(self, message)


def _head(message: Any, default_headers: list[tuple[bytes, bytes]]) -> tuple[bytes, int]:
    """With the length of what follows. Empty unless `message` begins an answer of known length and ordinary headers."""
    if message["type"] != "http.response.start":
        return b"", 0
    headers = [*default_headers, *message.get("headers", ())]
    length = -1
    parts = [STATUS_LINE[message["status"]]]
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
