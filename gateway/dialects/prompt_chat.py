"""`{"prompt": …}` → `{"output", "tokensUsed"}`; errors are `{"message"}`."""

from __future__ import annotations

from typing import Any

import orjson

from gateway.dialects import simple_chat
from gateway.errors import GatewayError
from gateway.types import Call, ChatRequest

NAME = "prompt-chat"
CONTENT_TYPE = b"application/json"


def parse(body: bytes) -> ChatRequest:
    """Raises InvalidRequest, naming the field."""
    return simple_chat.parse_text(body, "prompt")


def render(call: Call, body: bytes, facts: dict[str, Any]) -> bytes:
    answer = orjson.loads(body)
    return orjson.dumps({"output": simple_chat.text_of(answer), "tokensUsed": facts["total_tokens"]})


class Stream:
    """`data: {"output": "…"}` for each piece, then one event with the tokens that were used."""

    def __init__(self, call: Call) -> None:
        pass

    def chunk(self, chunk: bytes, parsed: dict[str, Any]) -> bytes:
        text = simple_chat.piece_of(parsed)
        return b"data: " + orjson.dumps({"output": text}) + b"\n\n" if text else b""

    def error(self, error: GatewayError) -> bytes:
        return b"data: " + render_error(error, "") + b"\n\n"

    def end(self, facts: dict[str, Any]) -> bytes:
        return b"data: " + orjson.dumps({"tokensUsed": facts["total_tokens"]}) + b"\n\ndata: [DONE]\n\n"


def render_error(error: GatewayError, request_id: str) -> bytes:
    return orjson.dumps({"message": error.message})
