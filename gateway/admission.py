"""The steps before an answer: who calls, what is asked, what may answer, and a hold on what it may use."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
from django.conf import settings

from analytics.events import HIT_EXACT
from billing import quota
from billing.quota import Hit, Hold, QuotaSpent, RateLimited, RedisAway
from gateway import idempotency, routing
from gateway.cache import fingerprint
from gateway.cache import rules as cache_rules
from gateway.errors import (
    Forbidden,
    GatewayError,
    InvalidRequest,
    PaymentRequired,
    TooManyRequests,
    Unauthorized,
    Unavailable,
)
from gateway.types import Call, Headers
from tenants import keyspace
from tenants.principal import DirectoryUnavailable, Principal

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


def request_id_of(headers: dict[bytes, bytes]) -> str:
    """The client's own, if it is fit for logs and headers; else a new one."""
    given = headers.get(b"x-request-id")
    return given.decode() if given and _REQUEST_ID.fullmatch(given) else new_id()


def new_id() -> str:
    """A random UUID's 128 bits in hexadecimal, at a third of its price."""
    return os.urandom(16).hex()


async def authenticate(gateway: Gateway, headers: dict[bytes, bytes]) -> Principal:
    """Raises Unauthorized, Forbidden for a suspended tenant, Unavailable when nobody can be asked."""
    key = _key_of(headers)
    principal = gateway.directory.known(key)
    if principal is None:
        try:
            principal = await gateway.directory.find(key)
        except DirectoryUnavailable:
            raise Unavailable("The key cannot be checked right now; try again.", retry_after_s=2) from None
    if principal is None or not principal.is_valid_at(dt.datetime.now(dt.UTC)):
        raise Unauthorized("This API key is not valid: it is unknown, expired or revoked.")
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
    setup = gateway.setups.known(principal) or await gateway.setups.of(principal)
    plan = routing.plan(setup, principal, request, gateway.signals)
    rules = setup.rules_of(request.model)
    # LiteLLM's; no provider knows it.
    control = request.payload.pop("cache", None)
    if control is not None or not cache_rules.HEADERS.isdisjoint(incoming.headers):
        rules = cache_rules.narrowed(rules, incoming.headers, control)
    end_user = fingerprint.end_user(request)
    if rules.per_end_user and end_user is None:
        # Nobody knows whose answer it would be.
        rules = cache_rules.without_cache(rules)
    namespace = fingerprint.namespace_of(rules, end_user)
    try:
        digest = fingerprint.fingerprint(request, plan.ways, namespace)
    except TypeError:
        raise InvalidRequest("The body is nested too deeply.", code="invalid_json") from None
    return Call(
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
        priority=_priority(request.payload.get("service_tier"), principal),
    )


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
            call.held_tokens, call.completion_cap = verdict.held, verdict.completion_cap
            return None
        if not (isinstance(verdict, QuotaSpent) and verdict.what == "held") or waited_s >= HELD_WAIT_S:
            raise _refusal(call, verdict)
        await asyncio.sleep(pause_s)
        waited_s += pause_s
        pause_s = min(pause_s * 2, HELD_BACKOFF_MAX_S)


def _limit_without_redis(gateway: Gateway, call: Call) -> None:
    """Answering goes on; the rate is kept by this process alone."""
    retry_after_s = gateway.buckets.retry_after_s(call.principal)
    if retry_after_s > 0:
        raise TooManyRequests(
            f"Too many requests in this minute. Try again in {retry_after_s:.0f} s.", retry_after_s=retry_after_s
        )


def _hit_event(gateway: Gateway, call: Call) -> bytes:
    """The usage event of an exact hit; what it says of the answer, Redis adds from the entry."""
    return orjson.dumps(
        {
            "variant": call.plan.variant,
            "id": call.id,
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
    )


def _refusal(call: Call, verdict: RateLimited | QuotaSpent) -> GatewayError:
    error: GatewayError
    if isinstance(verdict, RateLimited):
        limit = verdict.window.requests_limit if verdict.what == "requests" else verdict.window.tokens_limit
        error = TooManyRequests(
            f"The limit of {limit:,} {verdict.what} a minute is reached. Try again in"
            f" {max(1, -(-verdict.retry_after_ms // 1000))} s.",
            retry_after_s=verdict.retry_after_ms / 1000,
        )
    elif verdict.what == "held":
        error = TooManyRequests(
            f"{verdict.limit - verdict.used:,} tokens are left of this month's {verdict.limit:,}, and requests in"
            " flight hold them. Try again when those have ended.",
            code="quota_held",
            retry_after_s=1,
        )
    else:
        error = PaymentRequired(_spent(call, verdict))
    error.extra_headers = window_headers(verdict.window)
    return error


def _spent(call: Call, verdict: QuotaSpent) -> str:
    resets = call.account.period.end
    upgrade = f"{settings.PUBLIC_URL}/t/{call.principal.slug}/"
    used = f"{min(verdict.used, verdict.limit):,} of this month's {verdict.limit:,} {verdict.what} are used"
    if verdict.what == "tokens" and verdict.used < verdict.limit:
        used += f", and this request's messages alone may need {call.request.prompt_tokens:,}"
    return f"{used}. They reset on {resets:%Y-%m-%d %H:%M} UTC; a larger plan is at {upgrade}."


def window_headers(window: quota.Window) -> Headers:
    """OpenAI's x-ratelimit headers; none where there is no limit."""
    headers: Headers = []
    if window.requests_limit >= 0:
        headers += _limit_headers(b"requests", window.requests_limit, window.requests_left, window.requests_reset_ms)
    if window.tokens_limit >= 0:
        headers += _limit_headers(b"tokens", window.tokens_limit, window.tokens_left, window.tokens_reset_ms)
    return headers


def _limit_headers(what: bytes, limit: int, left: int, reset_ms: int) -> Headers:
    return [
        (b"x-ratelimit-limit-" + what, b"%d" % limit),
        (b"x-ratelimit-remaining-" + what, b"%d" % left),
        (b"x-ratelimit-reset-" + what, _duration(reset_ms)),
    ]


def _duration(milliseconds: int) -> bytes:
    """As OpenAI writes it: 59.8s, 6m0s, 12h3m0s."""
    if milliseconds < 60_000:
        return b"%gs" % (milliseconds / 1000)
    minutes, seconds = divmod(-(-milliseconds // 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return b"%dh%dm%ds" % (hours, minutes, seconds) if hours else b"%dm%ds" % (minutes, seconds)
