"""What a passed-on call has used and cost, as far as its answer tells. Pure."""

from __future__ import annotations

from decimal import Decimal

from billing import pricing
from gateway import metering
from gateway.settlement import Outcome
from gateway.types import Usage

# What is not told of an answer: that it is no text.
_SAID = {
    "audio/speech": "output_audio",
    "images/edits": "output_image",
    "images/generations": "output_image",
    "images/variations": "output_image",
}


def usage_in(tail: bytes, path: str) -> Usage:
    usage, kind = metering.last_in(tail), _SAID.get(path)
    if kind and usage.completion_tokens and kind not in (usage.token_details or {}):
        return usage._replace(token_details={**(usage.token_details or {}), kind: usage.completion_tokens})
    return usage


def cost(outcome: Outcome, price: pricing.UnitPrice | None, by_tokens: Decimal | None) -> Decimal | None:
    """USD; None when nobody can say: no known price, sound by the minute, an answer that was not waited for."""
    if price is None or outcome.meta is None:
        return None
    if outcome.meta.usage.total_tokens:
        return by_tokens
    # Used up or not, what is free costs nothing.
    return Decimal(0) if pricing.worst(price, 0, audio=True, image=True) == (0, 0) else None
