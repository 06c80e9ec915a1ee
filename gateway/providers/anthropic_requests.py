"""From the canonical request (docs/dialects.md) to one of Anthropic Messages. Refuses what has no place there."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import orjson

from gateway.errors import InvalidRequest, Untranslatable
from gateway.providers.form import a_text, an_object
from gateway.types import ProviderConfig

Object = dict[str, Any]

# Anthropic wants a limit; this one every model of theirs can keep. Settings may have another.
MAX_TOKENS = 4096

# Parameters with the same meaning there, under the same name.
_SAME = frozenset({"cache_control", "inference_geo", "model", "speed", "thinking", "top_k", "top_p"})
# What cannot change an answer, and Anthropic has no place for.
_HINTS = frozenset(
    {
        "cache", "metadata", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "store", "stream",
        "stream_options",
    }
)  # fmt: skip
# Parameters whose default is all that Anthropic can do.
_DEFAULTS: Object = {
    "frequency_penalty": 0,
    "function_call": "none",
    "functions": [],
    "logit_bias": {},
    "logprobs": False,
    "modalities": ["text"],
    "n": 1,
    "presence_penalty": 0,
    "top_logprobs": 0,
    "verbosity": "medium",
}
_SERVICE_TIERS = {"auto": "auto", "default": "standard_only"}
_EFFORTS = {
    "minimal": "low",
    **{effort: effort for effort in ("low", "medium", "high", "xhigh", "max")},
}
_TOOL_CHOICES = {"auto": "auto", "required": "any", "none": "none"}
# Beside a tool's function, what Anthropic reads of it.
_TOOL_MARKS = ("cache_control", "eager_input_streaming", "input_examples")
_IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
# How Anthropic's documentation has a tool's input that is no JSON object handed on.
_INVALID_JSON = "INVALID_JSON"


def request_of(config: ProviderConfig, payload: Object) -> Object:
    """Raises Untranslatable, and InvalidRequest for what no provider could read."""
    return _Translation(config).request(payload)


class _Translation:
    """`at` is where something stands in the canonical request."""

    def __init__(self, config: ProviderConfig) -> None:
        self._config = config
        self._translated = {
            "max_completion_tokens": self._max_tokens,
            "max_tokens": self._max_tokens,
            "messages": self._messages,
            "parallel_tool_calls": self._tool_choice,
            "reasoning_effort": self._effort,
            "response_format": self._format,
            "safety_identifier": self._user,
            "service_tier": self._service_tier,
            "stop": self._stop,
            "temperature": self._temperature,
            "tool_choice": self._tool_choice,
            "tools": self._tools,
            "user": self._user,
        }
        self._parts = {"text": self._text, "refusal": self._text, "image_url": self._image, "file": self._file}

    def request(self, payload: Object) -> Object:
        request: Object = {"max_tokens": self._config.settings.get("max_tokens") or MAX_TOKENS}
        for name, value in payload.items():
            if value is None or name in _HINTS or (name in _DEFAULTS and value == _DEFAULTS[name]):
                continue
            if name in _SAME:
                request[name] = value
            elif translate := self._translated.get(name):
                for field, part in translate(payload).items():
                    # Effort and format share an object.
                    request[field] = {**request[field], **part} if field == "output_config" in request else part
            else:
                raise self._untranslatable(f"`{name}`", name)
        return request

    def _untranslatable(self, what: str, at: str) -> Untranslatable:
        return Untranslatable(what, provider=self._config.name, param=at)

    # --- parameters --------------------------------------------------------------------------------------------------

    def _max_tokens(self, payload: Object) -> Object:
        return {"max_tokens": payload.get("max_completion_tokens") or payload["max_tokens"]}

    def _temperature(self, payload: Object) -> Object:
        value = payload["temperature"]
        if isinstance(value, int | float) and value > 1:
            raise self._untranslatable("a `temperature` above 1", "temperature")
        return {"temperature": value}

    def _stop(self, payload: Object) -> Object:
        stop = payload["stop"]
        return {"stop_sequences": [stop] if isinstance(stop, str) else stop} if stop else {}

    def _user(self, payload: Object) -> Object:
        return {"metadata": {"user_id": payload.get("user") or payload.get("safety_identifier")}}

    def _service_tier(self, payload: Object) -> Object:
        tier = payload["service_tier"]
        return {"service_tier": _SERVICE_TIERS[tier]} if isinstance(tier, str) and tier in _SERVICE_TIERS else {}

    def _effort(self, payload: Object) -> Object:
        effort = payload["reasoning_effort"]
        if effort == "none":
            return {} if payload.get("thinking") else {"thinking": {"type": "disabled"}}
        if not isinstance(effort, str) or effort not in _EFFORTS:
            raise self._untranslatable(f"a `reasoning_effort` of {effort!r}", "reasoning_effort")
        return {"output_config": {"effort": _EFFORTS[effort]}}

    def _format(self, payload: Object) -> Object:
        wanted = an_object(payload["response_format"], "response_format")
        if wanted.get("type") == "text":
            return {}
        if wanted.get("type") != "json_schema":
            raise self._untranslatable(f"a `response_format` of type {wanted.get('type')!r}", "response_format.type")
        at = "response_format.json_schema"
        named = an_object(wanted.get("json_schema"), at)
        schema = an_object(named.get("schema"), f"{at}.schema")
        if named.get("description"):
            schema = {"description": named["description"], **schema}
        return {"output_config": {"format": {"type": "json_schema", "schema": schema}}}

    def _tools(self, payload: Object) -> Object:
        tools = [self._tool(tool, f"tools[{n}]") for n, tool in enumerate(_list(payload["tools"], "tools"))]
        return {"tools": tools} if tools else {}

    def _tool(self, tool: Any, at: str) -> Object:
        tool = an_object(tool, at)
        if tool.get("type") != "function":
            raise self._untranslatable(f"a tool of type {tool.get('type')!r}", f"{at}.type")
        function = an_object(tool.get("function"), f"{at}.function")
        for name, value in tool.items():
            if name not in ("type", "function", *_TOOL_MARKS) and value is not None:
                raise self._untranslatable(f"`{at}.{name}`", f"{at}.{name}")
        translated: Object = {
            "name": _string(function, "name", f"{at}.function"),
            "input_schema": function.get("parameters") or {"type": "object", "properties": {}},
        }
        named = {name: function.get(name) for name in ("description", "strict")}
        marks = {name: tool.get(name) for name in _TOOL_MARKS}
        return translated | {name: value for name, value in (named | marks).items() if value is not None}

    def _tool_choice(self, payload: Object) -> Object:
        if not payload.get("tools"):
            return {}
        choice = payload.get("tool_choice") or "auto"
        if isinstance(choice, str) and choice in _TOOL_CHOICES:
            translated: Object = {"type": _TOOL_CHOICES[choice]}
        elif isinstance(choice, dict) and choice.get("type") == "function":
            function = an_object(choice.get("function"), "tool_choice.function")
            translated = {"type": "tool", "name": _string(function, "name", "tool_choice.function")}
        else:
            raise self._untranslatable("this `tool_choice`", "tool_choice")
        if payload.get("parallel_tool_calls") is False and translated["type"] != "none":
            translated["disable_parallel_tool_use"] = True
        return {"tool_choice": translated}

    # --- messages ----------------------------------------------------------------------------------------------------

    def _messages(self, payload: Object) -> Object:
        """All of `system` comes first, wherever it stood: as Anthropic's own compatibility layer does it."""
        system: list[Object] = []
        turns: list[Object] = []
        for number, message in enumerate(payload["messages"]):
            role, blocks = self._turn(message, f"messages[{number}]")
            if message.get("cache_control") is not None and blocks:
                blocks[-1] = {**blocks[-1], "cache_control": message["cache_control"]}
            if role == "system":
                system += blocks
            elif turns and turns[-1]["role"] == role:
                turns[-1]["content"] += blocks
            else:
                turns.append({"role": role, "content": blocks})
        return ({"system": system} if system else {}) | {"messages": turns}

    def _turn(self, message: Object, at: str) -> tuple[str, list[Object]]:
        role = message["role"]
        if role == "assistant":
            return role, self._assistant(message, at)
        if role == "tool":
            return "user", [self._tool_result(message, at)]
        if role == "function":
            raise self._untranslatable("messages of role `function`", f"{at}.role")
        if message.get("name"):
            raise self._untranslatable("a message's `name`", f"{at}.name")
        if role == "user":
            return role, self._content(message["content"], f"{at}.content")
        return "system", _without_empty(self._content(message["content"], f"{at}.content"))

    def _assistant(self, message: Object, at: str) -> list[Object]:
        """`reasoning_content` is left out: without a signature Anthropic takes no thoughts back, and needs none."""
        for name in ("audio", "function_call"):
            if message.get(name):
                raise self._untranslatable(f"`{name}` of an assistant", f"{at}.{name}")
        thoughts = [an_object(block, at) for block in _list(message.get("thinking_blocks"), f"{at}.thinking_blocks")]
        blocks = [block for block in thoughts if block.get("signature") or block.get("data")]
        said = message.get("content") or message.get("refusal") or []
        blocks += _without_empty(self._content(said, f"{at}.content"))
        for number, call in enumerate(_list(message.get("tool_calls"), f"{at}.tool_calls")):
            blocks.append(self._tool_use(call, f"{at}.tool_calls[{number}]"))
        return blocks

    def _tool_use(self, call: Any, at: str) -> Object:
        call = an_object(call, at)
        if call.get("type", "function") != "function":
            raise self._untranslatable(f"a tool call of type {call['type']!r}", f"{at}.type")
        function = an_object(call.get("function"), f"{at}.function")
        written = function.get("arguments") or "{}"
        try:
            arguments = orjson.loads(written)
        except orjson.JSONDecodeError:
            arguments = None
        if not isinstance(arguments, dict):
            arguments = {_INVALID_JSON: str(written)}
        name = _string(function, "name", f"{at}.function")
        return _marked({"type": "tool_use", "id": _string(call, "id", at), "name": name, "input": arguments}, call)

    def _tool_result(self, message: Object, at: str) -> Object:
        content = message["content"]
        if not isinstance(content, str):
            content = self._content(content, f"{at}.content")
        block = {"type": "tool_result", "tool_use_id": _string(message, "tool_call_id", at), "content": content}
        return {**block, "is_error": True} if message.get("is_error") is True else block

    def _content(self, content: Any, at: str) -> list[Object]:
        if isinstance(content, str):
            return [{"type": "text", "text": content}]
        return [self._part(part, f"{at}[{number}]") for number, part in enumerate(_list(content, at))]

    def _part(self, part: Any, at: str) -> Object:
        kind = an_object(part, at).get("type")
        translate = self._parts.get(kind) if isinstance(kind, str) else None
        if translate is None:
            raise self._untranslatable(f"a part of type {kind!r}", f"{at}.type")
        return _marked(translate(part, at), part)

    def _text(self, part: Object, at: str) -> Object:
        return {"type": "text", "text": _string(part, str(part["type"]), at)}

    def _image(self, part: Object, at: str) -> Object:
        at = f"{at}.image_url"
        url = _string(an_object(part.get("image_url"), at), "url", at)
        if not url.startswith("data:"):
            return {"type": "image", "source": {"type": "url", "url": url}}
        media_type, data = self._data(url, f"{at}.url")
        if media_type not in _IMAGE_TYPES:
            raise self._untranslatable(f"an image of type {media_type!r}", f"{at}.url")
        return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}

    def _file(self, part: Object, at: str) -> Object:
        at = f"{at}.file"
        file = an_object(part.get("file"), at)
        if file.get("file_id"):
            raise self._untranslatable("files of OpenAI's", f"{at}.file_id")
        media_type, data = self._data(_string(file, "file_data", at), f"{at}.file_data")
        if media_type == "application/pdf":
            source = {"type": "base64", "media_type": media_type, "data": data}
        elif media_type == "text/plain":
            source = {"type": "text", "media_type": media_type, "data": _decoded(data, f"{at}.file_data")}
        else:
            raise self._untranslatable(f"a file of type {media_type!r}", f"{at}.file_data")
        title = file.get("filename")
        return {"type": "document", "source": source} | ({"title": title} if title else {})

    def _data(self, url: str, at: str) -> tuple[str, str]:
        """Media type and base64 of a data: URL."""
        head, _, data = url.removeprefix("data:").partition(",")
        media_type, *parameters = head.lower().split(";")
        if not url.startswith("data:") or "base64" not in parameters:
            raise self._untranslatable("data that is not a base64 data: URL", at)
        return media_type, data


def _without_empty(blocks: list[Object]) -> list[Object]:
    """Anthropic refuses empty texts, which other APIs take for none."""
    return [block for block in blocks if block.get("text") != ""]


def _marked(block: Object, source: Object) -> Object:
    mark = source.get("cache_control")
    return block if mark is None else {**block, "cache_control": mark}


def _decoded(data: str, at: str) -> str:
    try:
        return base64.b64decode(data).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise InvalidRequest(f"`{at}` must be base64 of UTF-8 text.", param=at) from None


def _list(value: Any, at: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidRequest(f"`{at}` must be a list.", param=at)
    return value


def _string(value: Object, name: str, at: str) -> str:
    return a_text(value.get(name), f"{at}.{name}")
