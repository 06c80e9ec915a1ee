"""From a Messages request to the same request as Chat Completions has it. Refuses by name what cannot be said there.

Equal meaning gives an equal payload, so that both dialects share a cache entry. Unknown top-level fields are kept.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import orjson

from gateway.dialects.chat_fields import among
from gateway.errors import InvalidRequest

Object = dict[str, Any]

# Chat Completions' own names: what they ask for has another name here, or no place in this dialect's answers.
_FOREIGN = (
    "audio", "function_call", "functions", "logprobs", "max_completion_tokens", "modalities", "n",
    "parallel_tool_calls", "reasoning_effort", "response_format", "stop", "stream_options", "top_logprobs", "user",
)  # fmt: skip
_NUMBERS = ("temperature", "top_p", "top_k")
# Values of fields that nobody can translate, and that need no translation.
_NEUTRAL: tuple[Any, ...] = (None, False, [], {}, {"enabled": False}, {"type": "direct"})
_SERVICE_TIERS = {"auto": "auto", "standard_only": "default"}
# OpenAI wants a name for a schema, and for a document; Anthropic has none.
_SCHEMA_NAME, _DOCUMENT_NAME = "answer", "document"


def payload_of(body: Object) -> Object:
    """Raises InvalidRequest, naming the field."""
    if body.get("max_tokens") is None:
        raise InvalidRequest("`max_tokens` is missing: how long the answer may become.", param="max_tokens")
    for name in _FOREIGN:
        if body.get(name) is not None:
            raise InvalidRequest(f"`{name}` is not known here; /v1/chat/completions has it.", param=name)
    for name in _NUMBERS:
        if isinstance(body.get(name), bool) or not isinstance(body.get(name), int | float | None):
            raise InvalidRequest(f"`{name}` must be a number.", param=name)
    if body.get("thinking") is not None:
        _object(body["thinking"], "thinking")
    payload = {name: value for name, value in body.items() if name != "system" and name not in _FIELDS}
    payload["messages"] = _system(body.get("system")) + _messages(body.get("messages"))
    for name, translate in _FIELDS.items():
        if body.get(name) is not None:
            payload |= translate(body[name])
    return payload


# --- messages --------------------------------------------------------------------------------------------------------


def _system(system: Any) -> list[Object]:
    if system is None or system in ("", []):
        return []
    return [{"role": "system", "content": _content(system, "system", "system")}]


def _messages(messages: Any) -> list[Object]:
    if not isinstance(messages, list) or not messages:
        raise InvalidRequest("`messages` must be a list of at least one message.", param="messages")
    return [turn for number, message in enumerate(messages) for turn in _turns(message, f"messages[{number}]")]


def _turns(message: Any, at: str) -> list[Object]:
    message = _object(message, at)
    role = message.get("role")
    if role not in ("user", "assistant", "system"):
        raise InvalidRequest(f"`{at}.role` must be user, assistant or system.", param=f"{at}.role")
    _refuse_others(message, {"role", "content"}, at)
    content = message.get("content")
    if role == "system" or isinstance(content, str):
        return [{"role": role, "content": _content(content, f"{at}.content", role)}]
    blocks = _blocks(content, f"{at}.content", role)
    return [_assistant(blocks)] if role == "assistant" else _user(blocks, f"{at}.content")


def _user(blocks: list[Object], at: str) -> list[Object]:
    """What tools gave comes before what the user says."""
    if not blocks:
        raise InvalidRequest(f"`{at}` must not be empty.", param=at)
    results = [block for block in blocks if block.get("role") == "tool"]
    parts = [block for block in blocks if block.get("role") != "tool"]
    return results + ([{"role": "user", "content": _plain(parts)}] if parts else [])


def _assistant(blocks: list[Object]) -> Object:
    by_type: dict[str, list[Object]] = {}
    for block in blocks:
        by_type.setdefault(block["type"], []).append(block)
    texts, calls = by_type.pop("text", []), by_type.pop("function", [])
    thoughts = [block for block in blocks if block["type"] in by_type]
    message: Object = {"role": "assistant", "content": _plain(texts) if texts or not calls else None}
    if thoughts:
        message["thinking_blocks"] = thoughts
    if calls:
        message["tool_calls"] = calls
    return message


def _content(content: Any, at: str, role: str) -> str | list[Object]:
    return content if isinstance(content, str) else _plain(_blocks(content, at, role))


def _plain(parts: list[Object]) -> str | list[Object]:
    """A single text without marks is a string, as most clients of Chat Completions send it."""
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        text: str = parts[0]["text"]
        return text
    return parts or ""


# --- blocks ----------------------------------------------------------------------------------------------------------


def _blocks(blocks: Any, at: str, role: str) -> list[Object]:
    if not isinstance(blocks, list):
        raise InvalidRequest(f"`{at}` must be a text or a list of blocks.", param=at)
    return [_block(block, f"{at}[{number}]", role) for number, block in enumerate(blocks)]


def _block(block: Any, at: str, role: str) -> Object:
    block = _object(block, at)
    kind = block.get("type")
    if not isinstance(kind, str) or kind not in _BLOCKS_OF[role]:
        raise InvalidRequest(
            f"`{at}` is a block of type “{kind}”, which cannot be translated here; possible are"
            f" {', '.join(_BLOCKS_OF[role])}.",
            param=f"{at}.type",
        )
    fields, translate = _BLOCKS[kind]
    _refuse_others(block, {"type", "cache_control", *fields}, at)
    part = translate(block, at)
    if block.get("cache_control") is not None:
        part["cache_control"] = _object(block["cache_control"], f"{at}.cache_control")
    return part


def _text(block: Object, at: str) -> Object:
    return {"type": "text", "text": _string(block, "text", at)}


def _image(block: Object, at: str) -> Object:
    source, at = _object(block.get("source"), f"{at}.source"), f"{at}.source"
    if source.get("type") == "base64":
        url = _data_url(_string(source, "media_type", at), _string(source, "data", at))
    elif source.get("type") == "url":
        url = _string(source, "url", at)
    else:
        raise InvalidRequest(f"`{at}.type` must be base64 or url here.", param=f"{at}.type")
    return {"type": "image_url", "image_url": {"url": url}}


def _document(block: Object, at: str) -> Object:
    source, path = _object(block.get("source"), f"{at}.source"), f"{at}.source"
    if source.get("type") == "base64":
        url, suffix = _data_url(_string(source, "media_type", path), _string(source, "data", path)), ".pdf"
    elif source.get("type") == "text":
        url = _data_url("text/plain", base64.b64encode(_string(source, "data", path).encode()).decode())
        suffix = ".txt"
    else:
        raise InvalidRequest(f"`{path}.type` must be base64 or text here.", param=f"{path}.type")
    title = block.get("title")
    if not isinstance(title, str | None):
        raise InvalidRequest(f"`{at}.title` must be a text.", param=f"{at}.title")
    return {"type": "file", "file": {"filename": title or _DOCUMENT_NAME + suffix, "file_data": url}}


def _data_url(media_type: str, data: str) -> str:
    return f"data:{media_type};base64,{data}"


def _thinking(block: Object, at: str) -> Object:
    return {"type": "thinking", **{name: _string(block, name, at) for name in ("thinking", "signature")}}


def _redacted_thinking(block: Object, at: str) -> Object:
    return {"type": "redacted_thinking", "data": _string(block, "data", at)}


def _tool_use(block: Object, at: str) -> Object:
    arguments = _object(block.get("input"), f"{at}.input")
    try:
        written = orjson.dumps(arguments).decode()
    except TypeError:
        raise InvalidRequest(f"`{at}.input` is nested too deeply.", param=f"{at}.input") from None
    function = {"name": _string(block, "name", at), "arguments": written}
    return {"id": _string(block, "id", at), "type": "function", "function": function}


def _tool_result(block: Object, at: str) -> Object:
    content = "" if block.get("content") is None else _content(block["content"], f"{at}.content", "tool")
    message = {"role": "tool", "tool_call_id": _string(block, "tool_use_id", at), "content": content}
    failed = block.get("is_error")
    if not isinstance(failed, bool | None):
        raise InvalidRequest(f"`{at}.is_error` must be true or false.", param=f"{at}.is_error")
    return {**message, "is_error": True} if failed else message


# By a block's type: the fields that are translated, and how.
_BLOCKS: dict[str, tuple[tuple[str, ...], Callable[[Object, str], Object]]] = {
    "text": (("text",), _text),
    "image": (("source",), _image),
    "document": (("source", "title"), _document),
    "thinking": (("thinking", "signature"), _thinking),
    "redacted_thinking": (("data",), _redacted_thinking),
    "tool_use": (("id", "name", "input"), _tool_use),
    "tool_result": (("tool_use_id", "content", "is_error"), _tool_result),
}
_BLOCKS_OF = {
    "system": ("text",),
    "user": ("text", "image", "document", "tool_result"),
    "assistant": ("text", "thinking", "redacted_thinking", "tool_use"),
    "tool": ("text", "image", "document"),
}


# --- other fields ----------------------------------------------------------------------------------------------------


def _stop(value: Any) -> Object:
    if not isinstance(value, list) or not all(isinstance(sequence, str) for sequence in value):
        raise InvalidRequest("`stop_sequences` must be a list of texts.", param="stop_sequences")
    return {"stop": value} if value else {}


def _tools(value: Any) -> Object:
    if not isinstance(value, list):
        raise InvalidRequest("`tools` must be a list.", param="tools")
    tools = [_tool(tool, f"tools[{number}]") for number, tool in enumerate(value)]
    return {"tools": tools} if tools else {}


def _tool(tool: Any, at: str) -> Object:
    tool = _object(tool, at)
    if tool.get("type") not in (None, "custom"):
        raise InvalidRequest(
            f"`{at}` is “{tool['type']}”, a tool that only Anthropic has; here tools have an `input_schema`.",
            param=f"{at}.type",
        )
    function: Object = {"name": _string(tool, "name", at)}
    if tool.get("description") is not None:
        function["description"] = _string(tool, "description", at)
    function["parameters"] = _object(tool.get("input_schema"), f"{at}.input_schema")
    if tool.get("strict") is not None:
        function["strict"] = tool["strict"]
    known = {"type", "name", "description", "input_schema", "strict"}
    others = {name: value for name, value in tool.items() if name not in known and value is not None}
    return {**others, "type": "function", "function": function}


def _tool_choice(value: Any) -> Object:
    choice = _object(value, "tool_choice")
    kind = choice.get("type")
    _refuse_others(choice, {"type", "name", "disable_parallel_tool_use"}, "tool_choice")
    translated: Object = {}
    if kind == "tool":
        translated["tool_choice"] = {"type": "function", "function": {"name": _string(choice, "name", "tool_choice")}}
    elif isinstance(kind, str) and kind in _TOOL_CHOICES:
        translated["tool_choice"] = _TOOL_CHOICES[kind]
    else:
        raise InvalidRequest("`tool_choice.type` must be auto, any, tool or none.", param="tool_choice.type")
    if choice.get("disable_parallel_tool_use"):
        translated["parallel_tool_calls"] = False
    return translated


_TOOL_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def _metadata(value: Any) -> Object:
    others = dict(_object(value, "metadata"))
    user = others.pop("user_id", None)
    if not isinstance(user, str | None):
        raise InvalidRequest("`metadata.user_id` must be a text.", param="metadata.user_id")
    return ({"user": user} if user else {}) | ({"metadata": others} if others else {})


def _service_tier(value: Any) -> Object:
    if not isinstance(value, str) or value not in _SERVICE_TIERS:
        raise InvalidRequest("`service_tier` must be auto or standard_only.", param="service_tier")
    return {"service_tier": _SERVICE_TIERS[value]}


def _output_config(value: Any) -> Object:
    config = _object(value, "output_config")
    _refuse_others(config, {"effort", "format"}, "output_config")
    translated: Object = {}
    if config.get("effort") is not None:
        translated["reasoning_effort"] = _string(config, "effort", "output_config")
    if config.get("format") is not None:
        wanted = _object(config["format"], "output_config.format")
        if wanted.get("type") != "json_schema":
            raise InvalidRequest("`output_config.format.type` must be json_schema.", param="output_config.format.type")
        schema = _object(wanted.get("schema"), "output_config.format.schema")
        named = {"name": _SCHEMA_NAME, "schema": schema, "strict": True}
        translated["response_format"] = {"type": "json_schema", "json_schema": named}
    return translated


# What has another name or form in Chat Completions.
_FIELDS: dict[str, Callable[[Any], Object]] = {
    "stop_sequences": _stop,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "metadata": _metadata,
    "service_tier": _service_tier,
    "output_config": _output_config,
}


def _object(value: Any, at: str) -> Object:
    if not isinstance(value, dict):
        raise InvalidRequest(f"`{at}` must be an object.", param=at)
    return value


def _string(value: Object, name: str, at: str) -> str:
    if not isinstance(value.get(name), str):
        raise InvalidRequest(f"`{at}.{name}` must be a text.", param=f"{at}.{name}")
    return str(value[name])


def _refuse_others(value: Object, known: set[str], at: str) -> None:
    for name, given in value.items():
        if name not in known and not among(given, _NEUTRAL):
            raise InvalidRequest(f"`{at}.{name}` cannot be translated here; leave it out.", param=f"{at}.{name}")
