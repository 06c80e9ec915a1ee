"""Costs are those of genai-prices' own arithmetic, for every model that it lists."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, Usage, calc_unit_price
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.pricing import PriceBook, UnitPrice, cost, units, worst

NOW = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)
BOOK = PriceBook()


class Priced(NamedTuple):
    catalog: str
    info: ModelInfo

    def price(self, tier: str = "") -> UnitPrice:
        price = BOOK.unit_price(self.catalog, self.info.id, NOW, tier)
        assert price is not None
        return price


def _priced() -> Iterator[Priced]:
    for provider in get_snapshot().providers:
        for info in provider.models:
            price = BOOK.unit_price(provider.id, info.id, NOW)
            # An id may match an earlier model's pattern, too.
            if price is not None and get_snapshot().find_provider_model(info.id, None, provider.id, None)[1] is info:
                yield Priced(provider.id, info)


MODELS = list(_priced())


@st.composite
def usages(draw: st.DrawFn) -> dict[str, int]:
    """Counts of which each is among the others as docs/prices.md says."""

    def part(of: int) -> int:
        return draw(st.integers(0, of)) if draw(st.booleans()) else 0

    prompt = draw(st.one_of(st.integers(0, 2000), st.integers(0, 2_000_000), st.sampled_from((128_000, 200_001))))
    completion = draw(st.integers(0, 100_000))
    cached = part(prompt)
    cached_audio = part(cached)
    cached_image = part(cached - cached_audio)
    audio = part(prompt - cached)
    image = part(prompt - cached - audio)
    written = part(prompt - cached - audio - image)
    reasoning = part(completion)
    said = part(completion - reasoning)
    return {
        "prompt": prompt,
        "cached": cached,
        "completion": completion,
        "cache_write": written,
        "cache_write_1h": part(written),
        "input_audio": audio + cached_audio,
        "cached_audio": cached_audio,
        "input_image": image + cached_image,
        "cached_image": cached_image,
        "reasoning": reasoning,
        "output_audio": said,
        "output_image": part(completion - reasoning - said),
    }


def ours(price: UnitPrice, usage: dict[str, int]) -> Decimal:
    return cost(price, usage["prompt"], usage["cached"], usage["completion"], usage)


# By our names: in which listed price a kind's tokens are found, and what they are called there.
NAMES = {
    "cache_write_tokens": "cache_write", "cache_write_1h_tokens": "cache_write_1h", "input_audio_tokens": "input_audio",
    "cache_audio_read_tokens": "cached_audio", "input_image_tokens": "input_image",
    "cache_image_read_tokens": "cached_image", "output_reasoning_tokens": "reasoning",
    "output_audio_tokens": "output_audio", "output_image_tokens": "output_image", "cache_read_tokens": "cached",
    "input_tokens": "prompt", "output_tokens": "completion",
}  # fmt: skip


def theirs(info: ModelInfo, usage: dict[str, int], tier: str = "") -> Decimal:
    price: Any = info.get_prices(NOW, {"service_tier": tier} if tier else None)
    usd: Decimal = price.calc_price(Usage(**{theirs: usage[name] for theirs, name in NAMES.items()}))["total_price"]
    # Where one price is listed, theirs gives away what is said.
    if price.output_mtok is None:
        usd += calc_unit_price(price.input_mtok, usage["completion"], usage["prompt"], 1_000_000)
    return usd


def is_close(model: Priced, usage: dict[str, int], tier: str = "") -> bool:
    """Within half of the unit that costs are rounded to."""
    return abs(ours(model.price(tier), usage) - theirs(model.info, usage, tier)) <= Decimal("5E-11")


def test_the_catalog_is_large_enough_to_say_something() -> None:
    assert len(MODELS) > 1000
    assert any(model.price("flex") != model.price() for model in MODELS)


@settings(max_examples=1500, deadline=None)
@given(model=st.sampled_from(MODELS), usage=usages(), tier=st.sampled_from(("", "default", "flex", "priority", "fast")))
def test_a_model_costs_what_the_catalogs_own_arithmetic_says(model: Priced, usage: dict[str, int], tier: str) -> None:
    assert is_close(model, usage, tier)


@pytest.mark.parametrize("tokens", [(1_000, 0, 500), (300_000, 0, 10), (300_000, 299_000, 10)], ids=str)
def test_so_does_every_single_one(tokens: tuple[int, int, int]) -> None:
    usage = dict.fromkeys(NAMES.values(), 0) | dict(zip(("prompt", "cached", "completion"), tokens, strict=True))
    assert [model for model in MODELS if not is_close(model, usage)] == []


@settings(max_examples=1500, deadline=None)
@given(model=st.sampled_from(MODELS), usage=usages(), more=st.integers(0, 100_000))
def test_nothing_costs_more_than_what_is_held_for_it(model: Priced, usage: dict[str, int], more: int) -> None:
    price = model.price()
    prompt, completion = worst(price, usage["prompt"] + more, audio=True, image=True)
    # With no prompt there is nothing over which to spread what a request costs.
    held = prompt * max(1, usage["prompt"] + more) + completion * usage["completion"]
    assert units(ours(price, usage)) <= held


def test_no_priced_model_is_free_of_charge() -> None:
    usage = dict.fromkeys(NAMES.values(), 0) | {"completion": 1000}
    assert [model for model in MODELS if not ours(model.price(), usage)] == []
