"""What a client makes of Anthropic's events, and requests full of what nobody expects."""

from __future__ import annotations

import types
from typing import Any

import orjson
from hypothesis import strategies as st

from gateway.dialects import anthropic_messages

TOOL = {"name": "weather", "description": "Of a city", "input_schema": {"type": "object", "properties": {}}}
FUNCTION = {"name": "weather", "description": "Of a city", "parameters": {"type": "object", "properties": {}}}
PIXEL = "iVBORw0KGgo="
MARK = {"type": "ephemeral"}

SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(
    ["", "text", "user", "assistant", "tool_use", "tool_result", "image", "document", "thinking", "base64", "auto"]
)  # fmt: skip
_NAMES = st.sampled_from(
    """type text role content source data media_type url tool_use_id id name input is_error cache_control signature
    thinking citations input_schema description user_id effort format schema title function arguments index parameters
    image_url file file_data properties disable_parallel_tool_use""".split()
)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=5), max_leaves=25
)


def call_of(model: str = "m") -> Any:
    return types.SimpleNamespace(id="0123", request_id="r1", request=types.SimpleNamespace(model=model))


def events_of(data: bytes) -> list[dict[str, Any]]:
    events = []
    for frame in data.decode().strip("\n").split("\n\n"):
        name, content = frame.split("\n")
        event = orjson.loads(content.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        events.append(event)
    return events


def streamed_chunks(chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    stream = anthropic_messages.Stream(call_of())
    return events_of(b"".join(stream.chunk(orjson.dumps(chunk), chunk) for chunk in chunks) + stream.end({}))


def put_together(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The message that a client makes of a stream; blocks must come one after another."""
    message: dict[str, Any] = {}
    inputs: dict[int, str] = {}
    open_block: int | None = None
    for event in events:
        if event["type"] == "message_start":
            message = event["message"]
        elif event["type"] == "content_block_start":
            assert open_block is None and event["index"] == len(message["content"])
            open_block = event["index"]
            message["content"].append(dict(event["content_block"]))
        elif event["type"] == "content_block_delta":
            assert event["index"] == open_block
            _grow(message["content"][open_block], event["delta"], inputs, event["index"])
        elif event["type"] == "content_block_stop":
            assert event["index"] == open_block
            open_block = None
        elif event["type"] == "message_delta":
            message |= event["delta"]
            message["usage"] |= event["usage"]
    assert open_block is None and events[-1]["type"] == "message_stop"
    for index, written in inputs.items():
        message["content"][index]["input"] = orjson.loads(written)
    return message


def _grow(block: dict[str, Any], delta: dict[str, Any], inputs: dict[int, str], index: int) -> None:
    if delta["type"] == "input_json_delta":
        inputs[index] = inputs.get(index, "") + delta["partial_json"]
    elif delta["type"] == "signature_delta":
        block["signature"] = delta["signature"]
    else:
        field = delta["type"].removesuffix("_delta")
        block[field] += delta[field]


def said(*blocks: Any, role: str = "user") -> list[dict[str, Any]]:
    return [{"role": role, "content": list(blocks)}]


def tool_call(arguments: str, index: int = 0) -> dict[str, Any]:
    return {"id": f"t{index}", "type": "function", "function": {"name": f"tool{index}", "arguments": arguments}}
