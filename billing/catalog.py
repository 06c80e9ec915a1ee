"""genai-prices' catalog as plain prices by kind of token. It names the kinds as it likes; here they have our names."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

# (more prompt tokens than this, USD per million tokens), ascending; the first is for all prompts.
Steps = tuple[tuple[int, Decimal], ...]
BASE = -1

# Kinds of tokens (docs/prices.md) by the catalog's names.
_KINDS = {
    "input_mtok": "input",
    "cache_read_mtok": "cached",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "input_audio",
    "cache_audio_read_mtok": "cached_audio",
    "input_image_mtok": "input_image",
    "cache_image_read_mtok": "cached_image",
    "output_mtok": "output",
    "output_reasoning_mtok": "reasoning",
    "output_audio_mtok": "output_audio",
    "output_image_mtok": "output_image",
}
# Service tiers of OpenAI's that have prices of their own.
TIERS = frozenset({"flex", "priority", "fast"})


class Listed(NamedTuple):
    """Prices by kind, and what each request costs beside its tokens."""

    steps: Mapping[str, Steps]
    request_usd: Decimal


def listed(catalog: str, model: str, at: dt.datetime, tier: str = "") -> Listed | None:
    """None when the catalog does not know the model, or not what its tokens cost."""
    # Half a second to import: only processes that price anything pay it.
    from genai_prices.data_snapshot import get_snapshot

    try:
        provider, info = get_snapshot().find_provider_model(model, None, catalog, None)
    except LookupError:
        return None
    # Who sells another's model has prices of its own for its tiers, or none.
    own = any(info is one for one in provider.models)
    prices = info.get_prices(at, {"service_tier": tier} if tier in TIERS and own else None)
    # A list of conditional prices, none of which is in force, has no values; some models are sold by the minute.
    if prices.input_mtok is None:
        return None
    steps = {kind: _steps(value) for name, kind in _KINDS.items() if (value := getattr(prices, name)) is not None}
    return Listed(steps, _base(prices.requests_kcount) / 1000)


def _steps(price: Any) -> Steps:
    if isinstance(price, Decimal):
        return ((BASE, price),)
    return ((BASE, price.base), *((tier.start, tier.price) for tier in price.tiers))


def _base(price: Any) -> Decimal:
    return Decimal(0) if price is None else _steps(price)[0][1]


def model_id(catalog: str, model: str) -> str | None:
    """The catalog's own name for it, one for all its versions and spellings; None when it does not know the model."""
    from genai_prices.data_snapshot import get_snapshot

    try:
        return str(get_snapshot().find_provider_model(model, None, catalog, None)[1].id)
    except LookupError:
        return None


def names() -> list[str]:
    """Of all catalogs of prices."""
    from genai_prices.data_snapshot import get_snapshot

    return [provider.id for provider in get_snapshot().providers]
