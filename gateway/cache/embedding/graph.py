"""The model as an ONNX graph: assembled from its weights, then quantised. Imported to build, never to serve.

One text a run, so no mask and no padding. Dynamic int8 takes its scale from the whole input: in a batch, a
vector would depend on its neighbours (cosines moved by up to 0.08), and padding cost more than was saved.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from gateway.cache.embedding.base import Vector
from gateway.cache.embedding.recipe import DIMENSIONS, MAX_TOKENS, OPSET, QUANTISATION

# config.json of the model.
LAYERS, HEADS, LAYER_NORM_EPSILON = 6, 12, 1e-12
IR_VERSION = 10  # what onnx would write is newer than what some runtimes read


def assemble(tensors: Mapping[str, Vector]) -> onnx.ModelProto:
    """float32 graph: `input_ids` [1, tokens] to `embedding` [1, 384], mean over tokens, length 1."""
    bert = _Bert(tensors)
    states = bert.embed("input_ids")
    for layer in range(LAYERS):
        states = bert.attend(states, f"encoder.layer.{layer}.attention.")
        states = bert.feed_forward(states, f"encoder.layer.{layer}.")
    mean = bert.node("ReduceMean", states, bert.constant("token_axis", np.array([1])), keepdims=0)
    bert.node("LpNormalization", mean, axis=-1, p=2, output="embedding")
    graph = helper.make_graph(
        bert.nodes,
        "all-MiniLM-L6-v2",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "tokens"])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, DIMENSIONS])],
        bert.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return model


def quantise(model: onnx.ModelProto, scratch_path: Path) -> onnx.ModelProto:
    # Nothing is left to prepare in a graph made by hand; unmarked, the quantiser warns on the root logger.
    add_pre_process_metadata(model)
    weight_type = QuantType[str(QUANTISATION["weight_type"])]
    quantize_dynamic(model, scratch_path, **{**QUANTISATION, "weight_type": weight_type})
    return onnx.load(scratch_path)


class _Bert:
    """Adds nodes to a graph; what a method returns is the name of its result."""

    def __init__(self, tensors: Mapping[str, Vector]) -> None:
        self.tensors = tensors
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.split = self.constant("split_heads", np.array([0, 0, HEADS, DIMENSIONS // HEADS]))
        self.joined = self.constant("join_heads", np.array([0, 0, DIMENSIONS]))

    def node(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        result = output or f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [result], **attributes))
        return result

    def constant(self, name: str, values: np.ndarray) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def embed(self, ids: str) -> str:
        """Every token is of type 0, so that type's row is added to each position's beforehand."""
        of_type = self.tensors["embeddings.token_type_embeddings.weight"][0]
        of_position = self.tensors["embeddings.position_embeddings.weight"][:MAX_TOKENS] + of_type
        # Half precision halves what is most of the file and of the memory; int8 rounds a hundred times as coarsely.
        words = self.constant("words", self.tensors["embeddings.word_embeddings.weight"].astype(np.float16))
        start = self.constant("start", np.array([0]))
        # Slice, because onnxruntime 1.31 fails at run time on Gather(Range(…)).
        positions = self.node(
            "Slice", self.constant("positions", of_position), start, self.node("Shape", ids, start=1), start
        )
        word = self.node("Cast", self.node("Gather", words, ids), to=TensorProto.FLOAT)
        return self.normalise(self.node("Add", word, positions), "embeddings.LayerNorm")

    def attend(self, states: str, prefix: str) -> str:
        scale = 1 / math.sqrt(DIMENSIONS // HEADS)
        query = self.project(states, f"{prefix}self.query", scale)
        key, value = (self.project(states, f"{prefix}self.{part}") for part in ("key", "value"))
        query, value = (
            self.node("Transpose", self.node("Reshape", part, self.split), perm=[0, 2, 1, 3]) for part in (query, value)
        )
        key = self.node("Transpose", self.node("Reshape", key, self.split), perm=[0, 2, 3, 1])
        attention = self.node("Softmax", self.node("MatMul", query, key), axis=-1)
        mixed = self.node("Transpose", self.node("MatMul", attention, value), perm=[0, 2, 1, 3])
        mixed = self.project(self.node("Reshape", mixed, self.joined), f"{prefix}output.dense")
        return self.normalise(self.node("Add", states, mixed), f"{prefix}output.LayerNorm")

    def feed_forward(self, states: str, prefix: str) -> str:
        inner = self.node("Gelu", self.project(states, f"{prefix}intermediate.dense"))
        outer = self.project(inner, f"{prefix}output.dense")
        return self.normalise(self.node("Add", states, outer), f"{prefix}output.LayerNorm")

    def project(self, states: str, key: str, scale: float = 1.0) -> str:
        """The weights are transposed, and scaled, once, here, and not at every run."""
        factor = np.float32(scale)
        weight = self.constant(f"{key}.weight", self.tensors[f"{key}.weight"].T * factor)
        bias = self.constant(f"{key}.bias", self.tensors[f"{key}.bias"] * factor)
        return self.node("Add", self.node("MatMul", states, weight), bias)

    def normalise(self, states: str, key: str) -> str:
        weight, bias = (self.constant(f"{key}.{part}", self.tensors[f"{key}.{part}"]) for part in ("weight", "bias"))
        return self.node("LayerNormalization", states, weight, bias, axis=-1, epsilon=LAYER_NORM_EPSILON)
