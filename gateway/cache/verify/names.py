"""Guards on what a text is about: names, things, terms and kinds that have no counterpart in the other. Pure."""

from __future__ import annotations

from gateway.cache.verify.contrast import opposites_between
from gateway.cache.verify.opposites import SIBLINGS
from gateway.cache.verify.polarity import denies
from gateway.cache.verify.text import Text, Word, is_known, same_meaning, stem_of, unmatched
from gateway.cache.verify.units import ORDINALS, ROMAN, SPELLED, UNITS
from gateway.cache.verify.vocabulary import RATES, TIMES

# Their own guards know these.
_ELSEWHERE = (
    SPELLED.keys()
    | ORDINALS.keys()
    | TIMES.keys()
    | RATES.keys()
    | ROMAN.keys()
    | {form for form in UNITS if len(form) > 2}
    | {"kg", "mg", "ml", "km", "cm", "mm", "oz", "lb", "mi", "ft", "am", "pm"}
)
_KINDS: dict[str, list[int]] = {}
for _number, _siblings in enumerate(SIBLINGS):
    for _sibling in _siblings:
        _KINDS.setdefault(_sibling, []).append(_number)


def entities_differ(a: Text, b: Text) -> str | None:
    """One has a name where the other has another, or none; gold against platinum."""
    extra_a, extra_b = _words(unmatched(a, b)), _words(unmatched(b, a))
    if not extra_a and not extra_b:
        return None
    ours, theirs = _rare(extra_a), _rare(extra_b)
    if ours and theirs and (ours[0].name or theirs[0].name):
        return _about(ours[0], theirs[0])
    if (named := _named(ours) or _named(theirs) or _unknown(a, ours) or _unknown(b, theirs)) is not None:
        return f'only one of them is about "{named.text}"'
    if (term := _compound(extra_a, b) or _compound(extra_b, a)) is not None:
        return f'only one of them is about "{term.text}"'
    if extra_a and extra_b and (pair := _siblings_in(extra_a, extra_b)) is not None:
        return _about(*pair)
    return None


def words_differ(a: Text, b: Text) -> str | None:
    """Each has a thing or a term that the other has not; or another word stands in the same place."""
    extra_a, extra_b = _words(unmatched(a, b)), _words(unmatched(b, a))
    if not extra_a or not extra_b:
        return None
    ours, theirs = _rare(extra_a), _rare(extra_b)
    if ours and theirs:
        return _about(ours[0], theirs[0])
    if (ours or theirs) and (pair := _same_place(a, extra_a, b, extra_b)) is not None:
        return _about(*pair)
    if len(extra_a) == len(extra_b) == 1 and _alone_in_place(a, extra_a[0], b, extra_b[0]):
        return _about(extra_a[0], extra_b[0])
    return None


def _about(ours: Word, theirs: Word) -> str:
    return f'one is about "{ours.text}", the other about "{theirs.text}"'


def _words(words: tuple[Word, ...]) -> tuple[Word, ...]:
    return tuple(word for word in words if word.lower not in _ELSEWHERE and len(word.lower) > 1)


def _rare(words: tuple[Word, ...]) -> list[Word]:
    return [word for word in words if word.is_rare]


def _named(words: list[Word]) -> Word | None:
    """Not “Bank” and “Help”: people write everyday words with a capital, too."""
    return next((word for word in words if word.name and not word.is_everyday), None)


_PREPOSITIONS = frozenset("of in for from at with on about by near than via against into inside".split())
_DETERMINERS = frozenset("a an the my your his her our their this that".split())


def _unknown(text: Text, words: list[Word]) -> Word | None:
    """“The capital of nauru”: what stands behind a preposition and is no word that English has, nor one misspelt."""
    unknown = {word.lower for word in words if not is_known(word.lower)}
    before = ""
    for word in text.words if unknown else ():
        if word.lower in unknown and before in _PREPOSITIONS:
            return word
        if word.lower not in _DETERMINERS:
            before = word.lower
    return None


def _compound(extra: tuple[Word, ...], other: Text) -> Word | None:
    """“Upper-level”, “full-time”: what is put together of words of which the other text has none is a term."""
    for word in extra:
        if "-" in word.lower:
            parts = {stem_of(part) for part in word.lower.split("-") if len(part) > 2}
            if len(parts) > 1 and parts.isdisjoint(other.stems):
                return word
    return None


def _siblings_in(ours: tuple[Word, ...], theirs: tuple[Word, ...]) -> tuple[Word, Word] | None:
    for word in ours:
        for kind in _KINDS.get(word.lower) or _KINDS.get(word.lower.removesuffix("s")) or ():
            for other in theirs:
                if other.lower.removesuffix("s") in SIBLINGS[kind] or other.lower in SIBLINGS[kind]:
                    return word, other
    return None


def _same_place(a: Text, extra_a: tuple[Word, ...], b: Text, extra_b: tuple[Word, ...]) -> tuple[Word, Word] | None:
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


# What can stand for so much that another in its place need not ask another question.
_LIGHT = frozenset(
    stem_of(word)
    for word in """
    able go make get do have take find use see look try come give know need want like think say tell keep put set happen
    seem possible good right help thing way place people person reason sure problem issue question own certain specific
    actual allow allowed legal permit permitted require required necessary mandatory compulsory optional supposed part
    time
    """.split()
)


def _alone_in_place(a: Text, ours: Word, b: Text, theirs: Word) -> bool:
    """Apart from these two, both texts have the same words with a meaning, in the same order."""
    if len(a.content) != len(b.content) or {ours.stem, theirs.stem} & _LIGHT:
        return False
    # “Not accepted” is rejected, and “less pessimistic” more optimistic.
    if any(map(denies, a.lowers)) != any(map(denies, b.lowers)) or opposites_between(a, b) is not None:
        return False
    return all(
        (mine is ours and other is theirs)
        or (mine is not ours and other is not theirs and same_meaning(mine.stem, other.stem))
        for mine, other in zip(a.content, b.content, strict=True)
    )
