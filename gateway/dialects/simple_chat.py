"""`{"message": …}` → `{"response", "model", "cache", "similarity", "saved_usd", "request_id"}`."""

from __future__ import annotations

from typing import Any

import orjson
from django.conf import settings

from gateway.dialects import openai_chat
from gateway.errors import GatewayError, InvalidRequest
from gateway.types import Call, ChatRequest

NAME = "simple-chat"
_FIELDS = frozenset({"message", "model", "stream", "max_tokens", "temperature"})
CONTENT_TYPE = b"application/json"


def parse(body: bytes) -> ChatRequest:
    """Raises InvalidRequest, naming the field."""
    payload = openai_chat.parse_object(body)
    message = payload.get("message")
    if not isinstance(message, str) or not message.strip():
        raise InvalidRequest("`message` must be a text.", param="message")
    if unknown := sorted(set(payload) - _FIELDS):
        raise InvalidRequest(
            f"`{unknown[0]}` is not known here. Use /v1/chat/completions for all of a model's options.",
            param=unknown[0],
        )
    chat = {name: value for name, value in payload.items() if name != "message"}
    chat.setdefault("model", settings.DEFAULT_MODEL)
    return openai_chat.read({**chat, "messages": [{"role": "user", "content": message}]})


def render(call: Call, body: bytes, facts: dict[str, Any]) -> bytes:
    message = orjson.loads(body)["choices"][0]["message"]
    return orjson.dumps({"response": message.get("content") or message.get("refusal") or "", **facts})


class Stream:
    """`data: {"delta": "…"}` for each piece, then one event with all that the complete answer has beside its text."""

    def __init__(self, call: Call) -> None:
        pass

    def chunk(self, chunk: bytes, parsed: dict[str, Any]) -> bytes:
        choices = parsed.get("choices")
        text = choices[0].get("delta", {}).get("content") if choices else None
        return b"data: " + orjson.dumps({"delta": text}) + b"\n\n" if text else b""

    def error(self, error: GatewayError) -> bytes:
        return b"data: " + render_error(error, "") + b"\n\n"

    def end(self, facts: dict[str, Any]) -> bytes:
        return b"data: " + orjson.dumps({"done": True, **facts}) + b"\n\ndata: [DONE]\n\n"


def render_error(error: GatewayError, request_id: str) -> bytes:
    details = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
    return orjson.dumps({"error": details, "request_id": request_id})
