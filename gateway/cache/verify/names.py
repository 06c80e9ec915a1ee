"""The guard on what a text is about: a name or a thing that has no counterpart in the other. Pure."""

from __future__ import annotations

from gateway.cache.verify.numbers import SPELLED
from gateway.cache.verify.text import Text, Word, unmatched
from gateway.cache.verify.vocabulary import TIMES


def entities_differ(a: Text, b: Text) -> str | None:
    """Each names something that the other does not; or only one does, if its capital letter tells that it is a name."""
    extra_a, extra_b = unmatched(a, b), unmatched(b, a)
    ours, theirs = _rare(extra_a), _rare(extra_b)
    if ours and theirs:
        return _about(ours[0], theirs[0])
    if (ours or theirs) and (pair := _same_place(a, extra_a, b, extra_b)) is not None:
        return _about(*pair)
    if (named := _named(ours) or _named(theirs)) is not None:
        return f"only one of them is about “{named.text}”"
    return None


def _about(ours: Word, theirs: Word) -> str:
    return f"one is about “{ours.text}”, the other about “{theirs.text}”"


def _rare(words: list[Word]) -> list[Word]:
    return [word for word in words if word.is_rare and word.lower not in SPELLED and word.lower not in TIMES]


def _named(words: list[Word]) -> Word | None:
    """Not “Bank” and “Help”: people write everyday words with a capital, too."""
    return next((word for word in words if word.name and not word.is_everyday), None)


def _same_place(a: Text, extra_a: list[Word], b: Text, extra_b: list[Word]) -> tuple[Word, Word] | None:
    """Between the same words, one text has a name where the other has an everyday word, which is one here: “Green”."""
    places = {place: word for word in extra_b for place in _places(b, word)}
    for word in extra_a:
        for place in _places(a, word):
            other = places.get(place)
            if other is not None and (word.is_rare or other.is_rare):
                return word, other
    return None


def _places(text: Text, word: Word) -> list[tuple[str, str]]:
    stems = ["", *(other.stem for other in text.words), ""]
    return [(stems[at], stems[at + 2]) for at, other in enumerate(text.words) if other is word]
