"""Gets an answer from the first candidate that gives one: retries and fallbacks, all before the first token.

Within the call's deadline a candidate is asked up to `ATTEMPTS` times, with exponential backoff and full jitter. After
the first token nothing restarts: a stream that breaks then is an error for the client.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

import orjson

from gateway.errors import ProviderError, ProviderFailed
from gateway.providers.base import Provider
from gateway.types import Call, Candidate

ATTEMPTS = 2
BACKOFF_S, BACKOFF_MAX_S = 0.25, 4.0


class Upstream(NamedTuple):
    """What a candidate gives: the complete answer, or its chunks, the first of which has come already.

    `waited_ms` is the time it took so far, without earlier attempts.
    """

    candidate: Candidate
    body: bytes | None
    chunks: AsyncIterator[bytes] | None
    waited_ms: float


async def first_success(providers: Mapping[str, Provider], call: Call) -> Upstream:
    """Raises the last ProviderError when no candidate answers. The caller sets the deadline."""
    failure: ProviderError | None = None
    for candidate in call.candidates:
        for attempt in range(ATTEMPTS):
            if failure is not None and attempt:
                await asyncio.sleep(_backoff_s(attempt, failure))
            try:
                return await _ask(providers[candidate.provider.kind], candidate, call)
            except ProviderFailed as error:
                failure = error
                if not error.retryable:
                    break
    assert failure is not None, "routing gives at least one candidate"
    raise failure


def _backoff_s(attempt: int, failure: ProviderError) -> float:
    if failure.retry_after_s is not None:
        return failure.retry_after_s
    return random.uniform(0, min(BACKOFF_MAX_S, BACKOFF_S * 2**attempt))


async def _ask(provider: Provider, candidate: Candidate, call: Call) -> Upstream:
    payload = upstream_payload(candidate, call)
    started = time.perf_counter()
    if not call.request.stream:
        body = await provider.complete(candidate.provider, payload)
        return Upstream(candidate, body, None, (time.perf_counter() - started) * 1000)
    chunks = provider.stream(candidate.provider, payload)
    try:
        first = await anext(chunks)
    except StopAsyncIteration:
        raise ProviderFailed(
            f"{candidate.provider.name} sent an empty stream.", provider=candidate.provider.name
        ) from None
    return Upstream(candidate, None, _with_first(first, chunks), (time.perf_counter() - started) * 1000)


async def _with_first(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk


def upstream_payload(candidate: Candidate, call: Call) -> dict[str, Any]:
    """The client's request under the candidate's model, bounded by what the quota has left."""
    request = call.request
    payload = {name: value for name, value in request.payload.items() if name != "cache"}
    payload["model"] = candidate.model
    if request.stream:
        # Usage is what gets billed: it is always asked for, and only shown to who asked.
        payload["stream_options"] = {**(payload.get("stream_options") or {}), "include_usage": True}
    if call.completion_cap is not None:
        _bound(payload, max(1, call.completion_cap // request.n), candidate)
    return payload


def _bound(payload: dict[str, Any], tokens: int, candidate: Candidate) -> None:
    named = [name for name in ("max_completion_tokens", "max_tokens") if payload.get(name) is not None]
    if not named:
        # OpenAI's reasoning models refuse the old name, many compatible servers do not know the new one.
        is_openai = "api.openai.com" in candidate.provider.base_url
        named = ["max_completion_tokens" if is_openai else "max_tokens"]
    for name in named:
        payload[name] = min(payload.get(name) or tokens, tokens)


def loaded(data: bytes, candidate: Candidate) -> dict[str, Any]:
    """A provider's JSON object. Raises ProviderFailed when it is none."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        value = None
    name = candidate.provider.name
    if not isinstance(value, dict):
        raise ProviderFailed(f"{name} sent what is not a JSON object.", provider=name)
    if "choices" not in value and value.get("error"):
        error = value["error"]
        message = error.get("message") if isinstance(error, dict) else error
        raise ProviderFailed(f"{name} broke off: {message}", provider=name)
    return value
