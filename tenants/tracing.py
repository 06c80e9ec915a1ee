"""Traces of single requests, sent to an OpenTelemetry collector. Off, or of a request that is not sampled, all of it
costs a look at a context variable. Refuses to know a prompt, an answer, a secret, or the message of an error.

Only what is sampled reaches OpenTelemetry's SDK (tenants.trace_export), which is imported where tracing is on.
"""

from __future__ import annotations

import contextlib
import random
import re
from collections.abc import Iterator, Mapping
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any

from tenants import visits
from tenants.visits import Visit

if TYPE_CHECKING:
    import asyncio

    from opentelemetry.context import Context
    from opentelemetry.trace import Span as OpenTelemetrySpan
    from opentelemetry.trace import SpanKind, Tracer

# W3C Trace Context, version 00; of later versions what it has in common with it.
_PARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")

SERVER, CLIENT, PRODUCER, CONSUMER, INTERNAL = "SERVER", "CLIENT", "PRODUCER", "CONSUMER", "INTERNAL"
Attribute = str | int | float | bool | list[str]


class Trace:
    """A sampled request's, by its first span here."""

    __slots__ = ("id", "root")

    def __init__(self, root: OpenTelemetrySpan) -> None:
        self.root = root
        # 32 hexadecimal digits.
        self.id = f"{root.get_span_context().trace_id:032x}"


class Tracing:
    """How this process traces; None while it does not."""

    def __init__(self, tracer: Tracer, *, ratio: float, trusts_parents: bool) -> None:
        self.tracer = tracer
        self.ratio = ratio
        self.trusts_parents = trusts_parents

    def parent_of(self, headers: Mapping[bytes, bytes]) -> Context | None:
        """What the request is a part of, if that is believed. Raises Unsampled."""
        given = headers.get(b"traceparent") if self.trusts_parents else None
        found = context_of(given.decode("latin-1")) if given else None
        if found is None:
            if random.random() >= self.ratio:
                raise Unsampled
            return None
        return found


class Unsampled(Exception):
    """Nobody wants to know."""


_tracing: Tracing | None = None
# The innermost span under way, of a sampled request. Whatever is spawned for the request has it, too.
SPAN: ContextVar[OpenTelemetrySpan | None] = ContextVar("nexus_span", default=None)


def use(tracing: Tracing | None) -> None:
    global _tracing
    _tracing = tracing


def is_on() -> bool:
    return _tracing is not None


def begin(visit: Visit, headers: Mapping[bytes, bytes]) -> None:
    """Decides whether a request is traced, and begins if it is."""
    if _tracing is None:
        return
    try:
        parent = _tracing.parent_of(headers)
    except Unsampled:
        return
    root = _start(visit.method, SERVER, parent)
    visit.trace = Trace(root)
    SPAN.set(root)


def end(visit: Visit) -> None:
    """To be called with each visit that has ended (tenants.visits)."""
    if visit.trace is None:
        return
    root = visit.trace.root
    root.update_name(f"{visit.method} {visit.route}")
    root.set_attributes(_told(visit))
    if visit.status >= 500:
        _fail(root)
    root.end()


def _told(visit: Visit) -> dict[str, Attribute]:
    told: dict[str, Attribute | None] = {
        "http.request.method": visit.method if visit.method.isupper() else "_OTHER",
        "http.route": visit.route,
        "http.response.status_code": visit.status,
        "http.response.body.size": visit.bytes_sent,
        "error.type": visit.error or (str(visit.status) if visit.status >= 500 else None),
        "nexus.request_id": visit.request_id,
        "nexus.tenant_id": visit.tenant_id,
        "nexus.key_id": visit.key or None,
        "nexus.dialect": visit.dialect or None,
        "nexus.cache.outcome": visit.outcome or None,
        "nexus.coalesced": visit.coalesced or None,
        "nexus.client_left": visit.client_left or None,
        "nexus.cost_usd": None if visit.cost_usd is None else float(visit.cost_usd),
    }
    return {name: value for name, value in told.items() if value is not None}


class Span:
    """One step of a sampled request. As a context manager it is the parent of what happens inside, and ends with it."""

    __slots__ = ("_span", "_token")

    def __init__(self, span: OpenTelemetrySpan) -> None:
        self._span = span
        self._token: Token[OpenTelemetrySpan | None] | None = None

    def tell(self, facts: Mapping[str, Attribute | None]) -> None:
        self._span.set_attributes({name: value for name, value in facts.items() if value is not None})

    def link(self, trace: Trace) -> None:
        """To what another request set off."""
        self._span.add_link(trace.root.get_span_context())

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """What happens inside is a part of it; it goes on after that."""
        token = SPAN.set(self._span)
        try:
            yield
        finally:
            SPAN.reset(token)

    def end(self, error: BaseException | None = None) -> None:
        if error is not None:
            # Not its message: that may be anybody's words.
            _fail(self._span, getattr(error, "code", None) or type(error).__name__)
        self._span.end()

    def __enter__(self) -> Span:
        self._token = SPAN.set(self._span)
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if self._token is not None:
            SPAN.reset(self._token)
        self.end(error)

    @property
    def trace(self) -> Trace:
        """The whole that it is a part of."""
        return Trace(self._span)

    def leave(self, *, failed: bool = False) -> None:
        """The end of one that was entered elsewhere."""
        if self._token is not None:
            SPAN.reset(self._token)
        if failed:
            _fail(self._span)
        self._span.end()

    def __bool__(self) -> bool:
        return True


class _Nothing:
    """A span of a request that is not traced."""

    __slots__ = ()

    def tell(self, facts: Mapping[str, Attribute | None]) -> None:
        pass

    def link(self, trace: Trace) -> None:
        pass

    def inside(self) -> contextlib.AbstractContextManager[None]:
        return _NOWHERE

    def end(self, error: BaseException | None = None) -> None:
        pass

    def __enter__(self) -> _Nothing:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        pass

    def __bool__(self) -> bool:
        return False


_NOWHERE: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
NOTHING = _Nothing()


def span(name: str, kind: str = INTERNAL) -> Span | _Nothing:
    """A part of what goes on now. False where that is not traced: to work out facts for nobody would be a waste."""
    parent = SPAN.get()
    return NOTHING if parent is None else Span(_start(name, kind, _within(parent)))


def traceparent() -> str | None:
    """What goes on now, for whoever is asked next."""
    current = SPAN.get()
    if current is None:
        return None
    context = current.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-01"


def follow(name: str, parent: str | None, kind: str = CONSUMER) -> Span | _Nothing:
    """A part of what another process began, as `traceparent` says there."""
    if _tracing is None or not parent:
        return NOTHING
    try:
        context = context_of(parent)
    except Unsampled:
        return NOTHING
    return NOTHING if context is None else Span(_start(name, kind, context))


def note(name: str, facts: Mapping[str, Attribute], answer: asyncio.Future[Any]) -> None:
    """A question to a service, from now until it is answered."""
    asked = span(name, CLIENT)
    asked.tell(facts)
    answer.add_done_callback(lambda done: asked.end(None if done.cancelled() else done.exception()))


def context_of(given: str) -> Context | None:
    """Of a `traceparent`; None of anything else. Raises Unsampled where it says that nobody wants to know."""
    match = _PARENT.fullmatch(given)
    if match is None:
        return None
    if not int(match[3], 16) & 1:
        raise Unsampled
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

    remote = SpanContext(int(match[1], 16), int(match[2], 16), is_remote=True, trace_flags=TraceFlags(1))
    # The SDK's own context stays empty: what is under way is in SPAN.
    return set_span_in_context(NonRecordingSpan(remote), _empty())


def _within(parent: OpenTelemetrySpan) -> Context:
    from opentelemetry.trace import set_span_in_context

    return set_span_in_context(parent, _empty())


def _empty() -> Context:
    from opentelemetry.context import Context

    return Context()


def _start(name: str, kind: str, parent: Context | None) -> OpenTelemetrySpan:
    from opentelemetry.trace import INVALID_SPAN, SpanKind

    if _tracing is None:
        # It was switched off meanwhile.
        return INVALID_SPAN
    of_kind: SpanKind = SpanKind[kind]
    return _tracing.tracer.start_span(name, _empty() if parent is None else parent, of_kind)


def _fail(failed: OpenTelemetrySpan, kind: str = "") -> None:
    from opentelemetry.trace import Status, StatusCode

    failed.set_status(Status(StatusCode.ERROR))
    if kind:
        failed.set_attribute("error.type", kind)


visits.on_finish(end)
