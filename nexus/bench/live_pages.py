"""Live pages as browsers keep them open: a WebSocket with a session's cookie, and what it was shown when."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Sequence

import orjson
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed


class Page:
    """`shown` are times and the number of requests that stood there. `foreign`: messages with another's requests."""

    def __init__(self, port: int, slug: str, cookie: str, others: str) -> None:
        self._url = f"ws://127.0.0.1:{port}/ws/t/{slug}/live/?range=1h"
        self._headers = {"Cookie": cookie, "Origin": "http://127.0.0.1"}
        self._others = others
        self._cut = asyncio.Event()
        self.shown: list[tuple[float, int]] = []
        self.bytes = 0
        self.foreign = 0
        self.connections = 0
        self.cut_at = math.inf

    @property
    def requests(self) -> int:
        return self.shown[-1][1] if self.shown else 0

    def cut(self) -> None:
        """Ends the connection without a word, as a network does; the page opens another one."""
        self.cut_at = time.perf_counter()
        self._cut.set()

    @property
    def gap_s(self) -> float:
        """From the cut to the first message after it."""
        return next((at - self.cut_at for at, _ in self.shown if at > self.cut_at), math.inf)

    async def stay_open(self) -> None:
        while True:
            with contextlib.suppress(ConnectionClosed):
                async with connect(self._url, additional_headers=self._headers, max_size=2**22) as socket:
                    self.connections += 1
                    cutting = asyncio.create_task(self._cut_when_told(socket.transport))
                    try:
                        async for message in socket:
                            self._show(message if isinstance(message, str) else message.decode())
                    finally:
                        cutting.cancel()
            # As live.js waits.
            await asyncio.sleep(0.5)

    async def _cut_when_told(self, transport: asyncio.Transport) -> None:
        await self._cut.wait()
        self._cut.clear()
        transport.abort()

    def _show(self, message: str) -> None:
        figures = orjson.loads(message)["figures"]
        self.shown.append((time.perf_counter(), int(figures["requests"].replace(",", ""))))
        self.bytes += len(message)
        self.foreign += self._others in message


def lags_s(pages: Sequence[Page], answered: Sequence[float], before: int, *, until_s: float) -> list[float]:
    """From each answer until each page counted it, of messages that came until then. `before`: those that were there
    when the load began.
    """
    lags = []
    for page in pages:
        counted = 0
        for at, requests in page.shown:
            if at > until_s:
                break
            upto = min(requests - before, len(answered))
            lags += [at - answered[number] for number in range(counted, upto)]
            counted = max(counted, upto)
    return lags
