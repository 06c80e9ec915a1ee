"""`{"message": …}` → `{"response", "model", "cache", "similarity", "saved_usd", "request_id"}`."""

from __future__ import annotations

from typing import Any

import orjson
from django.conf import settings

from gateway.dialects import openai_chat
from gateway.errors import GatewayError, InvalidRequest
from gateway.types import Call, ChatRequest

NAME = "simple-chat"
CONTENT_TYPE = b"application/json"
_OPTIONS = frozenset({"model", "stream", "max_tokens", "temperature"})
# Of the facts about an answer those that a body says; the rest is in headers.
_SAID = ("model", "cache", "similarity", "saved_usd", "simulated", "request_id")


def parse(body: bytes) -> ChatRequest:
    """Raises InvalidRequest, naming the field."""
    return parse_text(body, "message")


def parse_text(body: bytes, field: str, *, streams: bool = False) -> ChatRequest:
    """A request whose only message is in `field`; with `streams`, always for a stream. Raises InvalidRequest."""
    payload = openai_chat.parse_object(body)
    text = payload.pop(field, None)
    if not isinstance(text, str) or not text.strip():
        raise InvalidRequest(f"`{field}` must be a text.", param=field)
    if unknown := sorted(set(payload) - _OPTIONS):
        raise InvalidRequest(
            f"`{unknown[0]}` is not known here. Use /v1/chat/completions for all of a model's options.",
            param=unknown[0],
        )
    if payload.get("model") is None:
        payload["model"] = settings.DEFAULT_MODEL
    if streams:
        payload["stream"] = True
    return openai_chat.read({**payload, "messages": [{"role": "user", "content": text}]})


def render(call: Call, body: bytes, facts: dict[str, Any]) -> bytes:
    return orjson.dumps({"response": text_of(orjson.loads(body)), **said(facts)})


def text_of(answer: dict[str, Any]) -> str:
    """What the first choice of a complete answer says."""
    message = answer["choices"][0].get("message") or {}
    text = message.get("content") or message.get("refusal")
    return text if isinstance(text, str) else ""


def piece_of(chunk: dict[str, Any]) -> str:
    """What a chunk adds to it."""
    choices = chunk.get("choices")
    text = (choices[0].get("delta") or {}).get("content") if choices else None
    return text if isinstance(text, str) else ""


def said(facts: dict[str, Any]) -> dict[str, Any]:
    """Of the facts about an answer those that a body says."""
    return {name: facts[name] for name in _SAID}


class Stream:
    """`data: {"delta": "…"}` for each piece, then one event with all that the complete answer has beside its text."""

    def __init__(self, call: Call) -> None:
        pass

    def chunk(self, chunk: bytes, parsed: dict[str, Any]) -> bytes:
        text = piece_of(parsed)
        return b"data: " + orjson.dumps({"delta": text}) + b"\n\n" if text else b""

    def error(self, error: GatewayError) -> bytes:
        return b"data: " + render_error(error, "") + b"\n\n"

    def end(self, facts: dict[str, Any]) -> bytes:
        return b"data: " + orjson.dumps({"done": True, **said(facts)}) + b"\n\ndata: [DONE]\n\n"


def render_error(error: GatewayError, request_id: str) -> bytes:
    details = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
    return orjson.dumps({"error": details, "request_id": request_id})
