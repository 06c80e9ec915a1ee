"""The front page's example: one question asked thrice, through the pipeline, in a workspace that only this uses.

A simulated provider answers there, so that nobody's money is spent. Without the workspace there are recorded figures.
"""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from typing import NamedTuple

import orjson
from django.db import transaction

from analytics import events
from billing import plans, subscriptions
from gateway import admission, pipeline, runtime, setups
from gateway.dialects import openai_chat
from gateway.errors import GatewayError, Unavailable
from gateway.types import Reply
from tenants import apikeys, provisioning
from tenants.models import ApiKey, Tenant
from tenants.principal import Principal

SLUG = "showcase"
# No address of a person's: by it the workspace is told from one that somebody has called the same.
EMAIL = "showcase@nexus.invalid"
MODEL = "gpt-4o"
# Like a model's of that size; its answers' tokens are priced as that model's.
LATENCY_MS = 640
ANSWER_TOKENS = 180
# Each run has a namespace of its own, so that it begins with a miss; its entries are of no use after it.
TTL_S = 60
# The answer is being written into the semantic cache meanwhile.
PAUSE_S = 0.15
# All addresses together.
RUNS_PER_MINUTE = 600
NO_LIMITS = dict.fromkeys(
    ("monthly_requests", "monthly_tokens", "tokens_per_minute", "daily_budget_usd", "monthly_budget_usd")
)


class Sample(NamedTuple):
    question: str
    paraphrase: str


SAMPLES = (
    Sample("How do I reset my password?", "I forgot my password, how can I reset it?"),
    Sample("What is your refund policy?", "Can you tell me what the refund policy is?"),
    Sample("How do I export my data as CSV?", "What is the way to export my data as a CSV file?"),
)


class Step(NamedTuple):
    """One call of the three, as the gateway answered it."""

    question: str
    outcome: str
    latency_ms: float
    cost_usd: Decimal
    saved_usd: Decimal
    similarity: float | None = None


def prepare() -> Tenant:
    """Makes what is missing of the workspace. Raises SlugTaken."""
    with transaction.atomic():
        tenant = _tenant()
        if tenant is None:
            tenant = provisioning.create_tenant(name="Front page", email=EMAIL, slug=SLUG, actor_label="showcase")
            limits = {**NO_LIMITS, "requests_per_minute": len(RECORDED) * RUNS_PER_MINUTE}
            subscriptions.change_plan(tenant, "scale", overrides=limits)
        if not apikeys.living(tenant).exists():
            # Nobody knows its text: it is what the calls are counted by.
            apikeys.issue(tenant, name="front page", actor_label="showcase")
        setups.configure_provider(tenant, name="model", kind="simulated", latency_ms=LATENCY_MS, tokens=ANSWER_TOKENS)
    return tenant


def _tenant() -> Tenant | None:
    return Tenant.objects.filter(slug=SLUG, email=EMAIL, status=Tenant.Status.ACTIVE).first()


def find_key() -> ApiKey | None:
    """In whose name the example runs; None where there is no workspace for it."""
    tenant = _tenant()
    return None if tenant is None else apikeys.living(tenant).order_by("pk").first()


async def run(public_id: str, sample: Sample) -> list[Step]:
    """A miss, the same again, the same in other words. Raises GatewayError."""
    gateway = await runtime.current()
    principal = await plans.load_principal(gateway.pool, public_id)
    if principal is None:
        raise Unavailable("The example's workspace is gone.")
    namespace = admission.new_id().encode()
    steps = [await _ask(gateway, principal, namespace, sample.question) for _ in range(2)]
    await asyncio.sleep(PAUSE_S)
    return [*steps, await _ask(gateway, principal, namespace, sample.paraphrase)]


async def _ask(gateway: runtime.Gateway, principal: Principal, namespace: bytes, question: str) -> Step:
    body = orjson.dumps({"model": MODEL, "messages": [{"role": "user", "content": question}]})
    headers = {b"x-nexus-cache-namespace": namespace, b"x-nexus-cache-ttl": b"%d" % TTL_S}
    began = time.perf_counter()
    incoming = admission.Incoming(openai_chat, headers, body, admission.new_id())
    admitted = await pipeline.admit(gateway, principal, incoming)
    reply = admitted if isinstance(admitted, Reply) else await pipeline.serve(gateway, admitted)
    latency_ms = (time.perf_counter() - began) * 1000
    said = {name.decode(): value.decode() for name, value in reply.headers}
    similarity = said.get("x-nexus-similarity")
    return Step(
        question,
        said["x-cache"],
        latency_ms,
        _usd(said["x-nexus-cost-usd"]),
        _usd(said["x-nexus-saved-usd"]),
        1.0 if said["x-cache"] == events.HIT_EXACT else float(similarity) if similarity else None,
    )


def _usd(said: str) -> Decimal:
    """Raises GatewayError: an example without a price shows nothing."""
    if said == "unknown":
        raise GatewayError(f"{MODEL} has no price in this gateway's catalog.")
    return Decimal(said)


# As it went on a machine with two cores, for where it cannot run.
RECORDED = (
    Step(SAMPLES[0].question, events.MISS, 833.0, Decimal("0.001825"), Decimal(0)),
    Step(SAMPLES[0].question, events.HIT_EXACT, 2.7, Decimal(0), Decimal("0.001825"), 1.0),
    Step(SAMPLES[0].paraphrase, events.HIT_SEMANTIC, 9.1, Decimal(0), Decimal("0.001825"), 0.939),
)
