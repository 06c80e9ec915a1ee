"""The steps before an answer: who calls, what is asked, what may answer, and a hold on what it may use."""

from __future__ import annotations

import asyncio
import datetime as dt
import math
import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
from redis.exceptions import RedisError

from analytics.events import HIT_EXACT
from billing import quota
from billing.quota import Held, Hit, Hold, RedisAway, Spent
from gateway import idempotency, metering, observing, refusals, routing
from gateway.cache import fingerprint
from gateway.cache import rules as cache_rules
from gateway.dialects.openai_chat import BYTES_PER_TOKEN
from gateway.errors import (
    Forbidden,
    InvalidRequest,
    TooManyRequests,
    Unauthorized,
    Unavailable,
)
from gateway.metrics import LIMITS_REFUSED
from gateway.tags import tags_of
from gateway.types import Call
from tenants import freezing, keyspace, pace, tokens, tracing, wrong_keys
from tenants.authentication import INVALID_TOKEN
from tenants.principal import DirectoryUnavailable, Principal
from tenants.visits import CURRENT, Visit

if TYPE_CHECKING:
    from gateway.runtime import Gateway

# While calls in flight hold the rest of a quota, a request waits for one of them, this long and no longer.
HELD_WAIT_S = 8.0
HELD_BACKOFF_S, HELD_BACKOFF_MAX_S = 0.025, 0.4
_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")


class Incoming(NamedTuple):
    """A request as it came: headers with lower-case names."""

    dialect: Any
    headers: dict[bytes, bytes]
    body: bytes
    request_id: str
    visit: Visit | None = None


def request_id_of(headers: dict[bytes, bytes]) -> str:
    """The client's own, if it is fit for logs and headers; else a new one."""
    given = headers.get(b"x-request-id")
    return given.decode() if given and _REQUEST_ID.fullmatch(given) else new_id()


# Drawn from the system many at a time: a call needs three, and each draw is a system call.
_ids: list[str] = []
_IDS_AT_ONCE = 256
# Or parent and child would use the same.
os.register_at_fork(after_in_child=_ids.clear)


def new_id() -> str:
    """A random UUID's 128 bits in hexadecimal. From any thread."""
    try:
        return _ids.pop()
    except IndexError:
        drawn = os.urandom(16 * _IDS_AT_ONCE).hex()
        _ids.extend(drawn[at : at + 32] for at in range(32, len(drawn), 32))
        return drawn[:32]


async def authenticate(gateway: Gateway, headers: dict[bytes, bytes], visit: Visit | None = None) -> Principal:
    """Raises Unauthorized, Forbidden for a suspended tenant, Unavailable when nobody can be asked."""
    key = _key_of(headers)
    principal = gateway.directory.known(key)
    visit = visit or CURRENT.get()
    if principal is None:
        principal = await _look_up(gateway, key, headers, visit)
    if principal is not None and visit is not None:
        visit.tenant_id, visit.key = principal.tenant_id, principal.public_id
    return check(principal)


async def _look_up(gateway: Gateway, key: str, headers: dict[bytes, bytes], visit: Visit | None) -> Principal | None:
    """Of a key that is not known here, or has to be checked again. Raises Unauthorized, Unavailable, TooManyRequests
    for those who try keys.
    """
    peer = visit.client[0] if visit is not None and visit.client else None
    place = wrong_keys.place_of(peer, headers.get(b"x-forwarded-for", b"").decode("latin-1"))
    if place is not None and not gateway.directory.has_heard_of(key):
        _refuse_guessing(gateway.guesses.wait_s(place))
    try:
        principal = await gateway.directory.find(key)
    except DirectoryUnavailable:
        raise Unavailable("The key cannot be checked right now; try again.", retry_after_s=2) from None
    if principal is None:
        if place is not None:
            _refuse_guessing(await _count_wrong(gateway, place))
        if tokens.looks_like_one(key):
            raise Unauthorized(INVALID_TOKEN, code="invalid_token")
    return principal


async def _count_wrong(gateway: Gateway, place: str) -> int | None:
    """Seconds to wait, where it is one too many."""
    wait_s = gateway.guesses.wait_s(place) or gateway.guesses.count(place)
    if wait_s is not None:
        return wait_s
    try:
        commands = pace.commands(keyspace.wrong_keys(place), wrong_keys.WINDOW_S)
        return gateway.guesses.learn(place, await gateway.lane.transaction(*commands))
    except (RedisError, OSError):
        # This process' own count holds.
        return None


def _refuse_guessing(wait_s: int | None) -> None:
    if wait_s is not None:
        said = pace.refusal(wrong_keys.SENTENCE, wrong_keys.PER_MINUTE, wait_s)
        raise TooManyRequests(said, code=wrong_keys.CODE, retry_after_s=wait_s)


def check(principal: Principal | None) -> Principal:
    """Whether it may call at all. Raises Unauthorized, Forbidden, Unavailable while the tenant is moved."""
    if principal is None or not principal.is_valid_at(dt.datetime.now(dt.UTC)):
        raise Unauthorized("This API key is not valid: it is unknown, expired or revoked.")
    if principal.moving:
        raise Unavailable(freezing.WORDS, code=freezing.CODE, retry_after_s=freezing.RETRY_AFTER_S)
    if not principal.active:
        raise Forbidden("This workspace is suspended. Its owner can contact support.", code="tenant_suspended")
    return principal


def _key_of(headers: dict[bytes, bytes]) -> str:
    authorization = headers.get(b"authorization", b"")
    if authorization[:7].lower() == b"bearer ":
        return authorization[7:].strip().decode("latin-1")
    if key := headers.get(b"x-api-key"):
        return key.strip().decode("latin-1")
    raise Unauthorized("No API key. Send it as “Authorization: Bearer nk-…”.", code="missing_api_key")


async def prepare(gateway: Gateway, principal: Principal, incoming: Incoming) -> Call:
    """Raises InvalidRequest, Forbidden, ModelNotFound, Unavailable."""
    request = incoming.dialect.parse(incoming.body)
    visit = incoming.visit or CURRENT.get() or Visit(incoming.request_id)
    visit.model, visit.dialect = request.model, incoming.dialect.NAME
    setup = gateway.setups.known(principal) or await gateway.setups.of(principal)
    plan = routing.plan(setup, principal, request, gateway.signals)
    rules = setup.rules_of(request.model)
    # LiteLLM's; no provider knows it.
    control = request.payload.pop("cache", None)
    if control is not None or not cache_rules.HEADERS.isdisjoint(incoming.headers):
        rules = cache_rules.narrowed(rules, incoming.headers, control)
    tags = tags_of(incoming.headers, request.payload)
    end_user = fingerprint.end_user(request)
    if rules.per_end_user and end_user is None:
        # Nobody knows whose answer it would be.
        rules = cache_rules.without_cache(rules)
    namespace = fingerprint.namespace_of(rules, end_user)
    try:
        digest = fingerprint.fingerprint(request, plan.ways, namespace)
    except TypeError:
        raise InvalidRequest("The body is nested too deeply.", code="invalid_json") from None
    call = Call(
        id=new_id(),
        request_id=incoming.request_id,
        dialect=incoming.dialect,
        principal=principal,
        account=gateway.account_of(principal),
        request=request,
        rules=rules,
        plan=plan,
        calls=setup.calls,
        fingerprint=digest,
        namespace=namespace,
        end_user=end_user or "",
        idempotency_key=idempotency.key_of(incoming.headers, principal),
        tags=tags,
        priority=_priority(request.payload.get("service_tier"), principal),
        visit=visit,
    )
    if call.account.has_budget:
        call.unit_costs = _unit_costs(gateway, call)
    return call


_TIERS = {"priority": "high", "flex": "low"}


def _priority(service_tier: Any, principal: Principal) -> str:
    """As the request asks for it in OpenAI's words, or else as the key has it."""
    return _TIERS.get(service_tier, principal.priority) if isinstance(service_tier, str) else principal.priority


async def reserve(gateway: Gateway, call: Call) -> Hit | None:
    """Holds what the call may use, or finds its answer in the exact cache. Raises PaymentRequired, TooManyRequests."""
    exact = call.rules.read_exact
    wanted = call.request.max_tokens
    ask = quota.Ask(
        id=call.id,
        prompt_tokens=call.request.prompt_tokens,
        completion_tokens=None if wanted is None else wanted * call.request.n,
        answer_key=keyspace.answer(call.principal.tenant_id, call.fingerprint) if exact else None,
        max_age_s=call.rules.max_age_s,
        hit_event=_hit_event(gateway, call) if exact else b"",
        day=call.day,
        unit_costs=call.unit_costs,
    )
    pause_s, waited_s = HELD_BACKOFF_S, 0.0
    while True:
        try:
            verdict = await gateway.quota.admit(call.account, ask)
        except RedisAway:
            _limit_without_redis(gateway, call)
            return None
        call.window = verdict.window
        if isinstance(verdict, Hit):
            gateway.settler.remember_hit(call.account.stream, ask.hit_event, verdict.meta)
            return verdict
        if isinstance(verdict, Hold):
            call.held, call.completion_cap = Held(verdict.held, verdict.cost), verdict.completion_cap
            gateway.settler.holds += 1
            if gateway.throttle.is_on:
                # Of what nobody has bounded, the prompt.
                most = ask.prompt_tokens + (ask.completion_tokens or 0)
                await _throttle(gateway, call, min(most, verdict.held))
            return None
        if not (isinstance(verdict, Spent) and verdict.held) or waited_s >= HELD_WAIT_S:
            observing.limited(verdict)
            raise refusals.of(call, verdict)
        await asyncio.sleep(pause_s)
        waited_s += pause_s
        pause_s = min(pause_s * 2, HELD_BACKOFF_MAX_S)


def _unit_costs(gateway: Gateway, call: Call) -> tuple[int, int] | None:
    """The most that one prompt token and one completion token may cost, whoever answers; None: nobody knows."""
    most_prompt = most_completion = 0
    for candidate in call.plan.candidates:
        worst = metering.worst(gateway.prices, candidate, call.request, call.when)
        if worst is None:
            return None
        most_prompt, most_completion = max(most_prompt, worst[0]), max(most_completion, worst[1])
    # A hedged call may be under way at all of its candidates. No tokenizer makes more tokens of a text than it has
    # bytes, and the estimate is of fewer: what is held in money is never too little.
    times = len(call.plan.candidates) if call.plan.hedge_after_s is not None else 1
    return math.ceil(times * most_prompt * BYTES_PER_TOKEN), times * most_completion


async def _throttle(gateway: Gateway, call: Call, tokens: int) -> None:
    """What all workspaces together may ask for. Raises TooManyRequests.

    Last of all: who is refused for other reasons, or answered from the cache, takes nothing from the others.
    """
    try:
        retry_after_s = await gateway.throttle.take(tokens)
    except asyncio.CancelledError:
        await asyncio.shield(_undo(gateway, call))
        raise
    if retry_after_s > 0:
        await asyncio.shield(_undo(gateway, call))
        LIMITS_REFUSED.add(("platform", "minute", "platform"))
        raise TooManyRequests(
            f"The gateway as a whole is at its limit. Try again in {retry_after_s:.0f} s.",
            code="platform_busy",
            retry_after_s=retry_after_s,
        )


async def _undo(gateway: Gateway, call: Call) -> None:
    """As if it had not been let in."""
    undone = quota.settlement(
        call.account, call.id, held=call.held, day=call.day, requests=0, tokens=0, cost=0, event=b"", undone=True
    )
    await gateway.settler.settle(undone)


def _limit_without_redis(gateway: Gateway, call: Call) -> None:
    """Answering goes on; the rate is kept by this process alone."""
    retry_after_s = gateway.buckets.retry_after_s(call.principal)
    if retry_after_s > 0:
        LIMITS_REFUSED.add(("requests", "minute", "process"))
        raise TooManyRequests(
            f"Too many requests in this minute. Try again in {retry_after_s:.0f} s.", retry_after_s=retry_after_s
        )


def _hit_event(gateway: Gateway, call: Call) -> bytes:
    """The usage event of an exact hit; what it says of the answer, Redis adds from the entry."""
    event = {
        "variant": call.plan.variant,
        # Not the call's: if Redis answers too late, a provider is asked, and what that costs is another event.
        "id": new_id(),
        "request_id": call.request_id,
        "tenant_id": call.principal.tenant_id,
        "key_id": call.principal.key_id,
        "at": call.at,
        "period": int(call.account.period.id),
        "dialect": call.dialect.NAME,
        "outcome": HIT_EXACT,
        "model": call.request.model,
        "stream": call.request.stream,
        "latency_ms": round(call.elapsed_ms + gateway.quota.round_trip_ms, 3),
    }
    if call.tags:
        event["tags"] = call.tags
    if call.visit.trace is not None:
        event["trace"] = tracing.traceparent()
    return orjson.dumps(event)
