"""Embedding services that do as they are told: a gRPC one of the house's protocol, and one with OpenAI's API."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np

from gateway.cache.embedding import embedding_pb2_grpc
from gateway.cache.embedding.base import Vector
from gateway.cache.embedding.embedding_pb2 import EmbedRequest, EmbedResponse, Result

DIMENSIONS = 8


def vector_of(text: str) -> Vector:
    """Of length 1; the same for the same text."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
    vector = np.random.default_rng(seed).standard_normal(DIMENSIONS).astype(np.float32)
    return vector / np.linalg.norm(vector)


def right(request: EmbedRequest, model: str = "fake-model") -> EmbedResponse:
    results = [Result(vector=vector_of(text).tobytes()) for text in request.texts]
    return EmbedResponse(model=model, dimensions=DIMENSIONS, results=results)


class FakeService(embedding_pb2_grpc.EmbeddingServicer):  # type: ignore[misc]  # generated without types
    """Answers what `behave` makes of a request, once `go` is set; `asked` has the texts of each call."""

    def __init__(self, address: str = "127.0.0.1:0") -> None:
        self.behave: Callable[[EmbedRequest], EmbedResponse] = right
        self.go, self.reached = threading.Event(), threading.Event()
        self.go.set()
        self.asked: list[list[str]] = []
        self._server = grpc.server(ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0)])
        embedding_pb2_grpc.add_EmbeddingServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port(address)}"
        self._server.start()

    def Embed(self, request: EmbedRequest, context: Any) -> EmbedResponse:  # noqa: N802 - gRPC's spelling
        if request.texts:
            self.asked.append(list(request.texts))
            self.reached.set()
            self.go.wait(30)
        return self.behave(request)

    def hold(self) -> None:
        self.go.clear()
        self.reached.clear()

    def stop(self) -> None:
        self.go.set()
        self._server.stop(None).wait()


class FakeOpenAI(http.server.BaseHTTPRequestHandler):
    """`behave` takes the request's JSON to a status and an answer: JSON, or bytes as they are."""

    behave: Callable[[dict[str, Any]], tuple[int, Any]]
    requests: list[dict[str, Any]]

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        type(self).requests.append({**request, "path": self.path, "key": self.headers["authorization"]})
        status, answer = type(self).behave(request)
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        with contextlib.suppress(OSError):  # whoever asked may have left
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def as_openai(request: dict[str, Any]) -> tuple[int, Any]:
    """In no order, as the API allows; in base64 when asked. Twice as long as they should be."""
    data = []
    for index, text in reversed(list(enumerate(request["input"]))):
        vector = vector_of(text) * 2
        encoded = base64.b64encode(vector.tobytes()).decode()
        is_base64 = request.get("encoding_format") == "base64"
        data.append({"object": "embedding", "index": index, "embedding": encoded if is_base64 else vector.tolist()})
    return 200, {"object": "list", "data": data, "model": request["model"], "usage": {}}


@contextlib.contextmanager
def openai_running() -> Iterator[tuple[str, type[FakeOpenAI]]]:
    """Its base URL, and the class that says how it behaves."""
    kind = type("Behaving", (FakeOpenAI,), {"behave": staticmethod(as_openai), "requests": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1", kind
        finally:
            server.shutdown()
            thread.join()
