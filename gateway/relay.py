"""One upstream answer, any number of clients: single flight. Owns the tasks that outlive a client.

A flight is what one request set off; identical requests that come while it is under way join it. It is drained, settled
and cached in a task of its own, so that a client that leaves costs no accounting.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import orjson

from gateway import metering, observing
from gateway.dialects import openai_chat
from gateway.dialects.chat_fields import size_of
from gateway.dispatch import Chunk, Upstream
from gateway.errors import GatewayError, ProviderFailed
from gateway.settlement import Outcome
from gateway.types import Call, Meta, Usage
from tenants.tracing import Trace

logger = logging.getLogger(__name__)


class Flight:
    """What has come so far, whether it goes on, and how many still listen."""

    def __init__(self) -> None:
        self.listeners = 0
        # Called when the last listener leaves before the end; set by whoever gets the answer.
        self.on_abandoned: Callable[[], None] = lambda: None
        self.abandoned = False
        self.pieces: list[Chunk] = []
        # The complete answer, once there is one.
        self.body: bytes | None = None
        # Where the answer comes from: known before the first piece.
        self.source: Outcome | None = None
        self.error: GatewayError | None = None
        self.ended = False
        # Of the request that set it off, if that is traced.
        self.trace: Trace | None = None
        self._waiting: list[asyncio.Future[None]] = []

    def join(self) -> None:
        self.listeners += 1

    def leave(self) -> None:
        self.listeners -= 1
        if not self.listeners and not self.ended:
            self.abandoned = True
            self.on_abandoned()

    def found(self, source: Outcome) -> None:
        self.source = source
        self._wake()

    def push(self, piece: Chunk) -> None:
        self.pieces.append(piece)
        if self._waiting:
            self._wake()

    def end(self, error: GatewayError | None = None) -> None:
        self.error, self.ended = error, True
        self._wake()

    async def begun(self) -> None:
        """Returns when a first piece, the complete answer or an error is there."""
        while not (self.pieces or self.ended):
            await self._changed()

    async def finished(self) -> None:
        while not self.ended:
            await self._changed()

    async def follow(self) -> AsyncIterator[Chunk]:
        """All pieces from the first on, as they come; ends with the flight, whether or not it failed."""
        at = 0
        while True:
            while at < len(self.pieces):
                yield self.pieces[at]
                at += 1
            if self.ended:
                return
            await self._changed()

    async def _changed(self) -> None:
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


class Tasks:
    """Strong references to the tasks that clients do not own, and the way to wait for them at shutdown."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.error("a call's task failed", exc_info=error)

    def cut(self) -> None:
        """Ends what is under way: each settles what it has used."""
        for task in self._running:
            task.cancel()

    async def drain(self, timeout_s: float) -> None:
        """Waits for what is under way; what is not done then is cancelled."""
        if self._running:
            _, late = await asyncio.wait(set(self._running), timeout=timeout_s)
            for task in late:
                task.cancel()
            if late:
                logger.warning("%d calls were cut off by the shutdown", len(late))
                await asyncio.wait(late, timeout=5)


def replay(body: bytes, call: Call, flight: Flight, outcome: Outcome) -> None:
    """A cached answer takes the way of a fresh one."""
    flight.found(outcome)
    if call.request.stream:
        for chunk in openai_chat.chunks_of(orjson.loads(body)):
            flight.push(Chunk(orjson.dumps(chunk), chunk))
    flight.body = body


async def drain(upstream: Upstream, call: Call, flight: Flight, outcome: Outcome) -> None:
    """Passes a provider's answer on to its end, and notes in `outcome` what it was. Raises ProviderError."""
    started = time.perf_counter()
    provider = upstream.candidate.provider
    outcome.paid_by_platform, outcome.lost = provider.on_platform, upstream.lost
    if upstream.chunks is None:
        assert upstream.whole is not None
        flight.body, parsed = upstream.whole
    else:
        outcome.meta = _meta(upstream, call, Usage())
        outcome.first_token_ms = call.elapsed_ms
        observing.first_token(upstream.candidate, upstream.waited_ms)
        flight.found(outcome)
        assembler = openai_chat.Assembler()
        try:
            await _collect(assembler, upstream.chunks, upstream, flight)
        except asyncio.CancelledError:
            # Stopped half way: what came has been paid for.
            stopped = assembler.body()
            outcome.meta = _meta(upstream, call, usage_of(stopped, call))
            outcome.tier = metering.tier_of(stopped)
            raise
        parsed = assembler.body()
        flight.body = orjson.dumps(parsed)
    choices = parsed["choices"]
    if not choices:
        raise ProviderFailed(f"{provider.name} sent an answer without choices.", provider=provider.name)
    outcome.meta = _meta(upstream, call, usage_of(parsed, call))
    outcome.tier = metering.tier_of(parsed)
    outcome.provider_ms = upstream.waited_ms + (time.perf_counter() - started) * 1000
    flight.source = outcome
    if call.rules.write and is_complete(choices):
        outcome.body = flight.body


async def _collect(
    assembler: openai_chat.Assembler, chunks: AsyncIterator[Chunk], upstream: Upstream, flight: Flight
) -> None:
    async with contextlib.aclosing(chunks):  # type: ignore[type-var]
        async for chunk in chunks:
            try:
                assembler.add(chunk.parsed)
            except (ValueError, TypeError, AttributeError) as error:
                name = upstream.candidate.provider.name
                raise ProviderFailed(f"{name} sent a malformed chunk: {error}.", provider=name) from error
            flight.push(chunk)


def _meta(upstream: Upstream, call: Call, usage: Usage) -> Meta:
    provider = upstream.candidate.provider
    return Meta(
        entry_id=call.id,
        created_at=round(time.time(), 3),
        provider=provider.name,
        simulated=provider.simulated,
        catalog=provider.catalog,
        upstream_model=upstream.candidate.model,
        **usage._asdict(),
    )


def is_complete(choices: list[dict[str, Any]]) -> bool:
    """Whether every choice ended by itself, with a text: only such answers are kept."""
    return all(
        choice.get("finish_reason") == "stop" and (choice.get("message") or {}).get("content") for choice in choices
    )


def usage_of(parsed: dict[str, Any], call: Call) -> Usage:
    """The provider's own count; an estimate when it sends none, since nothing is free for being uncounted."""
    given = parsed.get("usage")
    usage = dict(given) if isinstance(given, dict) else {}
    if metering.count(usage.get("prompt_tokens")) is None:
        usage["prompt_tokens"] = call.request.prompt_tokens
    if metering.count(usage.get("completion_tokens")) is None:
        size = sum(size_of_answer(choice.get("message") or {}) for choice in parsed["choices"])
        usage["completion_tokens"] = int(size / openai_chat.BYTES_PER_TOKEN)
    return metering.read(usage)


# What a model writes of a message; its thoughts under the first of their names; and what of all that is no text.
_WRITTEN = ("content", "refusal", "tool_calls", "function_call")
_THOUGHT = ("thinking_blocks", "reasoning_content", "reasoning")
_MARKS = frozenset({"id", "index", "type", "signature", "cache_control", "image_url", "input_audio"})


def size_of_answer(message: dict[str, Any]) -> int:
    """Bytes of what was said, thought and told to tools."""
    values = [message.get(name) for name in _WRITTEN]
    values.append(next((thoughts for name in _THOUGHT if (thoughts := message.get(name))), None))
    size = 0
    while values:
        value = values.pop()
        if isinstance(value, str):
            size += size_of(value)
        elif isinstance(value, list):
            values += value
        elif isinstance(value, dict):
            values += [each for name, each in value.items() if name not in _MARKS]
    return size


class Flights:
    """The flights under way in this process, by what makes requests identical."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._by_key: dict[Any, Flight] = {}

    @property
    def under_way(self) -> int:
        """Those that others may join."""
        return len(self._by_key)

    def join(self, call: Call) -> Flight | None:
        """The flight of an identical request, unless this call wants an answer of its own."""
        flight = self._by_key.get(_key(call)) if call.rules.read_exact else None
        return None if flight is None or flight.abandoned else flight

    def lead(
        self, call: Call, fly: Callable[[Call, Flight], Coroutine[Any, Any, None]]
    ) -> tuple[Flight, asyncio.Task[None]]:
        """Starts `fly`, which must end the flight whatever happens."""
        flight, key = Flight(), _key(call)
        flight.trace = call.visit.trace
        shared = call.rules.write
        if shared:
            known = self._by_key.setdefault(key, flight)
            if known.abandoned:
                self._by_key[key] = flight
        task = self._tasks.spawn(fly(call, flight))

        def leave(_: asyncio.Task[None]) -> None:
            if self._by_key.get(key) is flight:
                del self._by_key[key]

        task.add_done_callback(leave)
        return flight, task


def _key(call: Call) -> Any:
    # An answer cut short for one caller's small quota must not be another's.
    return call.principal.tenant_id, call.fingerprint, call.request.stream, call.completion_cap
