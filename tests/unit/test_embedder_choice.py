"""NEXUS_EMBEDDER: what it may say, the embedders of other houses, and what is counted of each."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import subprocess
import sys
import threading
import tomllib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import REGISTRY

from gateway import runtime
from gateway.cache.embedding import choose, measured
from gateway.cache.embedding.base import (
    EmbeddingError,
    EmbeddingGarbage,
    EmbeddingLate,
    EmbeddingRejected,
    EmbeddingUnavailable,
    ModelUnavailable,
    TextRefused,
    TextTooLong,
    TextUnreadable,
)
from gateway.cache.embedding.choose import Choice
from gateway.cache.embedding.openai import OpenAIEmbedder
from gateway.cache.embedding.pause import FAILURES_IN_A_ROW
from gateway.cache.seldom import LOG_EVERY_S
from tests.fakes.embedder import DIMENSIONS, FakeOpenAI, as_openai, openai_running, vector_of

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 30
OPENAI = "https://api.openai.com/v1"


def parse(value: str, *, openai_api_key: str = "sk-1", openai_base_url: str = OPENAI) -> Choice:
    return choose.parse(value, openai_api_key=openai_api_key, openai_base_url=openai_base_url)


# --- the setting ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "choice"),
    [
        ("local", Choice("local")),
        ("grpc://embedder:50051", Choice("grpc", ("embedder:50051",))),
        ("grpc://10.0.0.1:50051, [::1]:50052", Choice("grpc", ("10.0.0.1:50051", "[::1]:50052"))),
        ("unix:///run/e.sock", Choice("grpc", ("unix:///run/e.sock",))),
        ("openai:text-embedding-3-small", Choice("openai", (), "text-embedding-3-small", 1536)),
        ("openai:text-embedding-3-large:1024", Choice("openai", (), "text-embedding-3-large", 1024, 1024)),
        ("openai:text-embedding-3-small:1536", Choice("openai", (), "text-embedding-3-small", 1536)),
        ("openai:nomic-embed-text:latest:768", Choice("openai", (), "nomic-embed-text:latest", 768)),
    ],
    ids=str,
)
def test_each_form_is_understood(value: str, choice: Choice) -> None:
    assert parse(value) == choice


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("", "is none of “local”"),
        ("Local", "is none of “local”"),
        ("local:8", "is none of “local”"),
        ("http://embedder:50051", "is none of “local”"),
        ("grpc", "is none of “local”"),
        ("grpc://", "“” is no address"),
        ("grpc:embedder:50051", "is no address"),
        ("grpc://embedder", "“embedder” is no address"),
        ("grpc://embedder:0", "“embedder:0” is no address"),
        ("grpc://embedder:65536", "“embedder:65536” is no address"),
        ("grpc://a:1,", "“” is no address"),
        ("grpc://a:1,a:1", "named twice"),
        ("grpc://user@host:1/path", "is no address"),
        ("unix://relative.sock", "whole path"),
        ("openai:", "is no name of a model"),
        ("openai:two words", "is no name of a model"),
        ("openai:" + "m" * 81, "is no name of a model"),
        ("openai:nomic-embed-text", "add them, as in openai:nomic-embed-text:768"),
        ("openai:text-embedding-3-small:1537", "has 1536 dimensions, or fewer, not 1537"),
        ("openai:text-embedding-ada-002:512", "has 1536 dimensions, not 512"),
        ("openai:text-embedding-3-small:0", "1 to 4,000 dimensions"),
        ("openai:mine:4001", "1 to 4,000 dimensions"),
        ("fastembed:", "is no name of a model"),
        ("fastembed:../../etc passwd", "is no name of a model"),
    ],
)
def test_a_wrong_value_is_refused_with_a_sentence(value: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        parse(value)


def test_openais_own_service_needs_a_key_and_another_may_do_without() -> None:
    with pytest.raises(ValueError, match="set OPENAI_API_KEY"):
        parse("openai:text-embedding-3-small", openai_api_key="")
    assert parse("openai:mine:768", openai_api_key="", openai_base_url="http://localhost:11434/v1").dimensions == 768


def test_without_the_library_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r'pip install "nexusgateway\[fastembed\]"'):
        parse("fastembed:BAAI/bge-small-en-v1.5")


def test_the_version_it_names_is_the_pinned_one() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras["fastembed"] == [f"fastembed=={choose.FASTEMBED_VERSION}"]


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("NEXUS_EMBEDDER", "grpc://embedder", "NEXUS_EMBEDDER: “embedder” is no address"),
        ("NEXUS_METRICS_TOKEN", "short", "NEXUS_METRICS_TOKEN must have at least 16 characters"),
    ],
)
def test_a_wrong_setting_stops_the_start(name: str, value: str, sentence: str) -> None:
    command = [sys.executable, "manage.py", "check"]
    environment = {**os.environ, name: value}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 1
    assert sentence in run.stderr


def test_a_process_that_embeds_elsewhere_does_not_load_the_model() -> None:
    program = (
        "import sys; from gateway.cache.embedding import choose, remote;"
        "print([name for name in ('onnxruntime', 'tokenizers', 'openai', 'django') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert run.stdout == "[]\n", run.stderr


# --- OpenAI -----------------------------------------------------------------------------------------------


@pytest.fixture
def service() -> Iterator[tuple[str, type[FakeOpenAI]]]:
    with openai_running() as running:
        yield running


@asynccontextmanager
async def openai_at(
    url: str, *, deadline_s: float = PATIENCE_S, shorten_to: int | None = None
) -> AsyncIterator[OpenAIEmbedder]:
    embedder = OpenAIEmbedder(
        "fake-model", DIMENSIONS, api_key="sk-1", base_url=url, shorten_to=shorten_to, deadline_s=deadline_s
    )
    await embedder.start()
    try:
        yield embedder
    finally:
        await embedder.close()


async def test_texts_that_come_together_are_one_request_and_each_gets_its_own_vector(
    service: tuple[str, type[FakeOpenAI]],
) -> None:
    url, fake = service
    async with openai_at(url) as embedder:
        vectors = await asyncio.gather(*(embedder.embed(text) for text in ("tea", "coffee", "milk")))
    for text, vector in zip(("tea", "coffee", "milk"), vectors, strict=True):
        assert vector == pytest.approx(vector_of(text), abs=1e-6)
    (request,) = fake.requests
    assert (request["path"], request["key"], request["model"]) == ("/v1/embeddings", "Bearer sk-1", "fake-model")
    assert "dimensions" not in request


async def test_shorter_vectors_are_asked_for(service: tuple[str, type[FakeOpenAI]]) -> None:
    url, fake = service
    async with openai_at(url, shorten_to=DIMENSIONS) as embedder:
        await embedder.embed("tea")
    assert fake.requests[0]["dimensions"] == DIMENSIONS


async def test_a_service_that_does_not_know_base64_is_understood(service: tuple[str, type[FakeOpenAI]]) -> None:
    url, fake = service
    fake.behave = staticmethod(lambda request: as_openai({**request, "encoding_format": "float"}))
    async with openai_at(url) as embedder:
        assert await embedder.embed("tea") == pytest.approx(vector_of("tea"), abs=1e-6)


async def test_the_name_says_whose_model_it_is() -> None:
    def name(url: str) -> str:
        return OpenAIEmbedder("m", 8, api_key="", base_url=url, shorten_to=None, deadline_s=1).name

    assert name(OPENAI) == "openai:m:8"
    assert name("http://user:secret@localhost:11434/v1") == "openai:m:8@localhost:11434"


async def test_a_text_that_spoils_a_request_does_not_fail_those_beside_it(
    service: tuple[str, type[FakeOpenAI]],
) -> None:
    url, fake = service

    def behave(request: dict[str, Any]) -> tuple[int, Any]:
        return (400, {"error": {"message": "no"}}) if "bad" in request["input"] else as_openai(request)

    fake.behave = staticmethod(behave)
    async with openai_at(url) as embedder:
        outcomes = await asyncio.gather(
            *(embedder.embed(text) for text in ("tea", "bad", "coffee")), return_exceptions=True
        )
    assert isinstance(outcomes[1], TextRefused)
    assert [isinstance(outcome, np.ndarray) for outcome in outcomes] == [True, False, True]


@pytest.mark.parametrize(
    ("text", "error"), [("a" * 8192, TextTooLong), (" \n", TextUnreadable), ("\udfff", TextUnreadable)]
)
async def test_what_openai_would_refuse_is_not_sent(
    service: tuple[str, type[FakeOpenAI]], text: str, error: type[Exception]
) -> None:
    url, fake = service
    async with openai_at(url) as embedder:
        with pytest.raises(error):
            await embedder.embed(text)
    assert fake.requests == []


def one_vector(embedding: Any, index: int = 0) -> dict[str, Any]:
    return {"object": "list", "data": [{"object": "embedding", "index": index, "embedding": embedding}], "model": "m"}


GARBAGE: dict[str, Any] = {
    "too short": one_vector([1.0]),
    "zeros": one_vector([0.0] * DIMENSIONS),
    "not a number": b'{"data": [{"index": 0, "embedding": [NaN, 1, 1, 1, 1, 1, 1, 1]}]}',
    "words": one_vector(["a"] * DIMENSIONS),
    "not base64": one_vector("!"),
    "half a number": one_vector("AAA="),
    "nothing": one_vector(None),
    "no vectors": {"object": "list", "data": [], "model": "m"},
    "another index": one_vector([1.0] * DIMENSIONS, index=7),
    "an index that is a list": one_vector([1.0] * DIMENSIONS, index=[]),  # type: ignore[arg-type]
    "no data": {"object": "list"},
    "a list": [1, 2, 3],
    "a page": b"<html>Welcome</html>",
    "null": b"null",
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
async def test_garbage_from_openai_is_no_vector(service: tuple[str, type[FakeOpenAI]], garbage: Any) -> None:
    url, fake = service
    fake.behave = staticmethod(lambda request: (200, garbage))
    async with openai_at(url) as embedder:
        with pytest.raises(EmbeddingGarbage):
            await embedder.embed("tea")


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503])
async def test_a_status_is_unavailable_and_after_a_few_nobody_asks(
    service: tuple[str, type[FakeOpenAI]], status: int
) -> None:
    url, fake = service
    fake.behave = staticmethod(lambda request: (status, {"error": {"message": "the text was tea", "code": "why"}}))
    async with openai_at(url) as embedder:
        for _ in range(FAILURES_IN_A_ROW):
            with pytest.raises(EmbeddingUnavailable, match=f"status {status}, why") as raised:
                await embedder.embed("tea")
            assert "tea" not in str(raised.value)
        with pytest.raises(EmbeddingRejected):
            await embedder.embed("tea")
    assert len(fake.requests) == FAILURES_IN_A_ROW


async def test_a_service_that_is_gone_is_unavailable() -> None:
    with openai_running() as (url, _):
        pass
    async with openai_at(url) as embedder:
        with pytest.raises(EmbeddingUnavailable, match="cannot be reached"):
            await embedder.embed("tea")


async def test_a_slow_openai_is_waited_for_until_the_deadline(service: tuple[str, type[FakeOpenAI]]) -> None:
    url, fake = service
    go = threading.Event()

    def behave(request: dict[str, Any]) -> tuple[int, Any]:
        go.wait(PATIENCE_S)
        return as_openai(request)

    fake.behave = staticmethod(behave)
    async with openai_at(url, deadline_s=0.2) as embedder:
        with pytest.raises(EmbeddingLate, match="within 200 ms"):
            await embedder.embed("tea")
        go.set()


# --- what is counted --------------------------------------------------------------------------------------


def counted(kind: str, result: str) -> float:
    return REGISTRY.get_sample_value("nexus_embedding_requests_total", {"embedder": kind, "result": result}) or 0.0


class Failing:
    """An embedder of a stranger's."""

    name, dimensions = "failing", 8

    def __init__(self, error: EmbeddingError | None) -> None:
        self.error = error

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def embed(self, text: str) -> np.ndarray:
        if self.error is not None:
            raise self.error
        return vector_of(text)


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (None, "ok"),
        (EmbeddingLate("late"), "timeout"),
        (EmbeddingUnavailable("away"), "unavailable"),
        (ModelUnavailable("away"), "unavailable"),
        (EmbeddingGarbage("nonsense"), "garbage"),
        (EmbeddingRejected("full"), "rejected"),
        (TextTooLong("long"), "refused"),
        (TextUnreadable("emoji"), "refused"),
    ],
    ids=repr,
)
async def test_every_outcome_is_counted(error: EmbeddingError | None, result: str) -> None:
    before = counted("test", result)
    embedder = measured.Measured(Failing(error), "test")
    if error is None:
        await embedder.embed("tea")
    else:
        with pytest.raises(type(error)):
            await embedder.embed("tea")
    assert counted("test", result) == before + 1


async def test_failures_are_one_line_in_ten_seconds(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    failing = Failing(EmbeddingUnavailable("it is away"))
    embedder = measured.Measured(failing, "test", clock=lambda: now)
    with caplog.at_level(logging.WARNING, logger=measured.__name__):
        for _ in range(5):
            with pytest.raises(EmbeddingUnavailable):
                await embedder.embed("tea")
        now = LOG_EVERY_S
        with pytest.raises(EmbeddingUnavailable):
            await embedder.embed("tea")
        failing.error = TextTooLong("not a failure")
        now *= 2
        with pytest.raises(TextTooLong):
            await embedder.embed("tea")
    assert [record.getMessage() for record in caplog.records] == [
        "1 texts were not embedded; the last: it is away",
        "5 texts were not embedded; the last: it is away",
    ]


async def test_the_local_model_is_counted_too() -> None:
    embedder = runtime.make_embedder()
    await embedder.start()
    before = counted("local", "ok"), counted("local", "refused")
    await embedder.embed("How do I make tea?")
    with pytest.raises(TextTooLong):
        await embedder.embed("tea " * 300)
    await embedder.close()
    assert (counted("local", "ok"), counted("local", "refused")) == (before[0] + 1, before[1] + 1)
