"""Cohere's API, version 2: chat and embed. Citations are not passed on: nothing in the form between carries them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

from gateway.errors import ProviderFailed
from gateway.providers import answer, form
from gateway.providers.cohere_requests import embedding_request, request
from gateway.providers.http import Http, read_out
from gateway.types import ProviderConfig

BASE_URL = "https://api.cohere.com"
# Texts of one embed.
MAX_BATCH = 96


class Cohere:
    """Its errors are `{"message": …}`, which `http` reads on its own."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def complete(self, config: ProviderConfig, payload: dict[str, Any]) -> bytes:
        url, headers = _endpoint(config, "chat")
        raw = await self._http.fetch(config, url, headers, request(config, payload, stream=False))
        found = answer.load(raw, config)
        with answer.reading(config):
            return whole(config, payload, found)

    async def stream(self, config: ProviderConfig, payload: dict[str, Any]) -> AsyncIterator[bytes]:
        url, headers = _endpoint(config, "chat")
        chunks = _Chunks(config, payload)
        body = request(config, payload, stream=True)
        async with contextlib.aclosing(self._http.events(config, url, headers, body)) as events:
            async for data in events:
                event = answer.load(data, config)
                with answer.reading(config):
                    made = list(chunks.of(event))
                for chunk in made:
                    yield chunk
                if chunks.ended:
                    await read_out(events)
                    return
        raise ProviderFailed(f"{config.name} ended the stream before it was complete.", provider=config.name)

    async def embed(self, config: ProviderConfig, payload: dict[str, Any]) -> bytes:
        url, headers = _endpoint(config, "embed")
        body, texts = embedding_request(config, payload), form.inputs(payload, config)
        vectors: list[Any] = []
        tokens: int | None = None
        for start in range(0, len(texts), MAX_BATCH):
            raw = await self._http.fetch(config, url, headers, {**body, "texts": texts[start : start + MAX_BATCH]})
            found = answer.load(raw, config)
            with answer.reading(config):
                vectors += found["embeddings"]["float"]
                billed = ((found.get("meta") or {}).get("billed_units") or {}).get("input_tokens")
                tokens = tokens if billed is None else (tokens or 0) + int(billed)
        if len(vectors) != len(texts):
            raise ProviderFailed(f"{config.name} sent {len(vectors)} of {len(texts)} vectors.", provider=config.name)
        return answer.embeddings(payload["model"], texts, vectors, tokens)


def _endpoint(config: ProviderConfig, method: str) -> tuple[str, dict[str, str]]:
    return f"{(config.base_url or BASE_URL).rstrip('/')}/v2/{method}", {"Authorization": f"Bearer {config.api_key}"}


_FINISH_REASONS = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR_TOXIC": "content_filter",
}


def whole(config: ProviderConfig, payload: dict[str, Any], found: dict[str, Any]) -> bytes:
    """A complete answer."""
    spoken = found["message"]
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    if spoken.get("tool_plan"):
        message["reasoning_content"] = spoken["tool_plan"]
    for block in spoken.get("content") or ():
        for name, text in _said(block):
            message[name] = (message.get(name) or "") + text
    if calls := spoken.get("tool_calls"):
        message["tool_calls"] = [_tool_call(call) for call in calls]
    elif message["content"] is None:
        message["content"] = ""
    choice = {"index": 0, "message": message, "logprobs": _logprobs(found.get("logprobs"))}
    choice |= _end(config, payload, found)
    return answer.Answer(payload["model"], found.get("id") or "").complete([choice], _usage(found))


class _Chunks:
    """Those of one stream of events."""

    def __init__(self, config: ProviderConfig, payload: dict[str, Any]) -> None:
        self._config, self._payload = config, payload
        self._answer = answer.Answer(payload["model"])
        # Positions of tool calls, by Cohere's own index.
        self._calls: dict[int, int] = {}
        self.ended = False

    def of(self, event: dict[str, Any]) -> Iterator[bytes]:
        delta = event.get("delta") or {}
        message = delta.get("message") or {}
        match event.get("type"):
            case "message-start":
                self._answer = answer.Answer(self._payload["model"], event.get("id") or "")
                yield self._answer.chunk({"role": "assistant", "content": ""})
            case "content-start" | "content-delta":
                said = dict(_said(message["content"]))
                if said:
                    yield self._answer.chunk(said, logprobs=_logprobs(event.get("logprobs")))
            case "tool-plan-delta":
                yield self._answer.chunk({"reasoning_content": message["tool_plan"]})
            case "tool-call-start":
                position = self._calls.setdefault(event["index"], len(self._calls))
                yield self._answer.chunk({"tool_calls": [{"index": position, **_tool_call(message["tool_calls"])}]})
            case "tool-call-delta":
                piece = {"arguments": message["tool_calls"]["function"]["arguments"]}
                yield self._answer.chunk({"tool_calls": [{"index": self._calls[event["index"]], "function": piece}]})
            case "message-end":
                yield self._answer.chunk({}, **_end(self._config, self._payload, delta))
                if (counted := _usage(delta)) is not None:
                    yield self._answer.last(counted)
                self.ended = True


def _said(block: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Blocks say what they are, pieces of them only by the name of their text."""
    for name, field in (("thinking", "reasoning_content"), ("text", "content")):
        if block.get(name):
            yield field, block[name]


def _tool_call(call: dict[str, Any]) -> dict[str, Any]:
    function = call["function"]
    return answer.tool_call(call.get("id") or "", function["name"], function.get("arguments") or "")


def _end(config: ProviderConfig, payload: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """How a choice ended. Cohere does not tell which stop sequence it was: with one, it was that."""
    reason = found["finish_reason"]
    if reason not in _FINISH_REASONS:
        message = f"{config.name} gave up with {reason}: {found.get('error') or 'no reason given'}"
        raise ProviderFailed(message, provider=config.name)
    end = {"finish_reason": _FINISH_REASONS[reason]}
    stops = form.texts("stop", payload.get("stop") or [])
    return {**end, "stop_reason": stops[0]} if reason == "STOP_SEQUENCE" and len(stops) == 1 else end


def _logprobs(found: Any) -> dict[str, Any] | None:
    """Cohere's pieces may be of several tokens: their probability is the product."""
    items = [found] if isinstance(found, dict) else found
    if not items:
        return None
    content = [
        {**answer.logprob(item.get("text") or "", sum(item.get("logprobs") or ())), "top_logprobs": []}
        for item in items
    ]
    return {"content": content, "refusal": None}


def _usage(found: dict[str, Any]) -> dict[str, Any] | None:
    """What is billed: `tokens` also counts what Cohere wraps around a conversation."""
    counted = found.get("usage") or {}
    tokens = counted.get("billed_units") or counted.get("tokens")
    if not tokens:
        return None
    return answer.usage(tokens.get("input_tokens"), tokens.get("output_tokens"), cached=counted.get("cached_tokens"))
