"""How many tokens of which kind an answer took, as APIs tell it in OpenAI's forms. What is among what: docs/prices.md.

Nothing that is no count is believed. Pure.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections import deque
from typing import Any

from billing import pricing
from billing.catalog import TIERS
from gateway.types import Candidate, ChatRequest, Usage

# Chat Completions' names, and those of Responses, images and sound.
_PROMPT = ("prompt_tokens", "input_tokens")
_COMPLETION = ("completion_tokens", "output_tokens")
_PROMPT_DETAILS = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
_COMPLETION_DETAILS = ("completion_tokens_details", "output_tokens_details", "output_token_details")
# Kinds by their names in the details, and in the objects within them. `cache_creation…` are LiteLLM's names.
_OF_PROMPT = {
    "cached_tokens": "cached",
    "cache_write_tokens": "cache_write",
    "cache_creation_tokens": "cache_write",
    "audio_tokens": "input_audio",
    "image_tokens": "input_image",
}
_OF_CACHED = {"audio_tokens": "cached_audio", "image_tokens": "cached_image"}
_OF_WRITTEN = {"ephemeral_1h_input_tokens": "cache_write_1h"}
_OF_COMPLETION = {
    "reasoning_tokens": "reasoning",
    "audio_tokens": "output_audio",
    "image_tokens": "output_image",
}
_USAGE, _JSON = re.compile(r'"usage"\s*:\s*(?=\{)'), json.JSONDecoder()
# An answer that says it more often at its end must not keep everybody else waiting while it is read.
_LOOKS = 4
_MODALITIES = {"input_audio": "audio", "image_url": "image"}


def count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < 2**31 else None


def read(usage: dict[str, Any]) -> Usage:
    """Zero where it does not say."""
    prompt, completion = _first(usage, _PROMPT), _first(usage, _COMPLETION)
    details: dict[str, int] = {}
    if sent := _object(usage, _PROMPT_DETAILS):
        _note(details, sent, _OF_PROMPT)
        _note(details, _object(sent, ("cached_tokens_details",)), _OF_CACHED)
        _note(details, _object(sent, ("cache_creation_token_details",)), _OF_WRITTEN)
    if said := _object(usage, _COMPLETION_DETAILS):
        _note(details, said, _OF_COMPLETION)
    thought = details.get("reasoning", 0)
    if thought and usage.get("total_tokens") == prompt + completion + thought:
        # Some count what was thought beside what was said: their total says so.
        completion += thought
    return Usage(prompt, details.get("cached", 0), completion, details or None)


def _first(usage: dict[str, Any], names: tuple[str, ...]) -> int:
    return next((found for name in names if (found := count(usage.get(name))) is not None), 0)


def _object(usage: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return next((found for name in names if isinstance(found := usage.get(name), dict)), {})


def _note(details: dict[str, int], found: dict[str, Any], kinds: dict[str, str]) -> None:
    for name, kind in kinds.items():
        if tokens := count(found.get(name)):
            details[kind] = tokens


def last_in(tail: bytes) -> Usage:
    """Of the last `usage` object in an answer's end: JSON's, or the last event's of a stream. In JSON, a text that
    quotes one has other quotes.
    """
    text = tail.decode(errors="replace")
    for match in reversed(deque(_USAGE.finditer(text), maxlen=_LOOKS)):
        try:
            found, _ = _JSON.raw_decode(text, match.end())
        except (ValueError, RecursionError):
            continue
        return read(found)
    return Usage()


def tier_of(answer: dict[str, Any]) -> str:
    """The service tier that has answered, where it may have prices of its own; else empty."""
    tier = answer.get("service_tier")
    return tier if isinstance(tier, str) and tier in TIERS else ""


def worst(
    book: pricing.PriceBook, candidate: Candidate, request: ChatRequest, at: dt.datetime
) -> tuple[int, int] | None:
    """The most units that a token of this chat's prompt, and one of its answer, can cost; None: nobody knows."""
    catalog, model = candidate.provider.catalog, candidate.model
    price = book.unit_price(catalog, model, at)
    if price is None:
        return None
    kinds = _modalities(request.payload)
    audio, image = "audio" in kinds, "image" in kinds
    most = pricing.worst(price, request.prompt_tokens, audio=audio, image=image)
    # Who asks for another tier may get the usual one all the same.
    if (tier := tier_of(request.payload)) and (other := book.unit_price(catalog, model, at, tier)) is not None:
        prompt, completion = pricing.worst(other, request.prompt_tokens, audio=audio, image=image)
        most = max(most[0], prompt), max(most[1], completion)
    return most


def _modalities(payload: dict[str, Any]) -> set[str]:
    """Beside text: what is sent, and what is asked for."""
    asked = payload.get("modalities")
    kinds = {one for one in asked if isinstance(one, str)} if isinstance(asked, list) else set()
    for message in payload.get("messages", ()):
        if isinstance(parts := message.get("content"), list):
            kinds |= {_MODALITIES[part["type"]] for part in parts if part["type"] in _MODALITIES}
    return kinds
