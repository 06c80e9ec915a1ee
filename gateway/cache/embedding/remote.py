"""Vectors from embedding services (`service`) over gRPC. What they answer is checked before it is believed.

The model's name is the service's to say: it is learned with the first answer, and again when a service was
replaced by one with another model.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import grpc
import numpy as np

from gateway.cache.embedding.base import (
    EmbeddingError,
    EmbeddingGarbage,
    EmbeddingLate,
    EmbeddingRejected,
    EmbeddingUnavailable,
    TextTooLong,
    TextUnreadable,
    Vector,
)
from gateway.cache.embedding.batches import Batches
from gateway.cache.embedding.embedding_pb2 import TOO_LONG, UNREADABLE, EmbedRequest, EmbedResponse, Result
from gateway.cache.embedding.embedding_pb2_grpc import EmbeddingStub
from gateway.cache.embedding.pause import LONGEST_S, Pause
from tenants import tracing

# The protocol's (embedding.proto).
MAX_TEXTS, MAX_TEXT_BYTES = 64, 32 * 1024
# A column's, and the longest vector that pgvector puts into an index.
MAX_NAME_LENGTH, MAX_DIMENSIONS = 120, 4000
# int8 and half precision move a length by less; a vector that was not normalised, by more.
NORM_TOLERANCE = 0.01
# The first answer also has a connection to wait for.
START_DEADLINE_S = 2.0

CHANNEL_OPTIONS = [
    # A host name may have the addresses of many services; those that come and go are noticed.
    ("grpc.lb_policy_name", "round_robin"),
    ("grpc.dns_min_time_between_resolutions_ms", 1000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A machine that vanished closes no connection.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 2_000),
    ("grpc.max_receive_message_length", 2 * MAX_TEXTS * MAX_DIMENSIONS * 4),
    # It is a service of the house: HTTP_PROXY is for those outside.
    ("grpc.enable_http_proxy", 0),
]


class _Service:
    """One address."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.pause = Pause()
        self.model = ""
        target = address if address.startswith("unix:") else f"dns:///{address}"
        self.channel = grpc.aio.insecure_channel(target, options=CHANNEL_OPTIONS)
        self._stub = EmbeddingStub(self.channel)

    async def ask(self, texts: list[str], timeout_s: float) -> EmbedResponse:
        """Raises EmbeddingUnavailable."""
        parent = tracing.traceparent()
        metadata = None if parent is None else (("traceparent", parent),)
        try:
            response: EmbedResponse = await self._stub.Embed(
                EmbedRequest(texts=texts), timeout=timeout_s, metadata=metadata
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise EmbeddingLate(f"{self.address} did not answer within {timeout_s * 1000:.0f} ms.") from None
            code = error.code().name
            raise EmbeddingUnavailable(f"{self.address} does not embed: {code}, {error.details()}.") from None
        return response


class RemoteEmbedder:
    """Belongs to one event loop. Until the first answer its name is empty, and `embed` is unavailable."""

    def __init__(self, addresses: Sequence[str], *, deadline_s: float) -> None:
        self.name = ""
        self.dimensions = 0
        self._addresses = addresses
        self._services: list[_Service] = []
        self._batches = Batches(self._fetch, deadline_s=deadline_s)
        self._turn = 0

    async def start(self) -> None:
        """Learns the model's name. Raises EmbeddingUnavailable; a service that comes later is found by `embed`."""
        # Channels belong to the running loop, so not before there is one.
        self._services = [_Service(address) for address in self._addresses]
        await self._fetch([], asyncio.get_running_loop().time() + START_DEADLINE_S)

    async def close(self) -> None:
        await self._batches.close()
        for service in self._services:
            await service.channel.close()

    async def embed(self, text: str) -> Vector:
        """Of length 1, by the model that `name` says when this returns. Raises EmbeddingError."""
        _check(text)
        name = self.name
        vector = await self._batches.embed(text)
        if self.name != name:
            raise EmbeddingUnavailable(f"The embedding model is {self.name} now; it was {name or 'not known'}.")
        return vector

    async def _fetch(self, texts: list[str], until: float) -> Sequence[Vector | EmbeddingError]:
        """From the first service that answers, each tried in its turn while there is time."""
        loop = asyncio.get_running_loop()
        if not self._services:
            raise EmbeddingUnavailable("The embedder was not started.")
        trouble: EmbeddingUnavailable = EmbeddingRejected(
            f"{','.join(self._addresses)} failed again and again; asked again within {LONGEST_S:g} s."
        )
        self._turn += 1
        for offset in range(len(self._services)):
            service = self._services[(self._turn + offset) % len(self._services)]
            time_left_s = until - loop.time()
            if time_left_s <= 0 or not service.pause.may_try():
                continue
            try:
                outcomes = self._read(service, await service.ask(texts, time_left_s), len(texts))
            except EmbeddingUnavailable as error:
                service.pause.fail()
                trouble = error
            else:
                service.pause.succeed()
                return outcomes
        raise trouble

    def _read(self, service: _Service, response: EmbedResponse, count: int) -> list[Vector | EmbeddingError]:
        if not (0 < len(response.model) <= MAX_NAME_LENGTH and response.model.isprintable()):
            raise EmbeddingGarbage(f"{service.address} answers without a name of its model.")
        if not 0 < response.dimensions <= MAX_DIMENSIONS:
            raise EmbeddingGarbage(f"{service.address} says that vectors have {response.dimensions} dimensions.")
        if len(response.results) != count:
            raise EmbeddingGarbage(f"{service.address} answers {count} texts with {len(response.results)} vectors.")
        service.model = response.model
        if response.model == self.name and response.dimensions != self.dimensions:
            raise EmbeddingGarbage(f"{service.address} has changed the length of vectors and not the model's name.")
        outcomes = [_outcome(service, result, response.dimensions) for result in response.results]
        if response.model != self.name:
            self._adopt(service, response)
        return outcomes

    def _adopt(self, service: _Service, response: EmbedResponse) -> None:
        """Another model's answer: the odd one out is left alone, while another service has the model in use."""
        others = (other for other in self._services if other is not service)
        if any(other.model == self.name and other.pause.trusted for other in others):
            raise EmbeddingUnavailable(f"{service.address} has {response.model}; the others have {self.name}.")
        self.name, self.dimensions = response.model, response.dimensions


def _check(text: str) -> None:
    """Raises TextRefused for what the protocol cannot carry."""
    try:
        size_bytes = len(text.encode())
    except UnicodeEncodeError:
        raise TextUnreadable("The text has half a character.") from None
    if size_bytes > MAX_TEXT_BYTES:
        raise TextTooLong(f"The text has {size_bytes:,} bytes; an embedding service takes {MAX_TEXT_BYTES:,}.")


def _outcome(service: _Service, result: Result, dimensions: int) -> Vector | EmbeddingError:
    """Raises EmbeddingGarbage."""
    if result.WhichOneof("outcome") == "refusal":
        if result.refusal == TOO_LONG:
            return TextTooLong("The text has more tokens than the model reads.")
        if result.refusal == UNREADABLE:
            return TextUnreadable("The text holds what is not in the model's vocabulary.")
        return EmbeddingUnavailable(f"The model of {service.address} failed on the text; its log says why.")
    if len(result.vector) != 4 * dimensions:
        raise EmbeddingGarbage(f"{service.address} sent {len(result.vector)} bytes as {dimensions} dimensions.")
    vector: Vector = np.frombuffer(result.vector, "<f4").astype(np.float32)
    # Not a number fails this comparison, too.
    if not abs(float(np.linalg.norm(vector)) - 1.0) <= NORM_TOLERANCE:
        raise EmbeddingGarbage(f"{service.address} sent a vector that is not of length 1.")
    return vector
