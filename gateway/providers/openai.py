"""OpenAI Chat Completions upstream, and whatever speaks it: raw JSON in and out, nothing translated."""

from __future__ import annotations

import urllib.parse
from collections.abc import AsyncIterator
from typing import Any

from gateway.errors import ProviderFailed
from gateway.providers.http import Http
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
        async for data in self._http.events(config, url, headers, adapted(config, payload)):
            if data == b"[DONE]":
                return
            yield data
        raise ProviderFailed(f"{config.name} ended the stream before it was complete.", provider=config.name)

    async def embed(self, config: ProviderConfig, payload: dict[str, Any]) -> bytes:
        url, headers = endpoint(config, "embeddings", payload["model"])
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


def adapted(config: ProviderConfig, payload: dict[str, Any]) -> dict[str, Any]:
    """The request with the limit on tokens under the name that the vendor knows."""
    renamed = VENDORS[config.kind].tokens_field
    other = "max_tokens" if renamed == "max_completion_tokens" else "max_completion_tokens"
    if not renamed or other not in payload:
        return payload
    payload = dict(payload)
    limit = payload.pop(other)
    payload.setdefault(renamed, limit)
    return payload
