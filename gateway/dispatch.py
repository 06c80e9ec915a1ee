"""Gets an answer from the first candidate that gives one: retries, fallbacks and hedges, all before the first token.

Within the call's deadline a candidate is asked up to `ATTEMPTS` times, with exponential backoff and full jitter. After
the first token nothing restarts: a stream that breaks then is an error for the client.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import random
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import orjson
from django.conf import settings

from gateway import genai_conventions, genai_spans, observing
from gateway.breaker import Breakers
from gateway.errors import ProviderError, ProviderFailed, ProviderRefused, Unavailable, Untranslatable
from gateway.providers.base import Provider
from gateway.providers.openai import limit_field
from gateway.slots import Slots
from gateway.types import Call, Candidate

ATTEMPTS = 2
BACKOFF_S, BACKOFF_MAX_S = 0.25, 4.0
# A provider that wants more is not waited for, while another may answer.
MAX_WAIT_S, MAX_WAIT_WITH_OTHERS_S = 10.0, 1.0
# What was fast an hour ago says nothing about now.
LATENCY_TTL_S, LATENCY_SHARE, MAX_LATENCIES = 60.0, 0.2, 10_000


class Chunk(NamedTuple):
    """A piece of a streamed answer, as JSON and as read."""

    data: bytes
    parsed: dict[str, Any]


class Upstream(NamedTuple):
    """What a candidate gives: the complete answer, or its chunks, the first of which has come already.

    `waited_ms` is the time it took so far, without earlier attempts; `lost` are those that were asked, too, and not
    waited for.
    """

    candidate: Candidate
    whole: Chunk | None
    chunks: AsyncIterator[Chunk] | None
    waited_ms: float
    lost: tuple[Candidate, ...] = ()


Ask = Callable[[Candidate], Awaitable[Upstream]]


class Latencies:
    """How long candidates take to begin to answer: moving averages of this process."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str, str], tuple[float, float]] = OrderedDict()

    def of(self, candidate: Candidate) -> float | None:
        """Milliseconds; None when it has not been asked for a minute."""
        known = self._known.get(_identity(candidate))
        return known[0] if known and time.monotonic() - known[1] < LATENCY_TTL_S else None

    def add(self, candidate: Candidate, latency_ms: float) -> None:
        key, known = _identity(candidate), self.of(candidate)
        average = latency_ms if known is None else known + (latency_ms - known) * LATENCY_SHARE
        self._known[key] = (average, time.monotonic())
        while len(self._known) > MAX_LATENCIES:
            self._known.popitem(last=False)


def _identity(candidate: Candidate) -> tuple[str, str, str]:
    return candidate.provider.owner, candidate.provider.name, candidate.model


class Dispatcher:
    def __init__(
        self, providers: Mapping[str, Provider], breakers: Breakers, slots: Slots, latencies: Latencies
    ) -> None:
        self._providers = providers
        self.breakers = breakers
        self._slots = slots
        self._latencies = latencies

    async def first_success(self, call: Call, ask: Ask | None = None) -> Upstream:
        """Raises the last failure when no candidate answers. The caller sets the deadline.

        `ask` is what each candidate is asked; without it, for the answer to the call's chat.
        """
        ask = ask or functools.partial(self._chat, call)
        if call.plan.hedge_after_s is not None and len(call.plan.candidates) > 1:
            return await self._hedged(call, ask, call.plan.hedge_after_s)
        return await self._in_turn(call, ask)

    async def _in_turn(self, call: Call, ask: Ask) -> Upstream:
        failure: ProviderError | None = None
        full: list[Candidate] = []
        candidates = call.plan.candidates
        for at, candidate in enumerate(candidates):
            if not await self.breakers.lets_through(candidate):
                continue
            others = at + 1 < len(candidates)
            if candidate.provider.max_concurrency and not await self._enter(candidate, call, wait=False):
                full.append(candidate)
                continue
            try:
                upstream = await self._attempts(candidate, call, ask, others=others)
            except (ProviderFailed, Untranslatable) as error:
                failure = _worse(failure, error)
            else:
                if at:
                    observing.failed_over(candidate)
                return upstream
        for candidate in full[:1]:
            await self._enter(candidate, call, wait=True)
            return await self._attempts(candidate, call, ask, others=False)
        raise failure or self._all_open(call)

    def _all_open(self, call: Call) -> Unavailable:
        wait_s = min(self.breakers.opens_in_s(candidate) for candidate in call.plan.candidates)
        names = ", ".join(dict.fromkeys(candidate.provider.name for candidate in call.plan.candidates))
        return Unavailable(
            f"{names} failed too often of late and is left alone for a moment.",
            code="circuit_open",
            retry_after_s=wait_s,
        )

    async def _hedged(self, call: Call, ask: Ask, after_s: float) -> Upstream:
        """Asks the next candidate, too, when those asked have not begun to answer in time. The first answer wins."""
        waiting = list(call.plan.candidates)
        running: set[asyncio.Task[Upstream]] = set()
        under_way: list[Candidate] = []
        failure: Exception | None = None

        async def noted(candidate: Candidate) -> Upstream:
            if under_way:
                observing.hedged(candidate)
            under_way.append(candidate)
            try:
                return await ask(candidate)
            except Exception:
                under_way.remove(candidate)
                raise

        try:
            while waiting or running:
                if waiting:
                    alone = call.plan._replace(candidates=(waiting.pop(0),), hedge_after_s=None)
                    running.add(asyncio.create_task(self._in_turn(dataclasses.replace(call, plan=alone), noted)))
                done, running = await asyncio.wait(
                    running, timeout=after_s if waiting else None, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    error = task.exception()
                    if error is None:
                        running |= done - {task}
                        under_way.remove(task.result().candidate)
                        return task.result()._replace(lost=tuple(under_way))
                    if not isinstance(error, ProviderFailed | Untranslatable | Unavailable):
                        raise error
                    failure = failure or error
            raise failure or self._all_open(call)
        finally:
            for task in running:
                task.cancel()
                task.add_done_callback(_close_late)

    async def _attempts(self, candidate: Candidate, call: Call, ask: Ask, *, others: bool) -> Upstream:
        """Holds the candidate's place, if it needs one, until its answer has ended."""
        handed_over = False
        try:
            for attempt in range(1, ATTEMPTS + 1):
                observing.asked(candidate, attempt)
                try:
                    upstream = await ask(candidate)
                    self._answered(candidate, upstream.waited_ms)
                    handed_over = upstream.chunks is not None
                    return upstream
                except ProviderRefused as error:
                    observing.provider_failed(candidate, error)
                    raise
                except ProviderFailed as error:
                    observing.provider_failed(candidate, error)
                    if error.retryable:
                        await self.breakers.failed(candidate)
                    wait_s = _backoff_s(attempt, error)
                    if attempt == ATTEMPTS or not error.retryable or not _worth_waiting(wait_s, call, others=others):
                        raise
                    await asyncio.sleep(wait_s)
            raise AssertionError("the last attempt returns or raises")
        finally:
            if candidate.provider.max_concurrency and not handed_over:
                await asyncio.shield(self._slots.leave(candidate.provider, call.id))

    async def _chat(self, call: Call, candidate: Candidate) -> Upstream:
        provider = self._providers[candidate.provider.kind]
        payload = upstream_payload(candidate, call)
        started = time.perf_counter()
        if not call.request.stream:
            with genai_spans.asking(genai_conventions.CHAT, call, candidate) as span:
                body = await provider.complete(candidate.provider, payload)
                whole = Chunk(body, loaded_answer(body, candidate))
                genai_spans.answered(span, whole.parsed)
            return Upstream(candidate, whole, None, (time.perf_counter() - started) * 1000)
        chunks = genai_spans.streaming(call, candidate, provider.stream(candidate.provider, payload))
        try:
            data = await anext(chunks)
        except StopAsyncIteration:
            name = candidate.provider.name
            raise ProviderFailed(f"{name} sent an empty stream.", provider=name) from None
        first = Chunk(data, loaded(data, candidate))
        waited_ms = (time.perf_counter() - started) * 1000
        return Upstream(candidate, None, self._followed(first, chunks, candidate, call), waited_ms)

    def _answered(self, candidate: Candidate, waited_ms: float) -> None:
        self.breakers.succeeded(candidate)
        self._latencies.add(candidate, waited_ms)

    async def _followed(
        self, first: Chunk, rest: AsyncIterator[bytes], candidate: Candidate, call: Call
    ) -> AsyncIterator[Chunk]:
        try:
            async with contextlib.aclosing(rest):  # type: ignore[type-var]
                yield first
                async for data in rest:
                    yield Chunk(data, loaded(data, candidate))
        except ProviderFailed as error:
            observing.provider_failed(candidate, error)
            await self.breakers.failed(candidate)
            raise
        finally:
            if candidate.provider.max_concurrency:
                await asyncio.shield(self._slots.leave(candidate.provider, call.id))

    async def _enter(self, candidate: Candidate, call: Call, *, wait: bool) -> bool:
        return await self._slots.enter(candidate.provider, call.id, call.priority, wait=wait)


def _close_late(task: asyncio.Task[Upstream]) -> None:
    """Whoever lost a race may have begun to answer in the same moment."""
    if not task.cancelled() and task.exception() is None and (chunks := task.result().chunks) is not None:
        late = task.get_loop().create_task(_discard(chunks))
        _DISCARDING.add(late)
        late.add_done_callback(_DISCARDING.discard)


_DISCARDING: set[asyncio.Task[None]] = set()


async def _discard(chunks: AsyncIterator[Chunk]) -> None:
    """A generator that was never begun has nothing to clean up, and so gives nothing back."""
    async with contextlib.aclosing(chunks):  # type: ignore[type-var]
        await anext(chunks)


def _worse(known: ProviderError | None, error: ProviderError) -> ProviderError:
    """What the client is told: of failures the last, and rather than what one of several could not translate."""
    return known if known is not None and isinstance(error, Untranslatable) else error


def _backoff_s(attempt: int, failure: ProviderError) -> float:
    if failure.retry_after_s is not None:
        return failure.retry_after_s
    return random.uniform(0, min(BACKOFF_MAX_S, BACKOFF_S * 2**attempt))


def _worth_waiting(wait_s: float, call: Call, *, others: bool) -> bool:
    left_s = settings.CALL_DEADLINE_S - call.elapsed_ms / 1000
    return wait_s < left_s and wait_s <= (MAX_WAIT_WITH_OTHERS_S if others else MAX_WAIT_S)


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
    for name in named or [limit_field(candidate.provider)]:
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


def loaded_answer(data: bytes, candidate: Candidate) -> dict[str, Any]:
    """The same for a complete answer: it has choices, and they have messages."""
    parsed = loaded(data, candidate)
    choices = parsed.get("choices")
    if not isinstance(choices, list) or not choices or not all(map(_has_message, choices)):
        name = candidate.provider.name
        raise ProviderFailed(f"{name} sent an answer without choices.", provider=name)
    return parsed


def _has_message(choice: Any) -> bool:
    """Or one that is null: it says nothing."""
    return isinstance(choice, dict) and isinstance(choice.get("message"), dict | None)
