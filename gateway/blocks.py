"""Blocks of an answer on their way from a provider to one client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from gateway.errors import ClientLeft, GatewayError


class Blocks:
    """An answer on its way to a client that may read slowly, or leave."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes | GatewayError | None] = asyncio.Queue(maxsize=16)
        self._left = asyncio.Event()

    async def put(self, block: bytes | GatewayError | None) -> None:
        """Waits for a slow reader. Raises ClientLeft."""
        if not self._queue.full() and not self._left.is_set():
            self._queue.put_nowait(block)
            return
        putting, leaving = asyncio.ensure_future(self._queue.put(block)), asyncio.ensure_future(self._left.wait())
        try:
            await asyncio.wait({putting, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if self._left.is_set():
                raise ClientLeft("The client left.")
        finally:
            putting.cancel()
            leaving.cancel()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Raises the error that ended the answer half way: so the connection breaks, and nobody takes it for whole."""
        try:
            while (block := await self._queue.get()) is not None:
                if isinstance(block, GatewayError):
                    raise block
                yield block
        finally:
            self._left.set()
