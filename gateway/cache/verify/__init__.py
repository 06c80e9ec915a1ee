"""Decides whether two questions that look alike may share an answer: guards, each of which can only say no. Pure.

Cosine similarity does not see a swapped number, name or direction. A guard looks for one kind of conflict, in text of
any case, and gives its reason in words. English; where a guard does not understand a text it stays silent.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

from gateway.cache.verify import (
    contrast,
    dates,
    instructions,
    logic,
    names,
    numbers,
    order,
    polarity,
    questions,
    roles,
)
from gateway.cache.verify.language import STRICT_THRESHOLD, is_english, reads_english
from gateway.cache.verify.text import Text


class Refusal(NamedTuple):
    """Which guard refuses, and why: one phrase that a page can show."""

    guard: str
    reason: str


Guard = Callable[[Text, Text], str | None]

# In the order in which they are asked: cheap and certain ones first.
GUARDS: tuple[tuple[str, Guard], ...] = (
    ("number", numbers.numbers_differ),
    ("unit", numbers.units_differ),
    ("code", numbers.codes_differ),
    ("time", dates.times_differ),
    ("negation", polarity.negation_differs),
    ("antonym", contrast.antonyms),
    ("comparison", contrast.comparison_differs),
    ("order", contrast.prepositions_differ),
    ("direction", order.direction_differs),
    ("role", roles.roles_differ),
    ("connective", logic.connectives_differ),
    ("quantifier", logic.quantifiers_differ),
    ("modality", questions.modality_differs),
    ("tense", questions.tenses_differ),
    ("wh", questions.questions_differ),
    ("entity", names.entities_differ),
    ("rare word", names.words_differ),
    ("instruction", instructions.instructions_differ),
)
# What the embedding model reads; every guard's time grows with it.
MAX_WORDS = 256
MAX_CHARACTERS = 4000


# A question meets several candidates, and popular candidates many questions. 2.4 KB each.
_parsed = functools.lru_cache(maxsize=4096)(Text.parse)


def check(query: str, cached: str, similarity: float = 1.0) -> Refusal | None:
    """The first conflict, or None: the cached question's answer may be given. `similarity`: as the embedder has it."""
    if query == cached:
        return None
    if len(query) > MAX_CHARACTERS or len(cached) > MAX_CHARACTERS:
        return Refusal("length", f"more than {MAX_CHARACTERS} characters are not compared")
    a, b = _parsed(query), _parsed(cached)
    if a.raw == b.raw:
        return None
    if len(a.words) > MAX_WORDS or len(b.words) > MAX_WORDS:
        return Refusal("length", f"more than {MAX_WORDS} words are not compared")
    if similarity < STRICT_THRESHOLD and not (reads_english(a) and reads_english(b)):
        return Refusal("language", f"not recognisably English, and less than {STRICT_THRESHOLD:.0%} similar")
    for name, guard in GUARDS:
        reason = guard(a, b)
        if reason is not None:
            return Refusal(name, reason)
    return None


__all__ = ["GUARDS", "STRICT_THRESHOLD", "Refusal", "check", "is_english"]
