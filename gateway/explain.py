"""What would be done with a chat request, and why: who would be asked, and what the cache could answer.

Goes the same steps as the request itself up to the hold (`admission.prepare`): nothing is held, counted, asked for or
kept. Whether quota and limits would let it in is not looked at.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any

import psycopg
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from psycopg_pool import PoolTimeout
from rest_framework import serializers

from analytics.events import BYPASS, REFRESH
from gateway import admission, complexity, routing, runtime
from gateway.api import pace
from gateway.cache import policy, privacy
from gateway.cache.embedding.base import EmbeddingError
from gateway.cache.semantic import Neighbour
from gateway.errors import GatewayError
from gateway.setups import RouteSetup
from gateway.types import CacheRules, Call, Candidate, ChatRequest, Reply
from gateway.views import DataPlaneView, json_reply
from tenants import kept, keyspace
from tenants.authentication import KEY
from tenants.principal import Principal

SWITCHED_OFF = gettext_noop("this tier is switched off, by the workspace or by X-Nexus-Cache")
NOT_A_QUESTION = gettext_noop(
    "only a user's last message of plain text is compared by meaning, with n of 1 and without tools"
)
NO_DATABASE = gettext_noop("the database cannot be reached")
# Of a workspace, on the page and by the API: each embeds a text, and costs nothing.
PER_MINUTE = 120
EXPLAINED = _("Requests can be explained %(times)s times a minute. Try again in %(seconds)s s.")
_NOT_ASKED = {
    BYPASS: gettext_noop("the request leaves the cache alone"),
    REFRESH: gettext_noop("the request asks for a new answer"),
}
# Programs are told in English; pages look these up.
kept.keep(SWITCHED_OFF, NOT_A_QUESTION, NO_DATABASE, *_NOT_ASKED.values(), *policy.REASONS)
kept.keep(*(feature.reason for feature in complexity.FEATURES.values()))


async def answer(gateway: runtime.Gateway, principal: Principal, incoming: admission.Incoming) -> Reply:
    """200 also for a request that would be refused: `error` says how. Raises TooManyRequests."""
    await pace.count(gateway.lane, keyspace.explanations(principal.tenant_id), PER_MINUTE, EXPLAINED)
    return json_reply(await explain(gateway, principal, incoming), incoming.request_id)


async def explain(gateway: runtime.Gateway, principal: Principal, incoming: admission.Incoming) -> dict[str, Any]:
    """As ExplanationSerializer has it, also for a request that would be refused: `error` says how."""
    found: dict[str, Any] = dict.fromkeys(ExplanationSerializer().fields)
    try:
        # On its own first, so that a model that may not be asked for is named.
        found["model"] = incoming.dialect.parse(incoming.body).model
        call = await admission.prepare(gateway, principal, incoming)
        route = routing.route_of(await gateway.setups.of(principal), call.request.model)
        found |= {
            **_routing(call, route),
            "candidates": [_candidate(gateway, candidate, call.request) for candidate in call.plan.candidates],
            "cache": await _cache(gateway, call),
            "priority": call.priority,
        }
    except GatewayError as error:
        found["error"] = {"status": error.status, "type": error.type, "code": error.code, "param": error.param}
        found["error"]["message"] = error.message
    return found


def _routing(call: Call, route: RouteSetup | None) -> dict[str, Any]:
    request, plan = call.request, call.plan
    by_complexity = route is not None and route.strategy == "complexity"
    return {
        "route": route.model if route else None,
        "strategy": route.strategy if route else None,
        "hedge_after_ms": None if plan.hedge_after_s is None else plan.hedge_after_s * 1000,
        "variant": plan.variant or None,
        "subject": _subject(call) if plan.variant else None,
        "complexity": complexity.assess(request)._asdict() if by_complexity else None,
    }


def _subject(call: Call) -> str:
    """The same for one subject of one workspace; an end user's name or words are not shown."""
    text = f"{call.principal.tenant_id}\n{routing.subject_of(call.request)}"
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=8).hexdigest()


def _candidate(gateway: runtime.Gateway, candidate: Candidate, request: ChatRequest) -> dict[str, Any]:
    usd = routing.estimated_usd(candidate, request, gateway.prices, dt.datetime.now(dt.UTC))
    latency_ms = gateway.latencies.of(candidate)
    return {
        "provider": candidate.provider.name,
        "model": candidate.model,
        "simulated": candidate.provider.simulated,
        "breaker": {
            "state": gateway.breakers.state_of(candidate),
            "next_try_in_s": round(gateway.breakers.opens_in_s(candidate), 3),
        },
        "latency_ms": None if latency_ms is None else round(latency_ms, 1),
        "estimated_cost_usd": None if usd is None else float(usd),
    }


async def _cache(gateway: runtime.Gateway, call: Call) -> dict[str, Any]:
    question, rules = call.request.question, call.rules
    off = _NOT_ASKED.get(rules.fresh_outcome, "")
    exact = "" if rules.read_exact else off or SWITCHED_OFF
    semantic = off or _semantic_refusal(question, rules)
    near: list[Neighbour] = []
    if not semantic:
        try:
            near = await gateway.semantic.survey(call)
        except EmbeddingError as error:
            semantic = str(error)
        except (psycopg.Error, PoolTimeout):
            semantic = NO_DATABASE
    cacheability = privacy.classify(question or "", rules)
    return {
        "exact": {"possible": not exact, "reason": exact or None},
        "semantic": {
            "possible": not semantic,
            "reason": semantic or None,
            "threshold": rules.threshold,
            "shadow": rules.shadow,
            "nearest": [neighbour._asdict() for neighbour in near],
        },
        "kept": rules.write,
        "ttl_s": min(rules.ttl_s, cacheability.ttl_s),
        "namespace": rules.namespace or None,
        "tags": rules.tags,
        "fingerprint": call.fingerprint,
        "scope": call.scope,
    }


def _semantic_refusal(question: str | None, rules: CacheRules) -> str:
    if not rules.read_semantic:
        return SWITCHED_OFF
    if question is None:
        return NOT_A_QUESTION
    cacheability = privacy.classify(question, rules)
    return "" if cacheability.semantic else cacheability.reason


# --- the endpoint, and what /api/docs/ says of its answer -----------------------------------------------------------


class BreakerSerializer(serializers.Serializer[Any]):
    state = serializers.ChoiceField(["closed", "open", "half-open"], help_text="An open one is passed over.")
    next_try_in_s = serializers.FloatField()


class CandidateSerializer(serializers.Serializer[Any]):
    provider = serializers.CharField()
    model = serializers.CharField()
    simulated = serializers.BooleanField()
    breaker = BreakerSerializer()
    latency_ms = serializers.FloatField(allow_null=True, help_text="To the first token, of late; null: not known.")
    estimated_cost_usd = serializers.FloatField(allow_null=True, help_text="Null: the model has no known price.")


class AssessmentSerializer(serializers.Serializer[Any]):
    complex = serializers.BooleanField()
    score = serializers.FloatField(help_text="0 to 1.")
    reasons = serializers.ListField(child=serializers.CharField())


class TierSerializer(serializers.Serializer[Any]):
    possible = serializers.BooleanField(help_text="Whether this tier would be asked.")
    reason = serializers.CharField(allow_null=True, help_text="Why not.")


class NeighbourSerializer(serializers.Serializer[Any]):
    entry_id = serializers.CharField(help_text="See /v1/cache/{id}.")
    prompt = serializers.CharField(help_text="The question that was answered.")
    similarity = serializers.FloatField()
    guard = serializers.CharField(allow_null=True, help_text="Which guard refuses it; null: none does.")
    reason = serializers.CharField(allow_null=True)


class SemanticTierSerializer(TierSerializer):
    threshold = serializers.FloatField()
    shadow = serializers.BooleanField(help_text="It would report, and not answer.")
    nearest = NeighbourSerializer(many=True, help_text="The first at or above the threshold without a guard answers.")


class CacheSerializer(serializers.Serializer[Any]):
    exact = TierSerializer()
    semantic = SemanticTierSerializer()
    kept = serializers.BooleanField(help_text="Whether a new answer would be kept.")
    ttl_s = serializers.IntegerField()
    namespace = serializers.CharField(allow_null=True)
    tags = serializers.ListField(child=serializers.CharField())
    fingerprint = serializers.CharField(help_text="Requests with the same one share an exact entry.")
    scope = serializers.CharField(allow_null=True, help_text="Only questions of one scope are compared by meaning.")


class ErrorSerializer(serializers.Serializer[Any]):
    status = serializers.IntegerField()
    message = serializers.CharField()
    type = serializers.CharField()
    param = serializers.CharField(allow_null=True)
    code = serializers.CharField(allow_null=True)


class ExplanationSerializer(serializers.Serializer[Any]):
    """All are null where the request would be refused, but `error`, and `model` if it could be read."""

    model = serializers.CharField(allow_null=True, help_text="As it was asked for.")
    route = serializers.CharField(allow_null=True, help_text="Null: no route has this name.")
    strategy = serializers.CharField(allow_null=True)
    hedge_after_ms = serializers.FloatField(allow_null=True)
    variant = serializers.CharField(allow_null=True, help_text="What a weighted route chose.")
    subject = serializers.CharField(allow_null=True, help_text="Digest of the user or conversation that sticks to it.")
    complexity = AssessmentSerializer(allow_null=True)
    candidates = CandidateSerializer(many=True, allow_null=True, help_text="In the order in which they are asked.")
    priority = serializers.ChoiceField(["high", "default", "low"], allow_null=True)
    cache = CacheSerializer(allow_null=True)
    error = ErrorSerializer(allow_null=True)


class ExplainView(DataPlaneView):
    """What would be done with a Chat Completions request, and why. Spends, counts and keeps nothing."""

    admit = staticmethod(answer)

    @extend_schema(
        operation_id="explain_routing", auth=KEY, request=OpenApiTypes.OBJECT, responses=ExplanationSerializer
    )
    async def post(self, request: HttpRequest, headers: dict[bytes, bytes], request_id: str) -> Reply:
        gateway = await runtime.current()
        principal = await admission.authenticate(gateway, headers)
        return await answer(gateway, principal, admission.Incoming(self.dialect, headers, request.body, request_id))
