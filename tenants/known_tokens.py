"""Access tokens that were verified in this process, and which of their families live. Part of the Directory.

A family is asked for again every 30 s, and dropped at once when its end is published, as a key's snapshot is.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from psycopg_pool import AsyncConnectionPool

from tenants import tokens
from tenants.shared import Shared
from tenants.tokens import Claims

if TYPE_CHECKING:
    from tenants.principal import Principal

FRESH_S, STALE_S = 30.0, 3600.0
# Each takes about a kilobyte; one that has to make room is verified again, in 0.1 ms.
MAX_TOKENS, MAX_FAMILIES = 10_000, 20_000

# From a family to its key, while it lives.
Lives = Callable[[str], Awaitable[int | None]]


async def fetch_lives(pool: AsyncConnectionPool[Any], family: str) -> int | None:
    """The key whose family it is, while its tokens are good."""
    query = "SELECT key_id FROM public.tenants_refreshfamily WHERE id = %s AND ended_at IS NULL AND expires_at > now()"
    async with pool.connection() as connection:
        found = await (await connection.execute(query, (family,))).fetchone()
        return found[0] if found else None


class _Family(NamedTuple):
    """One that was alive."""

    key_id: int
    asked_at: float


class KnownTokens:
    def __init__(self, lives: Lives) -> None:
        self._ask = lives
        self._asking = Shared(self._ask_and_keep)
        self._known: dict[str, tuple[Claims, Principal]] = {}
        self._alive: OrderedDict[str, _Family] = OrderedDict()
        self._generation = 0

    def known(self, text: str) -> Principal | None:
        """The principal of a token that was verified here, if nothing has to be asked anew; no I/O."""
        found = self._known.get(text)
        if found is None:
            return None
        claims, principal = found
        if time.time() >= claims.expires_at:
            del self._known[text]
            return None
        family = self._alive.get(claims.family)
        return principal if family is not None and time.monotonic() - family.asked_at <= FRESH_S else None

    def has(self, text: str) -> bool:
        """Whether it was verified here."""
        return text in self._known

    def claims_of(self, text: str) -> Claims | None:
        """None for what is no living token of ours."""
        found = self._known.get(text)
        return found[0] if found and time.time() < found[0].expires_at else tokens.signer().read(text)

    def keep(self, text: str, claims: Claims, principal: Principal) -> None:
        if len(self._known) >= MAX_TOKENS:
            now = time.time()
            self._known = {text: found for text, found in self._known.items() if now < found[0].expires_at}
            if len(self._known) >= MAX_TOKENS:
                self._known.clear()
        self._known[text] = claims, principal

    async def key_of(self, family: str) -> int | None:
        """Of a living family. Raises what the database raises, unless the family was alive within the hour."""
        found, now = self._alive.get(family), time.monotonic()
        if found is not None and now - found.asked_at <= FRESH_S:
            return found.key_id
        try:
            return await self._asking.answer((family, self._generation))
        except Exception:
            if found is not None and now - found.asked_at <= STALE_S:
                return found.key_id
            raise

    async def _ask_and_keep(self, asked: tuple[str, int]) -> int | None:
        family, generation = asked
        key_id = await self._ask(family)
        # An end that was published during the query makes its answer doubtful.
        if generation == self._generation:
            self._alive.pop(family, None)
            if key_id is not None:
                self._alive[family] = _Family(key_id, time.monotonic())
                while len(self._alive) > MAX_FAMILIES:
                    self._alive.popitem(last=False)
        return key_id

    def forget(self, family: str) -> None:
        self._generation += 1
        self._alive.pop(family, None)

    def age_all(self) -> None:
        """Ends may have been missed: each family must be asked for again."""
        self._generation += 1
        expired = time.monotonic() - FRESH_S - 1
        for name, family in self._alive.items():
            self._alive[name] = family._replace(asked_at=min(family.asked_at, expired))
