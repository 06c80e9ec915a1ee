"""Parameters and tools of requests in the form between dialects and providers (docs/dialects.md), read piece by piece.

What is malformed is an InvalidRequest naming the field; what an API has nothing like is Untranslatable. Knows no API.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from gateway.cache.fingerprint import NEUTRAL_FIELDS
from gateway.errors import InvalidRequest, Untranslatable
from gateway.types import ProviderConfig

# Hints that cannot change an answer.
NOT_SENT = NEUTRAL_FIELDS | {"cache_control"}
# Of a chat, what each API has in a form of its own.
OF_CHAT = frozenset(
    {
        "model", "messages", "max_tokens", "max_completion_tokens", "response_format", "tools", "tool_choice",
        "thinking", "reasoning_effort",
    }
)  # fmt: skip
# What a request means anyway when it does not say so.
DEFAULTS: dict[str, Any] = {
    "frequency_penalty": 0, "functions": [], "logit_bias": {}, "logprobs": False, "modalities": ["text"], "n": 1,
    "parallel_tool_calls": True, "presence_penalty": 0, "response_format": {"type": "text"}, "stop": [],
    "tool_choice": "auto", "tools": [], "top_logprobs": 0, "verbosity": "medium",
}  # fmt: skip


# --- parameters ----------------------------------------------------------------------------------------------------


class Parameter(NamedTuple):
    """What an API calls a parameter, and how its value is read."""

    name: str
    read: Callable[[str, Any], Any]


def translate(
    payload: Mapping[str, Any], config: ProviderConfig, table: Mapping[str, Parameter], elsewhere: frozenset[str]
) -> dict[str, Any]:
    """The parameters of `table` under the API's names. `elsewhere` are those that the caller reads on its own."""
    translated: dict[str, Any] = {}
    for name, value in payload.items():
        if value is None or name in NOT_SENT or name in elsewhere or _is_default(name, value):
            continue
        if name not in table:
            raise Untranslatable(f"`{name}`", provider=config.name, param=name)
        translated[table[name].name] = table[name].read(name, value)
    return translated


def _is_default(name: str, value: Any) -> bool:
    # Equal and of one type: `true` is not 1.
    return name in DEFAULTS and value == DEFAULTS[name] and isinstance(value, bool) == isinstance(DEFAULTS[name], bool)


def given(payload: Mapping[str, Any], name: str) -> Any:
    """The value, unless it is null or changes nothing."""
    value = payload.get(name)
    return None if _is_default(name, value) else value


def number(name: str, value: Any) -> float | int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidRequest(f"`{name}` must be a number.", param=name)
    return value


def whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidRequest(f"`{name}` must be a whole number.", param=name)
    return value


def boolean(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidRequest(f"`{name}` must be true or false.", param=name)
    return value


def texts(name: str, value: Any) -> list[str]:
    """One text or a list of them."""
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        raise InvalidRequest(f"`{name}` must be a text or a list of texts.", param=name)
    return values


def max_tokens(payload: Mapping[str, Any]) -> int | None:
    """The limit on generated tokens, under whichever of its names; the smaller one when both are there."""
    names = [name for name in ("max_completion_tokens", "max_tokens") if payload.get(name) is not None]
    return min((whole(name, payload[name]) for name in names), default=None)


def thinking(payload: Mapping[str, Any], config: ProviderConfig) -> dict[str, Any] | None:
    """As Anthropic has it; its `type` is enabled, adaptive or disabled."""
    value = payload.get("thinking")
    if value is None:
        return None
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(kind, str):
        raise InvalidRequest("`thinking` must be an object with a `type`.", param="thinking.type")
    if kind not in ("enabled", "adaptive", "disabled"):
        raise Untranslatable(f"thinking of type “{kind}”", provider=config.name, param="thinking.type")
    return dict(value)


class Format(NamedTuple):
    """JSON as the answer's format, perhaps of a schema."""

    schema: dict[str, Any] | None


def response_format(payload: Mapping[str, Any], config: ProviderConfig) -> Format | None:
    value = given(payload, "response_format")
    if value is None:
        return None
    kind = an_object(value, "response_format").get("type")
    if kind == "text":
        return None
    if kind == "json_object":
        return Format(None)
    if kind != "json_schema":
        raise Untranslatable(f"the response format “{kind}”", provider=config.name, param="response_format.type")
    schema = an_object(value.get("json_schema"), "response_format.json_schema").get("schema")
    return Format(an_object(schema, "response_format.json_schema.schema"))


def inputs(payload: Mapping[str, Any], config: ProviderConfig) -> list[str]:
    """The texts of a request for embeddings."""
    value = payload.get("input")
    if isinstance(value, list) and not all(isinstance(one, str) for one in value):
        raise Untranslatable("`input` that is not text", provider=config.name, param="input")
    return texts("input", value)


# --- tools ---------------------------------------------------------------------------------------------------------


class Function(NamedTuple):
    name: str
    description: str
    parameters: dict[str, Any] | None
    strict: bool


class Choice(NamedTuple):
    """`mode` is auto, none or required; `names` narrows it to some tools."""

    mode: str
    names: list[str]


def functions(payload: Mapping[str, Any], config: ProviderConfig) -> list[Function]:
    value = payload.get("tools")
    if value is not None and not isinstance(value, list):
        raise InvalidRequest("`tools` must be a list.", param="tools")
    return [_function(tool, f"tools[{at}]", config) for at, tool in enumerate(value or ())]


def _function(tool: Any, param: str, config: ProviderConfig) -> Function:
    kind = an_object(tool, param).get("type")
    if kind != "function":
        raise Untranslatable(f"tools of type “{kind}”", provider=config.name, param=f"{param}.type")
    function = an_object(tool.get("function"), f"{param}.function")
    parameters = function.get("parameters")
    return Function(
        a_text(function.get("name"), f"{param}.function.name"),
        a_text(function.get("description") or "", f"{param}.function.description"),
        None if parameters is None else an_object(parameters, f"{param}.function.parameters"),
        bool(function.get("strict")),
    )


def tool_choice(payload: Mapping[str, Any], config: ProviderConfig) -> Choice:
    value = payload.get("tool_choice")
    if value is None or value in ("auto", "none"):
        return Choice(value or "auto", [])
    if not payload.get("tools"):
        raise InvalidRequest("`tool_choice` needs `tools`.", param="tool_choice")
    if value == "required":
        return Choice("required", [])
    kind = an_object(value, "tool_choice").get("type")
    if kind == "function":
        return Choice("required", [_chosen(value, "tool_choice", config)])
    if kind != "allowed_tools":
        raise Untranslatable(f"the tool choice “{kind}”", provider=config.name, param="tool_choice.type")
    allowed = an_object(value.get("allowed_tools"), "tool_choice.allowed_tools")
    mode, tools = allowed.get("mode"), allowed.get("tools")
    if mode not in ("auto", "required"):
        raise InvalidRequest("`mode` must be “auto” or “required”.", param="tool_choice.allowed_tools.mode")
    if not isinstance(tools, list) or not tools:
        raise InvalidRequest("`tools` must be a list of tools.", param="tool_choice.allowed_tools.tools")
    return Choice(
        mode, [_chosen(tool, f"tool_choice.allowed_tools.tools[{n}]", config) for n, tool in enumerate(tools)]
    )


def _chosen(tool: Any, param: str, config: ProviderConfig) -> str:
    if (kind := an_object(tool, param).get("type")) != "function":
        raise Untranslatable(f"tools of type “{kind}”", provider=config.name, param=f"{param}.type")
    return a_text(an_object(tool.get("function"), f"{param}.function").get("name"), f"{param}.function.name")


# --- values --------------------------------------------------------------------------------------------------------


def an_object(value: Any, param: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidRequest(f"`{param}` must be an object.", param=param)
    return value


def a_text(value: Any, param: str) -> str:
    if not isinstance(value, str):
        raise InvalidRequest(f"`{param}` must be a text.", param=param)
    return value
