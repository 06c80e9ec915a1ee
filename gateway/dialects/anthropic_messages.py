"""Anthropic Messages: its requests, answers, streams and errors, for models of any provider. No server tools."""

from __future__ import annotations

import dataclasses
from typing import Any

import orjson

from gateway.dialects import anthropic_requests, openai_chat
from gateway.errors import GatewayError
from gateway.types import Call, ChatRequest

NAME = "anthropic-messages"
CONTENT_TYPE = b"application/json"

Object = dict[str, Any]

_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}
_ERROR_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_THOUGHTS = ("thinking", "redacted_thinking")
# How Anthropic's documentation has a tool's input that is no JSON object handed on.
_INVALID_JSON = "INVALID_JSON"


def parse(body: bytes) -> ChatRequest:
    """Raises InvalidRequest, naming the field."""
    return openai_chat.read(anthropic_requests.payload_of(openai_chat.parse_object(body)))


def render(call: Call, body: bytes, facts: Object) -> bytes:
    answer = orjson.loads(body)
    choice = answer["choices"][0]
    message = _object(choice.get("message"))
    calls = _objects(message.get("tool_calls"))
    return orjson.dumps(
        {
            **_head(answer, call),
            "content": [*_thoughts(message), *_texts(message), *map(_tool_use, calls)],
            **_ending(choice, calls=bool(calls)),
            "usage": _usage(answer.get("usage")),
        }
    )


def render_error(error: GatewayError, request_id: str) -> bytes:
    kind = _ERROR_TYPES.get(error.status) or ("invalid_request_error" if error.status < 500 else "api_error")
    details = {"type": kind, "message": error.message}
    return orjson.dumps({"type": "error", "error": details, "request_id": request_id})


def _head(answer: Object, call: Call) -> Object:
    given = str(answer.get("id") or call.id)
    return {
        "id": given if given.startswith("msg_") else f"msg_{given.removeprefix('chatcmpl-')}",
        "type": "message",
        "role": "assistant",
        "model": answer.get("model") or call.request.model,
    }


def _thoughts(message: Object) -> list[Object]:
    """Whole blocks with their signatures; of providers that have none, the text alone."""
    if blocks := _objects(message.get("thinking_blocks")):
        return [block for block in blocks if block.get("type") in _THOUGHTS]
    thought = message.get("reasoning_content")
    return [{"type": "thinking", "thinking": thought, "signature": ""}] if thought and isinstance(thought, str) else []


def _texts(message: Object) -> list[Object]:
    texts = (message.get("content"), message.get("refusal"))
    return [{"type": "text", "text": text} for text in texts if isinstance(text, str) and text]


def _tool_use(call: Object) -> Object:
    function = _object(call.get("function"))
    written = function.get("arguments") or "{}"
    # Some servers send an object where OpenAI has its text.
    arguments = written if isinstance(written, dict) else _loaded(str(written))
    if not isinstance(arguments, dict):
        arguments = {_INVALID_JSON: written}
    return {"type": "tool_use", "id": call.get("id"), "name": function.get("name"), "input": arguments}


def _loaded(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _ending(choice: Object, *, calls: bool) -> Object:
    """Why it ended. OpenAI says “stop” of a call to a tool that it was told to use."""
    finish, sequence = choice.get("finish_reason"), choice.get("stop_reason")
    if _object(choice.get("message")).get("refusal"):
        finish = "content_filter"
    elif calls and finish == "stop":
        finish = "tool_calls"
    elif finish == "stop" and isinstance(sequence, str):
        return {"stop_reason": "stop_sequence", "stop_sequence": sequence, "stop_details": None}
    reason = _STOP_REASONS.get(str(finish), "end_turn")
    return {"stop_reason": reason, "stop_sequence": None, "stop_details": None}


def _usage(usage: Any) -> Object:
    """Anthropic counts what was read from and written to the provider's cache apart from the other input."""
    usage = _object(usage)
    details = _object(usage.get("prompt_tokens_details"))
    read, created = _count(details.get("cached_tokens")), _count(details.get("cache_creation_tokens"))
    counts: Object = {
        "input_tokens": max(0, _count(usage.get("prompt_tokens")) - read - created),
        "cache_creation_input_tokens": created,
        "cache_read_input_tokens": read,
        "output_tokens": _count(usage.get("completion_tokens")),
    }
    if by_life := _object(details.get("cache_creation_token_details")):
        counts["cache_creation"] = by_life
    if thought := _count(_object(usage.get("completion_tokens_details")).get("reasoning_tokens")):
        counts["output_tokens_details"] = {"thinking_tokens": thought}
    return counts


def _object(value: Any) -> Object:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[Object]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


# --- streams ---------------------------------------------------------------------------------------------------------


class Stream:
    """Renders the chunks of one answer as Anthropic's events. What it cost is known, and said, at its end."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._begun = False
        self._blocks = _Blocks()
        self._usage: Any = None
        # What a complete choice would have of its ending.
        self._choice: Object = {}
        self._calls = False

    def chunk(self, chunk: bytes, parsed: Object) -> bytes:
        events = self._begin(parsed)
        self._usage = parsed.get("usage") or self._usage
        for choice in parsed.get("choices") or ():
            if not choice.get("index"):
                events += self._add(choice)
        return b"".join(events)

    def error(self, error: GatewayError) -> bytes:
        return b"event: error\ndata: " + render_error(error, self._call.request_id) + b"\n\n"

    def end(self, facts: Object) -> bytes:
        ending = _ending(self._choice, calls=self._calls)
        events = [*self._begin({}), *self._blocks.end()]
        events.append(_event("message_delta", delta=ending, usage=_usage(self._usage)))
        events.append(_event("message_stop"))
        return b"".join(events)

    def _begin(self, parsed: Object) -> list[bytes]:
        if self._begun:
            return []
        self._begun = True
        unknown: Object = {"content": [], "stop_reason": None, "stop_sequence": None, "usage": _usage(None)}
        return [_event("message_start", message={**_head(parsed, self._call), **unknown})]

    def _add(self, choice: Object) -> list[bytes]:
        delta = _object(choice.get("delta"))
        for name in ("finish_reason", "stop_reason"):
            if choice.get(name) is not None:
                self._choice[name] = choice[name]
        self._blocks.add_text("thinking", delta.get("reasoning_content"))
        self._blocks.add_thoughts(delta.get("thinking_blocks"))
        self._blocks.add_text("text", delta.get("content"))
        self._blocks.add_text("text", delta.get("refusal"))
        if delta.get("refusal"):
            self._choice["message"] = {"refusal": True}
        for call in _objects(delta.get("tool_calls")):
            self._calls = True
            self._blocks.add_call(call)
        return self._blocks.ready()


@dataclasses.dataclass(slots=True)
class _Block:
    """`start` is what content_block_start has. `whole`: nothing more will come of it."""

    start: Object
    pieces: list[str] = dataclasses.field(default_factory=list)
    signature: str = ""
    whole: bool = False
    begun: bool = False
    sent: int = 0

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def may_end(self) -> bool:
        """A tool's input may end when it is an object: pieces of several calls can come mixed."""
        return self.start["type"] != "tool_use" or isinstance(_loaded(self.text), dict)

    def events(self, index: int) -> list[bytes]:
        """What has come and not been sent yet."""
        events = []
        if not self.begun:
            events.append(_event("content_block_start", index=index, content_block=self.start))
        self.begun = True
        if piece := "".join(self.pieces[self.sent :]):
            kind, field = _DELTAS[self.start["type"]]
            events.append(_event("content_block_delta", index=index, delta={"type": kind, field: piece}))
        self.sent = len(self.pieces)
        return events

    def end(self, index: int) -> list[bytes]:
        events = self.events(index)
        if self.signature:
            signed = {"type": "signature_delta", "signature": self.signature}
            events.append(_event("content_block_delta", index=index, delta=signed))
        return [*events, _event("content_block_stop", index=index)]


_DELTAS = {
    "text": ("text_delta", "text"),
    "thinking": ("thinking_delta", "thinking"),
    "tool_use": ("input_json_delta", "partial_json"),
}


class _Blocks:
    """One content block after another, as Anthropic sends them; pieces of later ones wait for the first to end."""

    def __init__(self) -> None:
        self._ended = 0
        self._waiting: list[_Block] = []
        self._calls: dict[Any, _Block] = {}

    def add_text(self, kind: str, piece: Any) -> None:
        if not isinstance(piece, str) or not piece:
            return
        block = self._last(kind)
        if block is None:
            start = {"type": kind, kind: ""} | ({"signature": ""} if kind == "thinking" else {})
            block = self._append(_Block(start))
        block.pieces.append(piece)

    def add_thoughts(self, blocks: Any) -> None:
        """Complete blocks. A text that has come in pieces gets its signature."""
        blocks = [block for block in _objects(blocks) if block.get("type") in _THOUGHTS]
        under_way = self._last("thinking")
        if under_way is not None and blocks:
            under_way.whole = True
            # Any other text under this signature would be refused when it is sent back.
            if len(blocks) == 1 and under_way.text == blocks[0].get("thinking"):
                under_way.signature = str(blocks[0].get("signature") or "")
            return
        for block in blocks:
            if block["type"] == "thinking":
                start = {"type": "thinking", "thinking": "", "signature": ""}
                pieces, signature = [str(block.get("thinking") or "")], str(block.get("signature") or "")
                self._append(_Block(start, pieces, signature, whole=True))
            else:
                self._append(_Block(block, whole=True))

    def add_call(self, call: Object) -> None:
        function = _object(call.get("function"))
        block = self._calls.get(call.get("index", 0))
        if block is None:
            start = {"type": "tool_use", "id": "", "name": "", "input": {}}
            block = self._calls[call.get("index", 0)] = self._append(_Block(start))
        if not block.begun:
            block.start["id"] = call.get("id") or block.start["id"]
            block.start["name"] += function.get("name") or ""
        block.pieces.append(function.get("arguments") or "")

    def ready(self) -> list[bytes]:
        """The events that can be sent now."""
        events: list[bytes] = []
        while self._waiting:
            first = self._waiting[0]
            if first.start.get("name") == "":
                return events
            if not (first.whole or len(self._waiting) > 1) or not first.may_end:
                return events + first.events(self._ended)
            events += self._end_first()
        return events

    def end(self) -> list[bytes]:
        events: list[bytes] = []
        while self._waiting:
            events += self._end_first()
        return events

    def _end_first(self) -> list[bytes]:
        events = self._waiting.pop(0).end(self._ended)
        self._ended += 1
        return events

    def _append(self, block: _Block) -> _Block:
        self._waiting.append(block)
        return block

    def _last(self, kind: str) -> _Block | None:
        """The block of this kind that can still grow."""
        for block in self._waiting:
            if block.start["type"] == kind and not block.whole:
                return block
        return None


def _event(kind: str, **fields: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), orjson.dumps({"type": kind, **fields}))
