"""The steps before an answer: who calls, what is asked, what may answer, and a hold on what it may use."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
from django.conf import settings

from analytics.events import BYPASS, HIT_EXACT, MISS, REFRESH
from billing import quota
from billing.quota import Hit, Hold, QuotaSpent, RateLimited, RedisAway
from gateway import idempotency, routing
from gateway.cache import fingerprint
from gateway.errors import (
    Forbidden,
    GatewayError,
    InvalidRequest,
    PaymentRequired,
    TooManyRequests,
    Unauthorized,
    Unavailable,
)
from gateway.setups import CacheDefaults
from gateway.types import CacheRules, Call, Headers
from tenants import keyspace
from tenants.principal import DirectoryUnavailable, Principal

if TYPE_CHECKING:
    from gateway.runtime import Gateway

# While calls in flight hold the rest of a quota, a request waits for one of them, this long and no longer.
HELD_WAIT_S = 8.0
HELD_BACKOFF_S, HELD_BACKOFF_MAX_S = 0.025, 0.4
_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")
_CACHE_HEADERS = frozenset({b"x-nexus-cache", b"x-nexus-cache-namespace", b"x-nexus-cache-threshold", b"cache-control"})
_NAMESPACE = re.compile(r"[\x21-\x7e]{1,64}")


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
    rules = setup.rules
    if not _CACHE_HEADERS.isdisjoint(incoming.headers):
        rules = cache_rules(setup.cache, incoming.headers)
    try:
        digest = fingerprint.fingerprint(request, plan.ways, rules.namespace)
        scope = None
        if rules.semantic:
            scope = fingerprint.scope(request, plan.ways, rules.namespace, gateway.embedder.name)
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
        scope=scope,
        idempotency_key=idempotency.key_of(incoming.headers, principal),
        priority=_priority(request.payload.get("service_tier"), principal),
    )


_TIERS = {"priority": "high", "flex": "low"}


def _priority(service_tier: Any, principal: Principal) -> str:
    """As the request asks for it in OpenAI's words, or else as the key has it."""
    return _TIERS.get(service_tier, principal.priority) if isinstance(service_tier, str) else principal.priority


def cache_rules(defaults: CacheDefaults, headers: dict[bytes, bytes]) -> CacheRules:
    """The tenant's settings, narrowed by this request's headers. Raises InvalidRequest."""
    mode = headers.get(b"x-nexus-cache", b"semantic").decode("latin-1").strip().lower()
    control = headers.get(b"cache-control", b"").decode("latin-1").lower()
    if mode not in {"off", "exact", "semantic"}:
        raise InvalidRequest("X-Nexus-Cache must be off, exact or semantic.", param="X-Nexus-Cache")
    directives = _directives(control)
    bypass = mode == "off" or "no-store" in directives
    refresh = "no-cache" in directives
    semantic = defaults.semantic and not bypass and mode != "exact"
    return CacheRules(
        read_exact=defaults.exact and not bypass and not refresh,
        read_semantic=semantic and not refresh,
        write=not bypass,
        semantic=semantic,
        max_age_s=_max_age_s(directives),
        only_if_cached="only-if-cached" in directives,
        threshold=max(defaults.threshold, _threshold(headers)),
        ttl_s=defaults.ttl_s,
        namespace=_namespace(headers),
        fresh_outcome=BYPASS if bypass else REFRESH if refresh else MISS,
    )


def _directives(control: str) -> dict[str, str]:
    parts = (part.strip().partition("=") for part in control.split(",") if part.strip())
    return {name.strip(): value.strip() for name, _, value in parts}


def _max_age_s(directives: dict[str, str]) -> float | None:
    if "max-age" not in directives:
        return None
    if not directives["max-age"].isascii() or not directives["max-age"].isdigit():
        raise InvalidRequest("Cache-Control's max-age must be a number of seconds.", param="Cache-Control")
    return float(min(int(directives["max-age"][:12]), 10 * 366 * 86400))


def _threshold(headers: dict[bytes, bytes]) -> float:
    given = headers.get(b"x-nexus-cache-threshold")
    if given is None:
        return 0.0
    try:
        value = float(given)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise InvalidRequest(
            "X-Nexus-Cache-Threshold must be a number from 0 to 1; it can only raise the workspace's own.",
            param="X-Nexus-Cache-Threshold",
        )
    return value


def _namespace(headers: dict[bytes, bytes]) -> str:
    if b"x-nexus-cache-namespace" not in headers:
        return ""
    given = headers[b"x-nexus-cache-namespace"].decode("latin-1").strip()
    # An empty one is somebody's name that was lost on the way: not to be answered from the cache of all.
    if not _NAMESPACE.fullmatch(given):
        raise InvalidRequest(
            "X-Nexus-Cache-Namespace must be 1 to 64 printable ASCII characters without spaces.",
            param="X-Nexus-Cache-Namespace",
        )
    return given


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
