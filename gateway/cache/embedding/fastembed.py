"""Any text model of the fastembed library, in process. The library is optional, and downloads its models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np
from fastembed import TextEmbedding

from gateway.cache.embedding.base import ModelUnavailable, TextTooLong, TextUnreadable, Vector
from gateway.cache.embedding.local import LocalEmbedder
from gateway.cache.embedding.minilm import MiniLM

# More characters than this a token are refused before the tokenizer, which holds the interpreter's lock, is asked.
CHARACTERS_A_TOKEN = 32
UNKNOWN_TOKENS = ("[UNK]", "<unk>")


class FastembedEmbedder(LocalEmbedder):
    """As LocalEmbedder, with another model. Raises ValueError for a model that the library does not have."""

    def __init__(self, model: str, *, cache_dir: Path, deadline_s: float) -> None:
        known = {str(one["model"]).lower(): one for one in TextEmbedding.list_supported_models()}
        found = known.get(model.lower())
        if found is None:
            raise ValueError(f"fastembed has no text model {model!r}; it has {', '.join(sorted(known))}.")
        # A release of the library may bring another file of the same model.
        self.name = f"fastembed-{version('fastembed')}:{found['model']}"
        self.dimensions = int(found["dim"])

        def load() -> FastembedModel:
            return FastembedModel.load(str(found["model"]), cache_dir)

        # All that a LocalEmbedder asks of a model is `encode`.
        super().__init__(cast(Callable[[], MiniLM], load), deadline_s=deadline_s)


class FastembedModel:
    """Reads a text whole or refuses it; the library alone would cut it off."""

    def __init__(self, model: TextEmbedding, tokenizer: Any, max_tokens: int) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens
        known = (tokenizer.token_to_id(token) for token in UNKNOWN_TOKENS)
        self._unknown_id = next((token for token in known if token is not None), None)

    @classmethod
    def load(cls, name: str, cache_dir: Path) -> FastembedModel:
        """Downloads it the first time. Raises ModelUnavailable."""
        try:
            model = TextEmbedding(name, cache_dir=str(cache_dir), threads=1)
        except Exception as error:  # of the model hub's client, onnxruntime and the library itself
            raise ModelUnavailable(
                f"fastembed cannot load {name}: {error}. It downloads models from the model hub into {cache_dir}; "
                "without a network, copy that folder from a machine that has one."
            ) from error
        tokenizer = getattr(model.model, "tokenizer", None)
        if tokenizer is None or tokenizer.truncation is None:
            raise ModelUnavailable(f"{name} does not say how many tokens it reads; choose another fastembed model.")
        max_tokens = int(tokenizer.truncation["max_length"])
        tokenizer.no_truncation()
        return cls(model, tokenizer, max_tokens)

    def encode(self, texts: Sequence[str]) -> Vector:
        """[n, dimensions], each row of length 1. Raises TextRefused for the first text it cannot read whole."""
        rows = []
        for text in texts:
            self._check(text)
            row = np.asarray(next(iter(self._model.embed([text]))), np.float32)
            rows.append(row / np.linalg.norm(row))
        return np.stack(rows)

    def _check(self, text: str) -> None:
        longest = self._max_tokens * CHARACTERS_A_TOKEN
        if len(text) > longest:
            raise TextTooLong(f"The text has {len(text)} characters; the model is given {longest} at most.")
        ids = self._tokenizer.encode(text).ids
        if len(ids) > self._max_tokens:
            raise TextTooLong(f"The text has {len(ids)} tokens; the model reads {self._max_tokens}.")
        if self._unknown_id is not None and self._unknown_id in ids:
            raise TextUnreadable("The text holds characters or words that are not in the model's vocabulary.")
