"""What the fields of a chat completion request may be, as tables of checks, and how much text is in them. Unknown
fields, and parts and tools of unknown types, are left alone: providers may know them. A check raises InvalidRequest,
naming the field.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from gateway.errors import InvalidRequest

Check = Callable[[Any, str], None]
Checks = dict[str, Check]

MAX_MODEL_CHARACTERS = 120
# Roles that every provider agrees on.
ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})


def model_of(payload: dict[str, Any], what: str = "a model, such as “gpt-4o-mini”") -> str:
    model = payload.get("model")
    if not isinstance(model, str) or not model.isprintable() or not 0 < len(model) <= MAX_MODEL_CHARACTERS:
        raise InvalidRequest(f"`model` must be the name of {what}.", param="model")
    return model


def check_fields(payload: dict[str, Any]) -> int:
    """All but the model and the messages, and how many bytes of them a model reads. Null is as good as absent."""
    size = 0
    for name, value in payload.items():
        if value is None:
            continue
        if check := _FIELDS.get(name):
            check(value, name)
        if name not in _UNREAD:
            size += _weight_of(value, name)
    return size


def check_message(at: int, message: Any) -> int:
    """The size of its text in bytes, with that of its thoughts and of its calls of tools."""
    if not isinstance(message, dict) or not isinstance(role := message.get("role"), str) or role not in ROLES:
        raise InvalidRequest(
            f"`messages[{at}]` must be an object whose `role` is one of {', '.join(sorted(ROLES))}.",
            param=f"messages[{at}].role",
        )
    content, more = message.get("content"), 0
    # Most messages are a role and a text, and done.
    if len(message) > 2 or role in _NEEDED or "content" not in message:
        more = _check_more(message, role, f"messages[{at}]")
    if isinstance(content, str):
        return more + size_of(content)
    if content is None:
        if role in {"assistant", "function"}:
            return more
        raise InvalidRequest(f"`messages[{at}].content` is missing.", param=f"messages[{at}].content")
    return more + _check_parts(content, f"messages[{at}].content")


def size_of(text: str) -> int:
    # ASCII is the common case, and there it costs nothing.
    return len(text) if text.isascii() else len(text.encode())


def among(value: Any, values: tuple[Any, ...]) -> bool:
    """As JSON has it, where neither 0 is false nor 1 true."""
    return any(type(value) is type(one) and value == one for one in values)


def _weight_of(value: Any, at: str) -> int:
    """Bytes that a model may be given of it: JSON's own signs are among them."""
    if isinstance(value, str):
        return size_of(value)
    try:
        return len(orjson.dumps(value))
    except TypeError:
        raise InvalidRequest(f"`{at}` is nested too deeply.", param=at) from None


def _check_more(message: dict[str, Any], role: str, at: str) -> int:
    """The size of what a model reads beside the content, in bytes."""
    if (needed := _NEEDED.get(role)) and message.get(needed) is None:
        raise InvalidRequest(f"`{at}.{needed}` is missing.", param=f"{at}.{needed}")
    size = 0
    for name, value in message.items():
        if value is None:
            continue
        if check := _MESSAGE.get(name):
            check(value, f"{at}.{name}")
        # Blocks say the same thoughts again.
        if name not in _UNREAD_OF_MESSAGE and not (name == "reasoning_content" and message.get("thinking_blocks")):
            size += _weight_of(value, f"{at}.{name}")
    return size


def _check_parts(content: Any, at: str) -> int:
    """The size of its texts in bytes."""
    if not isinstance(content, list):
        raise InvalidRequest(f"`{at}` must be a text or a list of parts.", param=at)
    size = 0
    for number, part in enumerate(content):
        where = f"{at}[{number}]"
        kind = _kind(part, where)
        if kind in _PARTS:
            _PARTS[kind](part, where)
        if isinstance(part.get("text"), str):
            size += size_of(part["text"])
        elif kind == "refusal":
            size += size_of(part["refusal"])
        elif kind == "file":
            size += _size_of_file(part["file"].get("file_data"))
    return size


def _size_of_file(url: str | None) -> int:
    """Of a text; what is in other documents nobody knows before the provider has read them."""
    return len(url) * 3 // 4 if url is not None and url.startswith("data:text/") else 0


def _kind(value: Any, at: str) -> str:
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(kind, str):
        raise InvalidRequest(f"`{at}` must be an object with a `type`.", param=f"{at}.type")
    return kind


# --- what makes a check ----------------------------------------------------------------------------------------------


def _refuse(at: str, what: str) -> InvalidRequest:
    return InvalidRequest(f"`{at}` must be {what}.", param=at)


def _text(value: Any, at: str) -> None:
    if not isinstance(value, str):
        raise _refuse(at, "a text")


def _name(value: Any, at: str) -> None:
    if not isinstance(value, str) or not value:
        raise _refuse(at, "a text that is not empty")


def _boolean(value: Any, at: str) -> None:
    if not isinstance(value, bool):
        raise _refuse(at, "true or false")


def _number(low: float, high: float) -> Check:
    def check(value: Any, at: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise _refuse(at, f"a number from {low:g} to {high:g}")

    return check


def _whole(low: int, high: int) -> Check:
    def check(value: Any, at: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise _refuse(at, f"a whole number from {low:,} to {high:,}")

    return check


def _list_of(item: Check) -> Check:
    def check(value: Any, at: str) -> None:
        if not isinstance(value, list):
            raise _refuse(at, "a list")
        for number, each in enumerate(value):
            item(each, f"{at}[{number}]")

    return check


def _map_of(item: Check) -> Check:
    def check(value: Any, at: str) -> None:
        if not isinstance(value, dict):
            raise _refuse(at, "an object")
        for name, each in value.items():
            item(each, f"{at}.{name}")

    return check


def _object(needed: Checks | None = None, possible: Checks | None = None) -> Check:
    """With these fields, of which null ones are as good as absent; and with any others."""
    fields = [(name, field, True) for name, field in (needed or {}).items()]
    fields += [(name, field, False) for name, field in (possible or {}).items()]

    def check(value: Any, at: str) -> None:
        if not isinstance(value, dict):
            raise _refuse(at, "an object")
        for name, field, is_needed in fields:
            given = value.get(name)
            if given is None and is_needed:
                raise InvalidRequest(f"`{at}.{name}` is missing.", param=f"{at}.{name}")
            if given is not None:
                field(given, f"{at}.{name}")

    return check


def _by_type(kinds: dict[str, Check], *, default: str | None = None) -> Check:
    """An object of one of these types, or of a type that is not known here."""

    def check(value: Any, at: str) -> None:
        if default is not None and isinstance(value, dict) and value.get("type") is None:
            kinds[default](value, at)
        elif known := kinds.get(_kind(value, at)):
            known(value, at)

    return check


def _text_or(other: Check) -> Check:
    def check(value: Any, at: str) -> None:
        if not isinstance(value, str):
            other(value, at)

    return check


def _flat(value: Any, at: str) -> None:
    """An object that is in no fingerprint: what is nested too deeply is found here, not when it is sent."""
    _ANY(value, at)
    try:
        orjson.dumps(value)
    except TypeError:
        raise InvalidRequest(f"`{at}` is nested too deeply.", param=at) from None


def _metadata(value: Any, at: str) -> None:
    """OpenAI's texts; LiteLLM's `tags` are a list (gateway.tags)."""
    texts = value
    if isinstance(value, dict) and isinstance(value.get("tags"), list):
        texts = {name: text for name, text in value.items() if name != "tags"}
    _map_of(_text)(texts, at)


# --- the tables ------------------------------------------------------------------------------------------------------

_ANY: Check = _object()
_NAMED = _object({"name": _name})
_FUNCTION = _object({"name": _name}, {"description": _text, "parameters": _ANY, "strict": _boolean})
_CUSTOM = _object({"name": _name}, {"description": _text, "format": _ANY})
_SCHEMA = _object({"name": _name}, {"description": _text, "schema": _ANY, "strict": _boolean})
_CALLED = _object({"name": _name, "arguments": _text})

_FIELDS: Checks = {
    "audio": _ANY,
    "frequency_penalty": _number(-2, 2),
    "function_call": _text_or(_NAMED),
    "functions": _list_of(_FUNCTION),
    "logit_bias": _map_of(_number(-100, 100)),
    "logprobs": _boolean,
    "max_completion_tokens": _whole(1, 10_000_000),
    "max_tokens": _whole(1, 10_000_000),
    "metadata": _metadata,
    "modalities": _list_of(_text),
    "moderation": _ANY,
    "n": _whole(1, 128),
    "parallel_tool_calls": _boolean,
    "prediction": _ANY,
    "presence_penalty": _number(-2, 2),
    "prompt_cache_key": _text,
    "prompt_cache_options": _flat,
    "prompt_cache_retention": _text,
    "reasoning_effort": _text,
    "response_format": _by_type({"json_schema": _object({"json_schema": _SCHEMA})}),
    "safety_identifier": _text,
    "seed": _whole(-(2**63), 2**63 - 1),
    "service_tier": _text,
    "stop": _text_or(_list_of(_text)),
    "store": _boolean,
    "stream": _boolean,
    "stream_options": _flat,
    "temperature": _number(0, 2),
    "thinking": _by_type({}),
    "tool_choice": _text_or(
        _by_type(
            {
                "function": _object({"function": _NAMED}),
                "custom": _object({"custom": _NAMED}),
                "allowed_tools": _object({"allowed_tools": _object({"mode": _text, "tools": _list_of(_ANY)})}),
            }
        )
    ),
    "tools": _list_of(
        _by_type(
            {
                "function": _object({"function": _FUNCTION}, {"cache_control": _ANY}),
                "custom": _object({"custom": _CUSTOM}, {"cache_control": _ANY}),
            }
        )
    ),
    "top_k": _whole(0, 2**31 - 1),
    "top_logprobs": _whole(0, 20),
    "top_p": _number(0, 1),
    "user": _text,
    "verbosity": _text,
    "web_search_options": _ANY,
}
# What no model reads, or not as a text. All that is unknown here may be read.
_UNREAD = frozenset({"model", "messages", "cache"} | _FIELDS.keys()) - {
    "functions", "prediction", "response_format", "tools", "web_search_options",
}  # fmt: skip
# By role: what there has to be beside the content.
_NEEDED = {"tool": "tool_call_id", "function": "name"}
_MESSAGE: Checks = {
    "audio": _ANY,
    "cache_control": _ANY,
    "function_call": _CALLED,
    "is_error": _boolean,
    "name": _text,
    "reasoning_content": _text,
    "refusal": _text,
    "thinking_blocks": _list_of(_by_type({})),
    "tool_call_id": _name,
    "tool_calls": _list_of(
        _by_type(
            {
                "function": _object({"id": _name, "function": _CALLED}),
                "custom": _object({"id": _name, "custom": _object({"name": _name, "input": _text})}),
            },
            default="function",
        )
    ),
}
# Of a message. The content is measured apart.
_UNREAD_OF_MESSAGE = frozenset({"role", "content", "audio", "cache_control", "is_error", "tool_call_id"})
_MARKED: Checks = {"cache_control": _ANY, "prompt_cache_breakpoint": _ANY}
_PARTS: Checks = {
    "text": _object({"text": _text}, _MARKED),
    "image_url": _object({"image_url": _object({"url": _name}, {"detail": _text})}, _MARKED),
    "input_audio": _object({"input_audio": _object({"data": _name, "format": _name})}, _MARKED),
    "file": _object({"file": _object(None, {"file_data": _name, "file_id": _name, "filename": _text})}, _MARKED),
    "refusal": _object({"refusal": _text}),
}
