"""An answer's head and the beginning of its body leave in one write: two would be two system calls and two packets.

uvicorn writes the head at once. Here it waits for the body until the loop's next turn, and no longer.
"""

from __future__ import annotations

import asyncio
from typing import Any

HEAD = b"HTTP/"
# A longer beginning is not copied for the sake of one system call.
MOST_BYTES = 65_536


class OneWrite:
    """A transport that keeps an answer's head until what follows it is written; else it is that transport."""

    __slots__ = ("_head", "_loop", "is_closing", "transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.transport = transport
        self.is_closing = transport.is_closing
        self._loop = loop
        self._head = b""

    def write(self, block: bytes) -> None:
        if self._head:
            if len(block) <= MOST_BYTES:
                block, self._head = self._head + block, b""
            self.flush()
            self.transport.write(block)
        elif block[:5] == HEAD:
            self._head = block
            self._loop.call_soon(self.flush)
        else:
            self.transport.write(block)

    def write_whole(self, head: bytes, body: bytes) -> None:
        """An answer, after what still waits."""
        self.flush()
        if len(body) <= MOST_BYTES:
            self.transport.write(head + body)
        else:
            self.transport.write(head)
            self.transport.write(body)

    def flush(self) -> None:
        """Sends the head, if it still waits."""
        if self._head:
            head, self._head = self._head, b""
            self.transport.write(head)

    def close(self) -> None:
        self.flush()
        self.transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)
