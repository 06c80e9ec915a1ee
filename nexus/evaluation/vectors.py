"""Embeds texts with whatever embedder the gateway uses. A text that it refuses gets no vector, and is counted.

The embedder keeps the gateway's deadline; what it misses is asked for again, for here nobody waits.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from gateway.cache.embedding.base import Embedder, EmbeddingUnavailable, TextRefused, TextTooLong, Vector

# Hides a remote embedder's latency. A local one computes one text after the other, each within its deadline.
IN_FLIGHT = 4
ATTEMPTS = 5
PAUSE_S = 1.0


class Embedded(NamedTuple):
    """`vectors`: a row of length 1 for each text, of zeros for a refused one. `refused`: how many, by reason."""

    vectors: Vector
    refused: Counter[str]


async def embed(embedder: Embedder, texts: Sequence[str], on_progress: Callable[[int], None]) -> Embedded:
    """Raises EmbeddingUnavailable when a text got no vector in several attempts."""
    embedded = Embedded(np.zeros((len(texts), embedder.dimensions), np.float32), Counter())
    waiting = iter(enumerate(texts))
    workers = [asyncio.create_task(_work(embedder, waiting, embedded, on_progress)) for _ in range(IN_FLIGHT)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
    return embedded


async def _work(
    embedder: Embedder, waiting: Iterator[tuple[int, str]], embedded: Embedded, on_progress: Callable[[int], None]
) -> None:
    for index, text in waiting:
        try:
            embedded.vectors[index] = _as_stored(await _patiently(embedder, text))
        except TextRefused as refusal:
            embedded.refused["too long" if isinstance(refusal, TextTooLong) else "unreadable"] += 1
        on_progress(1)


async def _patiently(embedder: Embedder, text: str) -> Vector:
    for _ in range(ATTEMPTS - 1):
        try:
            return await embedder.embed(text)
        except EmbeddingUnavailable:
            await asyncio.sleep(PAUSE_S)
    return await embedder.embed(text)


def _as_stored(vector: Vector) -> Vector:
    """The table keeps half precision."""
    halved = vector.astype(np.float16).astype(np.float32)
    return halved / np.float32(np.linalg.norm(halved))
