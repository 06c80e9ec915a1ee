"""The messages of requests in the form between dialects and providers (docs/dialects.md), as typed values.

What is malformed is an InvalidRequest naming the field; what an API has nothing like is Untranslatable. Knows no API.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from gateway.errors import InvalidRequest, Untranslatable
from gateway.providers.form import a_text, an_object
from gateway.types import ProviderConfig


class Blob(NamedTuple):
    """`data` is base64."""

    media_type: str
    data: str


class Part(NamedTuple):
    """`kind` is text, image, audio or file. An image has a blob unless its URL points elsewhere."""

    kind: str
    param: str
    text: str = ""
    url: str = ""
    detail: str = ""
    blob: Blob | None = None


class ToolCall(NamedTuple):
    """`arguments` is JSON text; `signature` is Google's (docs/dialects.md)."""

    id: str
    name: str
    arguments: str
    signature: str
    param: str


class Message(NamedTuple):
    """`role` is system, user, assistant or tool."""

    role: str
    param: str
    parts: list[Part]
    thoughts: str = ""
    tool_calls: list[ToolCall] = []
    tool_call_id: str = ""
    is_error: bool = False
    signature: str = ""

    @property
    def text(self) -> str:
        return "\n".join(part.text for part in self.parts if part.kind == "text")


_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
_FIELDS = {
    "system": frozenset({"role", "content", "cache_control"}),
    "user": frozenset({"role", "content", "cache_control"}),
    # `annotations` are what an earlier answer was given as sources: for people.
    "assistant": frozenset(
        {
            "role", "content", "cache_control", "refusal", "tool_calls", "reasoning_content", "thinking_blocks",
            "extra_content", "annotations",
        }
    ),
    # The name of a tool is known through its call.
    "tool": frozenset({"role", "content", "cache_control", "tool_call_id", "is_error", "name"}),
}  # fmt: skip


def read(payload: Mapping[str, Any], config: ProviderConfig) -> list[Message]:
    return [_message(message, f"messages[{at}]", config) for at, message in enumerate(payload["messages"])]


def _message(message: dict[str, Any], param: str, config: ProviderConfig) -> Message:
    role = _ROLES.get(message["role"])
    if role is None:
        raise Untranslatable(f"the role “{message['role']}”", provider=config.name, param=f"{param}.role")
    for name, value in message.items():
        if name not in _FIELDS[role] and value is not None and value != []:
            raise Untranslatable(f"`{name}` of a message", provider=config.name, param=f"{param}.{name}")
    parts = _parts(message.get("content"), f"{param}.content", config)
    if role == "tool":
        tool_call_id = a_text(message.get("tool_call_id"), f"{param}.tool_call_id")
        return Message(role, param, parts, tool_call_id=tool_call_id, is_error=bool(message.get("is_error")))
    if role != "assistant":
        return Message(role, param, parts)
    if message.get("refusal"):
        parts.append(Part("text", f"{param}.refusal", a_text(message["refusal"], f"{param}.refusal")))
    return Message(
        role,
        param,
        parts,
        thoughts=_thoughts(message, param),
        tool_calls=_tool_calls(message.get("tool_calls"), f"{param}.tool_calls", config),
        signature=_signature(message, param),
    )


def _parts(content: Any, param: str, config: ProviderConfig) -> list[Part]:
    if content is None:
        return []
    if isinstance(content, str):
        return [Part("text", param, content)] if content else []
    return [_part(part, f"{param}[{at}]", config) for at, part in enumerate(content)]


def _part(part: dict[str, Any], param: str, config: ProviderConfig) -> Part:
    kind = part.get("type")
    if kind in ("text", "refusal"):
        return Part("text", param, a_text(part.get(kind), f"{param}.{kind}"))
    if kind not in ("image_url", "input_audio", "file"):
        raise Untranslatable(f"parts of type “{kind}”", provider=config.name, param=f"{param}.type")
    inner = an_object(part.get(kind), f"{param}.{kind}")
    param = f"{param}.{kind}"
    if kind == "image_url":
        url = a_text(inner.get("url"), f"{param}.url")
        detail = a_text(inner.get("detail") or "", f"{param}.detail")
        return Part("image", f"{param}.url", url=url, detail=detail, blob=data_url(url, f"{param}.url"))
    if kind == "input_audio":
        data, form = a_text(inner.get("data"), f"{param}.data"), a_text(inner.get("format"), f"{param}.format")
        return Part("audio", f"{param}.format", blob=Blob(f"audio/{form}", data))
    if inner.get("file_id") is not None:
        raise Untranslatable("files uploaded to OpenAI", provider=config.name, param=f"{param}.file_id")
    blob = data_url(a_text(inner.get("file_data"), f"{param}.file_data"), f"{param}.file_data")
    if blob is None:
        raise InvalidRequest(f"`{param}.file_data` must be a data: URL.", param=f"{param}.file_data")
    return Part("file", f"{param}.file_data", blob=blob)


def data_url(url: str, param: str) -> Blob | None:
    """What a `data:` URL holds; None when it is a URL of another kind."""
    if url[:5].lower() != "data:":
        return None
    head, comma, data = url[5:].partition(",")
    media_type, *options = head.split(";")
    if not comma or "/" not in media_type or "base64" not in options:
        raise InvalidRequest(f"`{param}` must have the form data:<media type>;base64,<data>.", param=param)
    return Blob(media_type, data)


def _thoughts(message: dict[str, Any], param: str) -> str:
    """As text. Whose signatures are on the blocks, only that provider can use them."""
    if message.get("reasoning_content"):
        return a_text(message["reasoning_content"], f"{param}.reasoning_content")
    blocks = message.get("thinking_blocks") or []
    if not isinstance(blocks, list):
        raise InvalidRequest("`thinking_blocks` must be a list.", param=f"{param}.thinking_blocks")
    found = [an_object(block, f"{param}.thinking_blocks[{at}]").get("thinking") for at, block in enumerate(blocks)]
    return "\n".join(thought for thought in found if isinstance(thought, str))


def _tool_calls(value: Any, param: str, config: ProviderConfig) -> list[ToolCall]:
    if value is not None and not isinstance(value, list):
        raise InvalidRequest(f"`{param}` must be a list.", param=param)
    return [_tool_call(call, f"{param}[{at}]", config) for at, call in enumerate(value or ())]


def _tool_call(call: Any, param: str, config: ProviderConfig) -> ToolCall:
    kind = an_object(call, param).get("type", "function")
    if kind != "function":
        raise Untranslatable(f"tool calls of type “{kind}”", provider=config.name, param=f"{param}.type")
    function = an_object(call.get("function"), f"{param}.function")
    return ToolCall(
        a_text(call.get("id"), f"{param}.id"),
        a_text(function.get("name"), f"{param}.function.name"),
        a_text(function.get("arguments") or "", f"{param}.function.arguments"),
        _signature(call, param),
        f"{param}.function.arguments",
    )


def _signature(carrier: dict[str, Any], param: str) -> str:
    extra = an_object(carrier.get("extra_content") or {}, f"{param}.extra_content")
    google = an_object(extra.get("google") or {}, f"{param}.extra_content.google")
    return a_text(google.get("thought_signature") or "", f"{param}.extra_content.google.thought_signature")


def arguments(call: ToolCall) -> dict[str, Any]:
    """As a JSON object; no text means no arguments."""
    try:
        value = orjson.loads(call.arguments or "{}")
        # What is nested too deeply to be sent again; the request around it has some levels, too.
        orjson.dumps([[[[[[[[value]]]]]]]])
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        value = None
    if not isinstance(value, dict):
        raise InvalidRequest("The arguments of a tool call must be the text of a JSON object.", param=call.param)
    return value
