"""Which requests are the same, and which may be compared by meaning. Pure.

`fingerprint` covers all that can change an answer; `scope` is the same without the last user text. Both are digests of
16 bytes in hexadecimal, made within one tenant.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from gateway.types import CacheRules, ChatRequest

# Fields of a request that change the answer, as OpenAI's SDK names them. A test fails when a new one is in neither
# list; one that nobody has decided on is treated as if it changed the answer.
ANSWER_FIELDS = frozenset(
    {
        "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs", "max_completion_tokens",
        "max_tokens", "messages", "modalities", "model", "moderation", "n", "parallel_tool_calls", "prediction",
        "presence_penalty", "reasoning_effort", "response_format", "seed", "stop", "temperature", "tool_choice",
        "tools", "top_k", "top_logprobs", "top_p", "verbosity", "web_search_options",
    }
)  # fmt: skip
# Fields that say how an answer travels, is paid for or filed.
NEUTRAL_FIELDS = frozenset(
    {
        "cache", "metadata", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "safety_identifier",
        "service_tier", "store", "stream", "stream_options", "user",
    }
)  # fmt: skip
_DIGEST_BYTES = 16


Ways = tuple[tuple[str, str], ...]


def fingerprint(request: ChatRequest, ways: Ways, namespace: str) -> str:
    return _digest(_relevant(request.payload), ways, namespace)


def scope(request: ChatRequest, ways: Ways, namespace: str) -> str | None:
    """None when the request may not be compared by meaning."""
    if request.question is None:
        return None
    relevant = _relevant(request.payload)
    *earlier, last = relevant["messages"]
    relevant["messages"] = [*earlier, {**last, "content": None}]
    return _digest(relevant, ways, namespace)


def end_user(request: ChatRequest) -> str | None:
    """A digest of whom the app names as its user, in OpenAI's words or Anthropic's; None when it names nobody."""
    payload = request.payload
    metadata = payload.get("metadata")
    named = (
        payload.get("user"),
        payload.get("safety_identifier"),
        metadata.get("user_id") if isinstance(metadata, dict) else None,
    )
    name = next((name for name in named if isinstance(name, str) and name), None)
    return None if name is None else end_user_digest(name)


def end_user_digest(name: str) -> str:
    return hashlib.blake2b(name.encode(errors="replace"), digest_size=_DIGEST_BYTES).hexdigest()


def namespace_of(rules: CacheRules, end_user: str | None) -> str:
    """The request's own, and in it the end user's where one's answers are not another's."""
    # No namespace of a request's own has a space in it.
    return f"{rules.namespace} {end_user}" if rules.per_end_user else rules.namespace


def _relevant(payload: dict[str, Any]) -> dict[str, Any]:
    """In one spelling where the dialects, and OpenAI's own, have several for the same."""
    relevant = {name: value for name, value in payload.items() if name not in NEUTRAL_FIELDS and value is not None}
    if "max_tokens" in relevant:
        relevant.setdefault("max_completion_tokens", relevant.pop("max_tokens"))
    if isinstance(relevant.get("stop"), str):
        relevant["stop"] = [relevant["stop"]]
    messages = relevant["messages"]
    if any(type(message.get("content")) is list or "cache_control" in message for message in messages):
        relevant["messages"] = [_plain(message) for message in messages]
    if isinstance(tools := relevant.get("tools"), list):
        relevant["tools"] = [_unmarked(tool) for tool in tools]
    return relevant


def _plain(message: dict[str, Any]) -> dict[str, Any]:
    """One part that is nothing but text is that text; marks for a provider's own cache say nothing."""
    message = _unmarked(message)
    content = message.get("content")
    if not isinstance(content, list):
        return message
    parts = [_unmarked(part) for part in content]
    if len(parts) == 1 and isinstance(parts[0], dict) and parts[0].keys() == {"type", "text"}:
        return {**message, "content": parts[0]["text"]} if parts[0]["type"] == "text" else message
    return {**message, "content": parts}


def _unmarked(value: Any) -> Any:
    if not isinstance(value, dict) or "cache_control" not in value:
        return value
    return {name: inner for name, inner in value.items() if name != "cache_control"}


def _digest(relevant: dict[str, Any], ways: Ways, namespace: str) -> str:
    # Who would answer is a part of the question: another route, another answer.
    text = orjson.dumps([relevant, ways, namespace], option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(text, digest_size=_DIGEST_BYTES).hexdigest()
