"""Requests and answers of OpenAI Responses, beside the chat completions that they stand for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import orjson

from gateway.dialects import openai_responses

TOOL = {"type": "function", "name": "weather", "description": "By city", "parameters": {"type": "object"}}
CHAT_TOOL = {"type": "function", "function": {name: value for name, value in TOOL.items() if name != "type"}}
USER = {"role": "user", "content": "How is the weather?"}
FUNCTION_CALL = {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"}
TOOL_CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "rain"}
TOOL_MESSAGE = {"role": "tool", "tool_call_id": "call_1", "content": "rain"}


def parse(**fields: Any) -> Any:
    return openai_responses.parse(orjson.dumps({"model": "gpt-4o-mini", "input": "Hi"} | fields))


def chat(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"model": "gpt-4o-mini", "messages": list(messages or [{"role": "user", "content": "Hi"}]), **fields}


def assistant(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


# --- answers ---------------------------------------------------------------------------------------------------------

USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 7,
    "total_tokens": 18,
    "prompt_tokens_details": {"cached_tokens": 5, "cache_creation_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 2},
}


def completion(finish_reason: str = "stop", logprobs: Any = None, **message: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": None} | message
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_750_000_000,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [{"index": 0, "message": message, "logprobs": logprobs, "finish_reason": finish_reason}],
        "usage": USAGE,
    }


COMPLETION = completion(content="It rains.")


def call_of(request: Any) -> Any:
    """What a dialect reads of a call."""
    return SimpleNamespace(id="c1", at=1_750_000_000.5, request=request)


def render(body: dict[str, Any], *, request: Any = None, **fields: Any) -> dict[str, Any]:
    call = call_of(request or parse(**fields))
    written = openai_responses.render(call, orjson.dumps(body), {})
    read: dict[str, Any] = orjson.loads(written)
    return read
