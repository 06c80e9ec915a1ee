"""HTTP to upstream APIs: a shared session, and every failure as a ProviderError. Knows no API's shapes."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

import aiohttp
import orjson

from gateway.errors import ProviderError, ProviderFailed, ProviderRefused, ProviderTimedOut, Untranslatable
from gateway.types import ProviderConfig
from tenants import tracing
from tenants.network import Allowed, PrivateAddress, check_literal, is_public

# A line of a stream: the longest are tool arguments or base64 audio.
MAX_LINE_BYTES = 8 * 1024 * 1024
MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_RETRY_AFTER_S = 3600.0
# The response's end comes with the stream's, or else this soon.
END_S = 0.05
# Of the 4xx these say something about the moment or about our credential, not about the request.
_NOT_THE_REQUEST = frozenset({401, 402, 403, 408, 409, 425, 429})

# From a refusal's JSON to OpenAI's error object: message, type, code, param.
ReadError = Callable[[dict[str, Any]], dict[str, Any]]


def openai_error(body: dict[str, Any]) -> dict[str, Any]:
    """OpenAI's own envelope, or `{"message": …}`, as many compatible servers send it."""
    error = body.get("error")
    return error if isinstance(error, dict) else {"message": error or body.get("message") or body.get("detail")}


class _Faults:
    """What goes wrong on the way, as a ProviderError. A class, since a generator would cost each call more."""

    __slots__ = ("_config", "_timeout_s")

    def __init__(self, config: ProviderConfig, timeout_s: float) -> None:
        self._config = config
        self._timeout_s = timeout_s

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        name = self._config.name
        if isinstance(error, TimeoutError):
            raise ProviderTimedOut(f"{name} did not answer within {self._timeout_s:g} s.", provider=name) from error
        if isinstance(error, PrivateAddress) or isinstance(getattr(error, "__cause__", None), PrivateAddress):
            raise private(self._config) from error
        if isinstance(error, aiohttp.ClientError | OSError | ValueError):
            raise ProviderFailed(
                f"{name} could not be reached or broke off: {type(error).__name__}.", provider=name
            ) from error


class Http:
    """`read_error` tells what an API's refusals look like. Tenants' own providers are called through `theirs`, at
    addresses that are `allowed`.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        first_byte_timeout_s: float,
        read_error: ReadError = openai_error,
        theirs: aiohttp.ClientSession | None = None,
        allowed: Allowed = is_public,
    ) -> None:
        self._session = session
        self._theirs = theirs
        self._allowed = allowed
        self._first_byte_timeout_s = first_byte_timeout_s
        # Then each call is spared a timer of its own.
        self._session_times_out = session.timeout.sock_read == first_byte_timeout_s
        self._read_error = read_error

    async def fetch(self, config: ProviderConfig, url: str, headers: dict[str, str], payload: dict[str, Any]) -> bytes:
        """The whole body of a 200. Raises ProviderError."""
        with _Faults(config, self._timeout_s(config)):
            response = await self._post(config, url, headers, payload)
            try:
                return await whole_body(response, config)
            finally:
                response.release()

    async def events(
        self, config: ProviderConfig, url: str, headers: dict[str, str], payload: dict[str, Any]
    ) -> AsyncGenerator[bytes, None]:
        """The data of each server-sent event of a 200. Raises ProviderError."""
        with _Faults(config, self._timeout_s(config)):
            response = await self._post(config, url, headers, payload)
            try:
                if response.content_type == "application/json":
                    raise ProviderFailed(f"{config.name} answered a stream with one JSON text.", provider=config.name)
                async for data in _events(response.content, config.name):
                    yield data
            finally:
                # Not to be used again unless it was read to its end.
                response.release()

    async def _post(
        self, config: ProviderConfig, url: str, headers: dict[str, str], payload: dict[str, Any]
    ) -> aiohttp.ClientResponse:
        """The response once its status is 200; the caller releases it."""
        try:
            body = orjson.dumps(payload)
        except TypeError:
            raise Untranslatable("so deep a nesting", provider=config.name) from None
        if (parent := tracing.traceparent()) is not None:
            headers = {**headers, "traceparent": parent}
        post = self.session_for(config, url).post(
            url, data=body, headers={"Content-Type": "application/json", **headers}, allow_redirects=False
        )
        if config.first_byte_timeout_s is None and self._session_times_out:
            response = await post
        else:
            async with asyncio.timeout(self._timeout_s(config)):
                response = await post
        if response.status != 200:
            try:
                raise await self.refusal(response, config)
            finally:
                response.release()
        return response

    def _timeout_s(self, config: ProviderConfig) -> float:
        return config.first_byte_timeout_s or self._first_byte_timeout_s

    def session_for(self, config: ProviderConfig, url: str) -> aiohttp.ClientSession:
        """Raises PrivateAddress."""
        if self._theirs is None or not config.owner:
            return self._session
        check_literal(url, self._allowed)
        return self._theirs

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


async def read_out(events: AsyncIterator[bytes]) -> None:
    """After a stream's last event: what is left is the response's end. Then its connection can be used again."""
    with contextlib.suppress(TimeoutError, ProviderFailed):
        async with asyncio.timeout(END_S):
            async for _ in events:
                pass


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
