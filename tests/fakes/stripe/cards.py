"""Stripe's test cards, and what happens when one is added or charged. No other number is taken."""

from __future__ import annotations

import re
from typing import NamedTuple

from tests.fakes.stripe.faults import Fault, declined


class Card(NamedTuple):
    number: str
    brand: str = "visa"
    # How it is refused when it is added, and when it is charged.
    added: str | None = None
    charged: str | None = None

    @property
    def last4(self) -> str:
        return self.number[-4:]


_MESSAGES = {
    "generic_decline": "Your card was declined.",
    "insufficient_funds": "Your card has insufficient funds.",
    "lost_card": "Your card was declined.",
    "stolen_card": "Your card was declined.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
    "incorrect_number": "Your card number is incorrect.",
}
CARDS = {
    card.number: card
    for card in (
        Card("4242424242424242"),
        Card("4000056655665556"),
        Card("5555555555554444", "mastercard"),
        Card("378282246310005", "amex"),
        Card("4000000000000002", added="generic_decline"),
        Card("4000000000009995", added="insufficient_funds"),
        Card("4000000000009987", added="lost_card"),
        Card("4000000000009979", added="stolen_card"),
        Card("4000000000000069", added="expired_card"),
        Card("4000000000000127", added="incorrect_cvc"),
        Card("4000000000000119", added="processing_error"),
        # Can be added; every charge fails.
        Card("4000000000000341", charged="generic_decline"),
    )
}
# Names that stand for a card in API calls.
TOKENS = {
    "visa": "4242424242424242",
    "mastercard": "5555555555554444",
    "amex": "378282246310005",
    "chargeDeclined": "4000000000000002",
    "visa_chargeDeclined": "4000000000000002",
    "chargeDeclinedInsufficientFunds": "4000000000009995",
    "chargeCustomerFail": "4000000000000341",
}


def known(number: str) -> Card:
    card = CARDS.get(re.sub(r"[\s-]", "", number))
    if card is None:
        raise refusal("incorrect_number")
    return card


def by_token(token: str) -> Card | None:
    """The card behind `pm_card_visa` or `tok_visa`."""
    number = TOKENS.get(token.removeprefix("pm_card_").removeprefix("tok_"))
    return CARDS[number] if number else None


def refusal(decline_code: str) -> Fault:
    return declined(decline_code, _MESSAGES[decline_code])
