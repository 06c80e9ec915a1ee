"""The model in this process, on one thread of its own. A caller waits until its deadline, never longer;
a text that nobody waits for is not computed.

Texts are computed one by one in order of arrival: `graph` says why not in batches.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from gateway.cache.embedding import recipe
from gateway.cache.embedding.base import (
    EmbeddingError,
    EmbeddingLate,
    EmbeddingRejected,
    EmbeddingUnavailable,
    ModelUnavailable,
    Vector,
)
from gateway.cache.embedding.minilm import MiniLM

logger = logging.getLogger(__name__)

DEADLINE_S = 0.2
# What one core computes within the deadline: about 3 ms a text. A longer queue would only make timeouts.
QUEUE_LIMIT = 64
# A thread that still computes or builds after this is left to end with the process.
CLOSE_TIMEOUT_S = 5.0


@dataclass(slots=True)
class Counters:
    embedded: int = 0
    timeouts: int = 0
    rejected: int = 0  # the queue was full


@dataclass(slots=True, eq=False)
class _Job:
    text: str
    vector: Future[Vector]


class LocalEmbedder:
    """`load` runs on the model's thread; it may build the model first."""

    name = recipe.NAME
    dimensions = recipe.DIMENSIONS

    def __init__(
        self, load: Callable[[], MiniLM], *, deadline_s: float = DEADLINE_S, queue_limit: int = QUEUE_LIMIT
    ) -> None:
        self.counters = Counters()
        self._load = load
        self._deadline_s = deadline_s
        self._queue_limit = queue_limit
        self._queue: deque[_Job] = deque()
        self._changed = threading.Condition()  # guards the queue and `_closed`
        self._closed = False
        self._loaded: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="embedding", daemon=True)

    async def start(self) -> None:
        """Returns when the model answers; raises ModelUnavailable. Until then `embed` is unavailable."""
        self._thread.start()
        await asyncio.shield(asyncio.wrap_future(self._loaded))

    async def close(self) -> None:
        """Who still waits is told so."""
        with self._changed:
            self._closed = True
            waiting, self._queue = self._queue, deque()
            self._changed.notify()
        for job in waiting:
            if job.vector.set_running_or_notify_cancel():
                job.vector.set_exception(EmbeddingUnavailable("The embedder was closed."))
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, CLOSE_TIMEOUT_S)

    async def embed(self, text: str) -> Vector:
        """[384], length 1, within the deadline. Raises EmbeddingUnavailable, TextTooLong, TextUnreadable."""
        job = self._submit(text)
        try:
            async with asyncio.timeout(self._deadline_s):
                return await asyncio.wrap_future(job.vector)
        except TimeoutError:
            self.counters.timeouts += 1
            raise EmbeddingLate(f"No embedding within {self._deadline_s * 1000:.0f} ms.") from None
        finally:
            self._withdraw(job)

    def _submit(self, text: str) -> _Job:
        if not self._loaded.done() or self._loaded.exception() is not None:
            raise EmbeddingUnavailable("The embedding model is not loaded.")
        job = _Job(text, Future())
        with self._changed:
            if self._closed:
                raise EmbeddingUnavailable("The embedder was closed.")
            if len(self._queue) >= self._queue_limit:
                self.counters.rejected += 1
                raise EmbeddingRejected(f"{self._queue_limit} texts are waiting to be embedded already.")
            self._queue.append(job)
            self._changed.notify()
        return job

    def _withdraw(self, job: _Job) -> None:
        """After a deadline or a cancellation: no computing for it, and its place is free at once."""
        if job.vector.cancel():
            with self._changed, contextlib.suppress(ValueError):
                self._queue.remove(job)

    def _run(self) -> None:
        try:
            model = self._load()
            model.encode(["The first run allocates memory, and is slower."])
        except EmbeddingError as error:
            self._loaded.set_exception(error)
            return
        except Exception:
            logger.exception("The embedding model does not load.")
            self._loaded.set_exception(ModelUnavailable("The embedding model does not load; the log says why."))
            return
        self._loaded.set_result(None)
        while (job := self._next()) is not None:
            if job.vector.set_running_or_notify_cancel():
                self._answer(job, model)

    def _next(self) -> _Job | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closed)
            return self._queue.popleft() if self._queue else None

    def _answer(self, job: _Job, model: MiniLM) -> None:
        try:
            vector = model.encode([job.text])[0]
        except EmbeddingError as error:
            job.vector.set_exception(error)
        except Exception:
            logger.exception("The embedding model failed.")  # the text stays out of the log
            job.vector.set_exception(EmbeddingUnavailable("The embedding model failed; the log says why."))
        else:
            self.counters.embedded += 1
            job.vector.set_result(vector)
