"""What a model's tokens cost: genai-prices' catalog, with the operator's dated overrides before it.

A model that is in neither has no price: None, never zero. Pure, but for `load_book` and `fetch_book`.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from psycopg import sql

from tenants.db import PUBLIC, table

if TYPE_CHECKING:
    from psycopg_pool import AsyncConnectionPool

_PER_MTOK = Decimal(1_000_000)


class Rate(NamedTuple):
    """USD per token, for requests with more than `above_prompt_tokens`."""

    above_prompt_tokens: int
    input_usd: Decimal
    cached_input_usd: Decimal
    output_usd: Decimal


class UnitPrice(NamedTuple):
    """Rates by ascending size of the prompt. A larger prompt pays its rate for all of its tokens."""

    rates: tuple[Rate, ...]


class Override(NamedTuple):
    catalog: str
    model: str
    effective_from: dt.datetime
    input_usd_per_mtok: Decimal
    output_usd_per_mtok: Decimal
    cached_input_usd_per_mtok: Decimal | None


def cost(price: UnitPrice, prompt_tokens: int, cached_tokens: int, completion_tokens: int) -> Decimal:
    """USD. `cached_tokens` are those of the prompt that the provider read from its own cache."""
    rate = price.rates[0]
    for dearer in price.rates[1:]:
        if prompt_tokens > dearer.above_prompt_tokens:
            rate = dearer
    cached = min(cached_tokens, prompt_tokens)
    return (
        rate.input_usd * (prompt_tokens - cached) + rate.cached_input_usd * cached + rate.output_usd * completion_tokens
    )


class PriceBook:
    """Prices at a time. Build a new one when overrides change; lookups are remembered by the hour."""

    def __init__(self, overrides: Iterable[Override] = ()) -> None:
        self._overrides: dict[tuple[str, str], list[Override]] = {}
        for override in sorted(overrides, key=lambda o: o.effective_from):
            self._overrides.setdefault((override.catalog, override.model), []).append(override)
        self._price_in_hour = functools.lru_cache(maxsize=4096)(self._unit_price)

    def unit_price(self, catalog: str, model: str, at: dt.datetime) -> UnitPrice | None:
        """The price in force at `at`, or None when nobody knows it."""
        dated = self._overrides.get((catalog, model))
        if dated:
            in_force = [o for o in dated if o.effective_from <= at]
            if in_force:
                return _overridden(in_force[-1])
        return self._price_in_hour(catalog, model, at.replace(minute=0, second=0, microsecond=0))

    def _unit_price(self, catalog: str, model: str, hour: dt.datetime) -> UnitPrice | None:
        return _catalog_price(catalog, model, hour) if catalog and model else None


def _overridden(override: Override) -> UnitPrice:
    input_usd = override.input_usd_per_mtok / _PER_MTOK
    cached = override.cached_input_usd_per_mtok
    return UnitPrice(
        (
            Rate(
                0,
                input_usd,
                input_usd if cached is None else cached / _PER_MTOK,
                override.output_usd_per_mtok / _PER_MTOK,
            ),
        )
    )


def _catalog_price(catalog: str, model: str, at: dt.datetime) -> UnitPrice | None:
    # Half a second to import: only processes that price anything pay it.
    from genai_prices.data_snapshot import get_snapshot

    try:
        _, info = get_snapshot().find_provider_model(model, None, catalog, None)
        prices = info.get_prices(at)
    except LookupError:
        return None
    # A list of conditional prices, none of which is in force, has no values.
    if prices.input_mtok is None and prices.output_mtok is None:
        return None
    return _tiered(prices)


def _tiered(prices: Any) -> UnitPrice:
    starts = sorted(
        {0}
        | {
            tier.start
            for price in (prices.input_mtok, prices.cache_read_mtok, prices.output_mtok)
            for tier in getattr(price, "tiers", ())
        }
    )
    return UnitPrice(
        tuple(
            Rate(
                start,
                _at_tier(prices.input_mtok, start),
                _at_tier(prices.input_mtok if prices.cache_read_mtok is None else prices.cache_read_mtok, start),
                _at_tier(prices.output_mtok, start),
            )
            for start in starts
        )
    )


def _at_tier(price: Any, start: int) -> Decimal:
    """USD per token in the tier that begins at `start`; a price that is not listed is not charged for."""
    if price is None:
        return Decimal(0)
    if isinstance(price, Decimal):
        return price / _PER_MTOK
    per_mtok = price.base
    for tier in price.tiers:
        if tier.start <= start and start > 0:
            per_mtok = tier.price
    return Decimal(per_mtok) / _PER_MTOK


_COLUMNS = Override._fields


def load_book() -> PriceBook:
    """The book of now, for sync code."""
    from billing.models import PriceOverride

    return PriceBook(Override(*row) for row in PriceOverride.objects.values_list(*_COLUMNS))


async def fetch_book(pool: AsyncConnectionPool[Any]) -> PriceBook:
    """The book of now, for the data plane."""
    query = sql.SQL("SELECT {} FROM {}").format(
        sql.SQL(", ").join(map(sql.Identifier, _COLUMNS)), table(PUBLIC, "billing_priceoverride")
    )
    async with pool.connection() as connection:
        rows = await (await connection.execute(query)).fetchall()
    return PriceBook(Override(*row) for row in rows)
