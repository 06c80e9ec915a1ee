"""A gateway process of the month: each of its calls goes through the gateway's own admission and settlement.

What a provider or the semantic tier would have answered is in the call. Whoever is started again goes on where the dead
one was; what was in flight then is not asked again.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import functools
import logging
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from analytics.events import HIT_SEMANTIC, UsageEvent
from billing import accounts, plans, pricing, quota
from billing.accounts import Account
from gateway import admission, metering, settlement
from gateway.dialects import anthropic_messages, openai_chat
from gateway.errors import ClientLeft, ProviderFailed, TooManyRequests
from gateway.runtime import Gateway
from gateway.settlement import Outcome
from gateway.types import CacheRules, Call, CallDefaults, Candidate, ChatRequest, Meta, Plan, ProviderConfig
from nexus.bench import month_tenants
from nexus.bench.month_calls import ASKED_ONCE, CALLS, MODELS, TAGS, Kind, Model
from nexus.bench.month_told import Told, Used
from tenants.principal import Principal

logger = logging.getLogger(__name__)

WORKSPACES = "workspaces.json"
AT_ONCE = 100
# What is streamed is held for a moment.
STREAM_S = 0.02
LOOK_S = 0.2
HOLD_TTL_S = 15
ONCE_TTL_S, AGAIN_TTL_S = 20, 86_400
# Of counters whose period ended weeks ago: here it was minutes ago.
AFTERLIFE_S = 60 * 86_400
# Where the cache has no part in it.
FRESH = {Kind.BYPASS: "BYPASS", Kind.REFRESH: "REFRESH"}


def told_file(folder: Path, number: int) -> Path:
    return folder / f"told-{number}.bin"


def run(folder: Path, number: int, of: int) -> None:
    """For as long as it lives: when its calls are over, the spool may still have something of the dead."""
    quota.AFTERLIFE_S = AFTERLIFE_S
    asyncio.run(Player(folder, number, of).play())


class Player:
    """The calls of one process, many at once, in the order of their times."""

    def __init__(self, folder: Path, number: int, of: int) -> None:
        self._gateway = Gateway()
        self._calls = np.load(folder / CALLS, mmap_mode="r")[number::of]
        self._workspaces = month_tenants.read(folder / WORKSPACES)
        self._told = Told.open(told_file(folder, number))
        self._accounts: dict[int, Account] = {}
        self._principals: dict[tuple[int, int], Principal] = {}

    async def play(self) -> None:
        gateway = self._gateway
        await gateway.pool.open()
        gateway.prices = await pricing.fetch_book(gateway.pool)
        for tenant, workspace in enumerate(self._workspaces):
            for key, public_id in enumerate(workspace.keys):
                principal = await plans.load_principal(gateway.pool, public_id)
                assert principal is not None
                self._principals[tenant, key] = principal
        todo = iter(range(self._told.place, len(self._calls)))
        await asyncio.gather(gateway.settler.run(), self._look(), self._serve_all(todo))

    async def _look(self) -> None:
        while True:
            self._told.settled = not self._gateway.settler.doubtful
            await asyncio.sleep(LOOK_S)

    async def _serve_all(self, todo: Iterator[int]) -> None:
        self._told.done = False
        try:
            await asyncio.gather(*(self._serve(todo) for _ in range(AT_ONCE)))
        except Exception:
            logger.exception("a call failed")
            self._told.failed = True
            raise
        self._told.done = True

    async def _serve(self, todo: Iterator[int]) -> None:
        for place in todo:
            self._told.place = place + 1
            await self._pass(self._calls[place])

    async def _pass(self, row: Any) -> None:
        """One call, first to last: what `gateway.pipeline` does without clients, providers and embeddings."""
        gateway, tenant = self._gateway, int(row["tenant"])
        call, outcome = self._call(row), _outcome(row)
        event = settlement.event_of(call, outcome, gateway.prices)
        most = _used(event)
        self._told.begin(tenant, most)
        try:
            hit = await admission.reserve(gateway, call)
        except TooManyRequests:
            # What is left of a quota is held by others: those that a kill has cut off hold it until they expire.
            self._told.refuse(tenant, most)
            return
        if hit is not None:
            self._told.end(tenant, most, Used(1, 0, 0))
            return
        if row["stream"]:
            await asyncio.sleep(STREAM_S)
        event = dataclasses.replace(event, id=call.id)
        await gateway.settler.settle(settlement.settlement_of(call, outcome, event, outcome.body))
        if call.held is None and call.rules.read_exact:
            self._told.doubt(tenant)
        self._told.end(tenant, most, _used(event))

    def _call(self, row: Any) -> Call:
        tenant, model = int(row["tenant"]), MODELS[row["model"]]
        principal = self._principals[tenant, int(row["key"])]
        at = float(row["at"])
        request = ChatRequest(
            {},
            model.name,
            stream=bool(row["stream"]),
            max_tokens=int(row["completion"]) + 50 if row["bounded"] else None,
            prompt_tokens=int(row["prompt"]) + 5,
        )
        kind = Kind(row["kind"])
        call = Call(
            id=admission.new_id(),
            request_id=admission.new_id(),
            dialect=anthropic_messages if model.catalog == "anthropic" else openai_chat,
            principal=principal,
            account=self._account(principal, at),
            request=request,
            rules=_rules(kind),
            plan=_plan(model, on_platform=tenant % 2 == 0),
            calls=CallDefaults(),
            fingerprint=f"{row['question']}" if row["question"] != ASKED_ONCE else uuid.uuid4().hex,
            tags=TAGS[row["tags"]],
            at=at,
            started=time.perf_counter() - float(row["latency_ms"]) / 1000,
        )
        if call.account.has_budget:
            call.unit_costs = metering.worst(self._gateway.prices, call.plan.candidates[0], request, call.when)
        return call

    def _account(self, principal: Principal, at: float) -> Account:
        """In the period of the call's own time."""
        account = self._accounts.get(principal.key_id)
        now = dt.datetime.fromtimestamp(at, dt.UTC)
        if account is None or not account.period.start <= now < account.period.end:
            account = accounts.account_of(principal, now, hold_ttl_s=HOLD_TTL_S)
            self._accounts[principal.key_id] = account
        return account


def _used(event: UsageEvent) -> Used:
    return Used(int(event.counts), event.billed_tokens, 0 if event.cost_usd is None else pricing.units(event.cost_usd))


@functools.cache
def _rules(kind: Kind) -> CacheRules:
    return CacheRules(read_exact=kind in {Kind.AGAIN, Kind.ONCE}, fresh_outcome=FRESH.get(kind, "MISS"))


@functools.cache
def _plan(model: Model, *, on_platform: bool) -> Plan:
    owner = "" if on_platform else "t1"
    provider = ProviderConfig(model.catalog, model.catalog, catalog=model.catalog, owner=owner)
    return Plan((Candidate(provider, model.name),), ())


def _outcome(row: Any) -> Outcome:
    """If the exact cache has no answer."""
    kind = Kind(row["kind"])
    outcome = Outcome(_rules(kind).fresh_outcome, _meta(row), paid_by_platform=int(row["tenant"]) % 2 == 0)
    outcome.provider_ms = float(row["latency_ms"])
    outcome.first_token_ms = outcome.provider_ms / 4 if row["stream"] else None
    match kind:
        case Kind.AGAIN | Kind.ONCE:
            outcome.body = b"x" * 200
            outcome.ttl_s = AGAIN_TTL_S if kind is Kind.AGAIN else ONCE_TTL_S
        case Kind.SEMANTIC:
            return Outcome(HIT_SEMANTIC, outcome.meta, similarity=0.93)
        case Kind.SHARED:
            return outcome.as_coalesced()
        case Kind.FAILED:
            return outcome.failed(ProviderFailed("It failed.", provider=MODELS[row["model"]].catalog))
        case Kind.LEFT:
            return outcome.failed(ClientLeft("The client left."))
    return outcome


def _meta(row: Any) -> Meta:
    model = MODELS[row["model"]]
    prompt, completion, apart = int(row["prompt"]), int(row["completion"]), int(row["apart"])
    details = {kind: completion // 2 if kind == "reasoning" else apart for kind in model.details} if apart else {}
    return Meta(
        entry_id=uuid.UUID(int=int(row["tenant"]) << 64 | int(row["question"]) & 0xFFFF).hex,
        created_at=time.time(),
        provider=model.catalog,
        simulated=False,
        catalog=model.catalog,
        upstream_model=model.name,
        prompt_tokens=prompt,
        cached_tokens=details.get("cached", 0),
        completion_tokens=completion,
        token_details=details or None,
    )
