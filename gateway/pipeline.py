"""One request, start to finish:

    authenticate → parse → route → fingerprint → reserve     `admit`, at the edge: refusals and exact hits end here
    join a flight, or lead one                               `serve`, in the DRF view
    semantic lookup → provider → settle → end                `fly`, in a task that no client owns

Every other module of the data plane is a step that is named here.
"""

from __future__ import annotations

import asyncio
import functools
import logging

from django.conf import settings

from analytics.events import HIT_SEMANTIC
from gateway import admission, answers, dispatch, relay, settlement
from gateway.cache import policy
from gateway.cache.semantic import Probe
from gateway.errors import GatewayError, NotInCache, ProviderTimedOut, Unavailable
from gateway.relay import Flight
from gateway.runtime import Gateway
from gateway.settlement import Outcome
from gateway.types import Call, Reply
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
    hit = await admission.reserve(gateway, call)
    return call if hit is None else answers.from_cache(gateway, call, hit)


async def serve(gateway: Gateway, call: Call) -> Reply:
    """The answer to an admitted call: it joins an identical one under way, or sets off its own. Raises GatewayError."""
    flight = gateway.flights.join(call)
    if flight is not None:
        settled = gateway.tasks.spawn(settle_follower(gateway, call, flight))
        return await answers.from_flight(gateway, call, flight, settled, coalesced=True)
    flight, settled = gateway.flights.lead(call, functools.partial(fly, gateway))
    return await answers.from_flight(gateway, call, flight, settled)


async def fly(gateway: Gateway, call: Call, flight: Flight) -> None:
    """Gets the answer, settles it, stores it, and ends the flight; whatever happens, and whoever still listens."""
    probe, outcome = Probe(), Outcome(call.rules.fresh_outcome)
    error: GatewayError | None = None
    try:
        found = await gateway.semantic.lookup(call, probe)
        if found is not None:
            outcome = Outcome(HIT_SEMANTIC, found.meta, similarity=found.similarity)
            relay.replay(found.body, call, flight, outcome)
        elif call.rules.only_if_cached:
            raise NotInCache("Only a cached answer was asked for, and there is none.")
        else:
            async with asyncio.timeout(settings.CALL_DEADLINE_S):
                upstream = await dispatch.first_success(gateway.providers, call)
                await relay.drain(upstream, call, flight, outcome)
    except TimeoutError:
        error = ProviderTimedOut(f"No complete answer within {settings.CALL_DEADLINE_S:g} s.", provider="")
    except GatewayError as failure:
        error = failure
    except asyncio.CancelledError:
        error = Unavailable("The gateway is shutting down; try again.", retry_after_s=1)
    except Exception:
        logger.exception("request %s failed", call.request_id)
        error = GatewayError("The gateway failed on this request; its log has the request id.")
    try:
        await land(gateway, call, outcome, error, probe)
    finally:
        flight.end(error)


async def land(gateway: Gateway, call: Call, outcome: Outcome, error: GatewayError | None, probe: Probe) -> None:
    """Exactly once for every admitted call: the hold goes back, what was used is booked, the answer is kept."""
    if error is not None:
        outcome = outcome.failed(error)
    elif outcome.body is not None:
        outcome.ttl_s = min(call.rules.ttl_s, policy.classify(call.request.question or "").ttl_s)
    event = settlement.event_of(call, outcome, gateway.prices)
    await gateway.settler.settle(settlement.settlement_of(call, outcome, event))
    if outcome.body is not None and outcome.meta is not None and outcome.ttl_s > 0:
        gateway.semantic.store(call, probe, outcome.body, outcome.meta, outcome.ttl_s)


async def settle_follower(gateway: Gateway, call: Call, flight: Flight) -> None:
    """A call that joined another's flight is let go and recorded on its own; its answer costs nothing more."""
    await flight.finished()
    outcome = flight.source.as_coalesced() if flight.source else Outcome(call.rules.fresh_outcome)
    await land(gateway, call, outcome, flight.error, Probe())
