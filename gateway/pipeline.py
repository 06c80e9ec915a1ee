"""One request, start to finish:

    authenticate → parse → route → fingerprint → reserve     `admit`, at the edge: refusals and exact hits end here
    join a flight, or lead one                               `serve`, in the DRF view
    semantic lookup → provider → settle → end                `fly`, in a task that no client owns

Every other module of the data plane is a step that is named here.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging

from django.conf import settings

from analytics.events import HIT_EXACT, HIT_SEMANTIC
from gateway import admission, answers, observing, relay, settlement
from gateway.cache import policy, privacy
from gateway.cache.semantic import Probe
from gateway.errors import ClientLeft, GatewayError, NotInCache, ProviderFailed, ProviderTimedOut, Unavailable
from gateway.idempotency import Replay
from gateway.relay import Flight
from gateway.runtime import Gateway
from gateway.settlement import Outcome
from gateway.types import Call, Reply, Sampling
from tenants import tracing
from tenants.principal import Principal

logger = logging.getLogger(__name__)


async def answer(gateway: Gateway, incoming: admission.Incoming) -> Reply:
    """The whole way; for servers without the edge in front. Raises GatewayError."""
    principal = await admission.authenticate(gateway, incoming.headers)
    admitted = await admit(gateway, principal, incoming)
    return admitted if isinstance(admitted, Reply) else await serve(gateway, admitted)


async def admit(gateway: Gateway, principal: Principal, incoming: admission.Incoming) -> Call | Reply:
    """Lets a request in, with a hold on what it may use, or answers it from the exact cache. Raises GatewayError."""
    call = await admission.prepare(gateway, principal, incoming)
    if call.idempotency_key is None:
        hit = await admission.reserve(gateway, call)
        return call if hit is None else answers.from_cache(gateway, call, hit.meta, hit.body)
    return await admit_once(gateway, call, incoming)


async def admit_once(gateway: Gateway, call: Call, incoming: admission.Incoming) -> Call | Reply:
    """The same for a request with an Idempotency-Key: a repeated one gets the first one's answer, free of charge."""
    replay = await gateway.claims.claim(call, incoming.dialect.NAME, incoming.body)
    if replay is not None:
        return answers.from_cache(gateway, call, replay.meta, replay.body, replayed=replay.outcome)
    try:
        hit = await admission.reserve(gateway, call)
    except BaseException:
        await asyncio.shield(gateway.claims.release(call))
        raise
    if hit is None:
        return call
    await gateway.claims.keep(call, Replay(hit.meta, hit.body, HIT_EXACT))
    return answers.from_cache(gateway, call, hit.meta, hit.body)


async def serve(gateway: Gateway, call: Call) -> Reply:
    """The answer to an admitted call: it joins an identical one under way, or sets off its own. Raises GatewayError."""
    flight = gateway.flights.join(call)
    if flight is not None:
        if call.visit.trace is not None and flight.trace is not None:
            with tracing.span("join a flight") as span:
                span.link(flight.trace)
        settled = gateway.tasks.spawn(settle_follower(gateway, call, flight))
        return await answers.from_flight(gateway, call, flight, settled, coalesced=True)
    flight, settled = gateway.flights.lead(call, functools.partial(fly, gateway))
    return await answers.from_flight(gateway, call, flight, settled)


async def fly(gateway: Gateway, call: Call, flight: Flight) -> None:
    """Gets the answer, settles it, stores it, and ends the flight; whatever happens, and whoever still listens."""
    probe, outcome = Probe(), Outcome(call.rules.fresh_outcome)
    error: GatewayError | None = None
    try:
        with tracing.span("semantic lookup"):
            found = await gateway.semantic.lookup(call, probe)
        outcome.reason = probe.reason
        if found is not None and not call.rules.shadow:
            outcome = Outcome(HIT_SEMANTIC, found.meta, similarity=found.similarity, served=found)
            relay.replay(found.body, call, flight, outcome)
        elif call.rules.only_if_cached:
            raise NotInCache("Only a cached answer was asked for, and there is none.")
        else:
            outcome.shadow = found
            await ask(gateway, call, flight, probe, outcome)
    except TimeoutError:
        if flight.abandoned:
            error = ClientLeft("The client left.")
        else:
            error = ProviderTimedOut(f"No complete answer within {settings.CALL_DEADLINE_S:g} s.", provider="")
    except GatewayError as failure:
        error = failure
    except asyncio.CancelledError:
        error = Unavailable("The gateway is shutting down; try again.", retry_after_s=1)
    except Exception:
        logger.exception("request %s failed", call.request_id)
        error = GatewayError("The gateway failed on this request; its log has the request id.")
    try:
        await land(gateway, call, outcome, error, probe, flight.body)
    finally:
        flight.end(error)


async def ask(gateway: Gateway, call: Call, flight: Flight, probe: Probe, outcome: Outcome) -> None:
    """A provider's answer; when none can be had, one from the cache that may be past its time. Raises GatewayError."""
    async with asyncio.timeout(settings.CALL_DEADLINE_S) as deadline:
        flight.on_abandoned = functools.partial(abandon, call, deadline)
        if flight.abandoned:
            flight.on_abandoned()
        before_ms = call.elapsed_ms
        try:
            upstream = await gateway.dispatcher.first_success(call)
        except (ProviderFailed, Unavailable):
            found = await gateway.semantic.stand_in(call, probe)
            if found is None:
                raise
            outcome.stand_in(found)
            relay.replay(found.body, call, flight, outcome)
            return
        outcome.waited_ms = call.elapsed_ms - before_ms
        await relay.drain(upstream, call, flight, outcome)


def abandon(call: Call, deadline: asyncio.Timeout) -> None:
    """Nobody listens any more: the answer is stopped, at once or after a while, as the tenant chose."""
    now = asyncio.get_running_loop().time()
    wait_s = 0 if call.calls.on_disconnect == "cancel" else call.calls.drain_limit_s
    with contextlib.suppress(RuntimeError):  # it has ended in this moment
        deadline.reschedule(min(deadline.when() or now, now + wait_s))


async def land(
    gateway: Gateway, call: Call, outcome: Outcome, error: GatewayError | None, probe: Probe, body: bytes | None
) -> None:
    """Exactly once for every admitted call: the hold goes back, what was used is booked, the answer is kept."""
    if error is not None:
        outcome = outcome.failed(error)
    elif outcome.body is not None:
        kind = policy.classify(call.request.question or "", call.rules.own)
        outcome.ttl_s = min(call.rules.ttl_s, kind.ttl_s)
        outcome.body = privacy.kept_body(call, outcome.body)
    event = settlement.event_of(call, outcome, gateway.prices)
    settlement.tell(call.visit, event)
    if error is not None and call.idempotency_key is not None:
        await gateway.claims.release(call)
    with tracing.span("settle"):
        event = settlement.traced(event)
        await gateway.settler.settle(settlement.settlement_of(call, outcome, event, body if error is None else None))
    observing.settled(call, outcome, event)
    if outcome.body is not None and outcome.meta is not None and outcome.ttl_s > 0:
        gateway.semantic.store(call, probe, outcome.body, outcome.meta, outcome.ttl_s)
    if call.rules.sampling is not None and error is None:
        sample(gateway, call, call.rules.sampling, probe, outcome)


def sample(gateway: Gateway, call: Call, shares: Sampling, probe: Probe, outcome: Outcome) -> None:
    """What the semantic tier found may be put aside, to be judged later."""
    if outcome.served is not None:
        gateway.sampler.offer(call, "hit", shares.hits, outcome.served, None)
    elif outcome.shadow is not None:
        gateway.sampler.offer(call, "shadow", shares.shadow, outcome.shadow, outcome.body)
    elif probe.near_miss is not None and outcome.body is not None:
        gateway.sampler.offer(call, "near_miss", shares.near_misses, probe.near_miss, outcome.body)


async def settle_follower(gateway: Gateway, call: Call, flight: Flight) -> None:
    """A call that joined another's flight is let go and recorded on its own; its answer costs nothing more."""
    await flight.finished()
    outcome = flight.source.as_coalesced() if flight.source else Outcome(call.rules.fresh_outcome)
    await land(gateway, call, outcome, flight.error, Probe(), flight.body)
