"""Requests to Gemini, made from the form between dialects and providers (docs/dialects.md). Pure."""

from __future__ import annotations

import itertools
import mimetypes
import urllib.parse
from collections.abc import Iterator
from typing import Any

from gateway.errors import InvalidRequest, Untranslatable
from gateway.providers import conversation, form
from gateway.providers.conversation import Message, Part, ToolCall
from gateway.providers.form import Parameter
from gateway.types import ProviderConfig

# Where Google keeps files that were uploaded to it.
_FILES = "https://generativelanguage.googleapis.com/v1beta/files/"

_PARAMETERS = {
    "temperature": Parameter("temperature", form.number),
    "top_p": Parameter("topP", form.number),
    "top_k": Parameter("topK", form.whole),
    "n": Parameter("candidateCount", form.whole),
    "stop": Parameter("stopSequences", form.texts),
    "seed": Parameter("seed", form.whole),
    "presence_penalty": Parameter("presencePenalty", form.number),
    "frequency_penalty": Parameter("frequencyPenalty", form.number),
    "logprobs": Parameter("responseLogprobs", form.boolean),
    "top_logprobs": Parameter("logprobs", form.whole),
}

# How much models think: up to 2.5 by a budget of tokens, with the numbers of Google's own OpenAI endpoint
# (ai.google.dev/gemini-api/docs/openai); later ones by a level.
_BUDGET_MODELS = ("gemini-1.", "gemini-2.", "gemma-")
_BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
_LEVELS = {"minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM", "high": "HIGH", "xhigh": "XHIGH"}
_NO_THOUGHTS = {"thinkingBudget": 0}

# For calls whose signature was lost, or that another model made: later models refuse calls without any
# (ai.google.dev/gemini-api/docs/thought-signatures).
_NO_SIGNATURE = "skip_thought_signature_validator"
_AUDIO = frozenset({"audio/wav", "audio/mp3", "audio/aiff", "audio/aac", "audio/ogg", "audio/flac"})


def request(config: ProviderConfig, payload: dict[str, Any]) -> dict[str, Any]:
    """The body of generateContent. Raises InvalidRequest, Untranslatable."""
    messages = conversation.read(payload, config)
    generation = form.translate(payload, config, _PARAMETERS, form.OF_CHAT)
    if (limit := form.max_tokens(payload)) is not None:
        generation["maxOutputTokens"] = limit
    if (wanted := form.response_format(payload, config)) is not None:
        generation["responseMimeType"] = "application/json"
        if wanted.schema is not None:
            generation["responseJsonSchema"] = wanted.schema
    if thinking := _thinking(config, payload):
        generation["thinkingConfig"] = thinking
    body: dict[str, Any] = {"contents": list(_contents(config, payload["model"], messages))}
    if not body["contents"]:
        raise Untranslatable("a conversation of instructions only", provider=config.name, param="messages")
    if instructions := [_instruction(config, part) for m in messages if m.role == "system" for part in m.parts]:
        body["systemInstruction"] = {"parts": instructions}
    if generation:
        body["generationConfig"] = generation
    return {**body, **_tools(config, payload)}


def _by_budget(model: str) -> bool:
    return model.rpartition("/")[2].startswith(_BUDGET_MODELS)


def _thinking(config: ProviderConfig, payload: dict[str, Any]) -> dict[str, Any]:
    """A budget in `thinking`, or an end to it, goes before `reasoning_effort`. Who asks for thoughts is shown them."""
    thinking, effort = form.thinking(payload, config), payload.get("reasoning_effort")
    shown = {"includeThoughts": True}
    if thinking is not None:
        if thinking["type"] == "disabled":
            return _NO_THOUGHTS
        if thinking.get("display") == "omitted":
            shown = {}
        if thinking.get("budget_tokens") is not None:
            return {"thinkingBudget": form.whole("thinking.budget_tokens", thinking["budget_tokens"]), **shown}
        if effort is None:
            # The model decides: later models do so unasked.
            return {"thinkingBudget": -1, **shown} if _by_budget(payload["model"]) else shown
    if effort is None:
        return {}
    if effort == "none":
        return _NO_THOUGHTS
    name, values = ("thinkingBudget", _BUDGETS) if _by_budget(payload["model"]) else ("thinkingLevel", _LEVELS)
    if not isinstance(effort, str) or effort not in values:
        raise Untranslatable(f"the effort “{effort}”", provider=config.name, param="reasoning_effort")
    return {name: values[effort], **shown}


def _tools(config: ProviderConfig, payload: dict[str, Any]) -> dict[str, Any]:
    functions, choice = form.functions(payload, config), form.tool_choice(payload, config)
    if not functions:
        return {}
    declarations: list[dict[str, Any]] = []
    for function in functions:
        declaration: dict[str, Any] = {"name": function.name}
        if function.description:
            declaration["description"] = function.description
        if function.parameters is not None:
            # `parameters` knows a part of JSON Schema only.
            declaration["parametersJsonSchema"] = function.parameters
        declarations.append(declaration)
    calling: dict[str, Any] = {"mode": {"auto": "AUTO", "none": "NONE", "required": "ANY"}[choice.mode]}
    if choice.mode == "auto" and (choice.names or any(function.strict for function in functions)):
        # As AUTO, but held to the schemas, and to the names.
        calling["mode"] = "VALIDATED"
    if choice.names:
        calling["allowedFunctionNames"] = choice.names
    tools = {"tools": [{"functionDeclarations": declarations}]}
    return tools if calling == {"mode": "AUTO"} else {**tools, "toolConfig": {"functionCallingConfig": calling}}


def _instruction(config: ProviderConfig, part: Part) -> dict[str, Any]:
    if part.kind != "text":
        raise Untranslatable("instructions that are not text", provider=config.name, param=part.param)
    return {"text": part.text}


def _contents(config: ProviderConfig, model: str, messages: list[Message]) -> Iterator[dict[str, Any]]:
    """Results of calls made together go together; instructions have a place of their own."""
    names: dict[str, str] = {}
    spoken = (message for message in messages if message.role != "system")
    for role, group in itertools.groupby(spoken, key=lambda message: message.role):
        if role == "tool":
            yield {"role": "user", "parts": [_result(config, message, names) for message in group]}
            continue
        for message in group:
            names.update((call.id, call.name) for call in message.tool_calls)
            parts = _said(config, model, message)
            yield {"role": "model" if role == "assistant" else "user", "parts": parts or [{"text": ""}]}


def _said(config: ProviderConfig, model: str, message: Message) -> list[dict[str, Any]]:
    parts = [_part(config, part) for part in message.parts]
    if message.signature:
        parts = parts or [{"text": ""}]
        parts[-1]["thoughtSignature"] = message.signature
    calls = [_call(call) for call in message.tool_calls]
    if calls and not _by_budget(model) and not any(call.signature for call in message.tool_calls):
        calls[0]["thoughtSignature"] = _NO_SIGNATURE
    thoughts = [{"text": message.thoughts, "thought": True}] if message.thoughts else []
    return [*thoughts, *parts, *calls]


def _call(call: ToolCall) -> dict[str, Any]:
    part: dict[str, Any] = {"functionCall": {"id": call.id, "name": call.name, "args": conversation.arguments(call)}}
    return {**part, "thoughtSignature": call.signature} if call.signature else part


def _result(config: ProviderConfig, message: Message, names: dict[str, str]) -> dict[str, Any]:
    name = names.get(message.tool_call_id)
    if name is None:
        param = f"{message.param}.tool_call_id"
        raise InvalidRequest(f"`{param}` is of no earlier tool call.", param=param)
    response: dict[str, Any] = {"error" if message.is_error else "output": message.text}
    found: dict[str, Any] = {"id": message.tool_call_id, "name": name, "response": response}
    if media := [_part(config, part) for part in message.parts if part.kind != "text"]:
        found["parts"] = media
    return {"functionResponse": found}


def _part(config: ProviderConfig, part: Part) -> dict[str, Any]:
    if part.kind == "text":
        return {"text": part.text}
    if part.kind == "audio" and part.blob is not None and part.blob.media_type not in _AUDIO:
        raise Untranslatable(f"sound as {part.blob.media_type}", provider=config.name, param=part.param)
    if part.blob is not None:
        return {"inlineData": {"mimeType": part.blob.media_type, "data": part.blob.data}}
    return {"fileData": _file(config, part)}


def _file(config: ProviderConfig, part: Part) -> dict[str, str]:
    """Google fetches public URLs, but wants to be told their media type; of files it keeps it knows that."""
    if part.url.startswith(_FILES):
        return {"fileUri": part.url}
    url = urllib.parse.urlsplit(part.url)
    # Not strict: else .webp is known only where the machine has a list of its own.
    media_type, _ = mimetypes.guess_type(url.path, strict=False)
    if url.scheme != "https" or media_type is None:
        what = "images at URLs other than https: with an ending like .png (a data: URL would do)"
        raise Untranslatable(what, provider=config.name, param=part.param)
    return {"fileUri": part.url, "mimeType": media_type}


# --- embeddings ----------------------------------------------------------------------------------------------------

_EMBEDDING_PARAMETERS = {"dimensions": Parameter("outputDimensionality", form.whole)}


def embedding_requests(config: ProviderConfig, payload: dict[str, Any]) -> list[dict[str, Any]]:
    """One for each text, as batchEmbedContents has them."""
    given = {name: value for name, value in payload.items() if (name, value) != ("encoding_format", "float")}
    options = form.translate(given, config, _EMBEDDING_PARAMETERS, frozenset({"model", "input"}))
    options["model"] = resource(payload["model"])
    return [{"content": {"parts": [{"text": text}]}, **options} for text in form.inputs(payload, config)]


def resource(model: str) -> str:
    """The full name of a model. Tuned ones have a collection of their own."""
    return model if model.startswith(("models/", "tunedModels/")) else f"models/{model}"
