"""The second reader that an operator may bring: what it refuses, and that it never lets a caller wait."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import BertProcessing

from gateway.cache.cross_encoder import MAX_TOKENS, CrossEncoder, CrossEncoderUnusable, PairTooLong

WORDS = {"[CLS]": 0, "[SEP]": 1, "is": 2, "the": 3, "card": 20, "bank": 40, "open": 80, "[UNK]": 5}


def model(*, numbers: int = 1, mask: str = "token_type_ids") -> onnx.ModelProto:
    """Adds up the word numbers of each side: the logit is 4 for equal sums, and 1 less for each that is missing."""
    graph = helper.make_graph(
        [
            helper.make_node("Mul", [mask, "two"], ["doubled"]),
            helper.make_node("Sub", ["one", "doubled"], ["side"]),
            helper.make_node("Mul", ["input_ids", "side"], ["signed"]),
            helper.make_node("ReduceSum", ["signed", "axis"], ["difference"]),
            helper.make_node("Abs", ["difference"], ["distance"]),
            helper.make_node("Sub", ["four", "distance"], ["whole"]),
            helper.make_node("Cast", ["whole"], ["logit"], to=TensorProto.FLOAT),
            helper.make_node("Concat", ["logit"] * numbers, ["logits"], axis=1),
        ],
        "sums",
        [helper.make_tensor_value_info(name, TensorProto.INT64, [1, "tokens"]) for name in ("input_ids", mask)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, numbers])],
        [
            numpy_helper.from_array(np.array([value]), name)
            for name, value in (("one", 1), ("two", 2), ("four", 4), ("axis", 1))
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def folder(path: Path, graph: onnx.ModelProto) -> Path:
    tokenizer = Tokenizer(WordLevel(WORDS, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = BertProcessing(("[SEP]", 1), ("[CLS]", 0))
    tokenizer.enable_truncation(4)  # as published tokenizers have it; the reader must not cut a question short
    tokenizer.save(str(path / "tokenizer.json"))
    onnx.save(graph, str(path / "model.onnx"))
    return path


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[CrossEncoder]:
    reader = CrossEncoder.load(folder(tmp_path, model()), minimum=0.9, deadline_s=30)
    yield reader
    reader.close()


async def test_a_pair_above_the_minimum_passes_and_one_below_is_refused_with_its_score(reader: CrossEncoder) -> None:
    assert await reader.differs("is the card open", "the card is open") is None
    assert await reader.differs("is the card open", "is the bank open") == (
        "the second reader gives 0.00, and 0.90 is asked for"
    )


def test_a_score_is_the_logit_through_a_sigmoid_of_both_questions_read_whole(reader: CrossEncoder) -> None:
    assert reader.score("the card is open", "the card is open") == pytest.approx(1 / (1 + np.exp(-4)))
    # One word of five is another; a reader that kept four tokens would not have seen it.
    assert reader.score("the card is open is", "the card is open the") == pytest.approx(1 / (1 + np.exp(-3)))
    assert reader.score("open " * 100, "the") == 0


async def test_a_pair_that_is_too_long_is_refused(reader: CrossEncoder) -> None:
    words = "is " * MAX_TOKENS
    for pair in ((words, "is"), ("is", "x" * 5000)):
        with pytest.raises(PairTooLong):
            reader.score(*pair)
        assert await reader.differs(*pair) == "the second reader cannot read both questions whole"


async def test_who_waits_longer_than_the_deadline_gets_a_refusal(tmp_path: Path) -> None:
    reader = CrossEncoder.load(folder(tmp_path, model()), minimum=0.5, deadline_s=0.01)
    busy = threading.Event()
    held = reader._thread.submit(busy.wait, 30)
    try:
        assert await reader.differs("is", "is") == "the second reader did not answer within 10 ms"
    finally:
        busy.set()
        held.result(30)
    reader.close()


async def test_a_reader_that_is_closed_refuses(reader: CrossEncoder, caplog: pytest.LogCaptureFixture) -> None:
    reader.close()
    assert await reader.differs("secret", "secret") == "the second reader failed"
    assert "The cross-encoder failed." in caplog.text and "secret" not in caplog.text


@pytest.mark.parametrize(
    ("graph", "because"),
    [
        (model(numbers=2), "makes 2 numbers of a pair"),
        (model(mask="pixel_values"), "asks for pixel_values"),
    ],
)
def test_a_model_of_another_kind_fails_when_it_is_loaded(tmp_path: Path, graph: onnx.ModelProto, because: str) -> None:
    with pytest.raises(CrossEncoderUnusable, match=because):
        CrossEncoder.load(folder(tmp_path, graph), minimum=0.5)


def test_a_folder_without_a_model_is_an_error_that_names_the_files(tmp_path: Path) -> None:
    with pytest.raises(CrossEncoderUnusable, match=r"needs model\.onnx.*tokenizer\.json"):
        CrossEncoder.load(tmp_path, minimum=0.5)
