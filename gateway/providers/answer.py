"""Answers of providers in the form between (docs/dialects.md), built from what their APIs say. Knows no API."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator
from typing import Any

import orjson

from gateway.dialects.openai_chat import BYTES_PER_TOKEN
from gateway.errors import ProviderFailed
from gateway.types import ProviderConfig


class Answer:
    """One answer: a complete one, or its chunks, all with the same head."""

    def __init__(self, model: str, id: str = "") -> None:
        self._head = {"id": id or new_id("chatcmpl-"), "created": int(time.time()), "model": model}

    def complete(self, choices: list[dict[str, Any]], usage: dict[str, Any] | None) -> bytes:
        body = {**self._head, "object": "chat.completion", "choices": choices}
        return orjson.dumps(body if usage is None else {**body, "usage": usage})

    def chunk(
        self, delta: dict[str, Any], *, index: int = 0, finish_reason: str | None = None, **of_choice: Any
    ) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason, **of_choice}
        return orjson.dumps({**self._head, "object": "chat.completion.chunk", "choices": [choice]})

    def last(self, usage: dict[str, Any]) -> bytes:
        return orjson.dumps({**self._head, "object": "chat.completion.chunk", "choices": [], "usage": usage})


def new_id(prefix: str) -> str:
    """For what an API gives no id."""
    return f"{prefix}{uuid.uuid4().hex}"


def usage(
    prompt: Any,
    completion: Any,
    *,
    cached: Any = None,
    reasoning: Any = None,
    sent: dict[str, int] | None = None,
    sent_cached: dict[str, int] | None = None,
    said: dict[str, int] | None = None,
) -> dict[str, Any]:
    """APIs leave out what is zero, and some count in fractions. `sent`, those of it that were cached, and `said` are by
    modality (audio, image).
    """
    prompt, completion = int(prompt or 0), int(completion or 0)
    counted: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    of_prompt: dict[str, Any] = _by_modality(sent)
    if cached:
        of_prompt["cached_tokens"] = min(int(cached), prompt)
    if heard := _by_modality(sent_cached):
        of_prompt["cached_tokens_details"] = heard
    of_completion = _by_modality(said)
    if reasoning:
        of_completion["reasoning_tokens"] = int(reasoning)
    if of_prompt:
        counted["prompt_tokens_details"] = of_prompt
    if of_completion:
        counted["completion_tokens_details"] = of_completion
    return counted


def _by_modality(tokens: dict[str, int] | None) -> dict[str, Any]:
    return {f"{modality}_tokens": count for modality, count in (tokens or {}).items() if count}


def tool_call(id: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": id or new_id("call_"), "type": "function", "function": {"name": name, "arguments": arguments}}


def logprob(token: str, value: float) -> dict[str, Any]:
    """An entry of `top_logprobs`; with that field of its own, one of `content`."""
    return {"token": token, "logprob": value, "bytes": list(token.encode())}


def embeddings(model: str, texts: list[str], vectors: list[Any], tokens: int | None) -> bytes:
    """In the order of the texts. Without a count by the API the tokens are an estimate: nothing is free for that."""
    if tokens is None:
        tokens = int(sum(len(text.encode()) for text in texts) / BYTES_PER_TOKEN) + 1
    data = [{"object": "embedding", "index": at, "embedding": vector} for at, vector in enumerate(vectors)]
    counted = {"prompt_tokens": tokens, "total_tokens": tokens}
    return orjson.dumps({"object": "list", "data": data, "model": model, "usage": counted})


def load(data: bytes, config: ProviderConfig) -> dict[str, Any]:
    """A JSON object of an API. Raises ProviderFailed when it is none."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise ProviderFailed(f"{config.name} sent what is not a JSON object.", provider=config.name)
    return value


@contextlib.contextmanager
def reading(config: ProviderConfig) -> Iterator[None]:
    """An answer of another shape than the API documents is the provider's failure, wherever it shows."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ProviderFailed(
            f"{config.name} sent an answer of an unknown shape: {type(error).__name__}.", provider=config.name
        ) from error
