"""all-MiniLM-L6-v2 on onnxruntime. Reads a text whole or refuses it; a vector depends on its text only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from gateway.cache.embedding import recipe
from gateway.cache.embedding.base import ModelUnavailable, TextTooLong, TextUnreadable, Vector

LONGEST_WORD_PIECE = 18  # characters: "telecommunications"
# More characters than this are more tokens than the model reads, or spaces and invisible ones that it skips.
# Asked before the tokenizer is: it holds the interpreter's lock, 0.5 s for a text of a million characters.
MAX_CHARACTERS = recipe.MAX_TOKENS * (LONGEST_WORD_PIECE + 1)


class MiniLM:
    """Threads may share it. `encode` costs about 0.1 ms a token and releases the interpreter's lock."""

    max_tokens = recipe.MAX_TOKENS
    dimensions = recipe.DIMENSIONS

    def __init__(self, session: onnxruntime.InferenceSession, tokenizer: Tokenizer, name: str) -> None:
        self.name = name
        self._session = session
        self._tokenizer = tokenizer
        self._unknown_id = tokenizer.token_to_id("[UNK]")

    @classmethod
    def load(cls, path: Path, *, intra_op_threads: int = 1) -> MiniLM:
        """A file that `build` made."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = intra_op_threads
        options.inter_op_num_threads = 1
        # The arena keeps the room of the longest text ever seen.
        options.enable_cpu_mem_arena = False
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            kept = session.get_modelmeta().custom_metadata_map
            tokenizer = Tokenizer.from_str(kept["tokenizer"])
        except Exception as error:  # neither library's errors have a closer base class
            raise ModelUnavailable(
                f"Cannot load the embedding model from {path}: {error}. Delete the file; it will be built again."
            ) from error
        tokenizer.no_truncation()
        tokenizer.no_padding()
        # A user's "[SEP]" is five characters, not the end of the text.
        tokenizer.encode_special_tokens = True
        return cls(session, tokenizer, kept["name"])

    def encode(self, texts: Sequence[str]) -> Vector:
        """[n, 384], each row of length 1. Raises TextRefused for the first text it cannot read whole."""
        rows = np.empty((len(texts), self.dimensions), np.float32)
        for index, text in enumerate(texts):
            ids = np.array([self._read(text)], np.int64)
            rows[index] = self._session.run(["embedding"], {"input_ids": ids})[0][0]
        return rows

    def count_tokens(self, text: str) -> int:
        """The two that frame every text included."""
        return len(self._tokenizer.encode(text))

    def _read(self, text: str) -> list[int]:
        if len(text) > MAX_CHARACTERS:
            raise TextTooLong(f"The text has {len(text)} characters; the model reads {MAX_CHARACTERS} at most.")
        ids: list[int] = self._tokenizer.encode(text).ids
        if len(ids) > self.max_tokens:
            raise TextTooLong(f"The text has {len(ids)} tokens; the model reads {self.max_tokens}.")
        if self._unknown_id in ids:
            raise TextUnreadable("The text holds characters or words that are not in the model's vocabulary.")
        return ids
