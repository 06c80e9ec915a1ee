"""`manage.py embedder`: the model behind gRPC, and the protocol that both sides speak."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import grpc
import numpy as np
import pytest
from django.conf import settings
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_tools import protoc

from gateway.cache.embedding import build, embedding_pb2_grpc
from gateway.cache.embedding.base import Vector
from gateway.cache.embedding.embedding_pb2 import TOO_LONG, UNREADABLE, EmbedRequest, EmbedResponse
from gateway.cache.embedding.minilm import MiniLM
from gateway.cache.embedding.service import NAME, EmbeddingService, serve

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 30
SERVING = health_pb2.HealthCheckResponse.SERVING


@pytest.fixture(scope="session")
def model() -> MiniLM:
    return MiniLM.load(build.ensure(Path(settings.MODEL_DIR)))


class Service(NamedTuple):
    address: str
    process: subprocess.Popen[str]


@contextlib.contextmanager
def embedder(listen: str = "127.0.0.1:0") -> Iterator[Service]:
    """The command in a process of its own, from its line that it is ready."""
    command = [sys.executable, "manage.py", "embedder", "--listen", listen, "--threads", "1"]
    process = subprocess.Popen(command, cwd=ROOT, env=dict(os.environ), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Embedding service ready on "), line
        yield Service(line.removeprefix("Embedding service ready on ").split(": ")[0], process)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with embedder() as running:
        yield running


@pytest.fixture
def ask(service: Service) -> Iterator[Callable[..., EmbedResponse]]:
    with grpc.insecure_channel(service.address) as channel:
        stub = embedding_pb2_grpc.EmbeddingStub(channel)
        yield lambda *texts: stub.Embed(EmbedRequest(texts=texts), timeout=PATIENCE_S)


def health_of(address: str, name: str) -> int:
    with grpc.insecure_channel(address) as channel:
        request = health_pb2.HealthCheckRequest(service=name)
        return int(health_pb2_grpc.HealthStub(channel).Check(request, timeout=PATIENCE_S, wait_for_ready=True).status)


# --- the command ------------------------------------------------------------------------------------------


def test_the_service_answers_with_the_vectors_of_the_model(ask: Callable[..., EmbedResponse], model: MiniLM) -> None:
    texts = ["How do I make tea?", "Recipe for tea"]
    response = ask(*texts)
    assert (response.model, response.dimensions) == (model.name, model.dimensions)
    vectors = [np.frombuffer(result.vector, "<f4") for result in response.results]
    assert np.array_equal(np.stack(vectors), model.encode(texts))


def test_no_text_asks_only_for_the_models_name(ask: Callable[..., EmbedResponse], model: MiniLM) -> None:
    response = ask()
    assert (response.model, response.dimensions, len(response.results)) == (model.name, 384, 0)


def test_a_text_that_is_refused_does_not_fail_those_beside_it(ask: Callable[..., EmbedResponse]) -> None:
    results = ask("tea", "tea " * 300, "法国的首都是什么", "coffee").results
    assert [result.WhichOneof("outcome") for result in results] == ["vector", "refusal", "refusal", "vector"]
    assert [result.refusal for result in results[1:3]] == [TOO_LONG, UNREADABLE]


@pytest.mark.parametrize("texts", [["tea"] * 65, ["a" * 32_769]], ids=["too many", "too long"])
def test_more_than_the_protocol_allows_is_an_invalid_argument(
    ask: Callable[..., EmbedResponse], texts: list[str]
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        ask(*texts)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("name", ["", NAME])
def test_its_health_is_serving(service: Service, name: str) -> None:
    assert health_of(service.address, name) == SERVING


def test_sigterm_ends_it_and_nothing_is_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "embedder.sock"
    with embedder(f"unix://{path}") as running:
        assert running.address == f"unix://{path}"
        assert health_of(running.address, NAME) == SERVING
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(PATIENCE_S) == 0
    assert not path.exists()


def run_to_its_end(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "manage.py", "embedder", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_a_port_that_is_taken_is_named(service: Service) -> None:
    run = run_to_its_end("--listen", service.address)
    assert run.returncode == 1
    assert f"Cannot listen on {service.address}" in run.stderr and "Traceback" not in run.stderr


@pytest.mark.parametrize(
    "arguments",
    [["--listen", "50051"], ["--listen", "localhost:99999"], ["--listen", "unix://relative"], ["--threads", "0"]],
    ids=" ".join,
)
def test_a_wrong_argument_is_refused_by_name(arguments: list[str]) -> None:
    run = run_to_its_end(*arguments)
    assert run.returncode == 2
    assert f"argument {arguments[0]}: “{arguments[1]}”" in run.stderr


def test_the_generated_files_are_those_of_the_protocol(tmp_path: Path) -> None:
    folder = Path("gateway/cache/embedding")
    outputs = [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python")]
    assert protoc.main(["protoc", f"-I{ROOT}", *outputs, str(ROOT / folder / "embedding.proto")]) == 0
    made = sorted((tmp_path / folder).iterdir())
    assert [path.name for path in made] == ["embedding_pb2.py", "embedding_pb2.pyi", "embedding_pb2_grpc.py"]
    for path in made:
        assert path.read_bytes() == (ROOT / folder / path.name).read_bytes(), "run protoc as embedding.proto says"


# --- who waits --------------------------------------------------------------------------------------------


class HeldModel(MiniLM):
    """The model, stopped in front of each text while `go` is clear; `read` has the texts."""

    def __init__(self, *parts: object) -> None:
        super().__init__(*parts)  # type: ignore[arg-type]
        self.go, self.reached = threading.Event(), threading.Event()
        self.read: list[str] = []

    def encode(self, texts: Sequence[str]) -> Vector:
        self.read += texts
        self.reached.set()
        assert self.go.wait(PATIENCE_S)
        return super().encode(texts)


@contextlib.asynccontextmanager
async def served(model: MiniLM) -> AsyncIterator[embedding_pb2_grpc.EmbeddingStub]:
    server, service = grpc.aio.server(), EmbeddingService(model, threads=1)
    embedding_pb2_grpc.add_EmbeddingServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield embedding_pb2_grpc.EmbeddingStub(channel)
    await server.stop(None)
    service.close()


@pytest.fixture
def held() -> HeldModel:
    return HeldModel.load(build.ensure(Path(settings.MODEL_DIR)))  # type: ignore[return-value]


async def test_a_text_whose_deadline_passed_is_not_computed(held: HeldModel) -> None:
    async with served(held) as stub:
        first = asyncio.ensure_future(stub.Embed(EmbedRequest(texts=["first"])))
        assert await asyncio.to_thread(held.reached.wait, PATIENCE_S)
        with pytest.raises(grpc.aio.AioRpcError) as late:
            await stub.Embed(EmbedRequest(texts=["nobody waits", "for these"]), timeout=0.2)
        assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        held.go.set()
        await first
        await stub.Embed(EmbedRequest(texts=["last"]))
    assert held.read == ["first", "last"]


async def test_more_texts_than_can_be_computed_in_time_are_refused(held: HeldModel) -> None:
    async with served(held) as stub:
        full = asyncio.ensure_future(stub.Embed(EmbedRequest(texts=["tea"] * 64)))
        assert await asyncio.to_thread(held.reached.wait, PATIENCE_S)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Embed(EmbedRequest(texts=["one more"]))
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        held.go.set()
        assert len((await full).results) == 64
        assert len((await stub.Embed(EmbedRequest(texts=["one more"]))).results) == 1


async def test_what_is_under_way_at_sigterm_is_answered(held: HeldModel) -> None:
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(held, "127.0.0.1:0", threads=1, report=ready.set_result))
    address = (await ready).split(": ")[0].rpartition(" ")[2]
    async with grpc.aio.insecure_channel(address) as channel:
        call = asyncio.ensure_future(embedding_pb2_grpc.EmbeddingStub(channel).Embed(EmbedRequest(texts=["tea"])))
        assert await asyncio.to_thread(held.reached.wait, PATIENCE_S)
        os.kill(os.getpid(), signal.SIGTERM)
        held.go.set()
        assert len((await call).results) == 1
        await serving
