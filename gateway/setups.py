"""How tenants have set up the gateway: providers, routes, cache and call settings, as snapshots of their tables."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
from django.conf import settings
from django.utils.translation import gettext
from psycopg import Error, sql
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from gateway.cache.rules import rules_of
from gateway.errors import Unavailable
from gateway.providers.vendors import VENDORS
from gateway.types import CacheRules, CallDefaults, Plan, ProviderConfig
from tenants import secretbox
from tenants.db import table
from tenants.shared import Shared

if TYPE_CHECKING:
    from tenants.models import Tenant
    from tenants.principal import Principal

logger = logging.getLogger(__name__)

SNAPSHOT_TTL_S = 30.0
MAX_SNAPSHOTS = 10_000
# Whose prices apply, by kind, unless the provider says otherwise.
CATALOGS = {kind: vendor.catalog for kind, vendor in VENDORS.items()} | {
    "anthropic": "anthropic",
    "gemini": "google",
    "cohere": "cohere",
    "simulated": "openai",
}


NO_CALL_SETTINGS = CallDefaults()
NO_CACHE_SETTINGS = CacheRules()


class TargetSetup(NamedTuple):
    """`provider` of None: whoever has the model."""

    provider: ProviderConfig | None
    model: str
    weight: int = 1
    tier: str = ""


class RouteSetup(NamedTuple):
    model: str
    strategy: str
    targets: tuple[TargetSetup, ...]
    hedge_after_s: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Setup:
    """One tenant's. `plans` remembers what routing found for a name, where that is always the same."""

    providers: tuple[ProviderConfig, ...]
    routes: dict[str, RouteSetup] = dataclasses.field(default_factory=dict)
    # What requests may do with the cache that say nothing about it; some routes have rules of their own.
    rules: CacheRules = NO_CACHE_SETTINGS
    rules_by_model: dict[str, CacheRules] = dataclasses.field(default_factory=dict)
    calls: CallDefaults = NO_CALL_SETTINGS
    plans: dict[str, Plan] = dataclasses.field(default_factory=dict, compare=False)

    def rules_of(self, model: str) -> CacheRules:
        return self.rules_by_model.get(model, self.rules)


def platform_provider() -> ProviderConfig:
    """Answers for tenants without a provider of their own. Without a key, nothing real can: it is simulated."""
    if settings.OPENAI_API_KEY:
        return ProviderConfig("openai", "openai", settings.OPENAI_BASE_URL, settings.OPENAI_API_KEY)
    return ProviderConfig(
        "simulated",
        "simulated",
        settings={"latency_ms": settings.SIMULATED_LATENCY_MS, "tokens_per_s": settings.SIMULATED_TOKENS_PER_S},
    )


class Setups:
    """Setups by tenant: asked of the database at most every 30 s, and at once after `forget`."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool
        self._snapshots: OrderedDict[int, tuple[Setup, float]] = OrderedDict()
        self._generation = 0
        self._loading = Shared(self._load_and_keep)

    def known(self, principal: Principal) -> Setup | None:
        snapshot = self._snapshots.get(principal.tenant_id)
        if snapshot is None or time.monotonic() - snapshot[1] > SNAPSHOT_TTL_S:
            return None
        return snapshot[0]

    async def of(self, principal: Principal) -> Setup:
        """Raises Unavailable when the database is away and the tenant is not known here."""
        if setup := self.known(principal):
            return setup
        try:
            return await self._loading.answer((principal.tenant_id, principal.schema, self._generation))
        except Exception as error:
            stale = self._snapshots.get(principal.tenant_id)
            if stale is None:
                logger.error("setup of tenant %s could not be read: %s", principal.tenant_id, error)
                raise Unavailable(
                    gettext("The database cannot be reached; try again in a moment."), retry_after_s=2
                ) from error
            logger.warning("database is away; tenant %s goes on with its last setup", principal.tenant_id)
            return stale[0]

    async def provider(self, principal: Principal, name: str) -> ProviderConfig | None:
        """From its row, not from a snapshot: it may have been made, or switched off, in this moment.

        Raises Unavailable.
        """
        query = f"SELECT {_PROVIDER_COLUMNS} FROM {{gateway_provider}} WHERE name = %s"
        try:
            async with self._pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
                await cursor.execute(_qualified(query, principal.schema), (name,))
                row = await cursor.fetchone()
        except (Error, PoolTimeout) as error:
            raise Unavailable(
                gettext("The database cannot be reached; try again in a moment."), retry_after_s=2
            ) from error
        return None if row is None else provider_of(row, f"t{principal.tenant_id}")

    def forget(self, message: str) -> None:
        """Applies a published revocation (tenants.keyspace.REVOCATIONS)."""
        self._generation += 1
        kind, _, name = message.partition(":")
        if kind == "tenant":
            self._snapshots.pop(int(name), None)
        elif kind == "*":
            self._snapshots.clear()

    async def _load_and_keep(self, asked: tuple[int, str, int]) -> Setup:
        """Of a tenant and its schema. Who asks after a `forget` is not given what was read before it."""
        tenant_id, schema, generation = asked
        setup = await self._load(tenant_id, schema)
        if generation == self._generation:
            self._snapshots[tenant_id] = (setup, time.monotonic())
            while len(self._snapshots) > MAX_SNAPSHOTS:
                self._snapshots.popitem(last=False)
        return setup

    async def _load(self, tenant_id: int, schema: str) -> Setup:
        async with self._pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            rows: list[list[dict[str, Any]]] = []
            for query in _QUERIES:
                await cursor.execute(_qualified(query, schema))
                rows.append(await cursor.fetchall())
        providers, targets, cache, calls = rows
        settings_row = cache[0] if cache else {}
        by_id = {row["id"]: provider_of(row, f"t{tenant_id}") for row in providers}
        return Setup(
            providers=tuple(by_id.values()) or (platform_provider(),),
            routes=_routes(targets, by_id),
            rules=rules_of(settings_row),
            rules_by_model={row["model"]: rules_of(settings_row, row["cache"]) for row in targets if row["cache"]},
            calls=CallDefaults(**calls[0]) if calls else NO_CALL_SETTINGS,
        )


# What `provider_of` reads.
_PROVIDER_COLUMNS = "name, kind, base_url, credential, catalog, settings, max_concurrency"
_QUERIES = (
    f"SELECT id, {_PROVIDER_COLUMNS} FROM {{gateway_provider}} WHERE enabled ORDER BY position, id",
    "SELECT r.model, r.strategy, r.hedge_after_ms, r.cache, t.provider_id, t.upstream_model, t.weight, t.tier"
    " FROM {gateway_route} r JOIN {gateway_target} t ON t.route_id = r.id ORDER BY r.id, t.position, t.id",
    "SELECT s.*, t.threshold AS learned_threshold, t.off AS learned_off,"
    " (t.figures->>'judged_hits')::int AS judged_hits"
    " FROM {gateway_cachesettings} s LEFT JOIN {gateway_cachetuning} t ON t.id = s.id",
    "SELECT on_disconnect, drain_limit_s FROM {gateway_callsettings}",
)
_TABLES = (
    "gateway_provider",
    "gateway_route",
    "gateway_target",
    "gateway_cachesettings",
    "gateway_cachetuning",
    "gateway_callsettings",
)


def _qualified(query: str, schema: str) -> sql.Composed:
    return sql.SQL(query).format(**{name: table(schema, name) for name in _TABLES})


def provider_of(row: dict[str, Any], owner: str) -> ProviderConfig:
    """`row` has `_PROVIDER_COLUMNS`."""
    sealed = bytes(row["credential"])
    called = orjson.dumps([row["kind"], row["base_url"], row["settings"], sealed.hex()])
    return ProviderConfig(
        row["name"],
        row["kind"],
        row["base_url"],
        _opened(sealed, row["name"], owner) if sealed else "",
        row["catalog"] or CATALOGS.get(row["kind"], ""),
        row["settings"],
        owner,
        row["max_concurrency"],
        hashlib.blake2b(called, digest_size=6).hexdigest(),
    )


def _opened(sealed: bytes, name: str, owner: str) -> str:
    """One credential that cannot be read must not take the tenant's other providers away."""
    try:
        return secretbox.open_sealed(sealed)
    except secretbox.Unreadable as error:
        logger.error("the credential of %s's provider %s cannot be read: %s", owner, name, error)
        return ""


def _routes(rows: list[dict[str, Any]], providers: dict[int, ProviderConfig]) -> dict[str, RouteSetup]:
    """Targets of providers that are switched off are left out; a route may end up with none."""
    routes: dict[str, RouteSetup] = {}
    for row in rows:
        hedge_after_s = row["hedge_after_ms"] / 1000 if row["hedge_after_ms"] else None
        route = routes.get(row["model"]) or RouteSetup(row["model"], row["strategy"], (), hedge_after_s)
        if row["provider_id"] is None or row["provider_id"] in providers:
            provider = providers.get(row["provider_id"])
            target = TargetSetup(provider, row["upstream_model"], row["weight"], row["tier"])
            route = route._replace(targets=(*route.targets, target))
        routes[row["model"]] = route
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
