"""From a call and its outcome to what is written down: the usage event, the hold given back, the exact entry. Pure."""

from __future__ import annotations

import dataclasses
import datetime as dt
from decimal import Decimal
from typing import NamedTuple

from analytics.events import HIT_EXACT, HIT_SEMANTIC, HITS, UsageEvent
from billing import pricing, quota
from gateway.cache.semantic import Found
from gateway.errors import ClientLeft, GatewayError
from gateway.idempotency import KEEP_S
from gateway.types import Call, Candidate, Meta, Usage
from tenants import keyspace, tracing
from tenants.visits import Visit

# Of a usage record's column.
ERROR_CHARACTERS = 64


@dataclasses.dataclass(slots=True)
class Outcome:
    """How a call went. `meta` tells whose answer it was; `body` is set when it may be kept."""

    outcome: str
    meta: Meta | None = None
    status: int = 200
    error: str = ""
    provider: str = ""
    coalesced: bool = False
    similarity: float | None = None
    provider_ms: float | None = None
    first_token_ms: float | None = None
    body: bytes | None = None
    ttl_s: int = 0
    # Why the cache had nothing, for X-Nexus-Cache-Reason.
    reason: str = ""
    # What the semantic tier found: served, or only looked at.
    served: Found | None = None
    shadow: Found | None = None
    # An answer past its time, in place of a provider that failed.
    stale: bool = False
    # Of a provider's answer: whose account pays, at which service tier, and who was asked in vain at the same time.
    paid_by_platform: bool = False
    tier: str = ""
    lost: tuple[Candidate, ...] = ()
    # Until a provider began to answer, all attempts together.
    waited_ms: float | None = None
    # What `meta` costs and saves, once it was asked: record and headers say the same.
    priced: tuple[Meta, Decimal | None, Decimal | None] | None = None

    def stand_in(self, found: Found) -> None:
        """`found` answers for the provider, and costs nothing."""
        self.outcome = HIT_EXACT if found.similarity == 1.0 else HIT_SEMANTIC
        self.meta, self.similarity, self.stale = found.meta, found.similarity, True

    def failed(self, error: GatewayError) -> Outcome:
        """The same way, without an answer: recorded, and not billed, unless the client stopped it half way."""
        provider = getattr(error, "provider", "") or (self.meta.provider if self.meta else "")
        return Outcome(
            self.outcome,
            self.meta if isinstance(error, ClientLeft) else None,
            status=error.status,
            error=error.code or error.type,
            provider=provider,
            coalesced=self.coalesced,
            provider_ms=self.provider_ms,
            first_token_ms=self.first_token_ms,
            paid_by_platform=self.paid_by_platform,
            tier=self.tier,
            lost=self.lost,
        )

    def as_coalesced(self) -> Outcome:
        """For who shared this answer while it came: it is as good as an exact hit."""
        return Outcome(
            HIT_SEMANTIC if self.outcome == HIT_SEMANTIC else HIT_EXACT,
            self.meta,
            coalesced=True,
            similarity=self.similarity,
            provider_ms=self.provider_ms,
            first_token_ms=self.first_token_ms,
            stale=self.stale,
        )

    @property
    def is_free(self) -> bool:
        """Answers that no provider was asked for cost no tokens."""
        return self.coalesced or self.outcome in HITS


def cost_of(book: pricing.PriceBook, meta: Meta, at: dt.datetime, tier: str = "") -> Decimal | None:
    """What the provider takes for this answer at today's price; None when nobody knows."""
    price = book.unit_price(meta.catalog, meta.upstream_model, at, tier)
    if price is None:
        return None
    return pricing.cost(price, meta.prompt_tokens, meta.cached_tokens, meta.completion_tokens, meta.token_details)


def cost_and_saving(call: Call, outcome: Outcome, book: pricing.PriceBook) -> tuple[Decimal | None, Decimal | None]:
    """USD; None without a known price. What is saved is the usual tier's price."""
    meta, priced = outcome.meta, outcome.priced
    if meta is None:
        return Decimal(0), Decimal(0)
    if priced is None or priced[0] is not meta:
        priced = outcome.priced = (meta, *_cost_and_saving(call, outcome, meta, book))
    return priced[1], priced[2]


def _cost_and_saving(
    call: Call, outcome: Outcome, meta: Meta, book: pricing.PriceBook
) -> tuple[Decimal | None, Decimal | None]:
    if outcome.is_free:
        return Decimal(0), cost_of(book, meta, call.when)
    cost = cost_of(book, meta, call.when, outcome.tier)
    if cost is not None and outcome.lost:
        cost += hedged(call, outcome, book).usd
    return cost, Decimal(0)


class Hedged(NamedTuple):
    """An estimate: what providers were sent that were asked at the same time, and not waited for."""

    tokens: int
    usd: Decimal


def hedged(call: Call, outcome: Outcome, book: pricing.PriceBook) -> Hedged:
    """At least the prompt is paid for. That of another account than the answer's is left out: a call is on one bill."""
    tokens, usd = 0, Decimal(0)
    sent = (outcome.meta.prompt_tokens if outcome.meta else 0) or call.request.prompt_tokens
    for candidate in outcome.lost:
        price = book.unit_price(candidate.provider.catalog, candidate.model, call.when)
        paying = not candidate.provider.simulated and candidate.provider.on_platform == outcome.paid_by_platform
        if price is not None and paying:
            tokens += sent
            usd += pricing.cost(price, sent, 0, 0)
    return Hedged(tokens, usd)


def event_of(call: Call, outcome: Outcome, book: pricing.PriceBook) -> UsageEvent:
    meta = outcome.meta
    usage = meta.usage if meta else Usage()
    cost, saved = cost_and_saving(call, outcome, book)
    return UsageEvent(
        id=call.id,
        request_id=call.request_id,
        tenant_id=call.principal.tenant_id,
        key_id=call.principal.key_id,
        at=call.at,
        period=int(call.account.period.start.timestamp()),
        dialect=call.dialect.NAME,
        outcome=outcome.outcome,
        model=call.request.model,
        status=outcome.status,
        stream=call.request.stream,
        coalesced=outcome.coalesced,
        error=_fit(outcome.error),
        provider=meta.provider if meta else outcome.provider,
        simulated=meta.simulated if meta else False,
        catalog=meta.catalog if meta else "",
        upstream_model=meta.upstream_model if meta else "",
        prompt_tokens=usage.prompt_tokens,
        cached_tokens=usage.cached_tokens,
        completion_tokens=usage.completion_tokens,
        billed_tokens=0 if outcome.is_free else usage.total_tokens,
        cost_usd=cost,
        saved_usd=saved,
        latency_ms=round(call.elapsed_ms, 3),
        first_token_ms=_rounded(outcome.first_token_ms),
        provider_ms=_rounded(outcome.provider_ms),
        similarity=outcome.shadow.similarity if outcome.shadow else outcome.similarity,
        entry_id=_entry_id(outcome),
        stale=outcome.stale,
        shadow_saved_usd=cost_of(book, outcome.shadow.meta, call.when) if outcome.shadow else None,
        variant=call.plan.variant,
        token_details=_details(call, outcome, book),
        tags=list(call.tags) or None,
        paid_by_platform=outcome.paid_by_platform and not outcome.is_free,
    )


def tell(visit: Visit, event: UsageEvent) -> None:
    """What the request's log line, metrics and trace say of its usage. An answer's status stays as it was sent."""
    visit.outcome, visit.coalesced = event.outcome, event.coalesced
    visit.provider, visit.upstream_model, visit.simulated = event.provider, event.upstream_model, event.simulated
    visit.prompt_tokens, visit.completion_tokens = event.prompt_tokens, event.completion_tokens
    visit.cost_usd, visit.saved_usd = event.cost_usd, event.saved_usd
    visit.error = event.error
    if event.provider_ms is not None and not event.coalesced:
        visit.provider_s = event.provider_ms / 1000


def traced(event: UsageEvent) -> UsageEvent:
    """With what it is a part of: whoever books it goes on with the trace."""
    parent = tracing.traceparent()
    return event if parent is None else dataclasses.replace(event, trace=parent)


def _fit(code: str) -> str:
    """A provider's own may be any text; with one that its column cannot hold, the event would never be booked."""
    return "".join(filter(str.isprintable, code[:ERROR_CHARACTERS])) if code else ""


def _details(call: Call, outcome: Outcome, book: pricing.PriceBook) -> dict[str, int] | None:
    details = outcome.meta.token_details if outcome.meta else None
    if outcome.lost and outcome.meta is not None and (tokens := hedged(call, outcome, book).tokens):
        return {**(details or {}), "hedged": tokens}
    return details


def _entry_id(outcome: Outcome) -> str | None:
    if outcome.shadow is not None:
        return outcome.shadow.meta.entry_id
    return outcome.meta.entry_id if outcome.meta and outcome.is_free else None


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 3)


def settlement_of(call: Call, outcome: Outcome, event: UsageEvent, body: bytes | None) -> quota.Settlement:
    """`body` is the complete answer, whether or not it may be cached."""
    answer = replay = None
    if outcome.body is not None and outcome.meta is not None and outcome.ttl_s > 0:
        key = keyspace.answer(call.principal.tenant_id, call.fingerprint)
        answer = quota.Answer(key, outcome.meta.write(), outcome.body, outcome.ttl_s)
    if call.idempotency_key is not None and body is not None and outcome.meta is not None:
        replay = quota.Replay(call.idempotency_key, outcome.meta.write(), body, outcome.outcome, KEEP_S)
    return quota.settlement(
        call.account,
        call.id,
        held=call.held,
        day=call.day,
        requests=int(event.counts),
        tokens=event.billed_tokens,
        cost=pricing.units(event.cost_usd or Decimal(0)),
        event=event.write(),
        answer=answer,
        replay=replay,
    )
