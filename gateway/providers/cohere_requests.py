"""Requests to Cohere v2, made from the form between dialects and providers (docs/dialects.md). Pure."""

from __future__ import annotations

from typing import Any

from gateway.errors import InvalidRequest, Untranslatable
from gateway.providers import conversation, form
from gateway.providers.conversation import Message, Part
from gateway.providers.form import Parameter
from gateway.types import ProviderConfig

# Bounds of `p` (docs.cohere.com/reference/chat): 1, which many send to say “all”, is beyond them.
_LOWEST_P, _HIGHEST_P = 0.01, 0.99


def _p(name: str, value: Any) -> float:
    return min(max(form.number(name, value), _LOWEST_P), _HIGHEST_P)


_PARAMETERS = {
    "temperature": Parameter("temperature", form.number),
    "top_p": Parameter("p", _p),
    "top_k": Parameter("k", form.whole),
    "stop": Parameter("stop_sequences", form.texts),
    "seed": Parameter("seed", form.whole),
    "presence_penalty": Parameter("presence_penalty", form.number),
    "frequency_penalty": Parameter("frequency_penalty", form.number),
    "logprobs": Parameter("logprobs", form.boolean),
}
# Thinking is on or off, or has a budget; efforts between have no counterpart.
_EFFORTS = {"none": "disabled", "high": "enabled"}


def request(config: ProviderConfig, payload: dict[str, Any], *, stream: bool) -> dict[str, Any]:
    """The body of a chat. Raises InvalidRequest, Untranslatable."""
    body: dict[str, Any] = {"model": payload["model"], "stream": stream}
    body["messages"] = [_message(config, message) for message in conversation.read(payload, config)]
    body |= form.translate(payload, config, _PARAMETERS, form.OF_CHAT)
    if (limit := form.max_tokens(payload)) is not None:
        body["max_tokens"] = limit
    if (wanted := form.response_format(payload, config)) is not None:
        body["response_format"] = {"type": "json_object"}
        if wanted.schema is not None:
            body["response_format"]["json_schema"] = wanted.schema
    if thinking := _thinking(config, payload):
        body["thinking"] = thinking
    return {**body, **_tools(config, payload)}


def _thinking(config: ProviderConfig, payload: dict[str, Any]) -> dict[str, Any]:
    thinking, effort = form.thinking(payload, config), payload.get("reasoning_effort")
    if thinking is not None:
        if thinking["type"] == "disabled":
            return {"type": "disabled"}
        if thinking.get("budget_tokens") is not None:
            budget = form.whole("thinking.budget_tokens", thinking["budget_tokens"])
            return {"type": "enabled", "token_budget": budget}
        if effort is None:
            return {"type": "enabled"}
    if effort is None:
        return {}
    if not isinstance(effort, str) or effort not in _EFFORTS:
        raise Untranslatable(f"the effort “{effort}”", provider=config.name, param="reasoning_effort")
    return {"type": _EFFORTS[effort]}


def _tools(config: ProviderConfig, payload: dict[str, Any]) -> dict[str, Any]:
    functions, choice = form.functions(payload, config), form.tool_choice(payload, config)
    if not functions:
        return {}
    if choice.names:
        # Tools cannot be chosen by name: the others are left out.
        functions = [function for function in functions if function.name in choice.names]
        if len(functions) < len(set(choice.names)):
            raise InvalidRequest("`tool_choice` names a tool that is not in `tools`.", param="tool_choice")
    tools = [{"type": "function", "function": _function(function)} for function in functions]
    body: dict[str, Any] = {"tools": tools}
    if any(function.strict for function in functions):
        body["strict_tools"] = True
    return body if choice.mode == "auto" else {**body, "tool_choice": choice.mode.upper()}


def _function(function: form.Function) -> dict[str, Any]:
    described = {"description": function.description} if function.description else {}
    # Cohere wants a schema even of tools that take nothing.
    parameters = function.parameters or {"type": "object", "properties": {}}
    return {"name": function.name, **described, "parameters": parameters}


def _message(config: ProviderConfig, message: Message) -> dict[str, Any]:
    if message.role == "assistant":
        return _assistant(config, message)
    content = _content(config, message)
    if message.role != "tool":
        return {"role": message.role, "content": content}
    if message.is_error:
        # What a document says of itself, the model is told, too.
        content = [{"type": "document", "document": {"data": {"error": message.text}}}]
    return {"role": "tool", "tool_call_id": message.tool_call_id, "content": content}


def _assistant(config: ProviderConfig, message: Message) -> dict[str, Any]:
    """What was thought before a call is its plan."""
    made: dict[str, Any] = {"role": "assistant"}
    content = _content(config, message)
    if message.tool_calls:
        made["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments or "{}"}}
            for call in message.tool_calls
        ]
        if message.thoughts:
            made["tool_plan"] = message.thoughts
    elif message.thoughts:
        spoken = [_part(config, message.role, part) for part in message.parts]
        content = [{"type": "thinking", "thinking": message.thoughts}, *spoken]
    return {**made, "content": content} if content or not message.tool_calls else made


def _content(config: ProviderConfig, message: Message) -> str | list[dict[str, Any]]:
    parts = [_part(config, message.role, part) for part in message.parts]
    return message.text if all(part["type"] == "text" for part in parts) and len(parts) < 2 else parts


def _part(config: ProviderConfig, role: str, part: Part) -> dict[str, Any]:
    if part.kind == "text":
        return {"type": "text", "text": part.text}
    if part.kind != "image" or role != "user":
        raise Untranslatable(f"{part.kind} parts in messages of a {role}", provider=config.name, param=part.param)
    image = {"url": part.url, "detail": part.detail} if part.detail else {"url": part.url}
    return {"type": "image_url", "image_url": image}


# --- embeddings ----------------------------------------------------------------------------------------------------


_EMBEDDING_PARAMETERS = {
    "dimensions": Parameter("output_dimension", form.whole),
    "input_type": Parameter("input_type", lambda name, value: form.a_text(value, name)),
}


def embedding_request(config: ProviderConfig, payload: dict[str, Any]) -> dict[str, Any]:
    """The body of an embed, without its texts. What they are for has to be said: unless it is, to be found."""
    given = {name: value for name, value in payload.items() if (name, value) != ("encoding_format", "float")}
    options = form.translate(given, config, _EMBEDDING_PARAMETERS, frozenset({"model", "input"}))
    return {"model": payload["model"], "input_type": "search_document", "embedding_types": ["float"], **options}
