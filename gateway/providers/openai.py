"""OpenAI Chat Completions upstream, and whatever speaks it: raw JSON in and out, nothing translated."""

from __future__ import annotations

import contextlib
import urllib.parse
from collections.abc import AsyncIterator
from typing import Any

from gateway.errors import ProviderFailed, Untranslatable
from gateway.providers.http import Http, read_out
from gateway.providers.vendors import VENDORS
from gateway.types import ProviderConfig


class OpenAI:
    def __init__(self, http: Http) -> None:
        self._http = http

    async def complete(self, config: ProviderConfig, payload: dict[str, Any]) -> bytes:
        url, headers = endpoint(config, "chat/completions", payload["model"])
        return await self._http.fetch(config, url, headers, adapted(config, payload))

    async def stream(self, config: ProviderConfig, payload: dict[str, Any]) -> AsyncIterator[bytes]:
        url, headers = endpoint(config, "chat/completions", payload["model"])
        async with contextlib.aclosing(self._http.events(config, url, headers, adapted(config, payload))) as events:
            async for data in events:
                if data == b"[DONE]":
                    await read_out(events)
                    return
                yield data
        raise ProviderFailed(f"{config.name} ended the stream before it was complete.", provider=config.name)

    async def embed(self, config: ProviderConfig, payload: dict[str, Any]) -> bytes:
        url, headers = endpoint(config, "embeddings", payload["model"])
        if VENDORS[config.kind].strict:
            payload = {**payload, "encoding_format": "base64"}
        return await self._http.fetch(config, url, headers, payload)


def endpoint(config: ProviderConfig, path: str, model: str = "") -> tuple[str, dict[str, str]]:
    """URL and credential headers of a call. Azure names deployments in the path when it has an API version."""
    vendor = VENDORS[config.kind]
    base = (config.base_url or vendor.base_url).rstrip("/")
    version = config.settings.get("api_version")
    if vendor.deployments and version:
        deployment = f"/deployments/{urllib.parse.quote(model, safe='')}" if model else ""
        url = f"{base}/openai{deployment}/{path}?api-version={urllib.parse.quote(str(version))}"
    else:
        url = f"{base}/{path}"
    # A server on one's own machine may want no key.
    headers = {vendor.key_header: f"{vendor.key_prefix}{config.api_key}"} if config.api_key else {}
    return url, {**headers, **vendor.headers}


def limit_field(config: ProviderConfig) -> str:
    """What to call a limit on tokens that the client did not set, whatever the provider's kind.

    OpenAI's reasoning models, also Azure's, refuse the old name; many compatible servers do not know the new one.
    """
    vendor = VENDORS.get(config.kind)
    is_openai = vendor is not None and "api.openai.com" in (config.base_url or vendor.base_url)
    return "max_completion_tokens" if is_openai or config.kind == "azure" else "max_tokens"


def adapted(config: ProviderConfig, payload: dict[str, Any]) -> dict[str, Any]:
    """The request in the vendor's accent. Raises Untranslatable for what only other APIs have."""
    vendor = VENDORS[config.kind]
    renamed = vendor.tokens_field
    other = "max_tokens" if renamed == "max_completion_tokens" else "max_completion_tokens"
    if renamed and other in payload:
        payload = dict(payload)
        limit = payload.pop(other)
        payload.setdefault(renamed, limit)
    if vendor.strict:
        for name in _OF_OTHER_APIS & payload.keys():
            raise Untranslatable(f"`{name}`", provider=config.name, param=name)
        messages = payload["messages"]
        if any(_is_foreign(message) for message in messages):
            payload = {**payload, "messages": [_own(message) for message in messages]}
        if isinstance(payload.get("tools"), list):
            payload = {**payload, "tools": [_unmarked(tool) for tool in payload["tools"]]}
        if isinstance(payload.get("user"), str) and len(payload["user"]) > MAX_USER_CHARACTERS:
            payload = {name: value for name, value in payload.items() if name != "user"}
    return payload


MAX_USER_CHARACTERS = 64
_OF_OTHER_APIS = frozenset({"top_k", "thinking"})
# What the form between dialects and providers has beyond OpenAI's own (docs/dialects.md).
_FOREIGN = frozenset({"cache_control", "extra_content", "is_error", "reasoning_content", "thinking_blocks"})


def _is_foreign(message: dict[str, Any]) -> bool:
    if not _FOREIGN.isdisjoint(message):
        return True
    return any(
        isinstance(part, dict) and not _FOREIGN.isdisjoint(part)
        for name in ("content", "tool_calls")
        if isinstance(message.get(name), list)
        for part in message[name]
    )


def _own(message: dict[str, Any]) -> dict[str, Any]:
    """Without marks and earlier thoughts, which OpenAI's models do not read; a tool's failure is said in words."""
    own = {name: value for name, value in message.items() if name not in _FOREIGN}
    for name in ("content", "tool_calls"):
        if isinstance(own.get(name), list):
            own[name] = [_unmarked(part) for part in own[name]]
    if message.get("is_error") and isinstance(own.get("content"), str):
        own["content"] = f"The tool failed: {own['content']}"
    return own


def _unmarked(part: Any) -> Any:
    if not isinstance(part, dict) or _FOREIGN.isdisjoint(part):
        return part
    return {name: value for name, value in part.items() if name not in _FOREIGN}
