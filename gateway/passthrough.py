"""Calls of OpenAI's API that no dialect speaks: passed on as they are, with another key. Both bodies stream.

Limits and metering as for all calls; nothing is retried, cached or translated. What keeps data at the provider needs a
provider of the tenant's own: with the platform's key, workspaces would see each other's files.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

import aiohttp
import orjson
from django.conf import settings

from billing import pricing
from gateway import admission, answers, observing, passed_cost, settlement
from gateway.blocks import Blocks
from gateway.dialects import openai_chat
from gateway.errors import (
    ClientLeft,
    Forbidden,
    GatewayError,
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    ProviderError,
    ProviderFailed,
    ProviderTimedOut,
)
from gateway.multipart import ModelField
from gateway.providers import http
from gateway.providers.openai import endpoint
from gateway.providers.vendors import VENDORS
from gateway.settlement import Outcome
from gateway.setups import Setup
from gateway.tags import tags_of
from gateway.types import CacheRules, Call, Candidate, ChatRequest, Headers, Meta, Plan, ProviderConfig, Reply, Usage
from tenants import tracing
from tenants.network import PrivateAddress
from tenants.visits import Visit

if TYPE_CHECKING:
    from gateway.runtime import Gateway
    from tenants.principal import Principal

NAME = "passthrough"
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
METHODS = WITH_BODY | {"GET", "DELETE"}
STATELESS = frozenset(
    {
        "audio/speech", "audio/transcriptions", "audio/translations", "completions", "images/edits",
        "images/generations", "images/variations", "moderations",
    }
)  # fmt: skip
STATEFUL = frozenset(
    {
        "assistants", "batches", "containers", "evals", "files", "fine_tuning", "threads", "uploads", "vector_stores",
        "videos",
    }
)  # fmt: skip
_PATH = re.compile(r"[A-Za-z0-9_.~/-]+")
_SENT = frozenset({b"accept", b"content-type", b"content-length", b"openai-beta", b"range"})
_RETURNED = frozenset({"content-type", "content-disposition", "content-range", "accept-ranges", "openai-processing-ms"})
# Where an answer tells its usage: at its end. In a file's content it tells of something else.
_TAIL_BYTES = 64 * 1024
# Usage records have no room for more.
MODEL_CHARACTERS = 120
_TELLS = frozenset({"application/json", "text/event-stream"})

ReadBlock = Callable[[], Awaitable[bytes | None]]


class Incoming(NamedTuple):
    """A request as it came. `read` gives the body's next block, None at its end."""

    method: str
    path: str
    query: bytes
    headers: dict[bytes, bytes]
    request_id: str
    read: ReadBlock
    visit: Visit | None = None


def route_of(path: str) -> str:
    """A taken path's template: ids and what comes after them are left out."""
    first = path.partition("/")[0]
    return path if path in STATELESS or path == first else f"{first}/{{path}}"


def takes(path: str) -> bool:
    """Whether a path (without `/v1/`) is passed on."""
    return path in STATELESS or path.partition("/")[0] in STATEFUL


async def answer(gateway: Gateway, principal: Principal, incoming: Incoming) -> Reply:
    """Raises GatewayError."""
    setup = gateway.setups.known(principal) or await gateway.setups.of(principal)
    provider = _provider(setup, incoming)
    body = await _json_body(incoming)
    model = _model(body, principal, incoming)
    if body and (principal.allowed_models or provider.on_platform):
        # Of a name that stands twice in it, the provider might take the one that was not looked at.
        body = _tidied(body)
    call = _call(gateway, principal, setup, incoming, provider, model)
    if incoming.method not in WITH_BODY:
        # To look and to delete costs nothing; of all else nobody can say beforehand what it will cost.
        call.unit_costs = (0, 0)
    await admission.reserve(gateway, call)
    begun: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
    passing = _Passing(gateway, call, incoming, provider, body, begun)
    task = gateway.tasks.spawn(passing.run())
    try:
        return await asyncio.shield(begun)
    except asyncio.CancelledError:
        task.cancel()
        raise


def _tidied(body: bytes) -> bytes:
    """Raises InvalidRequest."""
    try:
        return orjson.dumps(openai_chat.parse_object(body))
    except TypeError:
        # What can be read may be nested too deeply to be written.
        raise InvalidRequest("The body is nested too deeply.", code="invalid_json") from None


def _provider(setup: Setup, incoming: Incoming) -> ProviderConfig:
    """Raises NotFound, Forbidden."""
    if not _PATH.fullmatch(incoming.path) or ".." in incoming.path or "/./" in f"/{incoming.path}/":
        raise NotFound(f"There is nothing at /v1/{incoming.path}.")
    name = incoming.headers.get(b"x-nexus-provider", b"").decode("latin-1")
    able = [one for one in setup.providers if one.kind in VENDORS and name in ("", one.name)]
    if not able:
        what = f"No provider “{name}” here speaks" if name else "No provider here speaks"
        raise NotFound(f"{what} OpenAI's API, to which /v1/{incoming.path} would be passed on.")
    if incoming.path not in STATELESS and not able[0].owner:
        raise Forbidden(
            f"/v1/{incoming.path} keeps data at the provider, and this one is shared by all workspaces."
            " Set up a provider of your own.",
            code="own_provider_needed",
        )
    return able[0]


async def _json_body(incoming: Incoming) -> bytes | None:
    """A JSON body, whole; None for any other, which streams."""
    if not incoming.headers.get(b"content-type", b"").lower().startswith(b"application/json"):
        return None
    blocks, size = [], 0
    while (block := await incoming.read()) is not None:
        blocks.append(block)
        size += len(block)
        if size > settings.MAX_BODY_BYTES:
            raise PayloadTooLarge(f"The body may have up to {settings.MAX_BODY_BYTES:,} bytes.")
    return b"".join(blocks)


def _model(body: bytes | None, principal: Principal, incoming: Incoming) -> str:
    """As the body names it; empty when it does not. Raises InvalidRequest, Forbidden."""
    model = openai_chat.parse_object(body).get("model") if body else None
    if model is not None and (not isinstance(model, str) or len(model) > MODEL_CHARACTERS or not model.isprintable()):
        raise InvalidRequest("`model` must be the name of a model.", param="model")
    if principal.allowed_models and incoming.method != "GET" and model not in principal.allowed_models:
        raise Forbidden(
            f"This key may use {', '.join(sorted(principal.allowed_models))} alone, and the request does not name one"
            " of them in a JSON body.",
            code="model_not_allowed",
            param="model",
        )
    return model or ""


def _call(
    gateway: Gateway, principal: Principal, setup: Setup, incoming: Incoming, provider: ProviderConfig, model: str
) -> Call:
    way = Candidate(provider, model)
    visit = incoming.visit or Visit(incoming.request_id)
    visit.model = model
    return Call(
        id=admission.new_id(),
        request_id=incoming.request_id,
        dialect=Dialect,
        principal=principal,
        account=gateway.account_of(principal),
        request=ChatRequest({}, model or incoming.path[:MODEL_CHARACTERS]),
        # Nothing is looked up or kept.
        rules=CacheRules(read_exact=False, read_semantic=False, write=False, semantic=False, fresh_outcome="BYPASS"),
        plan=Plan((way,), ((provider.name, model),)),
        calls=setup.calls,
        fingerprint="",
        tags=tags_of(incoming.headers, {}),
        visit=visit,
    )


class Dialect:
    """What usage records and errors call it."""

    NAME = NAME
    render_error = staticmethod(openai_chat.render_error)


@dataclasses.dataclass
class _Passing:
    """One call on its way; settled when its answer has ended, or the client has left."""

    gateway: Gateway
    call: Call
    incoming: Incoming
    provider: ProviderConfig
    body: bytes | None
    begun: asyncio.Future[Reply]
    blocks: Blocks = dataclasses.field(default_factory=Blocks)
    sent_bytes: int = 0
    upload_error: GatewayError | None = None
    tail: bytes = b""
    tells_usage: bool = False

    def __post_init__(self) -> None:
        self._form = ModelField(self.incoming.headers.get(b"content-type", b""))
        # To look and to delete costs nothing, even if what is looked at tells what it once cost.
        self._is_work = self.incoming.method in WITH_BODY

    async def run(self) -> None:
        outcome = Outcome("BYPASS")
        error: GatewayError | None = None
        started = time.perf_counter()
        try:
            with tracing.span(f"pass on {self.call.visit.route}", tracing.CLIENT):
                await self._pass(outcome)
        except GatewayError as failure:
            error = failure
        except asyncio.CancelledError:
            error = ClientLeft("The client left, or the gateway is shutting down.")
        outcome.provider_ms = (time.perf_counter() - started) * 1000
        outcome.meta = self._meta(passed_cost.usage_in(self.tail, self.incoming.path))
        outcome.paid_by_platform = self.provider.on_platform
        if error is not None:
            outcome = outcome.failed(error)
        event = settlement.event_of(self.call, outcome, self.gateway.prices)
        if outcome.meta is not None:
            model = self._form.model or event.model
            event = dataclasses.replace(event, model=model, cost_usd=self._cost(outcome, event.cost_usd))
        settlement.tell(self.call.visit, event)
        with tracing.span("settle"):
            event = settlement.traced(event)
            await self.gateway.settler.settle(settlement.settlement_of(self.call, outcome, event, None))
        observing.settled(self.call, outcome, event)
        if isinstance(error, ProviderError):
            observing.provider_failed(self.call.plan.candidates[0], error)
        if not self.begun.done():
            self.begun.set_exception(error or GatewayError("The provider's answer did not begin."))
        else:
            with contextlib.suppress(ClientLeft):
                await self.blocks.put(error)

    async def _pass(self, outcome: Outcome) -> None:
        provider = self.provider
        try:
            async with self._request() as response:
                if response.status in {401, 402, 403} or response.status >= 500:
                    raise await self.gateway.http.refusal(response, provider)
                outcome.status = response.status
                self.tells_usage = self._is_work and response.content_type in _TELLS
                self.begun.set_result(Reply(response.status, self._headers(response, outcome), aiter(self.blocks)))
                async for block in response.content.iter_any():
                    if self.tells_usage:
                        self.tail = (self.tail + block)[-_TAIL_BYTES:]
                    await self.blocks.put(block)
        except TimeoutError as error:
            raise ProviderTimedOut(f"{provider.name} did not answer in time.", provider=provider.name) from error
        except PrivateAddress as error:
            raise http.private(provider) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if self.upload_error is not None:
                raise self.upload_error from error
            if isinstance(error.__cause__, PrivateAddress):
                raise http.private(provider) from error
            raise ProviderFailed(
                f"{provider.name} could not be reached or broke off: {type(error).__name__}.", provider=provider.name
            ) from error

    @contextlib.asynccontextmanager
    async def _request(self) -> AsyncIterator[aiohttp.ClientResponse]:
        url, credential = endpoint(self.provider, self.incoming.path)
        if self.incoming.query:
            url += ("&" if "?" in url else "?") + self.incoming.query.decode("latin-1")
        given = self.incoming.headers.items()
        headers = {name.decode(): value.decode("latin-1") for name, value in given if name in _SENT}
        has_body = self.incoming.method in WITH_BODY
        if not has_body or self.body is not None:
            headers.pop("content-length", None)
        if (parent := tracing.traceparent()) is not None:
            headers["traceparent"] = parent
        session = self.gateway.http.session_for(self.provider, url)
        async with contextlib.AsyncExitStack() as stack:
            async with asyncio.timeout(settings.CALL_DEADLINE_S):
                response = await stack.enter_async_context(
                    session.request(
                        self.incoming.method,
                        url,
                        data=None if not has_body else self.body if self.body is not None else self._upload(),
                        headers={**headers, **credential},
                        allow_redirects=False,
                    )
                )
            yield response

    async def _upload(self) -> AsyncIterator[bytes]:
        try:
            while (block := await self.incoming.read()) is not None:
                self.sent_bytes += len(block)
                if self.sent_bytes > settings.MAX_UPLOAD_BYTES:
                    raise PayloadTooLarge(f"The body may have up to {settings.MAX_UPLOAD_BYTES:,} bytes.")
                self._form.add(block)
                yield block
        except GatewayError as error:
            self.upload_error = error
            raise OSError("the upload ended") from error

    def _headers(self, response: aiohttp.ClientResponse, outcome: Outcome) -> Headers:
        outcome.meta = self._meta(Usage())
        headers = answers.headers_of(self.gateway, self.call, outcome)
        if outcome.status < 400 and self._is_work and self._price() is None:
            headers += answers.money_headers(None, Decimal(0))
        # It may be a page: of whom it is, nobody here knows.
        headers.append(answers.NOSNIFF)
        headers += [
            (name.lower().encode(), answers.header_value(value))
            for name, value in response.headers.items()
            if name.lower() in _RETURNED
        ]
        return headers

    def _price(self) -> pricing.UnitPrice | None:
        """None where nobody knows it, and for what is not paid for by its tokens alone."""
        if self.incoming.path not in STATELESS:
            return None
        return self.gateway.prices.unit_price(self.provider.catalog, self._model(), self.call.when)

    def _cost(self, outcome: Outcome, by_tokens: Decimal | None) -> Decimal | None:
        refused = outcome.status >= 400 and not outcome.error
        return passed_cost.cost(outcome, self._price(), by_tokens) if self._is_work and not refused else Decimal(0)

    def _model(self) -> str:
        return self._form.model or self.call.plan.candidates[0].model

    def _meta(self, usage: Usage) -> Meta:
        provider = self.provider
        return Meta(
            entry_id="",
            created_at=round(time.time(), 3),
            provider=provider.name,
            simulated=False,
            catalog=provider.catalog,
            upstream_model=self._model(),
            **usage._asdict(),
        )
