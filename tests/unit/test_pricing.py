"""Prices: the catalog's, the operator's, and none."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from billing.pricing import Override, PriceBook, Rate, UnitPrice, cost

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
