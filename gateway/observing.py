"""Counts what has ended: requests as the client saw them, and calls as they were settled. In the request's own way, so
each costs a microsecond or two: labels are looked up once for all requests of their kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from analytics.events import HIT_EXACT, HIT_SEMANTIC, UsageEvent
from billing.quota import Unpriced
from gateway import labels
from gateway.errors import ProviderError, ProviderRefused
from gateway.metrics import (
    CACHE_HITS,
    CALLS,
    COALESCED,
    COSTS,
    FAILOVERS,
    FIRST_BYTE_SECONDS,
    HEDGES,
    HTTP_REQUESTS,
    HTTP_SECONDS,
    LIMITS_REFUSED,
    OVERHEAD_SECONDS,
    PROVIDER_CALLS,
    PROVIDER_ERRORS,
    PROVIDER_FIRST_SECONDS,
    PROVIDER_SECONDS,
    RETRIES,
    SAVED_USD,
    STALE,
    TOKENS,
    UNPRICED,
)
from gateway.tallies import Cell, Row
from gateway.types import Call, Candidate
from tenants.visits import Visit

if TYPE_CHECKING:
    from gateway.refusals import Refusal
    from gateway.settlement import Outcome

# By the words of X-Cache.
CACHE = {"HIT-EXACT": "exact", "HIT-SEMANTIC": "semantic", "MISS": "miss", "BYPASS": "bypass", "REFRESH": "refresh"}
NONE = "none"
# Different kinds of requests that are remembered; there are far fewer, and then they are looked up anew.
MAX_KINDS = 4_000


class _Kind(NamedTuple):
    """Where requests of one method, route, status, dialect and outcome are counted."""

    requests: Cell
    seconds: Row
    first_byte: Row
    call: Cell | None
    hit: Cell | None
    saved: Cell | None
    # Of exact hits: all of it is the gateway's.
    overhead: Row | None


_kinds: dict[tuple[str, str, int, str, str], _Kind] = {}


def observe(visit: Visit) -> None:
    """Called once, when a request has ended (tenants.visits)."""
    key = visit.method, visit.route, visit.status, visit.dialect, visit.outcome
    kind = _kinds.get(key) or _meet(visit)
    kind.requests.count += 1
    seconds = visit.duration_s
    trace = visit.trace
    kind.seconds.add_with(seconds, visit.request_id, "" if trace is None else trace.id)
    if visit.streamed and visit.first_byte_s is not None:
        kind.first_byte.add(visit.first_byte_s)
    if kind.call is None:
        return
    kind.call.count += 1
    if kind.hit is not None and kind.saved is not None:
        kind.hit.count += 1
        if visit.saved_usd:
            kind.saved.count += float(visit.saved_usd)
        if kind.overhead is not None and not visit.coalesced:
            kind.overhead.add(seconds)


def _meet(visit: Visit) -> _Kind:
    if len(_kinds) >= MAX_KINDS:
        _kinds.clear()
    method, route = labels.method(visit.method), labels.routes.of(visit.route)
    cache = CACHE.get(visit.outcome, NONE)
    is_hit = visit.outcome in (HIT_EXACT, HIT_SEMANTIC)
    kind = _Kind(
        requests=HTTP_REQUESTS.cell((method, route, labels.status(visit.status))),
        seconds=HTTP_SECONDS.row((method, route, cache)),
        first_byte=FIRST_BYTE_SECONDS.row((cache,)),
        call=CALLS.cell((visit.dialect or NONE, cache)) if visit.outcome else None,
        hit=CACHE_HITS.cell((cache,)) if is_hit else None,
        saved=SAVED_USD.cell((cache,)) if is_hit else None,
        overhead=OVERHEAD_SECONDS.row((cache,)) if visit.outcome == HIT_EXACT else None,
    )
    _kinds[visit.method, visit.route, visit.status, visit.dialect, visit.outcome] = kind
    return kind


def settled(call: Call, outcome: Outcome, event: UsageEvent) -> None:
    """Called once for each call that was let in and not answered by the exact cache, whoever still listens."""
    if outcome.coalesced:
        COALESCED.add()
    if outcome.stale:
        STALE.add()
    if event.status < 400 and not outcome.coalesced:
        _note_overhead(call, outcome)
    if outcome.is_free or not event.provider:
        return
    way = labels.way_of(call.plan, event.provider, event.upstream_model or event.model)
    if outcome.provider_ms is not None and event.status < 400:
        PROVIDER_SECONDS.add(outcome.provider_ms / 1000, way)
    if event.billed_tokens:
        # Of embeddings, some may have been cached.
        TOKENS.add((*way, "prompt"), max(0, event.billed_tokens - event.completion_tokens))
        TOKENS.add((*way, "completion"), event.completion_tokens)
        if event.cost_usd is None:
            UNPRICED.add(way)
        else:
            COSTS.add(way, float(event.cost_usd))


def _note_overhead(call: Call, outcome: Outcome) -> None:
    """Of a stream up to its first token: what comes after that goes at the provider's pace, and the client's."""
    taken_ms = call.elapsed_ms if outcome.first_token_ms is None else outcome.first_token_ms
    if outcome.outcome == HIT_SEMANTIC:
        OVERHEAD_SECONDS.add(taken_ms / 1000, ("semantic",))
    elif outcome.waited_ms is not None:
        cache = CACHE.get(outcome.outcome, NONE)
        OVERHEAD_SECONDS.add(max(0.0, taken_ms - outcome.waited_ms) / 1000, (cache,))


def limited(refusal: Refusal) -> None:
    """A call that was not let in."""
    if isinstance(refusal, Unpriced):
        LIMITS_REFUSED.add(("budget", "unpriced", "workspace"))
        return
    policy = refusal.policy
    LIMITS_REFUSED.add((policy.what, policy.per or NONE, "key" if policy.of_key else "workspace"))


def asked(candidate: Candidate, attempt: int) -> None:
    """Called before each attempt."""
    way = labels.way(candidate)
    PROVIDER_CALLS.add(way)
    if attempt > 1:
        RETRIES.add(way[:1])


def provider_failed(candidate: Candidate, error: ProviderError) -> None:
    """Its own 4xx about a request among them, by status. `unusable`: our key for it is refused, or its address."""
    if isinstance(error, ProviderRefused):
        reason = f"refused_{error.status}"
    else:
        reason = (error.code or error.type) if error.retryable else "unusable"
    PROVIDER_ERRORS.add((*labels.way(candidate), labels.errors.of(reason)))


def failed_over(candidate: Candidate) -> None:
    FAILOVERS.add((labels.provider(candidate.provider.kind),))


def hedged(candidate: Candidate) -> None:
    HEDGES.add((labels.provider(candidate.provider.kind),))


def first_token(candidate: Candidate, waited_ms: float) -> None:
    PROVIDER_FIRST_SECONDS.add(waited_ms / 1000, labels.way(candidate))
