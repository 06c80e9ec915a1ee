"""From an answer, wherever it comes from, to the reply: headers, body or stream, in the call's dialect."""

from __future__ import annotations

import asyncio
import functools
import re
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from analytics.events import HIT_EXACT
from billing.pricing import PriceBook
from gateway import refusals, settlement
from gateway.dialects import anthropic_messages, openai_chat
from gateway.errors import GatewayError
from gateway.relay import Flight
from gateway.settlement import Outcome
from gateway.types import Call, Headers, Meta, Reply

if TYPE_CHECKING:
    from gateway.runtime import Gateway

NOSNIFF = (b"x-content-type-options", b"nosniff")
_SSE: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    # nginx would collect a stream before passing it on.
    (b"x-accel-buffering", b"no"),
]
_JSON: Headers = [(b"content-type", b"application/json")]
# What is refused now may not be a moment later; and a provider's text is what it says it is.
UNKEPT: Headers = [(b"cache-control", b"no-store"), NOSNIFF]


def from_cache(gateway: Gateway, call: Call, meta: bytes, body: bytes, *, replayed: str = "") -> Reply:
    """An exact hit: complete at once, streaming or not. Its usage event is written already.

    `replayed` is the outcome that the first request with the same Idempotency-Key had.
    """
    if replayed:
        outcome = Outcome(replayed, Meta.read(meta))
        headers = [*headers_of(gateway, call, outcome), (b"idempotent-replayed", b"true")]
        call.visit.replayed = True
        # Its tokens were paid for by the first request.
        call.visit.cost_usd = call.visit.saved_usd = Decimal(0)
    else:
        hit = _hit_on(gateway, call, meta)
        outcome = Outcome(HIT_EXACT, hit.meta, priced=(hit.meta, Decimal(0), hit.saved))
        headers = _headers_of_hit(call, hit)
    facts = _facts(gateway, call, outcome)
    if not call.request.stream:
        return Reply(200, _JSON + headers, call.dialect.render(call, body, facts))
    stream = call.dialect.Stream(call)
    chunks = [stream.chunk(orjson.dumps(chunk), chunk) for chunk in openai_chat.chunks_of(orjson.loads(body))]
    return Reply(200, _SSE + headers, b"".join([*chunks, stream.end(facts)]))


async def from_flight(
    gateway: Gateway, call: Call, flight: Flight, settled: asyncio.Task[None], *, coalesced: bool = False
) -> Reply:
    """An answer that is coming. It is settled before the client sees its end. Raises the flight's error."""
    flight.join()
    streams = False
    try:
        await flight.begun()
        if flight.error is not None and not flight.pieces:
            await asyncio.shield(settled)
            raise flight.error
        if call.request.stream:
            streams = True
            headers = headers_of(gateway, call, _seen(flight, coalesced))
            return Reply(200, _SSE + headers, _stream(gateway, call, flight, settled, coalesced))
        await asyncio.shield(settled)
    finally:
        if not streams:
            flight.leave()
    assert flight.body is not None, "a flight without an error ends with an answer"
    outcome = _seen(flight, coalesced)
    body = call.dialect.render(call, flight.body, _facts(gateway, call, outcome))
    return Reply(200, _JSON + headers_of(gateway, call, outcome), body)


def _seen(flight: Flight, coalesced: bool) -> Outcome:
    assert flight.source is not None, "known before the first piece"
    return flight.source.as_coalesced() if coalesced else flight.source


async def _stream(
    gateway: Gateway, call: Call, flight: Flight, settled: asyncio.Task[None], coalesced: bool
) -> AsyncIterator[bytes]:
    """`from_flight` has joined the flight for it."""
    stream = call.dialect.Stream(call)
    try:
        async for piece in flight.follow():
            if data := stream.chunk(piece.data, piece.parsed):
                yield data
    finally:
        flight.leave()
    await asyncio.shield(settled)
    if flight.error is not None:
        yield stream.error(flight.error)
    else:
        yield stream.end(_facts(gateway, call, _seen(flight, coalesced)))


def refusal(error: GatewayError, dialect: Any, request_id: str) -> Reply:
    """Any error in the dialect's own envelope."""
    headers = [*_JSON, *UNKEPT, *_request_id(dialect, request_id), *error.headers, *error.extra_headers]
    return Reply(error.status, headers, dialect.render_error(error, request_id))


class _Hit(NamedTuple):
    """What all hits on one entry have in common, while its price stays: hot entries are asked for again and again."""

    meta: Meta
    saved: Decimal | None
    headers: Headers
    book: PriceBook
    hour: int


# By the entry's description.
_hits: dict[bytes, _Hit] = {}
MAX_HITS = 4096


def _hit_on(gateway: Gateway, call: Call, described: bytes) -> _Hit:
    book, hour = gateway.prices, int(call.at) // 3600
    known = _hits.get(described)
    if known is not None and known.book is book and known.hour == hour:
        return known
    meta = Meta.read(described)
    _, saved = settlement.cost_and_saving(call, Outcome(HIT_EXACT, meta), book)
    money = money_headers(Decimal(0), saved) if meta.usage.total_tokens else []
    hit = _Hit(meta, saved, [*_source(meta, meta.entry_id), *money], book, hour)
    if not book.is_overridden(meta.catalog, meta.upstream_model):
        # Prices of the catalog change with the hour, an operator's at any time.
        if len(_hits) >= MAX_HITS:
            _hits.clear()
        _hits[described] = hit
    return hit


def _headers_of_hit(call: Call, hit: _Hit) -> Headers:
    meta, visit = hit.meta, call.visit
    visit.outcome = HIT_EXACT
    visit.provider, visit.upstream_model, visit.simulated = meta.provider, meta.upstream_model, meta.simulated
    visit.prompt_tokens, visit.completion_tokens = meta.prompt_tokens, meta.completion_tokens
    visit.cost_usd, visit.saved_usd = Decimal(0), hit.saved
    age_s = max(0, int(call.at - meta.created_at))
    return [
        *_request_id(call.dialect, call.request_id),
        (b"x-cache", b"HIT-EXACT"),
        *hit.headers,
        (b"age", b"%d" % age_s),
        *refusals.headers(call.account, call.window),
    ]


def headers_of(gateway: Gateway, call: Call, outcome: Outcome) -> Headers:
    meta, visit = outcome.meta, call.visit
    headers = [*_request_id(call.dialect, call.request_id), (b"x-cache", outcome.outcome.encode())]
    visit.outcome, visit.coalesced = outcome.outcome, outcome.coalesced
    if meta is not None:
        visit.provider, visit.upstream_model, visit.simulated = meta.provider, meta.upstream_model, meta.simulated
        headers += _source(meta, meta.entry_id if outcome.is_free or call.rules.write else "")
        headers += _money(gateway, call, outcome, meta)
    if outcome.is_free and meta is not None:
        headers.append((b"age", b"%d" % max(0, int(time.time() - meta.created_at))))
    if outcome.coalesced:
        headers.append((b"x-nexus-coalesced", b"1"))
    if outcome.stale:
        headers.append((b"x-nexus-stale", b"1"))
    if outcome.shadow is not None:
        shadow = outcome.shadow
        headers.append(
            (b"x-nexus-cache-shadow", f"{shadow.meta.entry_id}; similarity={shadow.similarity:.4f}".encode())
        )
    if outcome.reason and not outcome.is_free:
        headers.append((b"x-nexus-cache-reason", header_value(outcome.reason)))
    if outcome.similarity is not None:
        headers.append((b"x-nexus-similarity", b"%.4f" % outcome.similarity))
    return headers + refusals.headers(call.account, call.window)


def _request_id(dialect: Any, request_id: str) -> Headers:
    """Under the name that the dialect's SDKs read, too."""
    headers = [(b"x-request-id", request_id.encode())]
    return [(b"request-id", request_id.encode()), *headers] if dialect is anthropic_messages else headers


def _source(meta: Meta, entry_id: str) -> Headers:
    """Whose answer it is, and under which id it is kept."""
    headers = [
        (b"x-nexus-provider", header_value(meta.provider)),
        (b"x-nexus-model", header_value(meta.upstream_model)),
    ]
    if meta.simulated:
        headers.append((b"x-nexus-simulated", b"1"))
    if entry_id:
        headers.append((b"x-nexus-cache-id", entry_id.encode()))
    return headers


def _money(gateway: Gateway, call: Call, outcome: Outcome, meta: Meta) -> Headers:
    if not meta.usage.total_tokens:
        # A stream that has just begun: what it costs is known at its end, in the usage record.
        return []
    cost, saved = settlement.cost_and_saving(call, outcome, gateway.prices)
    visit = call.visit
    visit.cost_usd, visit.saved_usd = cost, saved
    visit.prompt_tokens, visit.completion_tokens = meta.prompt_tokens, meta.completion_tokens
    return money_headers(cost, saved)


def money_headers(cost: Decimal | None, saved: Decimal | None) -> Headers:
    return [(b"x-nexus-cost-usd", _usd(cost).encode()), (b"x-nexus-saved-usd", _usd(saved).encode())]


def _usd(amount: Decimal | None) -> str:
    """Without exponent and trailing zeros; a model without a known price is not free."""
    if amount is None:
        return "unknown"
    text = f"{amount:.10f}".rstrip("0")
    return f"{text}0" if text.endswith(".") else text


def _facts(gateway: Gateway, call: Call, outcome: Outcome) -> dict[str, Any]:
    """What simple dialects say in their body, others only in headers."""
    if call.dialect is openai_chat:
        return {}
    meta = outcome.meta
    cost, saved = settlement.cost_and_saving(call, outcome, gateway.prices)
    return {
        "provider": meta.provider if meta else "",
        "model": meta.upstream_model if meta else call.request.model,
        "cache": outcome.outcome,
        "similarity": outcome.similarity,
        "shadow_similarity": outcome.shadow.similarity if outcome.shadow else None,
        "reason": "" if outcome.is_free else outcome.reason,
        "cost_usd": None if cost is None else float(cost),
        "saved_usd": None if saved is None else float(saved),
        "simulated": bool(meta and meta.simulated),
        "prompt_tokens": meta.prompt_tokens if meta else 0,
        "completion_tokens": meta.completion_tokens if meta else 0,
        "total_tokens": meta.usage.total_tokens if meta else 0,
        "request_id": call.request_id,
    }


_QUOTES = str.maketrans({"“": '"', "”": '"', "’": "'", "–": "-"})
_UNFIT = re.compile(r"[^\x20-\x7e]")


@functools.lru_cache(maxsize=4096)
def header_value(text: str) -> bytes:
    """Names come from people and providers: nothing in them may end a header."""
    return _UNFIT.sub("?", text.translate(_QUOTES)).encode()
