"""The parts of the data plane in one process: made at start, closed after the last call has been settled."""

from __future__ import annotations

import asyncio
import contextvars
import datetime as dt
import functools
import logging
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
from django.conf import settings

from billing import accounts, ledger, outage, plans, pricing, quota, throttle
from gateway import departure, process_gauges, reporting
from gateway.breaker import Breakers
from gateway.cache.embedding import choose
from gateway.cache.embedding.base import EmbeddingError
from gateway.cache.reembedding import Reembedder
from gateway.cache.sampling import Sampler
from gateway.cache.semantic import SemanticCache
from gateway.dispatch import Dispatcher, Latencies
from gateway.idempotency import Claims
from gateway.providers import anthropic, gemini, network
from gateway.providers.base import Provider
from gateway.providers.cohere import Cohere
from gateway.providers.http import Http
from gateway.providers.openai import OpenAI
from gateway.providers.simulated import Simulated
from gateway.providers.vendors import VENDORS
from gateway.relay import Flights, Tasks
from gateway.routing import Signals
from gateway.setups import Setups
from gateway.slots import Slots
from tenants import keyspace, known_tokens, principal
from tenants.db import check_lane, make_bus, make_lane, make_pool
from tenants.network import allowed
from tenants.principal import Directory, Principal
from tenants.wrong_keys import Guesses

if TYPE_CHECKING:
    from gateway.cache.embedding.measured import Measured
    from gateway.cache.embedding.minilm import MiniLM

logger = logging.getLogger(__name__)

# Streams may go on this long after SIGTERM.
DRAIN_S = 20.0
MAX_ACCOUNTS = 50_000


class Gateway:
    """What the steps of the pipeline work with."""

    def __init__(self) -> None:
        self.pool = make_pool()
        self._bus = make_bus(timeout_s=settings.REDIS_TIMEOUT_MS / 1000)
        self._listening = make_bus(timeout_s=None)
        self.directory = Directory(self._load_principal, self._lives)
        self.guesses = Guesses()
        self.setups = Setups(self.pool)
        self.lane = make_lane(timeout_s=settings.REDIS_TIMEOUT_MS / 1000)
        self.quota = quota.Quota(self.lane, self._read_ledger)
        self.settler = outage.Settler(self.quota, outage.Spool(settings.SPOOL_DIR))
        self.lane.on_break = self.settler.doubt
        self.buckets = outage.LocalBuckets()
        self.throttle = throttle.Throttle(self.lane)
        self.prices = pricing.PriceBook()
        self.embedder = make_embedder()
        self.semantic = SemanticCache(self.pool, self.embedder)
        self.sampler = Sampler(self.pool)
        self.tasks = Tasks()
        self.flights = Flights(self.tasks)
        self.latencies = Latencies()
        # What routing looks at.
        self.signals = Signals(self.latencies.of, self.prices)
        self.breakers = Breakers(self.lane, self._announce)
        self.slots = Slots(self.lane)
        self.claims = Claims(self.lane)
        self.providers: dict[str, Provider] = {}
        self.dispatcher = Dispatcher(self.providers, self.breakers, self.slots, self.latencies)
        self._serving = False
        self._sessions: list[aiohttp.ClientSession] = []
        self.http: Http
        self._background: list[asyncio.Task[Any]] = []
        self._accounts: dict[str, accounts.Account] = {}
        process_gauges.attach(self)

    async def start(self) -> None:
        """Serves from here on, also when a part is away: it is asked again when it is needed.

        Raises ImproperlyConfigured where a part is there, and refuses us.
        """
        await check_lane(self.lane)
        timeout_s = settings.FIRST_BYTE_TIMEOUT_S
        may_be_called = allowed(private=settings.PRIVATE_PROVIDERS)
        session = network.make_session(read_timeout_s=timeout_s)
        theirs = network.make_session(read_timeout_s=timeout_s, allowed=may_be_called)
        self._sessions = [session, theirs]
        self.http = Http(session, first_byte_timeout_s=timeout_s, theirs=theirs, allowed=may_be_called)
        self.providers.update(make_providers(session, theirs))
        await self.pool.open()
        if settings.CROSS_ENCODER_DIR:
            from gateway.cache.cross_encoder import CrossEncoder

            self.semantic.second_reader = await asyncio.to_thread(
                CrossEncoder.load, Path(settings.CROSS_ENCODER_DIR), minimum=settings.CROSS_ENCODER_MIN
            )
        self._background = [
            asyncio.create_task(self._load_embedder()),
            asyncio.create_task(self._load_prices()),
            asyncio.create_task(self._load_platform_limits()),
            asyncio.create_task(self.settler.run()),
            asyncio.create_task(reporting.run()),
            asyncio.create_task(Reembedder(self.pool, self.embedder).run()),
            asyncio.create_task(principal.listen(self._listening, self.directory, self._forget, keyspace.REVOCATIONS)),
        ]
        # The first request should not wait for the model; without it the semantic tier is skipped.
        await asyncio.wait(self._background[:3], timeout=30)
        self._serving = True

    async def close(self) -> None:
        """Lets what is under way end, then closes what it used."""
        self._serving = False
        departure.when_hurried(self.tasks.cut)
        await self.tasks.drain(DRAIN_S)
        await self.semantic.close()
        await self.sampler.close()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self.embedder.close()
        if self.semantic.second_reader is not None:
            self.semantic.second_reader.close()
        for session in self._sessions:
            await session.close()
        await self.pool.close()
        await self.lane.aclose()
        await self._bus.aclose()
        await self._listening.aclose()
        reporting.leave()

    @property
    def ready(self) -> bool:
        """Whether more may be sent here."""
        return self._serving and not departure.is_leaving()

    def account_of(self, principal: Principal) -> accounts.Account:
        """The caller's account in the period of now."""
        now = dt.datetime.now(dt.UTC)
        account = self._accounts.get(principal.public_id)
        if account is None or account.principal is not principal or now >= account.period.end:
            if len(self._accounts) >= MAX_ACCOUNTS:
                self._accounts.clear()
            account = accounts.account_of(principal, now, hold_ttl_s=settings.HOLD_TTL_S)
            self._accounts[principal.public_id] = account
        return account

    async def _load_principal(self, public_id: str) -> Principal | None:
        return await plans.load_principal(self.pool, public_id)

    async def _lives(self, family: str) -> int | None:
        return await known_tokens.fetch_lives(self.pool, family)

    async def _read_ledger(self, tenant_id: int, start: dt.datetime, today: dt.date) -> ledger.Used:
        try:
            return await ledger.used(self.pool, tenant_id, start, today)
        except Exception as error:
            # Without the ledger nobody knows what is left: limits fall back to this process, as without Redis.
            raise quota.RedisAway("the ledger cannot be read") from error

    async def _load_embedder(self) -> None:
        try:
            await self.embedder.start()
        except EmbeddingError as error:
            logger.error("the semantic tier is off: %s", error)

    async def _load_prices(self) -> None:
        try:
            self.prices = await pricing.fetch_book(self.pool)
            self.signals = Signals(self.latencies.of, self.prices)
        except Exception as error:
            logger.warning("price overrides could not be read, the catalog's prices apply: %s", error)

    async def _load_platform_limits(self) -> None:
        try:
            self.throttle.limits = await throttle.fetch_limits(self.pool)
        except Exception as error:
            logger.warning("the platform's limits could not be read, those of before apply: %s", error)

    async def _announce(self, message: str) -> None:
        await self._bus.publish(keyspace.REVOCATIONS, message)

    def _forget(self, message: str) -> None:
        self.setups.forget(message)
        self.breakers.learn(message)
        kind, _, name = message.partition(":")
        if kind == "tenant":
            self.breakers.forget(f"t{name}")
        if message in _RELOADS:
            self._background.append(asyncio.create_task(_RELOADS[message](self)))


_RELOADS = {"prices": Gateway._load_prices, "platform": Gateway._load_platform_limits}


def make_providers(session: aiohttp.ClientSession, theirs: aiohttp.ClientSession | None = None) -> dict[str, Provider]:
    """By kind (gateway.models.Provider.Kind). Tenants' own are called through `theirs`."""
    http = functools.partial(
        Http,
        session,
        first_byte_timeout_s=settings.FIRST_BYTE_TIMEOUT_S,
        theirs=theirs,
        allowed=allowed(private=settings.PRIVATE_PROVIDERS),
    )
    return {
        **dict.fromkeys(VENDORS, OpenAI(http())),
        "anthropic": anthropic.Anthropic(http(read_error=anthropic.read_error)),
        "gemini": gemini.Gemini(http(read_error=gemini.read_error)),
        "cohere": Cohere(http()),
        "simulated": Simulated(),
    }


def make_embedder() -> Measured:
    """The one that NEXUS_EMBEDDER names. Raises ValueError."""
    choice = choose.parse(
        settings.EMBEDDER, openai_api_key=settings.OPENAI_API_KEY, openai_base_url=settings.OPENAI_BASE_URL
    )
    surroundings = choose.Surroundings(
        deadline_s=settings.EMBEDDING_DEADLINE_MS / 1000,
        load_local=load_model,
        models_dir=settings.MODEL_DIR,
        openai_api_key=settings.OPENAI_API_KEY,
        openai_base_url=settings.OPENAI_BASE_URL,
    )
    return choose.make(choice, surroundings)


def load_model() -> MiniLM:
    """Builds it first where it was not built. Raises ModelUnavailable."""
    # Here, because a process that leaves embedding to another one has no use for 60 MB of runtime.
    from gateway.cache.embedding import build
    from gateway.cache.embedding.minilm import MiniLM

    source = Path(settings.MODEL_SOURCE_DIR) if settings.MODEL_SOURCE_DIR else None
    return MiniLM.load(build.ensure(settings.MODEL_DIR, source_dir=source))


_gateways: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Task[Gateway]] = weakref.WeakKeyDictionary()


async def current() -> Gateway:
    """The gateway of this event loop, started on first use."""
    loop = asyncio.get_running_loop()
    task = _gateways.get(loop)
    if task is None:
        # Nothing of it belongs to the request that came first.
        task = _gateways[loop] = loop.create_task(_started(), context=contextvars.Context())
    return await asyncio.shield(task)


async def running() -> Gateway | None:
    """The gateway of this event loop, if it was started."""
    task = _gateways.get(asyncio.get_running_loop())
    return None if task is None else await asyncio.shield(task)


async def close() -> None:
    """Closes the gateway of this event loop, if it was started."""
    task = _gateways.pop(asyncio.get_running_loop(), None)
    if task is not None:
        await (await task).close()


async def _started() -> Gateway:
    gateway = Gateway()
    await gateway.start()
    return gateway
