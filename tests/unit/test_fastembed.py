"""Models of the fastembed library, where it is installed: `pip install fastembed`, as pyproject.toml pins it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers

from gateway.cache.embedding import choose
from gateway.cache.embedding.base import ModelUnavailable, TextTooLong, TextUnreadable

pytest.importorskip("fastembed")

from gateway.cache.embedding.fastembed import FastembedEmbedder

PATIENCE_S = 30

# Those of the first run, which every embedder makes, are among them.
FIRST_RUN = "The first run allocates memory , and is slower ."
WORDS = ["[PAD]", "[UNK]", "tea", "coffee", "milk", *FIRST_RUN.split()]


def put_model(folder: Path, hub_name: str) -> None:
    """A model as the hub's client keeps it: one row a word, ten tokens at most."""
    files = folder / f"models--{hub_name.replace('/', '--')}" / "snapshots" / "0"
    files.mkdir(parents=True)
    (files.parents[1] / "refs").mkdir()
    (files.parents[1] / "refs" / "main").write_text("0")
    rows = np.random.default_rng(1).standard_normal((len(WORDS), 384)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Gather", ["rows", "input_ids"], ["last_hidden_state"])],
        "words",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"])],
        [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "tokens", 384])],
        [numpy_helper.from_array(rows, "rows")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, files / "model_optimized.onnx")
    words = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(files / "tokenizer.json"))
    (files / "tokenizer_config.json").write_text('{"model_max_length": 10, "pad_token": "[PAD]"}')
    (files / "config.json").write_text('{"pad_token_id": 0}')
    (files / "special_tokens_map.json").write_text("{}")


@pytest.fixture
def fastembed_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where bge-small-en-v1.5 lies already, on a machine that reaches no hub."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    put_model(tmp_path, "Qdrant/bge-small-en-v1.5-onnx-Q")
    return tmp_path


async def test_a_fastembed_model_reads_a_text_whole_or_refuses_it(fastembed_folder: Path) -> None:
    embedder = FastembedEmbedder("BAAI/bge-small-en-v1.5", cache_dir=fastembed_folder, deadline_s=PATIENCE_S)
    assert embedder.name == f"fastembed-{choose.FASTEMBED_VERSION}:BAAI/bge-small-en-v1.5"
    assert embedder.dimensions == 384
    await embedder.start()
    tea, again, coffee = [await embedder.embed(text) for text in ("tea", "tea", "coffee milk")]
    assert tea.shape == (384,) and np.linalg.norm(coffee) == pytest.approx(1, abs=1e-5)
    assert np.array_equal(tea, again) and not np.array_equal(tea, coffee)
    with pytest.raises(TextTooLong, match="11 tokens; the model reads 10"):
        await embedder.embed("tea " * 11)
    with pytest.raises(TextTooLong, match="characters"):
        await embedder.embed("tea" * 1000)
    with pytest.raises(TextUnreadable):
        await embedder.embed("water")
    await embedder.close()


async def test_a_fastembed_model_that_cannot_be_downloaded_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    embedder = FastembedEmbedder("BAAI/bge-small-en-v1.5", cache_dir=tmp_path, deadline_s=1)
    with pytest.raises(ModelUnavailable, match="copy that folder"):
        await embedder.start()
    await embedder.close()


def test_a_model_that_fastembed_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no text model 'BAAI/bge-tiny'; it has .*baai/bge-small-en-v1\.5"):
        FastembedEmbedder("BAAI/bge-tiny", cache_dir=tmp_path, deadline_s=1)


def test_the_setting_names_a_model() -> None:
    choice = choose.parse("fastembed:BAAI/bge-small-en-v1.5", openai_api_key="", openai_base_url="")
    assert (choice.kind, choice.model) == ("fastembed", "BAAI/bge-small-en-v1.5")
