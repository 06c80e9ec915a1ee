"""Usage events as the data plane writes them, for tests of what becomes of them."""

from __future__ import annotations

import time
import uuid
from decimal import Decimal
from typing import Any

import orjson
import redis
from django.conf import settings

from analytics.events import HIT_EXACT, MISS, UsageEvent
from tenants import keyspace
from tests.conftest import Workspace

# Of the price catalog: 0.15 and 0.60 USD per million tokens.
PRICED = {"provider": "openai", "catalog": "openai", "upstream_model": "gpt-4o-mini"}
COST_USD = Decimal("0.00000015") * 10 + Decimal("0.0000006") * 20


def miss(workspace: Workspace, **facts: Any) -> UsageEvent:
    """A priced answer of 10 + 20 tokens."""
    now = time.time()
    defaults: dict[str, Any] = {
        **PRICED,
        "id": str(uuid.uuid4()),
        "request_id": uuid.uuid4().hex,
        "tenant_id": workspace.tenant.pk,
        "key_id": workspace.api_key.pk,
        "at": now,
        "period": int(workspace.tenant.subscription.anchor_at.timestamp()),
        "dialect": "openai_chat",
        "outcome": MISS,
        "model": "gpt-4o-mini",
        "prompt_tokens": 10,
        "completion_tokens": 20,
        "billed_tokens": 30,
        "cost_usd": COST_USD,
        "saved_usd": Decimal(0),
        "latency_ms": 420.5,
    }
    return UsageEvent(**{**defaults, **facts})


def exact_hit(workspace: Workspace, **facts: Any) -> UsageEvent:
    """As the edge writes it: of the answer it knows nothing, that is in the entry (`meta`)."""
    nothing: dict[str, Any] = dict.fromkeys(("prompt_tokens", "completion_tokens", "billed_tokens"), 0)
    nothing |= {"provider": "", "catalog": "", "upstream_model": "", "cost_usd": None, "saved_usd": None}
    return miss(workspace, **{**nothing, "outcome": HIT_EXACT, "latency_ms": 0.6, **facts})


def meta(**facts: Any) -> bytes:
    """What an exact entry says about its answer."""
    described = {**PRICED, "simulated": False, "prompt_tokens": 10, "cached_tokens": 0, "completion_tokens": 20}
    return orjson.dumps({**described, "entry_id": str(uuid.uuid4()), **facts})


def client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, protocol=2)


def stream_of(workspace: Workspace) -> str:
    return keyspace.usage_stream(keyspace.partition(workspace.tenant.pk))


def send(stream: str, *events: UsageEvent) -> None:
    """Exact hits that are not coalesced come with their entry's description."""
    with client() as connection, connection.pipeline(transaction=False) as pipe:
        for event in events:
            fields: dict[Any, Any] = {b"e": event.write()}
            if event.outcome == HIT_EXACT and not event.coalesced:
                fields[b"m"] = meta()
            pipe.xadd(stream, fields)
        pipe.execute()
