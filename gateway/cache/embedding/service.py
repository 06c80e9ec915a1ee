"""The model behind gRPC, for gateways in other processes: `manage.py embedder`. Holds no state and knows no tenant.

One queue for all connections, text by text (`graph` says why not in batches) on a few threads. A text whose caller's
deadline has passed is not computed.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from gateway.cache.embedding import embedding_pb2_grpc
from gateway.cache.embedding.base import TextTooLong, TextUnreadable
from gateway.cache.embedding.embedding_pb2 import (
    DESCRIPTOR,
    FAILED,
    TOO_LONG,
    UNREADABLE,
    EmbedRequest,
    EmbedResponse,
    Result,
)
from gateway.cache.embedding.minilm import MiniLM
from gateway.cache.embedding.remote import MAX_TEXT_BYTES, MAX_TEXTS
from tenants import trace_export, tracing

logger = logging.getLogger(__name__)

INVALID_ARGUMENT, RESOURCE_EXHAUSTED = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED
NAME = DESCRIPTOR.services_by_name["Embedding"].full_name
# What one thread computes within 200 ms. A longer queue would only make timeouts.
TEXTS_A_THREAD = 64
DRAIN_S = 5.0

SERVER_OPTIONS = [
    # Two services on one port would share its connections, and nobody would know.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", 2 * MAX_TEXTS * MAX_TEXT_BYTES),
    # Clients look up the addresses again when they connect: services that were added get their share.
    ("grpc.max_connection_age_ms", 60_000),
    ("grpc.max_connection_age_grace_ms", 5_000),
    # Clients ask after 10 s whether we are still there.
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
]


class EmbeddingService(embedding_pb2_grpc.EmbeddingServicer):
    def __init__(self, model: MiniLM, *, threads: int) -> None:
        self._model = model
        self._threads = ThreadPoolExecutor(threads, "embedding")
        self._limit = TEXTS_A_THREAD * threads
        self._waiting = 0

    async def Embed(  # noqa: N802 - gRPC's spelling
        self, request: EmbedRequest, context: grpc.aio.ServicerContext[EmbedRequest, EmbedResponse]
    ) -> EmbedResponse:
        count = len(request.texts)
        if count > MAX_TEXTS:
            await context.abort(INVALID_ARGUMENT, f"{count} texts in one call; {MAX_TEXTS} at most.")
        if any(len(text.encode()) > MAX_TEXT_BYTES for text in request.texts):
            await context.abort(INVALID_ARGUMENT, f"A text may have {MAX_TEXT_BYTES:,} bytes.")
        if self._waiting + count > self._limit:
            await context.abort(RESOURCE_EXHAUSTED, f"{self._waiting} texts are waiting already.")
        time_left_s = context.time_remaining()
        until = time.monotonic() + time_left_s if time_left_s is not None else float("inf")
        self._waiting += count
        try:
            with tracing.follow("embed texts", parent_of(context), tracing.SERVER) as span:
                span.tell({"rpc.system.name": "grpc", "rpc.method": f"{NAME}/Embed", "nexus.texts": count})
                results = await self._compute_all(list(request.texts), until)
        finally:
            self._waiting -= count
        return EmbedResponse(model=self._model.name, dimensions=self._model.dimensions, results=results)

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)

    async def _compute_all(self, texts: list[str], until: float) -> list[Result]:
        """gRPC cancels this when the caller leaves or its deadline passes: what is queued is dropped."""
        loop = asyncio.get_running_loop()
        return await asyncio.gather(
            *(loop.run_in_executor(self._threads, self._compute, text, until) for text in texts)
        )

    def _compute(self, text: str, until: float) -> Result:
        if time.monotonic() > until:
            return Result(refusal=FAILED)
        try:
            return Result(vector=self._model.encode([text])[0].astype("<f4").tobytes())
        except TextTooLong:
            return Result(refusal=TOO_LONG)
        except TextUnreadable:
            return Result(refusal=UNREADABLE)
        except Exception:
            logger.exception("The embedding model failed.")  # the text stays out of the log
            return Result(refusal=FAILED)


def parent_of(context: grpc.aio.ServicerContext[EmbedRequest, EmbedResponse]) -> str | None:
    """The caller's span, where its request is traced."""
    if not tracing.is_on():
        return None
    found = next((value for name, value in context.invocation_metadata() or () if name == "traceparent"), None)
    return found if isinstance(found, str) else None


async def serve(model: MiniLM, listen: str, *, threads: int, report: Callable[[str], None]) -> None:
    """Until SIGTERM or SIGINT; what is under way then is answered. Raises OSError where it cannot listen."""
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    trace_export.start("nexus-embedder")
    server = grpc.aio.server(options=SERVER_OPTIONS)
    service, status = EmbeddingService(model, threads=threads), health.aio.HealthServicer()
    embedding_pb2_grpc.add_EmbeddingServicer_to_server(service, server)
    health_pb2_grpc.add_HealthServicer_to_server(status, server)
    # The empty name, which stands for the whole server, is serving from the beginning: the model is loaded.
    await status.set(NAME, health_pb2.HealthCheckResponse.SERVING)
    try:
        address = _bind(server, listen)
        await server.start()
        report(f"Embedding service ready on {address}: {model.name}, {threads} threads.")
        await stop.wait()
        await status.enter_graceful_shutdown()
        await server.stop(DRAIN_S)
    finally:
        service.close()
        await asyncio.to_thread(trace_export.stop)


def _bind(server: grpc.aio.Server, listen: str) -> str:
    try:
        port = server.add_insecure_port(listen)
    except RuntimeError as error:
        raise OSError(f"Cannot listen on {listen}: {error}") from None
    return listen if listen.startswith("unix:") else f"{listen.rpartition(':')[0]}:{port}"
