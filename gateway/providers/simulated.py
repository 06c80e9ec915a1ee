"""Answers when no real provider is set up, and says so in every answer. The same question gets the same answer.

Settings: latency_ms (before the first token), tokens_per_s (0: at once), tokens (length of the answer), failure_rate
(0 to 1: share of calls that fail with 502), cut_rate (share of streams that break off).
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import orjson

from gateway.errors import ProviderFailed, ProviderRefused
from gateway.types import ProviderConfig

FINGERPRINT = "nexus-simulated"
EMBEDDING_DIMENSIONS, MAX_EMBEDDING_DIMENSIONS = 1536, 4096
_LABEL = "[simulated answer] "
_TEXT = (
    "this text stands in for what a language model would say it is made from the question alone so that the same"
    " question is always answered alike connect a provider to get real answers here are some more words to fill the"
    " length that was asked for"
)
_WORDS = tuple(_TEXT.split())


class Simulated:
    async def complete(self, config: ProviderConfig, payload: dict[str, Any]) -> bytes:
        answer = _Answer(payload, config.settings)
        await _pause(config.settings.get("latency_ms", 0) / 1000 + answer.duration_s)
        _fail_perhaps(config, "failure_rate")
        return orjson.dumps(answer.body())

    async def stream(self, config: ProviderConfig, payload: dict[str, Any]) -> AsyncIterator[bytes]:
        answer = _Answer(payload, config.settings)
        await _pause(config.settings.get("latency_ms", 0) / 1000)
        _fail_perhaps(config, "failure_rate")
        chunks = answer.chunks()
        for number, chunk in enumerate(chunks):
            if number == len(chunks) // 2:
                _fail_perhaps(config, "cut_rate")
            yield orjson.dumps(chunk)
            await _pause(answer.duration_s / len(chunks))

    async def embed(self, config: ProviderConfig, payload: dict[str, Any]) -> bytes:
        """Directions that depend on the text alone, and mean nothing."""
        await _pause(config.settings.get("latency_ms", 0) / 1000)
        _fail_perhaps(config, "failure_rate")
        inputs, dimensions = payload["input"], payload.get("dimensions") or EMBEDDING_DIMENSIONS
        data = [
            {"object": "embedding", "index": index, "embedding": _direction(orjson.dumps(text), dimensions)}
            for index, text in enumerate(inputs)
        ]
        tokens = sum(len(text) // 4 + 1 if isinstance(text, str) else len(text) for text in inputs)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return orjson.dumps({"object": "list", "data": data, "model": payload["model"], "usage": usage})


def _direction(text: bytes, dimensions: int) -> list[float]:
    """Of length 1."""
    seed = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
    vector = np.random.default_rng(seed).standard_normal(min(dimensions, MAX_EMBEDDING_DIMENSIONS))
    return [round(float(value), 6) for value in vector / np.linalg.norm(vector)]


async def _pause(seconds: float) -> None:
    if seconds > 0:
        await asyncio.sleep(seconds)


def _fail_perhaps(config: ProviderConfig, setting: str) -> None:
    rate = config.settings.get(setting, 0)
    if rate and random.random() < rate:
        raise ProviderFailed(f"{config.name} was told to fail ({setting} {rate}).", provider=config.name)


class _Answer:
    def __init__(self, payload: dict[str, Any], settings: dict[str, Any]) -> None:
        if payload.get("tools") and payload.get("tool_choice") == "required":
            raise ProviderRefused(400, {"message": "The simulated provider calls no tools."}, provider="simulated")
        digest = hashlib.blake2b(orjson.dumps(payload.get("messages"), option=orjson.OPT_SORT_KEYS), digest_size=8)
        self._model = payload.get("model", "")
        self._id = f"chatcmpl-sim-{digest.hexdigest()}"
        seed = int(digest.hexdigest(), 16)
        limit = payload.get("max_completion_tokens") or payload.get("max_tokens")
        wished = settings.get("tokens") or 24 + seed % 40
        count = max(1, min(wished, limit or wished))
        start = seed % len(_WORDS)
        words = [_WORDS[(start + at) % len(_WORDS)] for at in range(count)]
        self._text = _LABEL + _quote(payload) + " ".join(words)
        self._n = payload.get("n") or 1
        self._finish_reason = "length" if limit and count < wished else "stop"
        size = sum(len(str(message.get("content") or "")) for message in payload.get("messages", []))
        self._usage = {
            "prompt_tokens": size // 4 + 4,
            "completion_tokens": count * self._n,
            "total_tokens": size // 4 + 4 + count * self._n,
        }
        self._include_usage = bool((payload.get("stream_options") or {}).get("include_usage"))
        speed = settings.get("tokens_per_s", 0)
        self.duration_s = count / speed if speed else 0.0

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": kind,
            # The same for the same question, as all of the answer is.
            "created": 1_700_000_000,
            "model": self._model,
            "system_fingerprint": FINGERPRINT,
        }

    def body(self) -> dict[str, Any]:
        message = {"role": "assistant", "content": self._text, "refusal": None}
        choice = {"message": message, "logprobs": None, "finish_reason": self._finish_reason}
        choices = [{"index": index, **choice} for index in range(self._n)]
        return {**self._head("chat.completion"), "choices": choices, "usage": self._usage}

    def chunks(self) -> list[dict[str, Any]]:
        head = self._head("chat.completion.chunk")
        words = self._text.split(" ")
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": word if at == 0 else f" {word}"} for at, word in enumerate(words)]
        parts: list[dict[str, Any]] = [{"delta": delta, "logprobs": None, "finish_reason": None} for delta in deltas]
        parts.append({"delta": {}, "logprobs": None, "finish_reason": self._finish_reason})
        chunks: list[dict[str, Any]] = [
            {**head, "choices": [{"index": index, **part}]} for part in parts for index in range(self._n)
        ]
        if self._include_usage:
            chunks.append({**head, "choices": [], "usage": self._usage})
        return chunks


def _quote(payload: dict[str, Any]) -> str:
    """The question's beginning, so that a person sees which answer belongs to which question."""
    content = (payload.get("messages") or [{}])[-1].get("content")
    return f"You asked: “{content[:80]}”. " if isinstance(content, str) else ""
