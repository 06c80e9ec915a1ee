"""OpenAI Responses: the fields of a request, and an answer as one text or as events. Items are responses_input's and
responses_answer's. Refuses by name what needs stored responses, or tools that OpenAI itself runs.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import orjson

from gateway.dialects import openai_chat
from gateway.dialects.chat_fields import among
from gateway.dialects.responses_answer import Answer
from gateway.dialects.responses_input import field, messages_of, text_of, unsupported
from gateway.errors import GatewayError, InvalidRequest
from gateway.tags import named_in
from gateway.types import Call, ChatRequest

NAME = "openai-responses"
CONTENT_TYPE = openai_chat.CONTENT_TYPE
render_error = openai_chat.render_error

_NOT_STORED = "Responses are not stored here: send the earlier items in `input`."
_ONE_ANSWER = "Responses gives one answer, as text; Chat Completions has more."
# What is refused, the values that ask for nothing, and what to do instead.
_REFUSED: dict[str, tuple[tuple[Any, ...], str]] = {
    "previous_response_id": ((None,), _NOT_STORED),
    "conversation": ((None,), _NOT_STORED),
    "background": ((None, False), "An answer comes with its own request here: stream it, or wait."),
    "prompt": ((None,), "Prompt templates are not kept here: send `instructions` and `input`."),
    "truncation": ((None, "disabled"), "Nothing is cut from a conversation here: leave out what is too much."),
    "context_management": ((None, []), "A conversation is not compacted here: leave out what is too much."),
    "moderation": ((None,), "Chat Completions has it."),
    "messages": ((), "The field is `input` here."),
    "max_tokens": ((), "The field is `max_output_tokens` here."),
    "max_completion_tokens": ((), "The field is `max_output_tokens` here."),
    "response_format": ((), "The field is `text.format` here."),
    "reasoning_effort": ((), "The field is `reasoning.effort` here."),
    "verbosity": ((), "The field is `text.verbosity` here."),
    "functions": ((), "The field is `tools` here."),
    "function_call": ((), "The field is `tool_choice` here."),
    "logprobs": ((), "The field is `include` here, with `message.output_text.logprobs`."),
    "n": ((None, 1), _ONE_ANSWER),
    "audio": ((None,), _ONE_ANSWER),
    "modalities": ((None, ["text"]), _ONE_ANSWER),
}
# Of the response itself, or in another form in Chat Completions. OpenAI takes `metadata` there only together with
# `store`, which keeps something else.
_NOT_PASSED = frozenset(
    {
        *_REFUSED, "include", "input", "instructions", "max_output_tokens", "max_tool_calls", "metadata",
        "parallel_tool_calls", "reasoning", "store", "text", "tool_choice", "tools", "top_logprobs",
    }
)  # fmt: skip
_ECHOED = (
    "include", "instructions", "max_output_tokens", "max_tool_calls", "metadata", "parallel_tool_calls",
    "prompt_cache_key", "reasoning", "safety_identifier", "temperature", "text", "tool_choice", "tools",
    "top_logprobs", "top_p", "user",
)  # fmt: skip
# What Chat Completions calls a field, and what it is called here.
_NAMES = {
    "max_completion_tokens": "max_output_tokens",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
    "verbosity": "text.verbosity",
}
_LOGPROBS, _ENCRYPTED = "message.output_text.logprobs", "reasoning.encrypted_content"
_INCLUDABLE = (_LOGPROBS, _ENCRYPTED)


def parse(body: bytes) -> ChatRequest:
    """Raises InvalidRequest, naming the field."""
    sent = openai_chat.parse_object(body)
    for name, value in sent.items():
        harmless, instead = _REFUSED.get(name, ((), ""))
        if name in _REFUSED and not among(value, harmless):
            raise unsupported(f"`{name}` is not possible here. {instead}", name)
    payload = {name: value for name, value in sent.items() if name not in _NOT_PASSED and value is not None}
    payload["messages"] = messages_of(sent)
    _check_own(sent)
    payload |= _limits(sent) | _text(sent) | _reasoning(sent) | _tools(sent) | _tags(sent)
    try:
        request = openai_chat.read(payload)
    except InvalidRequest as error:
        raise _renamed(error) from None
    echo = {name: sent[name] for name in _ECHOED if sent.get(name) is not None}
    return dataclasses.replace(request, echo=echo)


def _renamed(error: InvalidRequest) -> InvalidRequest:
    """Under the name that the client used."""
    top, _, rest = (error.param or "").partition(".")
    if top not in _NAMES:
        return error
    param = ".".join(part for part in (_NAMES[top], rest.removeprefix("json_schema").lstrip(".")) if part)
    return InvalidRequest(error.message.replace(error.param or "", param), param=param, code=error.code)


def _check_own(sent: dict[str, Any]) -> None:
    """Of the fields that only the response says again."""
    metadata = sent.get("metadata")
    if not isinstance(metadata, dict | None) or not all(isinstance(text, str) for text in (metadata or {}).values()):
        raise InvalidRequest("`metadata` must be an object whose values are texts.", param="metadata")
    calls = sent.get("max_tool_calls")
    if calls is not None and (isinstance(calls, bool) or not isinstance(calls, int) or calls < 0):
        raise InvalidRequest("`max_tool_calls` must be a whole number.", param="max_tool_calls")
    if not isinstance(sent.get("store"), bool | None):
        raise InvalidRequest("`store` must be true or false.", param="store")


def _tags(sent: dict[str, Any]) -> dict[str, Any]:
    """As a list, which goes no further than admission."""
    tags = named_in((sent.get("metadata") or {}).get("tags", ""))
    return {"metadata": {"tags": tags}} if tags else {}


def _limits(sent: dict[str, Any]) -> dict[str, Any]:
    include = sent.get("include")
    if include is not None and not isinstance(include, list):
        raise InvalidRequest("`include` must be a list.", param="include")
    for at, wanted in enumerate(include or []):
        if wanted not in _INCLUDABLE:
            raise unsupported(f"`include` can have {' and '.join(_INCLUDABLE)} here.", f"include[{at}]")
    top: Any = sent.get("top_logprobs")
    if type(top) is int and top == 0:
        # What is so without it; Chat Completions refuses it without `logprobs`.
        top = None
    wanted = True if _LOGPROBS in (include or []) or top is not None else None
    return _given({"max_completion_tokens": sent.get("max_output_tokens"), "top_logprobs": top, "logprobs": wanted})


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _object(sent: dict[str, Any], name: str, known: frozenset[str]) -> dict[str, Any]:
    value = sent.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidRequest(f"`{name}` must be an object.", param=name)
    _only(value, known, name)
    return value


def _only(value: dict[str, Any], known: frozenset[str], at: str) -> None:
    for unknown in sorted(value.keys() - known):
        raise unsupported(f"`{at}.{unknown}` is not known here.", f"{at}.{unknown}")


_FORMAT_FIELDS = {"text": (), "json_object": (), "json_schema": ("name", "description", "schema", "strict")}


def _text(sent: dict[str, Any]) -> dict[str, Any]:
    text = _object(sent, "text", frozenset({"format", "verbosity"}))
    wanted = _given({"verbosity": text.get("verbosity")})
    shape = text.get("format")
    if shape is None:
        return wanted
    kind = field(shape, "type", "text.format")
    if kind not in _FORMAT_FIELDS:
        raise InvalidRequest("`text.format.type` must be text, json_schema or json_object.", param="text.format.type")
    _only(shape, frozenset({"type", *_FORMAT_FIELDS[kind]}), "text.format")
    if kind == "json_object":
        wanted["response_format"] = {"type": kind}
    elif kind == "json_schema":
        schema = _given({name: shape.get(name) for name in _FORMAT_FIELDS[kind]})
        wanted["response_format"] = {"type": kind, "json_schema": schema}
    return wanted


# What these ask for is what every answer here has anyway.
_REASONING_HINTS: dict[str, tuple[Any, ...]] = {
    "summary": (None, "auto", "concise", "detailed"),
    "generate_summary": (None, "auto", "concise", "detailed"),
    "context": (None, "auto"),
    "mode": (None, "standard"),
}


def _reasoning(sent: dict[str, Any]) -> dict[str, Any]:
    reasoning = _object(sent, "reasoning", frozenset({"effort", *_REASONING_HINTS}))
    for name, possible in _REASONING_HINTS.items():
        if not among(reasoning.get(name), possible):
            names = ", ".join(str(value) for value in possible[1:])
            raise unsupported(f"`reasoning.{name}` can be {names} here.", f"reasoning.{name}")
    return _given({"reasoning_effort": reasoning.get("effort")})


# --- tools ---------------------------------------------------------------------------------------------------------

_FUNCTION_FIELDS: dict[str, tuple[type, str]] = {
    "name": (str, "a text"),
    "description": (str, "a text"),
    "parameters": (dict, "an object"),
    "strict": (bool, "true or false"),
}
# Of a function: what Chat Completions has nothing like, unless it says what is so anyway.
_FUNCTION_REFUSED: dict[str, tuple[Any, ...]] = {
    "allowed_callers": (None, [], ["direct"]),
    "async": (None, False),
    "defer_loading": (None, False),
    "output_schema": (None,),
}


def _tools(sent: dict[str, Any]) -> dict[str, Any]:
    tools, choice, parallel = sent.get("tools"), sent.get("tool_choice"), sent.get("parallel_tool_calls")
    if tools is not None and not isinstance(tools, list):
        raise InvalidRequest("`tools` must be a list.", param="tools")
    if not isinstance(parallel, bool | None):
        raise InvalidRequest("`parallel_tool_calls` must be true or false.", param="parallel_tool_calls")
    chosen = _choice(choice)
    if not tools:
        # Without tools these say nothing, and Chat Completions refuses them.
        chosen = None if chosen in ("auto", "none") else chosen
        return _given({"tool_choice": chosen})
    functions = [_function(tool, f"tools[{at}]") for at, tool in enumerate(tools)]
    return _given({"tools": functions, "tool_choice": chosen, "parallel_tool_calls": parallel})


def _function(tool: Any, at: str) -> dict[str, Any]:
    _check_is_function(tool, at)
    for name, harmless in _FUNCTION_REFUSED.items():
        if not among(tool.get(name), harmless):
            raise unsupported(f"`{at}.{name}` is not possible here.", f"{at}.{name}")
    function = _given({name: tool.get(name) for name in _FUNCTION_FIELDS})
    text_of(tool, "name", at)
    for name, (kind, what) in _FUNCTION_FIELDS.items():
        if not isinstance(function.get(name), kind | None):
            raise InvalidRequest(f"`{at}.{name}` must be {what}.", param=f"{at}.{name}")
    known = {"type", *_FUNCTION_FIELDS, *_FUNCTION_REFUSED}
    rest = {name: value for name, value in tool.items() if name not in known and value is not None}
    return {"type": "function", "function": function, **rest}


def _check_is_function(tool: Any, at: str) -> None:
    kind = field(tool, "type", at)
    if kind != "function":
        raise unsupported(
            f"`{at}`: a tool of type “{kind}” is run by OpenAI or needs its own protocol; send functions.", f"{at}.type"
        )


_NAMED = frozenset({"type", "name"})


def _choice(choice: Any) -> Any:
    if choice is None or choice in ("auto", "none", "required"):
        return choice
    kind = field(choice, "type", "tool_choice")
    if kind == "function":
        _only(choice, _NAMED, "tool_choice")
        return {"type": kind, "function": {"name": text_of(choice, "name", "tool_choice")}}
    if kind != "allowed_tools":
        raise unsupported(f"`tool_choice` of type “{kind}” needs a tool that OpenAI runs.", "tool_choice.type")
    _only(choice, frozenset({"type", "mode", "tools"}), "tool_choice")
    tools = choice.get("tools")
    if choice.get("mode") not in ("auto", "required") or not isinstance(tools, list):
        raise InvalidRequest("`tool_choice` needs a `mode` (auto or required) and `tools`.", param="tool_choice.mode")
    allowed = []
    for number, tool in enumerate(tools):
        at = f"tool_choice.tools[{number}]"
        _check_is_function(tool, at)
        _only(tool, _NAMED, at)
        allowed.append({"type": "function", "function": {"name": text_of(tool, "name", at)}})
    return {"type": kind, "allowed_tools": {"mode": choice["mode"], "tools": allowed}}


# --- answers ---------------------------------------------------------------------------------------------------------


def render(call: Call, body: bytes, facts: dict[str, Any]) -> bytes:
    """The complete answer as a response object."""
    completion = orjson.loads(body)
    answer = Answer(call)
    answer.note(completion)
    choice = completion["choices"][0]
    answer.add({**choice, "delta": choice.get("message")})
    return orjson.dumps(answer.end())


class Stream:
    """Renders the chunks of one answer as the events of a response."""

    def __init__(self, call: Call) -> None:
        self._answer = Answer(call)
        self._sent = 0

    def chunk(self, chunk: bytes, parsed: dict[str, Any]) -> bytes:
        answer = self._answer
        answer.note(parsed)
        if not self._sent:
            for name in ("created", "in_progress"):
                answer.emit(f"response.{name}", response=answer.response("in_progress"))
        for choice in parsed.get("choices") or ():
            if not choice.get("index"):
                answer.add(choice)
        return self._written()

    def error(self, error: GatewayError) -> bytes:
        """OpenAI says it twice, too: SDKs raise the first, and who keeps responses keeps the second."""
        answer = self._answer
        details = {"type": error.type, "code": error.code, "message": error.message, "param": error.param}
        response = answer.fail(error)
        answer.emit("error", code=error.code, message=error.message, param=error.param, error=details)
        answer.emit("response.failed", response=response)
        return self._written()

    def end(self, facts: dict[str, Any]) -> bytes:
        response = self._answer.end()
        self._answer.emit(f"response.{response['status']}", response=response)
        return self._written()

    def _written(self) -> bytes:
        events, self._answer.events = self._answer.events, []
        written = []
        for event in events:
            event["sequence_number"] = self._sent
            self._sent += 1
            written.append(b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event)))
        return b"".join(written)
