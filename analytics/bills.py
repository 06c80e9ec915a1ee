"""How a request's cost or saving was worked out: its tokens by kind, at the prices of that day.

A record holds the sum, not the prices. They are looked up again, and shown only where they give the same sum.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import NamedTuple

from django.utils.translation import gettext as _

from analytics.events import HITS
from analytics.figures import count, usd
from analytics.models import UsageRecord
from billing import catalog, pricing
from billing.pricing import Rate, UnitPrice

# Names a count beside the tokens of the answer: what a provider was sent that was asked at the same time.
HEDGED = "hedged"
_PER_MTOK = Decimal(1_000_000)
_DIGITS = 10


class Item(NamedTuple):
    """`price` is for a million of the tokens."""

    name: str
    tokens: str
    price: str
    amount: str


class Bill(NamedTuple):
    """`items` are empty where no price gives the sum that was booked. `tier` and `above` tell which of the prices it
    is: a service tier's, and that of prompts with more than so many tokens.
    """

    is_saving: bool
    total: str
    items: list[Item]
    details: list[tuple[str, str]]
    tier: str = ""
    above: str = ""


def bill(record: UsageRecord) -> Bill:
    is_saving = record.coalesced or record.outcome in HITS
    booked = record.saved_usd if is_saving else record.cost_usd
    known = record.token_details or {}
    details = [(name.replace("_", " "), count(tokens)) for name, tokens in sorted(known.items())]
    if not booked:
        is_free = record.status >= 400 and record.billed_tokens <= 0
        return Bill(is_saving, usd(Decimal(0) if is_free else booked), [], details)
    tokens = (record.prompt_tokens, known.get("cached", 0), record.completion_tokens)
    for price, tier in _prices(record):
        usd_of = pricing.cost(price, *tokens, known)
        if usd_of == booked or (HEDGED in known and usd_of < booked):
            rate = _rate(price, record.prompt_tokens)
            items = _items(rate, price.request_usd, tokens, known, usd_of)
            if usd_of < booked:
                sent = _("Sent to a provider that was asked at the same time (an estimate)")
                items.append(Item(sent, count(known[HEDGED]), "", _exact(booked - usd_of)))
            above = count(rate.above_prompt_tokens) if rate.above_prompt_tokens > 0 else ""
            return Bill(is_saving, _exact(booked), items, details, tier, above)
    return Bill(is_saving, _exact(booked), [], details)


def _prices(record: UsageRecord) -> Iterator[tuple[UnitPrice, str]]:
    """The likeliest first: which catalog and service tier it was, the record does not say."""
    book = pricing.load_book()
    catalogs = dict.fromkeys([record.provider, *catalog.names()])
    for tier in ("", *sorted(catalog.TIERS)):
        for name in catalogs:
            if (price := book.unit_price(name, record.upstream_model, record.at, tier)) is not None:
                yield price, tier


def _rate(price: UnitPrice, prompt_tokens: int) -> Rate:
    return [rate for at, rate in enumerate(price.rates) if not at or prompt_tokens > rate.above_prompt_tokens][-1]


def _items(
    rate: Rate, request_usd: Decimal, tokens: tuple[int, int, int], known: Mapping[str, int], whole: Decimal
) -> list[Item]:
    """Input, the part of it that the provider had in its own cache, output; then what other kinds add or take away."""
    prompt, cached, completion = tokens[0], min(tokens[0], tokens[1]), tokens[2]
    priced = [
        (_("Input"), prompt - cached, rate.input_usd),
        (_("Input, from the provider's own cache"), cached, rate.cached_input_usd),
        (_("Output"), completion, rate.output_usd),
    ]
    items = [
        Item(name, count(number), usd(each * _PER_MTOK), _exact(each * number))
        for name, number, each in priced
        if number
    ]
    if request_usd:
        items.append(Item(_("The request itself"), "", "", _exact(request_usd)))
    rest = whole - pricing.rounded(sum((each * number for _name, number, each in priced), request_usd))
    if rest:
        apart = ", ".join(kind.replace("_", " ") for kind in known if kind in rate.apart)
        items.append(Item(_("Difference for kinds priced apart: %(kinds)s") % {"kinds": apart}, "", "", _signed(rest)))
    return items


def _signed(amount: Decimal) -> str:
    return f"{'+' if amount > 0 else '−'}{_exact(abs(amount))}"


def _exact(amount: Decimal) -> str:
    """All digits that say something, and cents."""
    whole, _point, cents = usd(amount, digits=_DIGITS).partition(".")
    return f"{whole}.{cents.rstrip('0').ljust(2, '0')}"
