"""uvicorn's HTTP protocol with bounds on a request's head and on the wait for it; its answers leave in one write.
Refuses what two servers could read in two ways.

llhttp refuses most of that by itself (both kinds of length, bare LF, folded headers …); tests say which. Here is what
it lets through. `uvicorn.Config(http="nexus.bounded_http:BoundedHttp")`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from nexus.answer_heads import Cycle
from nexus.one_write import OneWrite
from tenants.asgi import WHOLE

# nginx allows 4 headers of 8 KiB and a line of as much.
MAX_HEAD_BYTES = 64 * 1024
# From connecting, or from a head's first byte, to its end.
HEAD_S = 15.0
# Between two pieces of a body. Views that read bodies have their own, shorter or longer, and answer in their own words;
# this one is for those that have none.
PIECE_S = 120.0

BAD, LATE, TOO_LARGE = 400, 408, 431
_WORDS = {
    BAD: "Invalid HTTP request received.",
    LATE: "The request did not arrive in time.",
    TOO_LARGE: f"The request's headers have more than {MAX_HEAD_BYTES} bytes.",
}
_VERSIONS = frozenset({"1.1", "1.0"})
# More hosts than any head has room for.
_ODD = -MAX_HEAD_BYTES
_EXTENSIONS: dict[str, dict[object, object]] = {WHOLE: {}}
# Named, since `super()` costs each request a tenth of a microsecond a time.
_BASE = HttpToolsProtocol


class _Trailers(list[Any]):
    """Of a chunked body. Thrown away: else they would be headers that no proxy has looked at."""

    def append(self, header: Any) -> None:
        pass


class BoundedHttp(HttpToolsProtocol):
    # Bytes of the head that is under way, at least; whether the next one must be counted.
    _head_bytes = 0
    _doubtful = False
    # Bytes since the last that belong to a chunked body: its trailers, and what else stands between chunks.
    _between_bytes = 0
    _chunked = False
    _fed = False
    _status = BAD
    _timer: asyncio.TimerHandle | None = None
    _handed_over = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transport = self._joining = OneWrite(transport, self.loop)  # type: ignore[assignment]
        self._timer = self.loop.call_later(HEAD_S, self._late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        scope = self.scope
        size = self._head_bytes + len(data)
        if size > MAX_HEAD_BYTES:
            self._doubtful = True
        _BASE.data_received(self, data)
        cycle = self.cycle
        if cycle is not None and cycle.scope is self.scope:
            # The head is complete.
            if size > MAX_HEAD_BYTES:
                self._doubtful = False
            if self._head_bytes:
                self._head_bytes = 0
            if self._timer is not None:
                self._stop_waiting()
            if cycle.more_body:
                self._wait(PIECE_S)
                if self._chunked:
                    self._bound_between(len(data))
        elif not self._handed_over and not self.transport.is_closing():
            # One that began somewhere in this piece, after something else, has less.
            began = cycle is not None and self.scope is not scope
            self._head_bytes = self._size_of_head() + 1 if began else size
            self._doubtful = self._head_bytes > MAX_HEAD_BYTES
            if self._doubtful:
                self._refuse(TOO_LARGE)
            elif self._timer is None:
                self._wait(HEAD_S)

    def on_headers_complete(self) -> None:
        """Raises what the parser makes an error of."""
        plain = 0
        for name, _ in self.headers:
            if name == b"host":
                plain += 1
            elif name == b"transfer-encoding":
                plain = _ODD
        # Most have one host and no coding: nothing else is looked at then.
        if plain != 1 or self._doubtful or self.parser.get_http_version() != "1.1":
            self._chunked = self._look_closely()
            _BASE.on_headers_complete(self)
            if self._chunked:
                self.headers = _Trailers()
                self._between_bytes = 0
            return
        if self._chunked:
            self._chunked = False
        _BASE.on_headers_complete(self)

    def _look_closely(self) -> bool:
        """Whether the body is chunked."""
        hosts, version, chunked = 0, self.parser.get_http_version(), False
        for name, value in self.headers:
            if name == b"host":
                hosts += 1
            elif name == b"transfer-encoding":
                if value.lower() != b"chunked" or version == "1.0" or self.parser.should_upgrade():
                    raise ValueError("a transfer coding that is not undone here")
                chunked = True
        # Load balancers ask for /readyz without one.
        if (hosts != 1 and (hosts or version != "1.0")) or version not in _VERSIONS:
            raise ValueError("none or several hosts, or another version")
        if self._doubtful and self._size_of_head() > MAX_HEAD_BYTES:
            self._status = TOO_LARGE
            raise ValueError("too large a head")
        return chunked

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        # uvicorn makes them, and has no place to name another class.
        cycle.__class__ = Cycle
        cycle.scope["extensions"] = _EXTENSIONS
        _BASE._start_asgi_task(self, cycle, app)

    def on_body(self, body: bytes) -> None:
        self._fed = True
        _BASE.on_body(self, body)

    def _bound_between(self, size: int) -> None:
        self._between_bytes = 0 if self._fed else self._between_bytes + size
        self._fed = False
        if self._between_bytes > MAX_HEAD_BYTES:
            self._refuse(TOO_LARGE)

    def _size_of_head(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def on_response_complete(self) -> None:
        """What of the body has not come is not waited for any more: uvicorn's own timer is, until the next head."""
        self._stop_waiting()
        super().on_response_complete()

    def handle_websocket_upgrade(self) -> None:
        self._handed_over = True
        self._stop_waiting()
        self._joining.flush()
        self.transport = self._joining.transport
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        self._refuse(self._status)

    def _wait(self, wait_s: float) -> None:
        self._timer = self.loop.call_later(wait_s, self._late)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        if self.flow.read_paused:
            # It is we who do not read.
            self._wait(PIECE_S)
        elif self._head_bytes:
            self._refuse(LATE)
        else:
            # Nothing was asked, or half a body: nobody waits for an answer.
            self.transport.close()

    def _may_speak(self) -> bool:
        """Whether the next answer is the one to what was refused."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            return True
        return cycle.scope is self.scope and not cycle.response_started and not self.pipeline

    def _refuse(self, status: int) -> None:
        """And closes. Words for a second request must not get into the answer to the first."""
        if self.transport.is_closing():
            return
        if self._may_speak():
            words = _WORDS[status].encode()
            head: list[Any] = [STATUS_LINE[status]]
            for name, value in self.server_state.default_headers:
                head += [name, b": ", value, b"\r\n"]
            head.append(b"content-type: text/plain; charset=utf-8\r\nconnection: close\r\n")
            head.append(b"content-length: %d\r\n\r\n" % len(words))
            self.transport.write(b"".join([*head, words]))
        self.transport.close()
