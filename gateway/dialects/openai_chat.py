"""OpenAI Chat Completions: the dialect that the gateway thinks in. Unknown fields pass through untouched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from gateway.dialects.chat_fields import check_fields, check_message, model_of
from gateway.errors import GatewayError, InvalidRequest
from gateway.types import Call, ChatRequest

NAME = "openai-chat"
# A guess, on the high side for most languages, so that holds cover what is used; providers' counts are what is billed.
BYTES_PER_TOKEN = 2.5
TOKENS_PER_MESSAGE = 8
MAX_MESSAGES = 2048


def parse(body: bytes) -> ChatRequest:
    """Raises InvalidRequest, naming the field."""
    return read(parse_object(body))


def parse_object(body: bytes) -> dict[str, Any]:
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"The body is not valid JSON: {error}.", code="invalid_json") from None
    if not isinstance(payload, dict):
        raise InvalidRequest("The body must be a JSON object.", code="invalid_json")
    return payload


def read(payload: dict[str, Any]) -> ChatRequest:
    model, messages = model_of(payload), payload.get("messages")
    if not isinstance(messages, list) or not messages or len(messages) > MAX_MESSAGES:
        raise InvalidRequest(f"`messages` must be a list of 1 to {MAX_MESSAGES} messages.", param="messages")
    size = 0
    for at, message in enumerate(messages):
        size += check_message(at, message)
    size += check_fields(payload)
    stream = bool(payload.get("stream"))
    options = payload.get("stream_options")
    if options is not None and not stream:
        raise InvalidRequest("`stream_options` needs `stream: true`.", param="stream_options")
    n = payload.get("n") or 1
    plain = not payload.get("tools") and not payload.get("functions") and n == 1
    return ChatRequest(
        payload=payload,
        model=model,
        stream=stream,
        include_usage=bool((options or {}).get("include_usage")),
        max_tokens=payload.get("max_completion_tokens") or payload.get("max_tokens"),
        n=n,
        prompt_tokens=int(size / BYTES_PER_TOKEN) + TOKENS_PER_MESSAGE * len(messages),
        question=question_of(messages[-1]) if plain else None,
    )


def question_of(message: dict[str, Any]) -> str | None:
    """The text of a user's message that is nothing but text. Not one with a NUL, which Postgres cannot keep."""
    if message.get("role") != "user":
        return None
    content = message.get("content")
    if isinstance(content, list):
        if len(content) != 1 or content[0]["type"] != "text":
            return None
        content = content[0].get("text")
    return content if isinstance(content, str) and content.strip() and "\0" not in content else None


CONTENT_TYPE = b"application/json"


def render(call: Call, body: bytes, facts: dict[str, Any]) -> bytes:
    """The complete answer; it is in this dialect already."""
    return body


class Stream:
    """Renders the chunks of one answer as server-sent events."""

    def __init__(self, call: Call) -> None:
        self._include_usage = call.request.include_usage

    def chunk(self, chunk: bytes, parsed: dict[str, Any]) -> bytes:
        """`chunk` is the JSON of a chat.completion.chunk; the usage is only for who asked for it."""
        if not self._include_usage and parsed.get("usage") is not None:
            if not parsed.get("choices"):
                return b""
            parsed = {name: value for name, value in parsed.items() if name != "usage"}
            chunk = orjson.dumps(parsed)
        return b"data: " + chunk + b"\n\n"

    def error(self, error: GatewayError) -> bytes:
        return b"data: " + render_error(error, "") + b"\n\n"

    def end(self, facts: dict[str, Any]) -> bytes:
        return b"data: [DONE]\n\n"


def render_error(error: GatewayError, request_id: str) -> bytes:
    return orjson.dumps(
        {"error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code}}
    )


# --- between a complete answer and its chunks ----------------------------------------------------------------------

_PIECE_CHARACTERS = 48
_PIECED_FIELDS = frozenset({"role", "content", "refusal", "tool_calls", "reasoning_content", "thinking_blocks"})
_WHOLE_CHOICE_FIELDS = frozenset({"index", "message", "logprobs", "finish_reason"})


def chunks_of(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A stored answer as the chunks a stream of it would have had; the last one carries the usage."""
    base: dict[str, Any] = {
        name: body[name] for name in ("id", "created", "model", "system_fingerprint", "service_tier") if name in body
    }
    base["object"] = "chat.completion.chunk"
    for choice in body.get("choices", []):
        index, message = choice.get("index", 0), choice.get("message") or {}

        def delta(
            delta: dict[str, Any], finish_reason: str | None = None, *, index: int = index, logprobs: Any = None
        ) -> dict[str, Any]:
            return {
                **base,
                "choices": [{"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}],
            }

        more = {name: value for name, value in message.items() if name not in _PIECED_FIELDS and value is not None}
        yield delta({"role": message.get("role", "assistant"), "content": "", **more})
        # What was thought comes before what is said.
        for thought in _thoughts(message):
            yield delta(thought)
        content, logprobs = message.get("content") or "", choice.get("logprobs")
        for start in range(0, len(content), _PIECE_CHARACTERS):
            # Log probabilities belong to tokens, not to these pieces: all of them come with the first.
            yield delta({"content": content[start : start + _PIECE_CHARACTERS]}, logprobs=logprobs)
            logprobs = None
        if message.get("refusal"):
            yield delta({"refusal": message["refusal"]})
        for number, tool_call in enumerate(message.get("tool_calls") or []):
            yield delta({"tool_calls": [{"index": number, **tool_call}]})
        last = delta({}, choice.get("finish_reason"))
        last["choices"][0].update({name: value for name, value in choice.items() if name not in _WHOLE_CHOICE_FIELDS})
        yield last
    if body.get("usage"):
        yield {**base, "choices": [], "usage": body["usage"]}


def _thoughts(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """As a provider sends them: the text of a block, then the block with its signature."""
    blocks = message.get("thinking_blocks")
    if not isinstance(blocks, list) or not blocks:
        if message.get("reasoning_content"):
            yield {"reasoning_content": message["reasoning_content"]}
        return
    for block in blocks:
        if isinstance(block, dict) and isinstance(block.get("thinking"), str):
            yield {"reasoning_content": block["thinking"]}
        yield {"thinking_blocks": [block]}


class Assembler:
    """Puts the chunks of a stream together again, to one complete answer. Raises ValueError on what is no chunk."""

    MAX_TOOL_CALLS = 512

    def __init__(self) -> None:
        self._head: dict[str, Any] = {}
        self._choices: dict[int, _Choice] = {}
        self.usage: dict[str, Any] | None = None

    def add(self, chunk: dict[str, Any]) -> None:
        if not self._head:
            self._head = {n: v for n, v in chunk.items() if n not in {"choices", "usage", "object"}}
        if isinstance(chunk.get("usage"), dict):
            self.usage = chunk["usage"]
        for part in chunk.get("choices") or ():
            if not isinstance(part, dict):
                raise ValueError("a choice is not an object")
            index = part.get("index") or 0
            if not isinstance(index, int):
                raise ValueError("a choice's index is not a number")
            self._choices.setdefault(index, _Choice()).add(part)

    @property
    def complete(self) -> bool:
        return bool(self._choices) and all(choice.finish_reason for choice in self._choices.values())

    def body(self) -> dict[str, Any]:
        body = {
            **self._head,
            "object": "chat.completion",
            "choices": [{"index": index, **self._choices[index].whole()} for index in sorted(self._choices)],
        }
        if self.usage is not None:
            body["usage"] = self.usage
        return body


_CALL_FIELDS = frozenset({"index", "id", "type", "function"})
_CHOICE_FIELDS = frozenset({"index", "delta", "logprobs", "finish_reason"})


class _Choice:
    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {}
        self.finish_reason: str | None = None
        self._message: dict[str, Any] = {"role": "assistant", "content": None}
        self._logprobs: dict[str, list[Any]] | None = None
        self._tool_calls: dict[int, dict[str, Any]] = {}
        self._extras: dict[str, Any] = {}

    def add(self, part: dict[str, Any]) -> None:
        delta = part.get("delta") or {}
        if not isinstance(delta, dict):
            raise ValueError("a delta is not an object")
        for name, value in delta.items():
            if name == "tool_calls":
                for tool_call in value or ():
                    self._add_tool_call(tool_call)
            elif isinstance(value, str) and name != "role":
                self.texts.setdefault(name, []).append(value)
            elif isinstance(value, list):
                self._message.setdefault(name, []).extend(value)
            elif value is not None:
                self._message[name] = value
        if isinstance(part.get("logprobs"), dict):
            self._logprobs = self._logprobs or {}
            for name, values in part["logprobs"].items():
                self._logprobs.setdefault(name, []).extend(values or ())
        for name, value in part.items():
            if name not in _CHOICE_FIELDS and value is not None:
                self._extras[name] = value
        self.finish_reason = part.get("finish_reason") or self.finish_reason

    def _add_tool_call(self, part: dict[str, Any]) -> None:
        at = part.get("index", len(self._tool_calls))
        if not isinstance(at, int) or len(self._tool_calls) >= Assembler.MAX_TOOL_CALLS:
            raise ValueError("too many tool calls")
        call = self._tool_calls.setdefault(
            at, {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
        )
        call["id"] = part.get("id") or call["id"]
        call["type"] = part.get("type") or call["type"]
        call |= {name: value for name, value in part.items() if name not in _CALL_FIELDS and value is not None}
        function = part.get("function") or {}
        call["function"]["name"] += function.get("name") or ""
        call["function"]["arguments"] += function.get("arguments") or ""

    def whole(self) -> dict[str, Any]:
        message = self._message | {name: "".join(texts) for name, texts in self.texts.items()}
        if self._tool_calls:
            message["tool_calls"] = [self._tool_calls[at] for at in sorted(self._tool_calls)]
        return {**self._extras, "message": message, "logprobs": self._logprobs, "finish_reason": self.finish_reason}
