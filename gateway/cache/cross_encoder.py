"""A second reader that the operator brings: an ONNX cross-encoder, which reads both questions at once.

It can only say no, after the guards have passed a pair; a pair that it cannot read whole and in time is refused, too.
"""

from __future__ import annotations

import asyncio
import logging
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

logger = logging.getLogger(__name__)

DEADLINE_S = 0.2
# What such models are trained on. A pair of questions is shorter; an answer is not read.
MAX_TOKENS = 512
# Asked before the tokenizer is: it holds the interpreter's lock.
MAX_CHARACTERS = 4000
MODEL_FILE, TOKENIZER_FILE = "model.onnx", "tokenizer.json"
_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids"})


class CrossEncoderUnusable(Exception):
    """The files are not a cross-encoder; the message says what an operator can do."""


class PairTooLong(Exception):
    """The model would read a part of the pair only."""


class CrossEncoder:
    """One pair at a time, on a thread of its own; a caller waits until the deadline, never longer."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        tokenizer: Tokenizer,
        *,
        minimum: float,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._session = session
        self._tokenizer = tokenizer
        self._inputs = frozenset(each.name for each in session.get_inputs())
        self._minimum = minimum
        self._deadline_s = deadline_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="cross-encoder")

    @classmethod
    def load(cls, folder: Path, *, minimum: float, deadline_s: float = DEADLINE_S) -> CrossEncoder:
        """`folder` holds model.onnx and tokenizer.json. Tries one pair, so that a wrong model fails here."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        try:
            tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
            tokenizer.no_truncation()
            tokenizer.no_padding()
            # A user's "[SEP]" is five characters, not the end of the question.
            tokenizer.encode_special_tokens = True
            session = onnxruntime.InferenceSession(
                str(folder / MODEL_FILE), options, providers=["CPUExecutionProvider"]
            )
            reader = cls(session, tokenizer, minimum=minimum, deadline_s=deadline_s)
            if unknown := reader._inputs - _INPUTS:
                raise ValueError(f"the model asks for {', '.join(sorted(unknown))}")
            reader.score("Is this a pair?", "Is it one?")
        except Exception as error:  # neither library's errors have a closer base class
            raise CrossEncoderUnusable(
                f"Cannot use the cross-encoder in {folder}: {error}. It needs {MODEL_FILE}, which makes one number of "
                f"{', '.join(sorted(_INPUTS))}, and its {TOKENIZER_FILE}."
            ) from error
        return reader

    async def differs(self, query: str, cached: str) -> str | None:
        """Why the cached question's answer may not be given; None where nothing speaks against it."""
        try:
            async with asyncio.timeout(self._deadline_s):
                score = await asyncio.wrap_future(self._thread.submit(self.score, query, cached))
        except TimeoutError:
            return f"the second reader did not answer within {self._deadline_s * 1000:.0f} ms"
        except PairTooLong:
            return "the second reader cannot read both questions whole"
        except Exception:
            logger.exception("The cross-encoder failed.")  # the questions stay out of the log
            return "the second reader failed"
        if score < self._minimum:
            return f"the second reader gives {score:.2f}, and {self._minimum:.2f} is asked for"
        return None

    def score(self, a: str, b: str) -> float:
        """From 0 (different) to 1 (the same): the model's one logit through a sigmoid. Raises PairTooLong."""
        if len(a) + len(b) > MAX_CHARACTERS:
            raise PairTooLong
        pair = self._tokenizer.encode(a, b)
        if len(pair.ids) > MAX_TOKENS:
            raise PairTooLong
        columns = {"input_ids": pair.ids, "attention_mask": pair.attention_mask, "token_type_ids": pair.type_ids}
        feed = {name: np.array([columns[name]], np.int64) for name in self._inputs}
        logits = np.asarray(self._session.run(None, feed)[0])
        if logits.size != 1:
            raise ValueError(f"the model makes {logits.size} numbers of a pair")
        logit = float(logits.reshape(-1)[0])
        # Below this, exp overflows; not-a-number is no more than that, and counts as different.
        return 1 / (1 + math.exp(-logit)) if logit > -700 else 0.0

    def close(self) -> None:
        """What is being computed ends by itself; nothing new begins."""
        self._thread.shutdown(wait=False, cancel_futures=True)
