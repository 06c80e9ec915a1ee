"""Who is calling: the frozen `Principal` that goes down the call, and the in-process snapshots it comes from.

A snapshot lives at most 30 s and is dropped at once when a revocation is published. Refuses to answer "unknown key"
when it could not ask: that is `DirectoryUnavailable`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import hmac
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

from tenants import keys, tokens
from tenants.known_tokens import KnownTokens, Lives
from tenants.limits import NO_LIMITS, Limits
from tenants.shared import Shared

logger = logging.getLogger(__name__)

SNAPSHOT_TTL_S = 30.0
# While Postgres is away, known keys go on for this long.
STALE_TTL_S = 3600.0
UNKNOWN_TTL_S = 5.0
MAX_SNAPSHOTS = 50_000
# Apart from those of keys: who makes ids up must not push out keys that are used.
MAX_UNKNOWN = 10_000


class DirectoryUnavailable(Exception):
    """The key is not known here and the database cannot be asked."""


@dataclasses.dataclass(frozen=True, slots=True)
class Principal:
    tenant_id: int
    schema: str
    slug: str
    active: bool
    key_id: int
    public_id: str
    secret_sha256: bytes
    plan: str
    limits: Limits
    key_limits: Limits = NO_LIMITS
    # Whether a model without a known price is refused where a dollar budget applies.
    refuse_unpriced: bool = True
    scopes: frozenset[str] = frozenset()
    allowed_models: frozenset[str] = frozenset()
    priority: str = "default"
    expires_at: dt.datetime | None = None
    revoked: bool = False
    # Not active, because it is on its way to another database.
    moving: bool = False
    # Monthly periods begin on this day and time of the month.
    period_anchor: dt.datetime = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)

    def is_valid_at(self, now: dt.datetime) -> bool:
        return not self.revoked and (self.expires_at is None or now < self.expires_at)


Load = Callable[[str], Awaitable[Principal | None]]


@dataclasses.dataclass(slots=True)
class _Snapshot:
    principal: Principal
    loaded_at: float


class Directory:
    """Principals by API key, or by an access token that stands for one.

    `load` asks the database by public id, `lives` whose a family of tokens is; both raise when it is away.
    """

    def __init__(self, load: Load, lives: Lives) -> None:
        self._load = load
        self._tokens = KnownTokens(lives)
        self._by_public_id: OrderedDict[str, _Snapshot] = OrderedDict()
        # When the database last said that there is no such key.
        self._unknown: OrderedDict[str, float] = OrderedDict()
        # Ids of keys that there were, whatever has been forgotten of them since.
        self._heard_of: OrderedDict[str, None] = OrderedDict()
        self._by_key: dict[str, Principal] = {}
        self._loading = Shared(self._load_and_keep)
        self._generation = 0

    def known(self, key: str) -> Principal | None:
        """The principal of a key or token that was verified here less than 30 s ago; no I/O."""
        principal = self._by_key.get(key)
        if principal is None:
            principal = self._tokens.known(key)
            if principal is None:
                return None
        snapshot = self._by_public_id.get(principal.public_id)
        if (
            snapshot is None
            or snapshot.principal is not principal
            or time.monotonic() - snapshot.loaded_at > SNAPSHOT_TTL_S
        ):
            self._by_key.pop(key, None)
            return None
        return principal

    async def find(self, key: str) -> Principal | None:
        """The principal of a key or token, or None when there is no such one. Raises `DirectoryUnavailable`."""
        if tokens.looks_like_one(key):
            return await self._find_by_token(key)
        parts = keys.parse(key)
        if parts is None:
            return None
        principal = await self._by_id(parts.public_id)
        if principal is None or not hmac.compare_digest(principal.secret_sha256, parts.secret_sha256):
            return None
        if len(self._by_key) >= MAX_SNAPSHOTS:
            self._by_key.clear()
        self._by_key[key] = principal
        return principal

    async def _find_by_token(self, text: str) -> Principal | None:
        claims = self._tokens.claims_of(text)
        if claims is None:
            return None
        principal = await self._by_id(claims.public_id)
        if principal is None or principal.tenant_id != claims.tenant_id:
            return None
        try:
            if await self._tokens.key_of(claims.family) != principal.key_id:
                return None
        except Exception as error:
            raise DirectoryUnavailable from error
        self._tokens.keep(text, claims, principal)
        return principal

    def has_heard_of(self, key: str) -> bool:
        """Whether there is a key of this public id, or was this token, as far as this process knows; no I/O."""
        return keys.id_in(key) in self._heard_of or self._tokens.has(key)

    async def _by_id(self, public_id: str) -> Principal | None:
        snapshot = self._by_public_id.get(public_id)
        now = time.monotonic()
        if snapshot is not None and now - snapshot.loaded_at <= SNAPSHOT_TTL_S:
            return snapshot.principal
        if now - self._unknown.get(public_id, -UNKNOWN_TTL_S) < UNKNOWN_TTL_S:
            return None
        try:
            return await self._loading.answer((public_id, self._generation))
        except Exception as error:
            if snapshot is not None and now - snapshot.loaded_at <= STALE_TTL_S:
                logger.warning("database is away; key %s goes on with its last snapshot", public_id)
                return snapshot.principal
            raise DirectoryUnavailable from error

    async def _load_and_keep(self, asked: tuple[str, int]) -> Principal | None:
        """Of a public id. Who asks after a revocation is not given what was read before it."""
        public_id, generation = asked
        principal = await self._load(public_id)
        # A revocation that came in during the query makes its answer doubtful: use it, but do not keep it.
        if generation == self._generation:
            if principal is None:
                self._by_public_id.pop(public_id, None)
                self._heard_of.pop(public_id, None)
                _put(self._unknown, public_id, time.monotonic(), MAX_UNKNOWN)
            else:
                self._unknown.pop(public_id, None)
                _put(self._heard_of, public_id, None, MAX_SNAPSHOTS)
                _put(self._by_public_id, public_id, _Snapshot(principal, time.monotonic()), MAX_SNAPSHOTS)
        return principal

    def forget(self, message: str) -> None:
        """Drop what a revocation names: `key:<public id>`, `tenant:<id>`, `family:<id>`, or everything for `*`.

        Others (`prices`, `platform`, `breaker:…`) are about no caller.
        """
        kind, _, name = message.partition(":")
        if kind == "family":
            self._tokens.forget(name)
            return
        self._generation += 1
        self._unknown.clear()
        if kind == "key":
            self._by_public_id.pop(name, None)
        elif kind == "tenant":
            gone = [k for k, s in self._by_public_id.items() if str(s.principal.tenant_id) == name]
            for public_id in gone:
                del self._by_public_id[public_id]
        elif message == "*":
            self._by_public_id.clear()
        if not self._by_public_id:
            self._by_key.clear()

    def age_all(self) -> None:
        """Revocations may have been missed: every snapshot must be asked for again, and may serve if that fails."""
        self._generation += 1
        self._unknown.clear()
        self._tokens.age_all()
        expired = time.monotonic() - SNAPSHOT_TTL_S - 1
        for snapshot in self._by_public_id.values():
            snapshot.loaded_at = min(snapshot.loaded_at, expired)


def _put(kept: OrderedDict[str, Any], name: str, value: Any, most: int) -> None:
    """As the newest; the oldest make room."""
    kept[name] = value
    kept.move_to_end(name)
    while len(kept) > most:
        kept.popitem(last=False)


async def listen(redis: Any, directory: Directory, on_message: Callable[[str], None], channel: str) -> None:
    """Apply revocations as they are published, for ever. `redis` must have no socket timeout."""
    while True:
        try:
            async with redis.pubsub() as pubsub:
                await pubsub.subscribe(channel)
                directory.age_all()
                async for message in pubsub.listen():
                    if message["type"] == "message":
                        text = message["data"].decode()
                        directory.forget(text)
                        on_message(text)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            logger.warning("revocation channel lost (%s); snapshots are asked for again", error)
            directory.age_all()
            await asyncio.sleep(1)
