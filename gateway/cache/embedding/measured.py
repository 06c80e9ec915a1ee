"""An embedder with its outcomes counted, and its failures logged: a line every ten seconds, not one a request."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from gateway import metrics
from gateway.cache.embedding.base import (
    EmbeddingError,
    EmbeddingGarbage,
    EmbeddingLate,
    EmbeddingRejected,
    TextRefused,
    Vector,
)
from gateway.cache.embedding.choose import Running
from gateway.cache.seldom import SeldomLog

logger = logging.getLogger(__name__)

RESULTS: list[tuple[type[EmbeddingError], str]] = [
    (TextRefused, "refused"),
    (EmbeddingLate, "timeout"),
    (EmbeddingRejected, "rejected"),
    (EmbeddingGarbage, "garbage"),
]


class Measured:
    def __init__(self, embedder: Running, kind: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._embedder = embedder
        self._failures = SeldomLog(logger, "%d texts were not embedded; the last: %s", clock)
        self._kind = kind
        self._seconds = metrics.EMBEDDING_SECONDS.labels(kind)

    @property
    def name(self) -> str:
        return self._embedder.name

    @property
    def dimensions(self) -> int:
        return self._embedder.dimensions

    async def start(self) -> None:
        await self._embedder.start()

    async def close(self) -> None:
        await self._embedder.close()

    async def embed(self, text: str) -> Vector:
        """Raises EmbeddingError. A caller that leaves is not counted."""
        began = time.perf_counter()
        try:
            vector = await self._embedder.embed(text)
        except EmbeddingError as error:
            result = result_of(error)
            self._count(result, began)
            if result != "refused":
                self._failures.warn(error)
            raise
        self._count("ok", began)
        return vector

    def _count(self, result: str, began: float) -> None:
        metrics.EMBEDDING_REQUESTS.labels(self._kind, result).inc()
        self._seconds.observe(time.perf_counter() - began)


def result_of(error: EmbeddingError) -> str:
    """A label of nexus_embedding_requests_total."""
    return next((result for kind, result in RESULTS if isinstance(error, kind)), "unavailable")
