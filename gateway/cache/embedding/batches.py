"""Texts that come together are asked for together. A caller waits until its deadline, never longer; a text that
nobody waits for any more is not sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from gateway.cache.embedding.base import (
    EmbeddingError,
    EmbeddingLate,
    EmbeddingRejected,
    EmbeddingUnavailable,
    Vector,
)

logger = logging.getLogger(__name__)

# Fewer than the protocol allows: an answer comes when its last text is computed, at 3 ms a text.
TEXTS_A_CALL = 16
CALLS_AT_ONCE = 8
# With what is under way, more than can be done within the deadline.
QUEUE_LIMIT = 128
# While a call is under way, the next one waits this long for company. The first never waits.
COMPANY_S = 0.001

# Texts and the loop's time by which they are wanted, to an outcome for each. What it raises is everyone's outcome.
Fetch = Callable[[list[str], float], Awaitable[Sequence[Vector | EmbeddingError]]]


@dataclass(slots=True, eq=False)
class _Waiter:
    text: str
    until: float
    vector: asyncio.Future[Vector]


class Batches:
    """Belongs to one event loop."""

    def __init__(self, fetch: Fetch, *, deadline_s: float) -> None:
        self._fetch = fetch
        self._deadline_s = deadline_s
        self._queue: deque[_Waiter] = deque()
        self._calls: set[asyncio.Task[None]] = set()
        self._timer: asyncio.Handle | None = None
        self._closed = False

    async def embed(self, text: str) -> Vector:
        """The outcome that `fetch` gave for this text, within the deadline. Raises EmbeddingError."""
        if self._closed:
            raise EmbeddingUnavailable("The embedder was closed.")
        if len(self._queue) >= QUEUE_LIMIT:
            raise EmbeddingRejected(f"{QUEUE_LIMIT} texts are waiting to be embedded already.")
        loop = asyncio.get_running_loop()
        until = loop.time() + self._deadline_s
        waiter = _Waiter(text, until, loop.create_future())
        self._queue.append(waiter)
        self._schedule()
        try:
            async with asyncio.timeout_at(until):
                return await waiter.vector
        except TimeoutError:
            raise EmbeddingLate(f"No embedding within {self._deadline_s * 1000:.0f} ms.") from None
        finally:
            if waiter.vector.cancelled():
                # Its place is free at once.
                with contextlib.suppress(ValueError):
                    self._queue.remove(waiter)

    async def close(self) -> None:
        """Who still waits is told so."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        closed = EmbeddingUnavailable("The embedder was closed.")
        _answer(list(self._queue), [closed] * len(self._queue))
        self._queue.clear()
        for call in list(self._calls):
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    def _schedule(self) -> None:
        if not self._queue or self._closed or len(self._calls) >= CALLS_AT_ONCE:
            return
        if len(self._queue) >= TEXTS_A_CALL:
            self._send()
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(COMPANY_S, self._send) if self._calls else loop.call_soon(self._send)

    def _send(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch: list[_Waiter] = []
        while self._queue and len(batch) < TEXTS_A_CALL:
            batch.append(self._queue.popleft())
        if batch:
            call = asyncio.create_task(self._call(batch))
            self._calls.add(call)
            call.add_done_callback(self._ended)
        self._schedule()

    def _ended(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        self._schedule()

    async def _call(self, batch: list[_Waiter]) -> None:
        outcomes: Sequence[Vector | EmbeddingError]
        try:
            outcomes = await self._fetch([waiter.text for waiter in batch], batch[-1].until)
        except asyncio.CancelledError:
            outcomes = [EmbeddingUnavailable("The embedder was closed.")] * len(batch)
        except EmbeddingError as error:
            outcomes = [error] * len(batch)
        except Exception:
            logger.exception("embedding failed")  # the texts stay out of the log
            outcomes = [EmbeddingUnavailable("Embedding failed; the log says why.")] * len(batch)
        _answer(batch, outcomes)


def _answer(batch: Sequence[_Waiter], outcomes: Sequence[Vector | EmbeddingError]) -> None:
    for waiter, outcome in zip(batch, outcomes, strict=True):
        if waiter.vector.done():
            continue
        if isinstance(outcome, EmbeddingError):
            # Each waiter its own: a raised exception collects the traceback of whoever raises it.
            waiter.vector.set_exception(type(outcome)(*outcome.args))
        else:
            waiter.vector.set_result(outcome)
