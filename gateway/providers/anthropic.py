"""Anthropic Messages upstream: its answers and streams in the canonical form. Server tools are never asked for.

Settings: max_tokens (for requests without a limit, which Anthropic wants; 4096).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import orjson

from gateway.errors import ProviderFailed, Untranslatable
from gateway.providers.answer import load
from gateway.providers.anthropic_requests import request_of
from gateway.providers.http import Http, read_out
from gateway.types import ProviderConfig

Object = dict[str, Any]

BASE_URL = "https://api.anthropic.com"
# The version that still takes temperature, top_p and top_k.
VERSION = "2023-06-01"

# Whatever else ends an answer has cut it short.
_FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_CUT_SHORT = "length"


class Anthropic:
    def __init__(self, http: Http) -> None:
        self._http = http

    async def embed(self, config: ProviderConfig, payload: Object) -> bytes:
        raise Untranslatable("embeddings", provider=config.name)

    async def complete(self, config: ProviderConfig, payload: Object) -> bytes:
        url, headers = _endpoint(config)
        message = load(await self._http.fetch(config, url, headers, request_of(config, payload)), config)
        if message.get("type") == "error":
            raise _broken_off(message, config.name)
        if not isinstance(message.get("content"), list):
            raise ProviderFailed(f"{config.name} sent an answer without content.", provider=config.name)
        return orjson.dumps(answer_of(message))

    async def stream(self, config: ProviderConfig, payload: Object) -> AsyncIterator[bytes]:
        url, headers = _endpoint(config)
        chunks = _Chunks(config.name)
        body = {**request_of(config, payload), "stream": True}
        async with contextlib.aclosing(self._http.events(config, url, headers, body)) as events:
            async for data in events:
                for chunk in chunks.add(load(data, config)):
                    yield orjson.dumps(chunk)
                if chunks.ended:
                    await read_out(events)
                    return
        raise ProviderFailed(f"{config.name} ended the stream before it was complete.", provider=config.name)


def read_error(body: Object) -> Object:
    """Anthropic's envelope as OpenAI's error object."""
    error = _object(body.get("error"))
    code = _object(error.get("details")).get("error_code")
    return {"message": error.get("message"), "type": error.get("type"), "code": code}


def _endpoint(config: ProviderConfig) -> tuple[str, dict[str, str]]:
    base = (config.base_url or BASE_URL).rstrip("/").removesuffix("/v1")
    return f"{base}/v1/messages", {"x-api-key": config.api_key, "anthropic-version": VERSION}


def _broken_off(event: Object, provider: str) -> ProviderFailed:
    error = _object(event.get("error"))
    return ProviderFailed(f"{provider} broke off: {error.get('message') or error.get('type')}", provider=provider)


# --- complete answers ------------------------------------------------------------------------------------------------


def answer_of(message: Object) -> Object:
    """Blocks of types that are not known here are left out."""
    blocks = [block for block in message["content"] if isinstance(block, dict)]
    by_type: dict[str, list[Object]] = {}
    for block in blocks:
        by_type.setdefault(str(block.get("type")), []).append(block)
    said = "".join(_text(block.get("text")) for block in by_type.get("text", ()))
    calls = [_tool_call(block) for block in by_type.get("tool_use", ())]
    answer: Object = {"role": "assistant", "content": said or (None if calls else ""), "refusal": _refusal(message)}
    if thoughts := [block for block in blocks if block.get("type") in ("thinking", "redacted_thinking")]:
        answer["reasoning_content"] = "".join(_text(block.get("thinking")) for block in thoughts)
        answer["thinking_blocks"] = thoughts
    if calls:
        answer["tool_calls"] = calls
    choice = {"index": 0, "message": answer, "logprobs": None, **_ending(message)}
    whole = {**_head(message, "chat.completion", int(time.time())), "choices": [choice]}
    usage = _usage(_object(message.get("usage")))
    return {**whole, "usage": usage} if usage else whole


def _head(message: Object, kind: str, created: int) -> Object:
    return {"id": message.get("id"), "object": kind, "created": created, "model": message.get("model")}


def _tool_call(block: Object) -> Object:
    arguments = orjson.dumps(block.get("input") or {}).decode()
    return {"id": block.get("id"), "type": "function", "function": {"name": block.get("name"), "arguments": arguments}}


def _ending(message: Object) -> Object:
    reason = message.get("stop_reason")
    ending: Object = {"finish_reason": _FINISH_REASONS.get(str(reason), _CUT_SHORT)}
    if reason == "stop_sequence":
        ending["stop_reason"] = message.get("stop_sequence")
    return ending


def _refusal(message: Object) -> str | None:
    """Why it was refused, if that is said."""
    return _text(_object(message.get("stop_details")).get("explanation")) or None


# How long what is written to the cache stays there: an hour costs more.
_LIVES = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")


def _usage(usage: Object) -> Object:
    """Anthropic's `input_tokens` are those that its cache had no part in; the canonical count has all."""
    if not usage:
        return {}
    read, created = _count(usage.get("cache_read_input_tokens")), _count(usage.get("cache_creation_input_tokens"))
    by_life = {name: _count(_object(usage.get("cache_creation")).get(name)) for name in _LIVES}
    created = max(created, sum(by_life.values()))
    prompt, completion = _count(usage.get("input_tokens")) + read + created, _count(usage.get("output_tokens"))
    thought = _count(_object(usage.get("output_tokens_details")).get("thinking_tokens"))
    of_prompt: Object = {"cached_tokens": read, "cache_creation_tokens": created}
    if by_life["ephemeral_1h_input_tokens"]:
        of_prompt["cache_creation_token_details"] = by_life
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": of_prompt,
        "completion_tokens_details": {"reasoning_tokens": thought},
    }


def _object(value: Any) -> Object:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


# --- streams ---------------------------------------------------------------------------------------------------------


class _Chunks:
    """Chunks of one answer from Anthropic's events. Events and blocks that are not known here are left out."""

    def __init__(self, provider: str) -> None:
        self.ended = False
        self._provider = provider
        self._head: Object = {}
        # A stream that fails before its first block can still be asked for elsewhere: nothing is sent until then.
        self._begun = False
        self._message: Object = {}
        self._usage: Object = {}
        self._thought: Object = {}
        self._calls = 0
        self._arguments = False
        self._events = {
            "message_start": self._start,
            "content_block_start": self._block,
            "content_block_delta": self._delta,
            "content_block_stop": self._block_end,
            "message_delta": self._message_delta,
            "message_stop": self._end,
        }

    def add(self, event: Object) -> Iterator[Object]:
        kind = event.get("type")
        if kind == "error":
            raise _broken_off(event, self._provider)
        if translate := self._events.get(str(kind)):
            yield from translate(event)

    def _chunk(self, delta: Object, ending: Object | None = None) -> Object:
        if not self._begun:
            self._begun = True
            delta = {"role": "assistant", "content": "", **delta}
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None, **(ending or {})}
        return {**self._head, "choices": [choice]}

    def _start(self, event: Object) -> Iterator[Object]:
        message = _object(event.get("message"))
        self._head = _head(message, "chat.completion.chunk", int(time.time()))
        self._usage = _object(message.get("usage"))
        yield from ()

    def _block(self, event: Object) -> Iterator[Object]:
        block = _object(event.get("content_block"))
        kind = block.get("type")
        self._thought = {}
        if kind == "text":
            yield self._chunk({"content": _text(block.get("text"))})
        elif kind in ("thinking", "redacted_thinking"):
            self._thought = dict(block)
        elif kind == "tool_use":
            call = _tool_call(block)
            self._arguments = bool(block.get("input"))
            if not self._arguments:
                call["function"]["arguments"] = ""
            self._calls += 1
            yield self._chunk({"tool_calls": [{"index": self._calls - 1, **call}]})

    def _delta(self, event: Object) -> Iterator[Object]:
        delta = _object(event.get("delta"))
        kind = delta.get("type")
        if kind == "text_delta":
            yield self._chunk({"content": _text(delta.get("text"))})
        elif kind == "input_json_delta" and (piece := _text(delta.get("partial_json"))):
            self._arguments = True
            yield self._call_piece(piece)
        elif kind == "thinking_delta" and (piece := _text(delta.get("thinking"))):
            self._thought["thinking"] = _text(self._thought.get("thinking")) + piece
            yield self._chunk({"reasoning_content": piece})
        elif kind == "signature_delta":
            self._thought["signature"] = _text(delta.get("signature"))

    def _block_end(self, event: Object) -> Iterator[Object]:
        if self._thought:
            yield self._chunk({"thinking_blocks": [self._thought]})
        elif self._calls and not self._arguments:
            # A call without arguments: clients read JSON all the same.
            self._arguments = True
            yield self._call_piece("{}")
        self._thought = {}

    def _call_piece(self, piece: str) -> Object:
        return self._chunk({"tool_calls": [{"index": self._calls - 1, "function": {"arguments": piece}}]})

    def _message_delta(self, event: Object) -> Iterator[Object]:
        self._message |= _object(event.get("delta"))
        counts = _object(event.get("usage"))
        # They are totals, not differences; what does not apply is null.
        self._usage |= {name: value for name, value in counts.items() if value is not None}
        yield from ()

    def _end(self, event: Object) -> Iterator[Object]:
        refusal = _refusal(self._message)
        yield self._chunk({"refusal": refusal} if refusal else {}, _ending(self._message))
        if usage := _usage(self._usage):
            yield {**self._head, "choices": [], "usage": usage}
        self.ended = True
