"""A faithful Anthropic API that also misbehaves, as the model's name tells it to.

`ok` answers; `tools` calls the first tool (and answers once it has the result); `thinking` thinks first; `unknown`
sends blocks and events from the future; `length`, `stop` and `refusal` end so. `overloaded`, `rate-limited` and
`refused` fail so; `overloaded-late` after the stream began, `overloaded-middle` in its middle. `cut`, `garbage` and
`hang` break off, send no JSON or fall silent in a stream's middle; without a stream `garbage` sends no JSON and `hang`
nothing. `slow` takes half a second. `GET /calls` counts requests by model and tells the last one.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Any

import orjson

from tests.fakes.http import Object, begin_stream, client_left, end_stream, send_bytes, send_json, send_piece, serving

KEY = "sk-ant-upstream"
REQUEST_ID = "req_011CSHoEeqs5C35K2UUqR7Fy"
SIGNATURE = "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYds"
REDACTED = "EmwKAhgBEgy3va3pzix/LafPsn4aDFIT2Xlxh0L5L8rLVyIwxtE3rAFBa8cr3qpP"
THOUGHTS = ["Water first, ", "then leaves."]

calls: Counter[str] = Counter()
last: Object = {}

_FIELDS = frozenset(
    {
        "model", "max_tokens", "messages", "system", "stream", "temperature", "top_p", "top_k", "stop_sequences",
        "metadata", "tools", "tool_choice", "thinking", "service_tier", "output_config", "cache_control", "container",
        "inference_geo", "speed", "context_management", "mcp_servers",
    }
)  # fmt: skip
_FAILURES = {
    "overloaded": (529, "overloaded_error", "Overloaded"),
    "rate-limited": (429, "rate_limit_error", "This request would exceed your organization's rate limit of 5 tokens."),
    "refused": (400, "invalid_request_error", "messages: the prompt is too long: 210000 tokens > 200000 maximum"),
    "missing": (404, "not_found_error", "model: missing"),
    "broken": (500, "api_error", "Internal server error"),
}


class Refused(Exception):
    """Status, error type and message of an answer that is none."""


async def _respond(scope: Object, body: bytes, receive: Any, send: Any) -> None:
    try:
        await _answer(scope, body, receive, send)
    except Refused as refused:
        status, kind, text = refused.args
        error = {"type": "error", "error": {"type": kind, "message": text}, "request_id": REQUEST_ID}
        await _json(send, status, error, *([(b"retry-after", b"7")] if status == 429 else []))


application = serving(_respond, lambda: {"calls": dict(calls), "last": last})


async def _answer(scope: Object, body: bytes, receive: Any, send: Any) -> None:
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    if (scope["method"], scope["path"]) != ("POST", "/v1/messages"):
        raise Refused(404, "not_found_error", "Not Found")
    if headers.get("x-api-key") != KEY:
        raise Refused(401, "authentication_error", "invalid x-api-key")
    if headers.get("anthropic-version") != "2023-06-01":
        raise Refused(400, "invalid_request_error", "anthropic-version: header is required")
    request = orjson.loads(body)
    calls[request["model"]] += 1
    last.update(request=request, headers=headers)
    _check(request)
    model = request["model"]
    if model in _FAILURES:
        raise Refused(*_FAILURES[model])
    if request.get("stream"):
        await _stream(model, request, receive, send)
    elif model == "hang":
        await client_left(receive)
    elif model == "garbage":
        await send_bytes(send, 200, b"<html>not JSON</html>")
    else:
        await asyncio.sleep(0.5 if model == "slow" else 0)
        message = {**_head(model), "content": _content(model, request), **_ending(model, request)}
        await _json(send, 200, {**message, "usage": {**_usage(), "output_tokens": 12}})


# --- what Anthropic checks -------------------------------------------------------------------------------------------


def _check(request: Object) -> None:
    for name in request:
        if name not in _FIELDS:
            raise _invalid(f"{name}: Extra inputs are not permitted")
    for name in ("model", "max_tokens", "messages"):
        if name not in request:
            raise _invalid(f"{name}: Field required")
    asked: set[str] = set()
    before = ""
    for number, message in enumerate(request["messages"]):
        if message["role"] not in ("user", "assistant") or message["role"] == before:
            raise _invalid(f"messages.{number}: roles must alternate between “user” and “assistant”")
        before = message["role"]
        asked = _check_content(message, f"messages.{number}", asked)
    for block in request.get("system") or ():
        if not block["text"]:
            raise _invalid("system: text content blocks must be non-empty")


def _check_content(message: Object, at: str, asked: set[str]) -> set[str]:
    """The tools that are called in it: their results must come first in the next message."""
    if not message["content"]:
        raise _invalid(f"{at}: messages must have non-empty content")
    given = {block["tool_use_id"] for block in message["content"] if block["type"] == "tool_result"}
    first = {block.get("tool_use_id") for block in message["content"][: len(asked)]}
    if given != asked or (asked and first != asked):
        raise _invalid(f"{at}: `tool_use` ids were found without `tool_result` blocks immediately after: {asked}")
    for block in message["content"]:
        if block["type"] == "text" and not block["text"]:
            raise _invalid(f"{at}: text content blocks must be non-empty")
        if block["type"] == "thinking" and block["signature"] != SIGNATURE:
            raise _invalid(f"{at}: Invalid `signature` in `thinking` block")
    return {block["id"] for block in message["content"] if block["type"] == "tool_use"}


def _invalid(text: str) -> Refused:
    return Refused(400, "invalid_request_error", text)


# --- what it says ----------------------------------------------------------------------------------------------------


def _head(model: str) -> Object:
    return {"id": "msg_01XFDUDYJgAACzvnptvVoYEL", "type": "message", "role": "assistant", "model": f"{model}-20261021"}


def _usage() -> Object:
    return {
        "input_tokens": 5,
        "cache_creation_input_tokens": 2,
        "cache_read_input_tokens": 4,
        "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 1,
        "service_tier": "standard",
    }


def _content(model: str, request: Object) -> list[Object]:
    question = request["messages"][-1]["content"][-1]
    text = {"type": "text", "text": f"You said: {question.get('text') or question.get('content') or question['type']}"}
    if model == "tools" and question["type"] != "tool_result":
        city = {"type": "tool_use", "id": "toolu_01A", "name": request["tools"][0]["name"], "input": {"city": "Paris"}}
        now = {"type": "tool_use", "id": "toolu_01B", "name": request["tools"][-1]["name"], "input": {}}
        return [{"type": "text", "text": "Let me look."}, city, now]
    if model == "thinking":
        thought = {"type": "thinking", "thinking": "".join(THOUGHTS), "signature": SIGNATURE}
        return [thought, {"type": "redacted_thinking", "data": REDACTED}, text]
    if model == "unknown":
        return [{"type": "hologram", "beam": 7}, text]
    return [text]


def _ending(model: str, request: Object) -> Object:
    reasons = {"length": "max_tokens", "stop": "stop_sequence", "refusal": "refusal", "future": "daydreaming"}
    asks = model == "tools" and request["messages"][-1]["content"][-1]["type"] != "tool_result"
    reason = "tool_use" if asks else reasons.get(model, "end_turn")
    details = (
        {"type": "refusal", "category": "cyber", "explanation": "It was not safe."} if model == "refusal" else None
    )
    sequence = "END" if model == "stop" else None
    return {"stop_reason": reason, "stop_sequence": sequence, "stop_details": details}


async def _stream(model: str, request: Object, receive: Any, send: Any) -> None:
    await begin_stream(send)
    empty: Object = {"content": [], "stop_reason": None, "stop_sequence": None, "usage": _usage()}
    await _event(send, {"type": "message_start", "message": {**_head(model), **empty}})
    if model == "overloaded-late":
        await _broken_off(send)
        return
    await _event(send, {"type": "ping"})
    for index, block in enumerate(_content(model, request)):
        start, deltas = _pieces(block)
        await _event(send, {"type": "content_block_start", "index": index, "content_block": start})
        for number, delta in enumerate(deltas):
            if number == 1 and await _misbehave(model, receive, send):
                return
            await _event(send, {"type": "content_block_delta", "index": index, "delta": delta})
        await _event(send, {"type": "content_block_stop", "index": index})
    counts = {"input_tokens": 5, "cache_creation_input_tokens": 2, "cache_read_input_tokens": 4, "output_tokens": 12}
    await _event(send, {"type": "message_delta", "delta": _ending(model, request), "usage": counts})
    await _event(send, {"type": "message_stop"})
    await end_stream(send)


async def _misbehave(model: str, receive: Any, send: Any) -> bool:
    """In the middle of the first block. Whether the stream is over."""
    if model == "hang":
        await client_left(receive)
    elif model == "slow":
        await asyncio.sleep(0.5)
    elif model == "garbage":
        await send_piece(send, b"event: ping\ndata: not JSON\n\n")
    elif model == "unknown":
        await _event(send, {"type": "content_block_rotated", "index": 0})
    elif model == "overloaded-middle":
        await _broken_off(send)
    return model in ("cut", "hang", "overloaded-middle")


async def _broken_off(send: Any) -> None:
    error = {"type": "overloaded_error", "message": "Overloaded"}
    await _event(send, {"type": "error", "error": error, "request_id": REQUEST_ID}, more=False)


def _pieces(block: Object) -> tuple[Object, list[Object]]:
    """A block as its start and its deltas."""
    if block["type"] == "text":
        words = [{"type": "text_delta", "text": piece} for piece in _split(block["text"])]
        return {"type": "text", "text": ""}, words
    if block["type"] == "tool_use":
        written = orjson.dumps(block["input"]).decode() if block["input"] else ""
        pieces = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", *_split(written))]
        return {**block, "input": {}}, pieces
    if block["type"] == "thinking":
        thoughts: list[Object] = [{"type": "thinking_delta", "thinking": piece} for piece in THOUGHTS]
        return {"type": "thinking", "thinking": "", "signature": ""}, [
            *thoughts,
            {"type": "signature_delta", "signature": SIGNATURE},
        ]
    return block, []


def _split(text: str) -> Iterator[str]:
    for start in range(0, len(text), 6):
        yield text[start : start + 6]


async def _event(send: Any, event: Object, *, more: bool = True) -> None:
    await send_piece(send, b"event: %s\ndata: %s\n\n" % (event["type"].encode(), orjson.dumps(event)), more=more)


async def _json(send: Any, status: int, value: Any, *headers: tuple[bytes, bytes]) -> None:
    await send_json(send, status, value, (b"request-id", REQUEST_ID.encode()), *headers)
