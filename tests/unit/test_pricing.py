"""Prices: the catalog's, the operator's, and none."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from billing import pricing
from billing.pricing import Override, PriceBook, Rate, UnitPrice, cost, units, worst

NOW = dt.datetime(2026, 11, 21, 12, 30, tzinfo=dt.UTC)


def override(day: int, usd: str, cached: str | None = None) -> Override:
    at = dt.datetime(2026, 11, day, tzinfo=dt.UTC)
    return Override(
        "openai", "gpt-4o-mini", at, Decimal(usd), Decimal(usd) * 4, None if cached is None else Decimal(cached)
    )


def test_the_catalog_knows_a_models_price() -> None:
    price = PriceBook().unit_price("openai", "gpt-4o-mini", NOW)
    assert price is not None
    assert cost(price, 1_000_000, 0, 1_000_000) == Decimal("0.75")
    assert cost(price, 1_000_000, 1_000_000, 0) == Decimal("0.075")


def test_a_model_that_nobody_knows_has_no_price() -> None:
    assert PriceBook().unit_price("openai", "no-such-model", NOW) is None
    assert PriceBook().unit_price("nobody", "gpt-4o-mini", NOW) is None
    assert PriceBook().unit_price("", "", NOW) is None


def test_an_override_counts_from_its_date_on() -> None:
    book = PriceBook([override(22, "9"), override(20, "2"), override(10, "1")])
    prices = [book.unit_price("openai", "gpt-4o-mini", NOW.replace(day=day)) for day in (9, 11, 21, 23)]
    assert [cost(price, 1_000_000, 0, 0) for price in prices if price] == [
        Decimal("0.15"),
        Decimal(1),
        Decimal(2),
        Decimal(9),
    ]


def test_cached_tokens_have_their_own_price_or_the_usual_one() -> None:
    for cached, expected in (("1", Decimal("1.5")), (None, Decimal(2))):
        price = PriceBook([override(1, "2", cached)]).unit_price("openai", "gpt-4o-mini", NOW)
        assert price is not None
        assert cost(price, 1_000_000, 500_000, 0) == expected


def test_a_large_prompt_pays_its_rate_for_all_tokens() -> None:
    price = UnitPrice((Rate(0, Decimal(1), Decimal(1), Decimal(1)), Rate(100, Decimal(2), Decimal(2), Decimal(3))))
    assert cost(price, 100, 0, 10) == 110
    assert cost(price, 101, 0, 10) == 232


def test_more_cached_than_sent_is_not_believed() -> None:
    price = UnitPrice((Rate(0, Decimal(2), Decimal(1), Decimal(1)),))
    assert cost(price, 10, 50, 0) == 10


def of(**usd: str) -> UnitPrice:
    """An override in USD per million tokens: input 10 and output 20, unless it says otherwise."""
    given = {"input": "10", "output": "20", **usd}
    prices = {f"{kind}_usd_per_mtok": Decimal(price) for kind, price in given.items()}
    price = PriceBook([Override("c", "m", NOW, **prices)]).unit_price("c", "m", NOW)
    assert price is not None
    return price


MILLION = 1_000_000


def test_a_kind_without_a_price_is_priced_as_the_tokens_it_is_among() -> None:
    details = dict.fromkeys(
        ("cache_write", "cache_write_1h", "input_audio", "cached_audio", "reasoning", "output_audio"), MILLION
    )
    assert cost(of(), 8 * MILLION, MILLION, 4 * MILLION, details) == 160
    assert cost(of(cached_input="1"), 8 * MILLION, MILLION, 4 * MILLION, details) == 151


def test_each_kind_has_the_price_that_it_is_given() -> None:
    price = of(
        cached_input="1", cache_write="12", reasoning="30", input_audio="50", output_audio="60", input_image="70",
        output_image="80",
    )  # fmt: skip
    alone = {
        "cache_write": 12, "input_audio": 50, "input_image": 70, "reasoning": 30, "output_audio": 60,
        "output_image": 80,
    }  # fmt: skip
    for kind, usd in alone.items():
        is_prompt = kind.startswith(("input", "cache"))
        counts = (MILLION, 0, 0) if is_prompt else (0, 0, MILLION)
        assert cost(price, *counts, {kind: MILLION}) == usd, kind
    # Written for an hour: what is written has a price, and this has none of its own.
    assert cost(price, MILLION, 0, 0, {"cache_write": MILLION, "cache_write_1h": MILLION}) == 12
    # Sound that was cached is among both.
    assert cost(price, MILLION, MILLION, 0, {"input_audio": MILLION, "cached_audio": MILLION}) == 50


def test_more_of_a_kind_than_there_is_in_all_is_not_believed() -> None:
    price = of(cache_write="12", input_audio="50", reasoning="30")
    details = {"cache_write": 9 * MILLION, "input_audio": 9 * MILLION, "reasoning": 9 * MILLION, "cached_audio": -5}
    assert cost(price, MILLION, 0, MILLION, details) == 80
    assert cost(price, 0, 0, 0, details) == 0


def test_a_service_tier_has_its_own_price_where_the_catalog_knows_one() -> None:
    book = PriceBook([Override("openai", "gpt-5-mini", NOW.replace(day=1), Decimal(1), Decimal(1))])
    usual, dear, cheap = (book.unit_price("openai", "gpt-5", NOW, tier) for tier in ("", "priority", "flex"))
    assert usual and dear and cheap
    assert cost(cheap, MILLION, 0, 0) < cost(usual, MILLION, 0, 0) < cost(dear, MILLION, 0, 0)
    assert book.unit_price("openai", "gpt-5", NOW, "anything else") == usual
    assert book.unit_price("openai", "gpt-5-mini", NOW, "priority") == book.unit_price("openai", "gpt-5-mini", NOW)


def test_costs_are_whole_units_and_half_a_unit_is_rounded_up() -> None:
    # 0.00005 USD per million tokens are half a unit each.
    price = of(input="0.00005", output="0")
    assert [cost(price, tokens, 0, 0) for tokens in (1, 2, 3)] == [Decimal("1e-10"), Decimal("1e-10"), Decimal("2e-10")]
    assert [units(Decimal(usd)) for usd in ("0", "1", "0.00000000005", "0.000000000049")] == [0, 10**10, 1, 0]


def test_the_worst_case_is_the_dearest_of_what_can_be_met() -> None:
    price = of(cache_write="12.00001", reasoning="30", input_audio="50", output_audio="60", input_image="70")
    assert worst(price, 100) == (120_001, 300_000)
    assert worst(price, 100, audio=True) == (500_000, 600_000)
    assert worst(price, 100, image=True) == (700_000, 300_000)
    tiered = PriceBook().unit_price("anthropic", "claude-sonnet-4-5", NOW)
    assert tiered is not None
    # Writing to the cache for an hour; 6 and 15 USD, 12 and 22.50 from 200,000 tokens on.
    assert worst(tiered, 200_000) == (60_000, 150_000)
    assert worst(tiered, 200_001) == (120_000, 225_000)


def test_the_worst_case_is_worked_out_once_for_each_price_and_step() -> None:
    tiered = PriceBook().unit_price("anthropic", "claude-sonnet-4-5", NOW)
    assert tiered is not None
    small, large = worst(tiered, 100), worst(tiered, 300_000)
    before = pricing._worst_of.cache_info().misses
    assert [worst(tiered, tokens) for tokens in (1, 199_000, 200_001)] == [small, small, large]
    assert pricing._worst_of.cache_info().misses == before
    # Another price of the same steps is another price.
    assert worst(of(input="1"), 100) != worst(of(input="2"), 100)


def test_what_a_request_costs_in_itself_is_held_with_its_prompt() -> None:
    price = PriceBook().unit_price("perplexity", "sonar", NOW)
    assert price is not None
    assert cost(price, 0, 0, 0) == Decimal("0.012")
    prompt, _ = worst(price, 1000)
    assert prompt * 1000 >= units(cost(price, 1000, 0, 0))
