"""One tiny question to a provider of the workspace, to see whether its address, key and model are right.

It goes past cache, quota, breakers and places; the provider may charge for it.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import extend_schema
from rest_framework import serializers

from gateway import admission, runtime
from gateway.api import pace
from gateway.dialects import openai_chat
from gateway.dialects.chat_fields import MAX_MODEL_CHARACTERS, model_of
from gateway.dialects.simple_chat import text_of
from gateway.dispatch import loaded_answer
from gateway.errors import Forbidden, GatewayError, InvalidRequest, NotFound, PayloadTooLarge
from gateway.providers.openai import limit_field
from gateway.types import Candidate, ProviderConfig, Reply
from gateway.views import DataPlaneView, json_reply
from tenants import keyspace, roles
from tenants.authentication import KEY, lacks
from tenants.bodies import MAX_BYTES, Body
from tenants.principal import Principal
from tenants.roles import Action

PER_MINUTE = 10
TESTED = gettext_lazy("Providers can be tested %(times)s times a minute. Try again in %(seconds)s s.")
TIMEOUT_S = 20.0
MAX_TOKENS, SHOWN_CHARACTERS = 16, 400
QUESTION = "Reply with the single word: ok"


class TrialBody(Body):
    model = serializers.CharField(max_length=MAX_MODEL_CHARACTERS, help_text="As the provider is asked for it.")


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
        if not roles.does(principal.scopes, Action.PROVIDERS):
            raise Forbidden(lacks(Action.PROVIDERS))
        model = _read(request.read(MAX_BYTES + 1))
        return json_reply(await try_out(gateway, principal, self.kwargs["name"], model), request_id)


async def try_out(gateway: runtime.Gateway, principal: Principal, name: str, model: str) -> dict[str, Any]:
    """As TrialSerializer has it. Raises NotFound, TooManyRequests, Unavailable."""
    provider = await gateway.setups.provider(principal, name)
    if provider is None:
        raise NotFound(f"There is no provider “{name}” here.")
    await pace.count(gateway.lane, keyspace.provider_tests(principal.tenant_id), PER_MINUTE, TESTED)
    return await _try(gateway, Candidate(provider, model))


def _read(body: bytes) -> str:
    if len(body) > MAX_BYTES:
        raise PayloadTooLarge(f"The body may have up to {MAX_BYTES:,} bytes.")
    payload = openai_chat.parse_object(body)
    for name in payload.keys() - {"model"}:
        raise InvalidRequest(f"There is no field `{name}` here; there is: model.", param=name)
    return model_of(payload, "a model that the provider has")


async def _try(gateway: runtime.Gateway, candidate: Candidate) -> dict[str, Any]:
    provider = candidate.provider
    text, failure = None, None
    started = time.perf_counter()
    try:
        async with asyncio.timeout(TIMEOUT_S):
            body = await gateway.providers[provider.kind].complete(provider, _payload(candidate))
        # A model that thinks first may have used up its tokens, and say nothing.
        text = text_of(loaded_answer(body, candidate))
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
    messages = [{"role": "user", "content": QUESTION}]
    return {"model": candidate.model, "messages": messages, limit_field(candidate.provider): MAX_TOKENS}


def _without_key(text: str, provider: ProviderConfig) -> str:
    """Some servers say again what they were sent."""
    return text.replace(provider.api_key, "…") if provider.api_key else text
