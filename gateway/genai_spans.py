"""A provider in traces: one span for each time it is asked, until its answer has ended. Names: genai_conventions."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import orjson

from gateway import genai_conventions
from gateway.types import Call, Candidate
from tenants import tracing
from tenants.tracing import CLIENT, Span

Asking = Span | tracing._Nothing


def asking(operation: str, call: Call, candidate: Candidate) -> Asking:
    span = tracing.span(genai_conventions.name_of(operation, candidate), CLIENT)
    if span:
        span.tell(genai_conventions.asked(operation, call, candidate))
    return span


def answered(span: Asking, parsed: dict[str, Any]) -> None:
    if span:
        span.tell(genai_conventions.answered(parsed))


def streaming(call: Call, candidate: Candidate, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same chunks; those of a call that is not traced go no other way than without all this."""
    span = asking(genai_conventions.CHAT, call, candidate)
    return _noted(span, chunks) if isinstance(span, Span) else chunks


async def _noted(span: Span, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    error: BaseException | None = None
    try:
        async with contextlib.aclosing(chunks):  # type: ignore[type-var]
            while True:
                # Not around what is yielded: whoever reads goes on in a context of its own.
                with span.inside():
                    try:
                        data = await anext(chunks)
                    except StopAsyncIteration:
                        return
                _note(span, data)
                yield data
    except BaseException as failure:
        error = None if isinstance(failure, GeneratorExit) else failure
        raise
    finally:
        span.end(error)


def _note(span: Span, data: bytes) -> None:
    """What the stream says of itself: at its beginning, and at its end."""
    try:
        parsed = orjson.loads(data)
    except orjson.JSONDecodeError:
        return
    if isinstance(parsed, dict):
        span.tell(genai_conventions.answered(parsed))
