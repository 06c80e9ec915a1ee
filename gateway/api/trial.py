"""One tiny question to a provider of the workspace, to see whether its address, key and model are right.

It goes past cache, quota, breakers and places; the provider may charge for it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from django.http import HttpRequest
from drf_spectacular.utils import extend_schema
from psycopg import Error, sql
from psycopg.rows import dict_row
from psycopg_pool import PoolTimeout
from redis.exceptions import RedisError
from rest_framework import serializers

from gateway import admission, runtime
from gateway.dialects import openai_chat
from gateway.dispatch import loaded
from gateway.errors import (
    Forbidden,
    GatewayError,
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    ProviderFailed,
    TooManyRequests,
    Unavailable,
)
from gateway.setups import provider_of
from gateway.types import Candidate, ProviderConfig, Reply
from gateway.views import DataPlaneView, json_reply
from tenants import keyspace
from tenants.authentication import ADMIN, KEY, NEEDS_ADMIN
from tenants.bodies import MAX_BYTES, Body
from tenants.db import table
from tenants.principal import Principal

logger = logging.getLogger(__name__)

PER_MINUTE, WINDOW_S = 10, 60
TIMEOUT_S = 20.0
MAX_TOKENS, SHOWN_CHARACTERS = 16, 400
QUESTION = "Reply with the single word: ok"
_ROW = sql.SQL(
    "SELECT name, kind, base_url, credential, catalog, settings, max_concurrency FROM {} WHERE name = %s"
)  # fmt: skip


class TrialBody(Body):
    model = serializers.CharField(max_length=120, help_text="As the provider is asked for it.")


class TrialErrorSerializer(serializers.Serializer[Any]):
    message = serializers.CharField()
    code = serializers.CharField(allow_null=True)


class TrialSerializer(serializers.Serializer[Any]):
    ok = serializers.BooleanField()
    latency_ms = serializers.FloatField()
    text = serializers.CharField(allow_null=True, help_text="The beginning of the answer.")
    error = TrialErrorSerializer(allow_null=True)


class TrialView(DataPlaneView):
    """Asks the provider a question of a few tokens. Nothing is cached or counted here."""

    @extend_schema(operation_id="test_provider", auth=KEY, request=TrialBody, responses=TrialSerializer)
    async def post(self, request: HttpRequest, headers: dict[bytes, bytes], request_id: str) -> Reply:
        gateway = await runtime.current()
        principal = await admission.authenticate(gateway, headers)
        if ADMIN not in principal.scopes:
            raise Forbidden(NEEDS_ADMIN)
        model = _model_of(request.read(MAX_BYTES + 1))
        provider = await _load(gateway, principal, self.kwargs["name"])
        await _count(gateway, principal)
        return json_reply(await _try(gateway, Candidate(provider, model)), request_id)


def _model_of(body: bytes) -> str:
    if len(body) > MAX_BYTES:
        raise PayloadTooLarge(f"The body may have up to {MAX_BYTES:,} bytes.")
    payload = openai_chat.parse_object(body)
    for name in payload.keys() - {"model"}:
        raise InvalidRequest(f"There is no field `{name}` here; there is: model.", param=name)
    model = payload.get("model")
    if not isinstance(model, str) or not model.isprintable() or not 0 < len(model) <= 120:
        raise InvalidRequest("`model` must be the name of a model that the provider has.", param="model")
    return model


async def _load(gateway: runtime.Gateway, principal: Principal, name: str) -> ProviderConfig:
    """From its row, not from a snapshot: it may have been made, or switched off, in this moment."""
    try:
        async with gateway.pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(_ROW.format(table(principal.schema, "gateway_provider")), (name,))
            row = await cursor.fetchone()
    except (Error, PoolTimeout) as error:
        raise Unavailable("The database cannot be reached; try again in a moment.", retry_after_s=2) from error
    if row is None:
        raise NotFound(f"There is no provider “{name}” here.")
    return provider_of(row, f"t{principal.tenant_id}")


async def _count(gateway: runtime.Gateway, principal: Principal) -> None:
    """Raises TooManyRequests. Without Redis it goes on, as all of the gateway does."""
    key = keyspace.provider_tests(principal.tenant_id)
    try:
        async with gateway.redis.pipeline(transaction=True) as pipe:
            # Sets the minute with the first test only.
            pipe.set(key, 0, ex=WINDOW_S, nx=True)
            pipe.incr(key)
            pipe.ttl(key)
            _, count, ttl_s = await pipe.execute()
    except (RedisError, OSError) as error:
        logger.error("tests of providers are not limited while Redis is away: %s", error)
        return
    if count > PER_MINUTE:
        raise TooManyRequests(
            f"Providers can be tested {PER_MINUTE} times a minute. Try again in {ttl_s} s.", retry_after_s=ttl_s
        )


async def _try(gateway: runtime.Gateway, candidate: Candidate) -> dict[str, Any]:
    provider = candidate.provider
    text, failure = None, None
    started = time.perf_counter()
    try:
        async with asyncio.timeout(TIMEOUT_S):
            body = await gateway.providers[provider.kind].complete(provider, _payload(candidate))
        text = _text_of(loaded(body, candidate), provider)
    except GatewayError as error:
        failure = {"message": _without_key(error.message, provider), "code": error.code}
    except TimeoutError:
        failure = {"message": f"{provider.name} did not answer within {TIMEOUT_S:g} s.", "code": "provider_timed_out"}
    return {
        "ok": failure is None,
        "latency_ms": round((time.perf_counter() - started) * 1000, 1),
        "text": None if text is None else _without_key(text, provider)[:SHOWN_CHARACTERS],
        "error": failure,
    }


def _payload(candidate: Candidate) -> dict[str, Any]:
    provider = candidate.provider
    # OpenAI's reasoning models refuse the old name, many compatible servers do not know the new one.
    is_openai = provider.kind == "openai" and "api.openai.com" in (provider.base_url or "api.openai.com")
    limit = "max_completion_tokens" if is_openai or provider.kind == "azure" else "max_tokens"
    return {"model": candidate.model, "messages": [{"role": "user", "content": QUESTION}], limit: MAX_TOKENS}


def _text_of(answer: dict[str, Any], provider: ProviderConfig) -> str:
    try:
        content = answer["choices"][0]["message"].get("content")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise ProviderFailed(f"{provider.name} sent an answer without choices.", provider=provider.name) from None
    # A model that thinks first may have used up its tokens.
    return content if isinstance(content, str) else ""


def _without_key(text: str, provider: ProviderConfig) -> str:
    """Some servers say again what they were sent."""
    return text.replace(provider.api_key, "…") if provider.api_key else text
