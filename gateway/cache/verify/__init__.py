"""Decides whether two questions that look alike may share an answer: guards, each of which can only say no. Pure.

Cosine similarity does not see a swapped number, name or direction. A guard looks for one kind of conflict, in text of
any case, and gives its reason in words. English; where a guard does not understand a text it stays silent.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

from gateway.cache.verify import names, numbers, order, wording
from gateway.cache.verify.text import Text


class Refusal(NamedTuple):
    """Which guard refuses, and why: one phrase that a page can show."""

    guard: str
    reason: str


Guard = Callable[[Text, Text], str | None]

# In the order in which they are asked: cheap and certain ones first.
GUARDS: tuple[tuple[str, Guard], ...] = (
    ("number", numbers.numbers_differ),
    ("code", numbers.codes_differ),
    ("negation", wording.negation_differs),
    ("antonym", wording.antonyms),
    ("direction", order.direction_differs),
    ("time", wording.times_differ),
    ("tense", wording.tenses_differ),
    ("wh", wording.questions_differ),
    ("entity", names.entities_differ),
)
# What the embedding model reads; every guard's time grows with it.
MAX_WORDS = 256
MAX_CHARACTERS = 4000


# A question meets several candidates, and popular candidates many questions.
_parsed = functools.lru_cache(maxsize=1024)(Text.parse)


def check(query: str, cached: str) -> Refusal | None:
    """The first conflict, or None: the cached question's answer may be given."""
    if query == cached:
        return None
    if len(query) > MAX_CHARACTERS or len(cached) > MAX_CHARACTERS:
        return Refusal("length", f"more than {MAX_CHARACTERS} characters are not compared")
    a, b = _parsed(query), _parsed(cached)
    if a.raw == b.raw:
        return None
    if len(a.words) > MAX_WORDS or len(b.words) > MAX_WORDS:
        return Refusal("length", f"more than {MAX_WORDS} words are not compared")
    for name, guard in GUARDS:
        reason = guard(a, b)
        if reason is not None:
            return Refusal(name, reason)
    return None
