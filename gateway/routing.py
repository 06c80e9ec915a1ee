"""Who may answer: a tenant's providers, routes and cache settings, as a snapshot, and the candidates for a model."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from django.conf import settings
from psycopg import sql
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from gateway.errors import Forbidden, ModelNotFound, Unavailable
from gateway.types import Candidate, ProviderConfig
from tenants import secretbox
from tenants.db import table

if TYPE_CHECKING:
    from tenants.models import Tenant
    from tenants.principal import Principal

logger = logging.getLogger(__name__)

SNAPSHOT_TTL_S = 30.0
MAX_SNAPSHOTS = 10_000


@dataclasses.dataclass(frozen=True, slots=True)
class CacheDefaults:
    """The tenant's row of CacheSettings, or these values when there is none."""

    exact: bool = True
    semantic: bool = True
    threshold: float = 0.85
    ttl_s: int = 7 * 86400


@dataclasses.dataclass(frozen=True, slots=True)
class Setup:
    """How one tenant has set up the gateway."""

    providers: tuple[ProviderConfig, ...]
    routes: dict[str, tuple[Candidate, ...]]
    cache: CacheDefaults = CacheDefaults()


def platform_provider() -> ProviderConfig:
    """Answers for tenants without a provider of their own. Without a key, nothing real can: it is simulated."""
    if settings.OPENAI_API_KEY:
        return ProviderConfig("openai", "openai", settings.OPENAI_BASE_URL, settings.OPENAI_API_KEY)
    return ProviderConfig(
        "simulated",
        "simulated",
        settings={"latency_ms": settings.SIMULATED_LATENCY_MS, "tokens_per_s": settings.SIMULATED_TOKENS_PER_S},
    )


def candidates(setup: Setup, principal: Principal, model: str) -> tuple[Candidate, ...]:
    """In the order in which to ask them. Raises Forbidden, ModelNotFound."""
    if principal.allowed_models and model not in principal.allowed_models:
        raise Forbidden(
            f"This key may not use the model “{model}”. It may use: {', '.join(sorted(principal.allowed_models))}.",
            code="model_not_allowed",
            param="model",
        )
    if routed := setup.routes.get(model):
        return routed
    able = tuple(
        Candidate(provider, model)
        for provider in setup.providers
        if not provider.simulated or is_priced(provider, model)
    )
    if not able:
        raise ModelNotFound(
            f"No provider here has a model “{model}”. GET /v1/models lists those that can be asked for.", param="model"
        )
    return able


def is_priced(provider: ProviderConfig, model: str) -> bool:
    """The simulated provider stands in for models that exist; a typing error in a model's name should show."""
    # Half a second to import.
    from genai_prices.data_snapshot import get_snapshot

    known = _KNOWN.get((provider.catalog, model))
    if known is None:
        try:
            get_snapshot().find_provider_model(model, None, provider.catalog, None)
            known = True
        except LookupError:
            known = False
        if len(_KNOWN) < 10_000:
            _KNOWN[(provider.catalog, model)] = known
    return known


_KNOWN: dict[tuple[str, str], bool] = {}


# What the simulated provider lists: a few that people know. It answers for every model of its catalog.
_WELL_KNOWN = ("gpt-4o-mini", "gpt-4o", "gpt-4.1-mini", "gpt-4.1", "gpt-5-mini", "gpt-5")


def model_names(setup: Setup, principal: Principal) -> dict[str, str]:
    """Names that can be asked for, with who answers: routes first, then what providers list."""
    names = {model: ways[0].provider.name for model, ways in setup.routes.items()}
    for provider in setup.providers:
        for model in provider.settings.get("models") or (_WELL_KNOWN if not setup.routes else ()):
            names.setdefault(model, provider.name)
    if principal.allowed_models:
        names = {model: names.get(model, setup.providers[0].name) for model in sorted(principal.allowed_models)}
    return names


class Setups:
    """Setups by tenant: asked of the database at most every 30 s, and at once after `forget`."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool
        self._snapshots: OrderedDict[int, tuple[Setup, float]] = OrderedDict()
        self._generation = 0

    def known(self, principal: Principal) -> Setup | None:
        snapshot = self._snapshots.get(principal.tenant_id)
        if snapshot is None or time.monotonic() - snapshot[1] > SNAPSHOT_TTL_S:
            return None
        return snapshot[0]

    async def of(self, principal: Principal) -> Setup:
        """Raises Unavailable when the database is away and the tenant is not known here."""
        if setup := self.known(principal):
            return setup
        generation = self._generation
        try:
            setup = await self._load(principal.schema)
        except Exception as error:
            stale = self._snapshots.get(principal.tenant_id)
            if stale is None:
                raise Unavailable("The database cannot be reached; try again in a moment.", retry_after_s=2) from error
            logger.warning("database is away; tenant %s goes on with its last setup", principal.tenant_id)
            return stale[0]
        if generation == self._generation:
            self._snapshots[principal.tenant_id] = (setup, time.monotonic())
            while len(self._snapshots) > MAX_SNAPSHOTS:
                self._snapshots.popitem(last=False)
        return setup

    def forget(self, message: str) -> None:
        """Applies a published revocation (tenants.keyspace.REVOCATIONS)."""
        self._generation += 1
        kind, _, name = message.partition(":")
        if kind == "tenant":
            self._snapshots.pop(int(name), None)
        elif kind == "*":
            self._snapshots.clear()

    async def _load(self, schema: str) -> Setup:
        async with self._pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            rows: list[list[dict[str, Any]]] = []
            for query in _QUERIES:
                await cursor.execute(_qualified(query, schema))
                rows.append(await cursor.fetchall())
        providers, routes, cache = rows
        by_id = {row["id"]: _provider(row) for row in providers}
        return Setup(
            providers=tuple(by_id.values()) or (platform_provider(),),
            routes=_routes(routes, by_id),
            cache=CacheDefaults(**cache[0]) if cache else CacheDefaults(),
        )


_QUERIES = (
    "SELECT id, name, kind, base_url, credential, catalog, settings FROM {gateway_provider}"
    " WHERE enabled ORDER BY position, id",
    "SELECT model, provider_id, upstream_model FROM {gateway_route} ORDER BY position, id",
    "SELECT exact, semantic, threshold, ttl_s FROM {gateway_cachesettings}",
)


def _qualified(query: str, schema: str) -> sql.Composed:
    tables = ("gateway_provider", "gateway_route", "gateway_cachesettings")
    return sql.SQL(query).format(**{name: table(schema, name) for name in tables})


def _provider(row: dict[str, Any]) -> ProviderConfig:
    sealed = bytes(row["credential"])
    return ProviderConfig(
        row["name"],
        row["kind"],
        row["base_url"],
        secretbox.open_sealed(sealed) if sealed else "",
        row["catalog"],
        row["settings"],
    )


def _routes(rows: list[dict[str, Any]], providers: dict[int, ProviderConfig]) -> dict[str, tuple[Candidate, ...]]:
    routes: dict[str, tuple[Candidate, ...]] = {}
    for row in rows:
        if provider := providers.get(row["provider_id"]):
            routes[row["model"]] = (*routes.get(row["model"], ()), Candidate(provider, row["upstream_model"]))
    return routes


def configure_provider(
    tenant: Tenant, *, name: str, kind: str, base_url: str = "", api_key: str = "", **settings_of_kind: Any
) -> None:
    """Sets up, or changes, a provider of the tenant's own; for sync code."""
    from gateway.models import Provider
    from tenants import revocations
    from tenants.db import schema_of

    with schema_of(tenant):
        Provider.objects.update_or_create(
            name=name,
            defaults={
                "kind": kind,
                "base_url": base_url,
                "credential": secretbox.seal(api_key) if api_key else b"",
                "settings": settings_of_kind,
            },
        )
    revocations.publish(f"tenant:{tenant.pk}")
