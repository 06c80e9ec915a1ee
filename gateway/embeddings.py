"""`POST /v1/embeddings`: vectors of texts, each cached exactly; those that are not known are asked for in one call."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import hashlib
import itertools
import logging
import struct
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import orjson
from django.conf import settings
from numpy.typing import NDArray
from redis.exceptions import RedisError

from analytics.events import HIT_EXACT, UsageEvent
from gateway import admission, answers, genai_conventions, genai_spans, observing, settlement
from gateway.dialects import openai_embeddings
from gateway.dispatch import Chunk, Upstream
from gateway.errors import GatewayError, NotInCache, ProviderFailed, ProviderTimedOut, Unavailable
from gateway.settlement import Outcome
from gateway.types import Call, Candidate, Meta, Reply
from tenants import keyspace, tracing

if TYPE_CHECKING:
    from gateway.runtime import Gateway
    from tenants.principal import Principal

logger = logging.getLogger(__name__)

Vector = NDArray[np.float32]
_JSON = [(b"content-type", b"application/json")]
# Some 200 KB at a time: other calls share the connection, and wait for no more than that.
KEYS_AT_ONCE = 32


class Known(NamedTuple):
    """A text's vector, and the tokens that it was counted as."""

    vector: Vector
    tokens: int

    def write(self) -> bytes:
        return struct.pack("<I", self.tokens) + self.vector.astype("<f4").tobytes()

    @classmethod
    def read(cls, data: bytes) -> Known:
        return cls(np.frombuffer(data, "<f4", offset=4), struct.unpack_from("<I", data)[0])


class Embedded(NamedTuple):
    """All texts in their order; `fresh_tokens` of them were paid for now."""

    vectors: list[Known]
    cached: int
    fresh_tokens: int
    meta: Meta
    # Of those paid for now: whose account pays, and who was asked in vain at the same time.
    paid_by_platform: bool = False
    lost: tuple[Candidate, ...] = ()


async def answer(gateway: Gateway, principal: Principal, incoming: admission.Incoming) -> Reply:
    """The whole way of one request. Raises GatewayError."""
    call = await admission.prepare(gateway, principal, incoming)
    may_read = call.rules.read_exact
    # Texts are looked up one by one, later: there is no entry for all of them.
    call.rules = dataclasses.replace(call.rules, read_exact=False)
    await admission.reserve(gateway, call)
    result: asyncio.Future[Embedded] = asyncio.get_running_loop().create_future()
    gateway.tasks.spawn(_settled(gateway, call, result, may_read=may_read))
    embedded = await asyncio.shield(result)
    return _reply(gateway, call, embedded)


async def _settled(gateway: Gateway, call: Call, result: asyncio.Future[Embedded], *, may_read: bool) -> None:
    """Answers and settles, whoever still listens."""
    embedded: Embedded | None = None
    error: GatewayError | None = None
    try:
        async with asyncio.timeout(settings.CALL_DEADLINE_S):
            embedded = await _embed(gateway, call, may_read=may_read)
    except TimeoutError:
        error = ProviderTimedOut(f"No complete answer within {settings.CALL_DEADLINE_S:g} s.", provider="")
    except GatewayError as failure:
        error = failure
    except asyncio.CancelledError:
        error = Unavailable("The gateway is shutting down; try again.", retry_after_s=1)
    except Exception:
        logger.exception("request %s failed", call.request_id)
        error = GatewayError("The gateway failed on this request; its log has the request id.")
    try:
        outcome, event = _booked(gateway, call, embedded, error)
        settlement.tell(call.visit, event)
        with tracing.span("settle"):
            event = settlement.traced(event)
            await gateway.settler.settle(settlement.settlement_of(call, outcome, event, None))
        observing.settled(call, outcome, event)
    finally:
        if result.cancelled():
            pass
        elif embedded is not None:
            result.set_result(embedded)
        else:
            result.set_exception(error or GatewayError("The gateway is shutting down; try again."))


def _booked(
    gateway: Gateway, call: Call, embedded: Embedded | None, error: GatewayError | None
) -> tuple[Outcome, UsageEvent]:
    """The outcome and its usage event: what was cached is saved, the rest is paid."""
    if embedded is None:
        outcome = Outcome(call.rules.fresh_outcome).failed(error or GatewayError("stopped"))
        return outcome, settlement.event_of(call, outcome, gateway.prices)
    event = settlement.event_of(call, _paid(call, embedded), gateway.prices)
    _, saved = _money(gateway, call, embedded)
    return _outcome(call, embedded), dataclasses.replace(
        event, prompt_tokens=embedded.meta.prompt_tokens, saved_usd=saved, entry_id=None
    )


def _outcome(call: Call, embedded: Embedded) -> Outcome:
    name = HIT_EXACT if embedded.cached == len(embedded.vectors) else call.rules.fresh_outcome
    return Outcome(name, embedded.meta, paid_by_platform=embedded.paid_by_platform, lost=embedded.lost)


def _paid(call: Call, embedded: Embedded) -> Outcome:
    """As if no other text had been asked for than those that were paid for now."""
    return _outcome(call, embedded._replace(meta=embedded.meta._replace(prompt_tokens=embedded.fresh_tokens)))


def _money(gateway: Gateway, call: Call, embedded: Embedded) -> tuple[Decimal | None, Decimal | None]:
    """Cost and saving in USD; None without a known price."""
    cached = embedded.meta._replace(prompt_tokens=embedded.meta.prompt_tokens - embedded.fresh_tokens)
    cost, _ = settlement.cost_and_saving(call, _paid(call, embedded), gateway.prices)
    return cost, settlement.cost_of(gateway.prices, cached, call.when)


async def _embed(gateway: Gateway, call: Call, *, may_read: bool) -> Embedded:
    inputs = call.request.payload["input"]
    keys = [_key(call, one) for one in inputs]
    known = await _read(gateway, keys) if may_read else {}
    missing = {key: one for key, one in zip(keys, inputs, strict=True) if key not in known}
    candidate = call.plan.candidates[0]
    fresh: dict[str, Known] = {}
    lost: tuple[Candidate, ...] = ()
    if missing:
        if call.rules.only_if_cached:
            raise NotInCache("Only cached vectors were asked for, and some are not.")
        upstream, fresh = await _ask(gateway, call, missing)
        candidate, lost = upstream.candidate, upstream.lost
        if call.rules.write:
            await _write(gateway, fresh, call.rules.ttl_s)
    vectors = [fresh[key] if key in fresh else known[key] for key in keys]
    fresh_tokens = sum(one.tokens for one in fresh.values())
    meta = Meta(
        entry_id=call.id,
        created_at=call.at,
        provider=candidate.provider.name,
        simulated=candidate.provider.simulated,
        catalog=candidate.provider.catalog,
        upstream_model=candidate.model,
        # A text that stands twice in one request is sent, and paid for, once.
        prompt_tokens=fresh_tokens + sum(known[key].tokens for key in keys if key in known),
        cached_tokens=0,
        completion_tokens=0,
    )
    paid = bool(missing) and candidate.provider.on_platform
    return Embedded(vectors, sum(key in known for key in keys), fresh_tokens, meta, paid, lost)


def _key(call: Call, one: Any) -> str:
    dimensions = call.request.payload.get("dimensions")
    told = orjson.dumps([call.plan.ways, dimensions, call.request.payload.get("input_type"), call.rules.namespace, one])
    return keyspace.embedding(call.principal.tenant_id, hashlib.blake2b(told, digest_size=16).hexdigest())


async def _read(gateway: Gateway, keys: list[str]) -> dict[str, Known]:
    """Without Redis nothing is known."""
    known: dict[str, Known] = {}
    try:
        for at in range(0, len(keys), KEYS_AT_ONCE):
            batch = keys[at : at + KEYS_AT_ONCE]
            values = await gateway.lane.call("MGET", *batch)
            known |= {key: Known.read(value) for key, value in zip(batch, values, strict=True) if value is not None}
    except (RedisError, OSError) as error:
        logger.warning("cached vectors are skipped: %s", error)
    return known


async def _write(gateway: Gateway, fresh: dict[str, Known], ttl_s: int) -> None:
    commands = [("SET", key, known.write(), "EX", ttl_s) for key, known in fresh.items()]
    try:
        for at in range(0, len(commands), KEYS_AT_ONCE):
            await gateway.lane.transaction(*commands[at : at + KEYS_AT_ONCE])
    except (RedisError, OSError) as error:
        logger.warning("vectors are not cached: %s", error)


async def _ask(gateway: Gateway, call: Call, missing: dict[str, Any]) -> tuple[Upstream, dict[str, Known]]:
    texts = list(missing.values())

    async def ask(candidate: Candidate) -> Upstream:
        payload = {n: v for n, v in call.request.payload.items() if n not in openai_embeddings.OWN_FIELDS}
        payload |= {"model": candidate.model, "input": texts}
        with genai_spans.asking(genai_conventions.EMBEDDINGS, call, candidate) as span:
            body = await gateway.providers[candidate.provider.kind].embed(candidate.provider, payload)
            chunk = Chunk(body, _checked(body, candidate, len(texts)))
            genai_spans.answered(span, chunk.parsed)
        return Upstream(candidate, chunk, None, 0.0)

    upstream = await gateway.dispatcher.first_success(call, ask)
    assert upstream.whole is not None
    parsed = upstream.whole.parsed
    tokens = _shares(parsed, texts)
    vectors = [_vector(item["embedding"]) for item in sorted(parsed["data"], key=lambda item: item["index"])]
    known = (Known(vector, count) for vector, count in zip(vectors, tokens, strict=True))
    return upstream, dict(zip(missing, known, strict=True))


def _checked(body: bytes, candidate: Candidate, count: int) -> dict[str, Any]:
    """Raises ProviderFailed for anything but a vector for each text."""
    try:
        parsed = orjson.loads(body)
        indexes = sorted(item["index"] for item in parsed["data"])
        sizes = {_vector(item["embedding"]).size for item in parsed["data"]}
        if indexes == list(range(count)) and len(sizes) == 1 and sizes != {0}:
            return dict(parsed)
    except (ValueError, KeyError, TypeError):
        pass
    name = candidate.provider.name
    raise ProviderFailed(f"{name} sent no vector for each of {count:,} texts.", provider=name)


def _vector(value: Any) -> Vector:
    """From numbers, or from base64 of little-endian 32-bit floats."""
    if isinstance(value, str):
        return np.frombuffer(base64.b64decode(value, validate=True), "<f4")
    return np.asarray(value, "<f4")


def _shares(parsed: dict[str, Any], texts: list[Any]) -> list[int]:
    """The provider counts all together: each text's part by its size, in whole tokens that add up."""
    usage = parsed.get("usage")
    total = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    sizes = [openai_embeddings.tokens_of(text) for text in texts]
    if not isinstance(total, int) or isinstance(total, bool) or total < 0:
        return sizes
    bounds = [0]
    for size in sizes:
        bounds.append(bounds[-1] + size)
    whole = max(1, bounds[-1])
    return [total * after // whole - total * before // whole for before, after in itertools.pairwise(bounds)]


def _reply(gateway: Gateway, call: Call, embedded: Embedded) -> Reply:
    outcome = _outcome(call, embedded)
    headers = [(name, value) for name, value in answers.headers_of(gateway, call, outcome) if name not in _PER_ENTRY]
    cost, saved = call.visit.cost_usd, call.visit.saved_usd = _money(gateway, call, embedded)
    headers += answers.money_headers(cost, saved)
    if embedded.cached:
        headers.append((b"x-nexus-cached-inputs", b"%d" % embedded.cached))
    body = openai_embeddings.render(call, [known.vector for known in embedded.vectors], embedded.meta)
    return Reply(200, [*_JSON, *headers], body)


# About one cached answer; here each text has its own.
_PER_ENTRY = frozenset({b"age", b"x-nexus-cache-id", b"x-nexus-cost-usd", b"x-nexus-saved-usd"})
