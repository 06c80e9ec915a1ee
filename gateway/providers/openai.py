"""OpenAI Chat Completions upstream, and whatever speaks it: one shared HTTP session, raw JSON in and out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson

from gateway.errors import ProviderError, ProviderFailed, ProviderRefused, ProviderTimedOut
from gateway.types import ProviderConfig

# A line of a stream: the longest are tool arguments or base64 audio.
MAX_LINE_BYTES = 8 * 1024 * 1024
MAX_ANSWER_BYTES = 64 * 1024 * 1024
# Of the 4xx these say something about the moment or about our credential, not about the request.
_NOT_THE_REQUEST = frozenset({401, 403, 408, 409, 425, 429})


class OpenAI:
    def __init__(self, session: aiohttp.ClientSession, *, first_byte_timeout_s: float) -> None:
        self._session = session
        self._first_byte_timeout_s = first_byte_timeout_s

    async def complete(self, config: ProviderConfig, payload: dict[str, Any]) -> bytes:
        async with self._post(config, payload) as response:
            body = await response.content.read(MAX_ANSWER_BYTES)
            if not response.content.at_eof():
                raise ProviderFailed(f"{config.name} sent more than {MAX_ANSWER_BYTES:,} bytes.", provider=config.name)
            return body

    async def stream(self, config: ProviderConfig, payload: dict[str, Any]) -> AsyncIterator[bytes]:
        async with self._post(config, payload) as response:
            if response.content_type == "application/json":
                raise ProviderFailed(f"{config.name} answered a stream with one JSON text.", provider=config.name)
            async for data in _events(response.content, config.name):
                if data == b"[DONE]":
                    return
                yield data
            raise ProviderFailed(f"{config.name} ended the stream before it was complete.", provider=config.name)

    @contextlib.asynccontextmanager
    async def _post(self, config: ProviderConfig, payload: dict[str, Any]) -> AsyncIterator[aiohttp.ClientResponse]:
        """The response once its status is 200; all else becomes a ProviderError."""
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {config.api_key}"}
        try:
            async with contextlib.AsyncExitStack() as stack:
                async with asyncio.timeout(self._first_byte_timeout_s):
                    response = await stack.enter_async_context(
                        self._session.post(
                            f"{config.base_url.rstrip('/')}/chat/completions",
                            data=orjson.dumps(payload),
                            headers=headers,
                            allow_redirects=False,
                        )
                    )
                if response.status != 200:
                    raise await _refusal(response, config.name)
                yield response
        except TimeoutError as error:
            raise ProviderTimedOut(
                f"{config.name} did not answer within {self._first_byte_timeout_s:g} s.", provider=config.name
            ) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise ProviderFailed(
                f"{config.name} could not be reached or broke off: {type(error).__name__}.", provider=config.name
            ) from error


async def _events(content: aiohttp.StreamReader, provider: str) -> AsyncIterator[bytes]:
    """The data of each server-sent event."""
    rest = b""
    async for block in content.iter_any():
        *lines, rest = (rest + block).split(b"\n")
        if len(rest) > MAX_LINE_BYTES:
            raise ProviderFailed(f"{provider} sent a line of more than {MAX_LINE_BYTES:,} bytes.", provider=provider)
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()


async def _refusal(response: aiohttp.ClientResponse, provider: str) -> ProviderError:
    raw = await response.content.read(64 * 1024)
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        body = {}
    status = response.status
    if 400 <= status < 500 and status not in _NOT_THE_REQUEST and isinstance(body, dict):
        return ProviderRefused(status, body, provider=provider)
    error = ProviderFailed(
        f"{provider} answered with status {status}.", provider=provider, retry_after_s=_seconds(response.headers)
    )
    # A wrong credential stays wrong: another candidate may answer, this one need not be asked again.
    error.retryable = status not in {401, 403}
    return error


def _seconds(headers: Any) -> float | None:
    try:
        return min(max(float(headers["retry-after"]), 0.0), 60.0)
    except (KeyError, ValueError):
        return None
