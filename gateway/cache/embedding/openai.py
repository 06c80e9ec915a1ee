"""Vectors from OpenAI, or from another service with its embeddings API. Every text leaves the house and has a price."""

from __future__ import annotations

import asyncio
import base64
import binascii
import urllib.parse
from collections.abc import Sequence

import numpy as np
import openai
from openai import omit
from openai.types import CreateEmbeddingResponse

from gateway.cache.embedding.base import (
    EmbeddingError,
    EmbeddingGarbage,
    EmbeddingLate,
    EmbeddingRejected,
    EmbeddingUnavailable,
    TextRefused,
    TextTooLong,
    TextUnreadable,
    Vector,
)
from gateway.cache.embedding.batches import Batches
from gateway.cache.embedding.pause import LONGEST_S, Pause

# The models read 8,191 tokens, and no token is shorter than a byte.
MAX_TEXT_BYTES = 8191
OPENAI_HOST = "api.openai.com"


class OpenAIEmbedder:
    """Belongs to one event loop. `shorten_to`: dimensions that the model is asked for in place of its own."""

    def __init__(
        self, model: str, dimensions: int, *, api_key: str, base_url: str, shorten_to: int | None, deadline_s: float
    ) -> None:
        self.dimensions = dimensions
        self.name = _name(model, dimensions, base_url)
        self._model = model
        self._shorten_to = shorten_to
        # Services of one's own often want no key, and the SDK an answer.
        self._client = openai.AsyncOpenAI(
            api_key=api_key or "none", base_url=base_url, timeout=deadline_s, max_retries=0
        )
        self._batches = Batches(self._fetch, deadline_s=deadline_s)
        self._pause = Pause()

    async def start(self) -> None:
        """Nothing is asked: it would cost, and failures show soon enough."""

    async def close(self) -> None:
        await self._batches.close()
        await self._client.close()

    async def embed(self, text: str) -> Vector:
        """Of length 1. Raises EmbeddingError."""
        _check(text)
        return await self._batches.embed(text)

    async def _fetch(self, texts: list[str], until: float) -> Sequence[Vector | EmbeddingError]:
        if not self._pause.may_try():
            raise EmbeddingRejected(f"{self.name} failed again and again; asked again within {LONGEST_S:g} s.")
        try:
            vectors = self._read(await self._ask(texts, until), len(texts))
        except TextRefused as refused:
            self._pause.succeed()
            if len(texts) == 1:
                return [refused]
            # One of them spoils the call: each is asked for alone.
            return [outcome for (outcome,) in await asyncio.gather(*(self._alone(text, until) for text in texts))]
        except EmbeddingUnavailable:
            self._pause.fail()
            raise
        self._pause.succeed()
        return vectors

    async def _alone(self, text: str, until: float) -> Sequence[Vector | EmbeddingError]:
        try:
            return await self._fetch([text], until)
        except EmbeddingError as error:
            return [error]

    async def _ask(self, texts: list[str], until: float) -> CreateEmbeddingResponse:
        """Raises EmbeddingUnavailable; TextRefused when the service does not take one of the texts."""
        time_left_s = until - asyncio.get_running_loop().time()
        try:
            # The SDK's own limit is on each read and write, not on the whole.
            async with asyncio.timeout(time_left_s):
                return await self._client.embeddings.create(
                    model=self._model, input=texts, dimensions=self._shorten_to or omit, encoding_format="base64"
                )
        except (TimeoutError, openai.APITimeoutError):
            raise EmbeddingLate(f"{self.name} did not answer within {time_left_s * 1000:.0f} ms.") from None
        except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
            raise TextRefused(f"{self.name} refuses the text: status {error.status_code}, {error.code}.") from None
        except openai.APIStatusError as error:
            # Not its message, which may quote what was sent.
            raise EmbeddingUnavailable(
                f"{self.name} does not embed: status {error.status_code}, {error.code}."
            ) from None
        except openai.OpenAIError as error:
            raise EmbeddingUnavailable(f"{self.name} cannot be reached: {error}") from None
        except ValueError:
            raise EmbeddingGarbage(f"{self.name} answers what is not JSON.") from None

    def _read(self, response: CreateEmbeddingResponse, count: int) -> list[Vector]:
        """In the order of the texts. Raises EmbeddingGarbage."""
        try:
            found = {item.index: _vector(item.embedding) for item in response.data}
        except (AttributeError, TypeError, ValueError):
            raise EmbeddingGarbage(f"{self.name} answers what are not embeddings.") from None
        if found.keys() != set(range(count)) or len(response.data) != count:
            raise EmbeddingGarbage(f"{self.name} answers {count} texts with {len(response.data)} vectors.")
        return [self._normalised(found[index]) for index in range(count)]

    def _normalised(self, vector: Vector) -> Vector:
        if vector.shape != (self.dimensions,):
            raise EmbeddingGarbage(f"{self.name} sent {vector.size} dimensions, not {self.dimensions}.")
        norm = float(np.linalg.norm(vector))
        if not 1e-6 < norm < float("inf"):
            raise EmbeddingGarbage(f"{self.name} sent a vector without a direction.")
        return vector / np.float32(norm)


def _name(model: str, dimensions: int, base_url: str) -> str:
    """Where it comes from is a part of it: two services may call two models the same."""
    host = urllib.parse.urlsplit(base_url).netloc.rpartition("@")[2]
    return f"openai:{model}:{dimensions}" + ("" if host == OPENAI_HOST else f"@{host}")


def _check(text: str) -> None:
    """Raises TextRefused."""
    try:
        size_bytes = len(text.encode())
    except UnicodeEncodeError:
        raise TextUnreadable("The text has half a character.") from None
    if size_bytes > MAX_TEXT_BYTES:
        raise TextTooLong(f"The text has {size_bytes:,} bytes; {MAX_TEXT_BYTES:,} are sent at most.")
    if not text.strip():
        raise TextUnreadable("The text is empty.")


def _vector(embedding: object) -> Vector:
    """From base64, as asked for, or from a list, as services answer that do not know base64. Raises ValueError."""
    if isinstance(embedding, str):
        try:
            return np.frombuffer(base64.b64decode(embedding, validate=True), "<f4").astype(np.float32)
        except binascii.Error as error:
            raise ValueError("not base64") from error
    return np.asarray(embedding, np.float32)
