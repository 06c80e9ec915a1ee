"""`{"message": …}` over a WebSocket: each piece as it comes, `{"delta": "…"}`, and all else in one last message."""

from __future__ import annotations

from typing import Any

import orjson

from gateway.dialects import simple_chat
from gateway.errors import GatewayError
from gateway.types import Call, ChatRequest

NAME = "socket-chat"
CONTENT_TYPE = b"application/json"


def parse(body: bytes) -> ChatRequest:
    """Always a stream. Raises InvalidRequest, naming the field."""
    return simple_chat.parse_text(body, "message", streams=True)


class Stream:
    """One JSON text a line; the line's end is not sent."""

    def __init__(self, call: Call) -> None:
        pass

    def chunk(self, chunk: bytes, parsed: dict[str, Any]) -> bytes:
        text = simple_chat.piece_of(parsed)
        return orjson.dumps({"delta": text}) + b"\n" if text else b""

    def error(self, error: GatewayError) -> bytes:
        return render_error(error, "") + b"\n"

    def end(self, facts: dict[str, Any]) -> bytes:
        return orjson.dumps({"done": True, **simple_chat.said(facts)}) + b"\n"


def render_error(error: GatewayError, request_id: str) -> bytes:
    return simple_chat.render_error(error, request_id)
