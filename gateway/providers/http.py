"""HTTP to upstream APIs: a shared session, and every failure as a ProviderError. Knows no API's shapes."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import orjson

from gateway.errors import ProviderError, ProviderFailed, ProviderRefused, ProviderTimedOut, Untranslatable
from gateway.providers.network import PrivateAddress, check_literal
from gateway.types import ProviderConfig

# A line of a stream: the longest are tool arguments or base64 audio.
MAX_LINE_BYTES = 8 * 1024 * 1024
MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_RETRY_AFTER_S = 3600.0
# Of the 4xx these say something about the moment or about our credential, not about the request.
_NOT_THE_REQUEST = frozenset({401, 402, 403, 408, 409, 425, 429})

# From a refusal's JSON to OpenAI's error object: message, type, code, param.
ReadError = Callable[[dict[str, Any]], dict[str, Any]]


def openai_error(body: dict[str, Any]) -> dict[str, Any]:
    """OpenAI's own envelope, or `{"message": …}`, as many compatible servers send it."""
    error = body.get("error")
    return error if isinstance(error, dict) else {"message": error or body.get("message") or body.get("detail")}


class Http:
    """`read_error` tells what an API's refusals look like. Tenants' own providers are called through `public`."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        first_byte_timeout_s: float,
        read_error: ReadError = openai_error,
        public: aiohttp.ClientSession | None = None,
    ) -> None:
        self._session = session
        self._public = public
        self._first_byte_timeout_s = first_byte_timeout_s
        self._read_error = read_error

    async def fetch(self, config: ProviderConfig, url: str, headers: dict[str, str], payload: dict[str, Any]) -> bytes:
        """The whole body of a 200. Raises ProviderError."""
        async with self.post(config, url, headers, payload) as response:
            return await whole_body(response, config)

    async def events(
        self, config: ProviderConfig, url: str, headers: dict[str, str], payload: dict[str, Any]
    ) -> AsyncIterator[bytes]:
        """The data of each server-sent event of a 200. Raises ProviderError."""
        async with self.post(config, url, headers, payload) as response:
            if response.content_type == "application/json":
                raise ProviderFailed(f"{config.name} answered a stream with one JSON text.", provider=config.name)
            async for data in _events(response.content, config.name):
                yield data

    @contextlib.asynccontextmanager
    async def post(
        self, config: ProviderConfig, url: str, headers: dict[str, str], payload: dict[str, Any]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The response once its status is 200; all else, and what breaks later, becomes a ProviderError."""
        headers = {"Content-Type": "application/json", **headers}
        try:
            body = orjson.dumps(payload)
        except TypeError:
            raise Untranslatable("so deep a nesting", provider=config.name) from None
        first_byte_timeout_s = config.first_byte_timeout_s or self._first_byte_timeout_s
        try:
            async with contextlib.AsyncExitStack() as stack:
                async with asyncio.timeout(first_byte_timeout_s):
                    response = await stack.enter_async_context(
                        self.session_for(config, url).post(url, data=body, headers=headers, allow_redirects=False)
                    )
                if response.status != 200:
                    raise await self.refusal(response, config)
                yield response
        except TimeoutError as error:
            raise ProviderTimedOut(
                f"{config.name} did not answer within {first_byte_timeout_s:g} s.", provider=config.name
            ) from error
        except PrivateAddress as error:
            raise private(config) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if isinstance(error.__cause__, PrivateAddress):
                raise private(config) from error
            raise ProviderFailed(
                f"{config.name} could not be reached or broke off: {type(error).__name__}.", provider=config.name
            ) from error

    def session_for(self, config: ProviderConfig, url: str) -> aiohttp.ClientSession:
        """Raises PrivateAddress."""
        if self._public is None or not config.owner:
            return self._session
        check_literal(url)
        return self._public

    async def refusal(self, response: aiohttp.ClientResponse, config: ProviderConfig) -> ProviderError:
        raw = await response.content.read(64 * 1024)
        try:
            body = orjson.loads(raw)
        except orjson.JSONDecodeError:
            body = None
        status = response.status
        if 400 <= status < 500 and status not in _NOT_THE_REQUEST:
            details = self._read_error(body) if isinstance(body, dict) else {}
            return ProviderRefused(status, details, provider=config.name)
        error = ProviderFailed(
            f"{config.name} answered with status {status}.",
            provider=config.name,
            retry_after_s=_retry_after_s(response.headers),
        )
        # A wrong credential stays wrong: another candidate may answer, this one need not be asked again.
        error.retryable = status not in {401, 402, 403}
        error.throttled = status == 429
        return error


def private(config: ProviderConfig) -> ProviderFailed:
    error = ProviderFailed(f"{config.name} is not at a public address.", provider=config.name)
    error.retryable = False
    return error


async def whole_body(response: aiohttp.ClientResponse, config: ProviderConfig) -> bytes:
    body = await response.content.read(MAX_ANSWER_BYTES)
    if not response.content.at_eof():
        raise ProviderFailed(f"{config.name} sent more than {MAX_ANSWER_BYTES:,} bytes.", provider=config.name)
    return body


async def _events(content: aiohttp.StreamReader, provider: str) -> AsyncIterator[bytes]:
    rest = b""
    async for block in content.iter_any():
        *lines, rest = (rest + block).split(b"\n")
        if len(rest) > MAX_LINE_BYTES:
            raise ProviderFailed(f"{provider} sent a line of more than {MAX_LINE_BYTES:,} bytes.", provider=provider)
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()


def _retry_after_s(headers: Any) -> float | None:
    """Seconds, or a date; OpenAI and Anthropic also send milliseconds, which are exact."""
    try:
        seconds = float(headers["retry-after-ms"]) / 1000 if "retry-after-ms" in headers else float(_plain(headers))
    except (KeyError, ValueError, TypeError):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S) if seconds == seconds else None


def _plain(headers: Any) -> float:
    text = headers["retry-after"]
    try:
        return float(text)
    except ValueError:
        return email.utils.parsedate_to_datetime(text).timestamp() - time.time()
