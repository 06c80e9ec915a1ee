"""What a model's tokens cost: the catalog's prices (billing.catalog), with the operator's dated overrides before it.

A model that is in neither has no price: None, never zero. Which tokens are among which: docs/prices.md. Pure, but for
`load_book` and `fetch_book`.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from collections.abc import Iterable, Iterator, Mapping
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from psycopg import sql

from billing import catalog
from billing.catalog import BASE, TIERS, Steps
from billing.ledger import UNIT_USD
from tenants.db import PUBLIC, table

if TYPE_CHECKING:
    from psycopg_pool import AsyncConnectionPool

_PER_MTOK = Decimal(1_000_000)
_UNITS_PER_USD = 1 / UNIT_USD

# A kind without a price of its own is priced as the tokens that it is among; among two, as the dearer that has one.
AMONG: dict[str, tuple[str, ...]] = {
    "cached": ("input",),
    "cache_write": ("input",),
    "cache_write_1h": ("cache_write",),
    "input_audio": ("input",),
    "cached_audio": ("cached", "input_audio"),
    "input_image": ("input",),
    "cached_image": ("cached", "input_image"),
    # Where one price is listed, it is that of all tokens.
    "output": ("input",),
    "reasoning": ("output",),
    "output_audio": ("output",),
    "output_image": ("output",),
}
# What `token_details` may name beside `cached`.
APART = ("cache_write", "cache_write_1h", "input_audio", "cached_audio", "input_image", "cached_image",
         "reasoning", "output_audio", "output_image")  # fmt: skip


class Rate(NamedTuple):
    """USD per token, for requests with more than `above_prompt_tokens`. `apart`: of the kinds whose price differs."""

    above_prompt_tokens: int
    input_usd: Decimal
    cached_input_usd: Decimal
    output_usd: Decimal
    apart: Mapping[str, Decimal] = {}


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class UnitPrice:
    """Rates by ascending size of the prompt. A larger prompt pays its rate for all of its tokens.

    Compared by identity, so that what follows from one can be remembered.
    """

    rates: tuple[Rate, ...]
    request_usd: Decimal = Decimal(0)


class Override(NamedTuple):
    """Empty: as the tokens they are among."""

    catalog: str
    model: str
    effective_from: dt.datetime
    input_usd_per_mtok: Decimal
    output_usd_per_mtok: Decimal
    cached_input_usd_per_mtok: Decimal | None = None
    cache_write_usd_per_mtok: Decimal | None = None
    reasoning_usd_per_mtok: Decimal | None = None
    input_audio_usd_per_mtok: Decimal | None = None
    output_audio_usd_per_mtok: Decimal | None = None
    input_image_usd_per_mtok: Decimal | None = None
    output_image_usd_per_mtok: Decimal | None = None


def rounded(usd: Decimal) -> Decimal:
    """To whole units of 1e-10 USD, half a unit up: as every book has it."""
    return usd.quantize(UNIT_USD, ROUND_HALF_UP)


def units(usd: Decimal) -> int:
    return int(rounded(usd) * _UNITS_PER_USD)


def cost(
    price: UnitPrice,
    prompt_tokens: int,
    cached_tokens: int,
    completion_tokens: int,
    details: Mapping[str, int] | None = None,
) -> Decimal:
    """USD, in whole units. `cached_tokens` are those of the prompt that the provider read from its own cache; `details`
    are those of prompt and completion that are priced apart, by `APART`. More of a kind than there are in all is not
    believed.
    """
    rate = price.rates[0]
    for dearer in price.rates[1:]:
        if prompt_tokens > dearer.above_prompt_tokens:
            rate = dearer
    cached = min(cached_tokens, prompt_tokens)
    usd = rate.input_usd * (prompt_tokens - cached) + rate.cached_input_usd * cached
    usd += rate.output_usd * completion_tokens + price.request_usd
    if details and rate.apart:
        for kind, tokens, counted_usd in _counted_apart(rate, prompt_tokens, cached, completion_tokens, details):
            if tokens:
                usd += (rate.apart.get(kind, counted_usd) - counted_usd) * tokens
    return rounded(usd)


def _counted_apart(
    rate: Rate, prompt_tokens: int, cached: int, completion_tokens: int, details: Mapping[str, int]
) -> Iterator[tuple[str, int, Decimal]]:
    """Each token once: its kind, how many, and the price at which `cost` has counted them."""
    left = {"cached": cached, "fresh": prompt_tokens - cached, "output": completion_tokens}

    def take(wanted: int, of: str) -> int:
        taken = max(0, min(wanted, left[of]))
        left[of] -= taken
        return taken

    counts = {kind: details.get(kind, 0) for kind in APART}
    for modality in ("audio", "image"):
        heard = take(counts[f"cached_{modality}"], "cached")
        yield f"cached_{modality}", heard, rate.cached_input_usd
        yield f"input_{modality}", take(counts[f"input_{modality}"] - heard, "fresh"), rate.input_usd
    written_1h = take(counts["cache_write_1h"], "fresh")
    yield "cache_write_1h", written_1h, rate.input_usd
    yield "cache_write", take(counts["cache_write"] - written_1h, "fresh"), rate.input_usd
    for kind in ("reasoning", "output_audio", "output_image"):
        yield kind, take(counts[kind], "output"), rate.output_usd


def worst(price: UnitPrice, prompt_tokens: int, *, audio: bool = False, image: bool = False) -> tuple[int, int]:
    """The most units that a token of the prompt, and one of the completion, can cost a request of at most that size.

    What a request costs beside its tokens is spread over the prompt's. Any text may be written to the provider's
    cache; `audio` and `image` tell whether the request has such parts, or may be answered with them.
    """
    reached = sum(prompt_tokens > rate.above_prompt_tokens for rate in price.rates[1:]) + 1
    prompt_usd, prompt, completion = _worst_of(price, reached, audio, image)
    if price.request_usd:
        prompt = _units_up(prompt_usd + price.request_usd / max(1, prompt_tokens))
    return prompt, completion


@functools.lru_cache(maxsize=1024)
def _worst_of(price: UnitPrice, reached: int, audio: bool, image: bool) -> tuple[Decimal, int, int]:
    """At the first `reached` rates: USD of a token of the prompt, the same in units, and units of one of the answer."""
    modalities = [name for name, meant in (("audio", audio), ("image", image)) if meant]
    sent = {"cache_write", "cache_write_1h", *(f"{way}_{name}" for way in ("input", "cached") for name in modalities)}
    said = {"reasoning", *(f"output_{name}" for name in modalities)}
    rates = price.rates[:reached]
    prompt_usd = max(_dearest((rate.input_usd, rate.cached_input_usd), rate.apart, sent) for rate in rates)
    completion_usd = max(_dearest((rate.output_usd,), rate.apart, said) for rate in rates)
    return prompt_usd, _units_up(prompt_usd), _units_up(completion_usd)


def _dearest(usual: Iterable[Decimal], apart: Mapping[str, Decimal], kinds: Iterable[str]) -> Decimal:
    return max(*usual, Decimal(0), *(apart[kind] for kind in kinds if kind in apart))


def _units_up(usd: Decimal) -> int:
    return int((usd * _UNITS_PER_USD).to_integral_value(ROUND_CEILING))


class PriceBook:
    """Prices at a time. Build a new one when overrides change; lookups are remembered by the hour."""

    def __init__(self, overrides: Iterable[Override] = ()) -> None:
        self._overrides: dict[tuple[str, str], list[Override]] = {}
        for override in sorted(overrides, key=lambda o: o.effective_from):
            self._overrides.setdefault((override.catalog, override.model), []).append(override)
        self._price_in_hour = functools.lru_cache(maxsize=4096)(self._unit_price)
        self._overridden = functools.lru_cache(maxsize=1024)(_overridden)

    def is_overridden(self, catalog: str, model: str) -> bool:
        """Whether an operator has set a price for it, from whenever on."""
        return (catalog, model) in self._overrides

    def unit_price(self, catalog: str, model: str, at: dt.datetime, tier: str = "") -> UnitPrice | None:
        """The price in force at `at`, or None when nobody knows it. `tier`: the service tier that answers; an override
        counts for all of them.
        """
        dated = self._overrides.get((catalog, model))
        if dated:
            in_force = [o for o in dated if o.effective_from <= at]
            if in_force:
                return self._overridden(in_force[-1])
        hour = at.replace(minute=0, second=0, microsecond=0)
        return self._price_in_hour(catalog, model, hour, tier if tier in TIERS else "")

    def _unit_price(self, of: str, model: str, hour: dt.datetime, tier: str) -> UnitPrice | None:
        found = catalog.listed(of, model, hour, tier) if of and model else None
        return None if found is None else _unit_price(found.steps, found.request_usd)


def _overridden(override: Override) -> UnitPrice:
    given = {
        "input": override.input_usd_per_mtok,
        "output": override.output_usd_per_mtok,
        "cached": override.cached_input_usd_per_mtok,
        "cache_write": override.cache_write_usd_per_mtok,
        "reasoning": override.reasoning_usd_per_mtok,
        "input_audio": override.input_audio_usd_per_mtok,
        "output_audio": override.output_audio_usd_per_mtok,
        "input_image": override.input_image_usd_per_mtok,
        "output_image": override.output_image_usd_per_mtok,
    }
    return _unit_price({kind: ((BASE, usd),) for kind, usd in given.items() if usd is not None})


def _unit_price(steps: Mapping[str, Steps], request_usd: Decimal = Decimal(0)) -> UnitPrice:
    starts = sorted({start for found in steps.values() for start, _ in found})
    return UnitPrice(tuple(_rate(steps, start) for start in starts), request_usd)


def _rate(steps: Mapping[str, Steps], above: int) -> Rate:
    def own(kind: str) -> Decimal:
        return [usd for start, usd in steps[kind] if start <= above][-1] / _PER_MTOK

    def usd_of(kind: str) -> Decimal:
        if kind in steps:
            return own(kind)
        priced = [one for one in AMONG[kind] if one in steps]
        return max(map(own, priced)) if priced else usd_of(AMONG[kind][0])

    # What neither has a price of its own nor is among such is counted with the rest.
    apart = {kind: usd_of(kind) for kind in APART if any(one in steps for one in (kind, *AMONG[kind]) if one in APART)}
    return Rate(above, usd_of("input"), usd_of("cached"), usd_of("output"), apart)


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
