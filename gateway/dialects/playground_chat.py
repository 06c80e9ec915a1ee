"""The playground's: asked like Chat Completions; answered with the text, then with what the page tells of the call.

Figures come as they are to be shown.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson

from analytics.figures import NOTHING, count, duration, usd
from gateway.dialects import openai_chat, simple_chat
from gateway.errors import GatewayError
from gateway.types import Call, ChatRequest

NAME = "playground"
CONTENT_TYPE = b"application/json"


def parse(body: bytes) -> ChatRequest:
    """Raises InvalidRequest, naming the field."""
    return openai_chat.parse(body)


def render(call: Call, body: bytes, facts: dict[str, Any]) -> bytes:
    return orjson.dumps({"text": simple_chat.text_of(orjson.loads(body)), "facts": told(call, facts, None)})


def told(call: Call, facts: dict[str, Any], first_token_ms: float | None) -> dict[str, Any]:
    """The facts about an answer (gateway.answers) as texts. `kind` is the class that gives an outcome its colour."""
    likeness = facts["similarity"] if facts["similarity"] is not None else facts["shadow_similarity"]
    return {
        "cache": facts["cache"],
        "kind": facts["cache"].lower(),
        "reason": facts["reason"],
        "similarity": NOTHING if likeness is None else f"{likeness:.3f}",
        "answered_by": f"{facts['provider']} / {facts['model']}" if facts["provider"] else NOTHING,
        "is_simulated": facts["simulated"],
        "latency": duration(call.elapsed_ms),
        "first_token": NOTHING if first_token_ms is None else duration(first_token_ms),
        "tokens": f"{count(facts['prompt_tokens'])} + {count(facts['completion_tokens'])}",
        "cost": _usd(facts["cost_usd"]),
        "saved": _usd(facts["saved_usd"]),
        "request_id": facts["request_id"],
    }


def _usd(amount: float | None) -> str:
    return usd(None if amount is None else Decimal(str(amount)))


class Stream:
    """Server-sent events: `{"text"}` for each piece, then `{"facts"}` or `{"error"}`."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._first_token_ms: float | None = None

    def chunk(self, chunk: bytes, parsed: dict[str, Any]) -> bytes:
        text = simple_chat.piece_of(parsed)
        if not text:
            return b""
        if self._first_token_ms is None:
            self._first_token_ms = self._call.elapsed_ms
        return _event({"text": text})

    def error(self, error: GatewayError) -> bytes:
        return _event(orjson.loads(render_error(error, self._call.request_id)))

    def end(self, facts: dict[str, Any]) -> bytes:
        return _event({"facts": told(self._call, facts, self._first_token_ms)})


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


def render_error(error: GatewayError, request_id: str) -> bytes:
    return simple_chat.render_error(error, request_id)
