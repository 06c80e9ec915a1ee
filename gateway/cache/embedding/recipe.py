"""What vectors depend on: weights, tokenizer, graph, quantisation. A change gives the model another name."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class PinnedFile:
    name: str
    sha256: str
    size_bytes: int


# sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0), as published on the model hub.
WEIGHTS = PinnedFile(
    "model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db", 90_868_376
)
TOKENIZER = PinnedFile("tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037", 466_247)

DIMENSIONS = 384
MAX_TOKENS = 256  # the model card's max_seq_length; [CLS] and [SEP] are two of them

OPSET = 20
# Raise it when graph.py changes in a way that changes vectors and nothing else here shows it.
REVISION = 2
# MatMul only, per channel, moves cosines by 0.01 (sd); quantising all that can be, by 0.02, which costs hits.
QUANTISATION = {"op_types_to_quantize": ["MatMul"], "per_channel": True, "weight_type": "QInt8"}


def name() -> str:
    """`all-MiniLM-L6-v2-int8-v1-` and ten hex digits."""
    ingredients = [asdict(WEIGHTS), asdict(TOKENIZER), OPSET, REVISION, QUANTISATION]
    digest = hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()
    return f"all-MiniLM-L6-v2-int8-v{REVISION}-{digest[:10]}"


NAME = name()
