"""Guards on words of which one text has one and the other its opposite: antonyms, “sign in” and “sign out”,
comparisons, before and after, with and without. Pure."""

from __future__ import annotations

import functools
import re
from itertools import pairwise

from gateway.cache.verify.opposites import OPPOSITES, PARTICLES, SUPERLATIVES
from gateway.cache.verify.polarity import denies
from gateway.cache.verify.text import Text, Word, read_once, stem_of
from gateway.cache.verify.vocabulary import IRREGULAR

_PREFIXES = ("un", "dis", "non", "in", "im", "ir", "il", "de", "mis", "anti")
# “Off” and “offer” have one stem.
_SHORT = frozenset({"on", "off", "up", "in", "out", "old"})
# How many words a “not” reaches.
_REACH = 4
# “More than 10” and “fewer than 10” of the same.
_BOUNDS = re.compile(
    r"\b(?P<low>at least|no (?:less|fewer) than|a? ?minimum of|(?:more|greater|higher|longer|older|larger|bigger) than"
    r"|over|above|exceeding|upwards of)\b"
    r"|\b(?P<high>at most|no more than|a? ?maximum of|up to|(?:less|fewer|lower|shorter|younger|smaller) than|under"
    r"|below|within)\b"
    r"|\b(?P<exact>exactly|precisely)\b"
)
_BOUND_BEHIND = re.compile(
    r"\d[\d.,%]{0,12} (?:\w{1,12} )?"
    r"(?:or (?P<low>more|above|older|higher|over)|or (?P<high>less|fewer|below|under|younger|lower))\b"
)


def antonyms(a: Text, b: Text) -> str | None:
    """A word in one, its opposite in the other, neither in both, and none of them denied."""
    pair = opposites_between(a, b)
    # “A is faster than B” says that B is slower than A.
    if pair is not None and not _turned(a, pair) ^ _turned(b, pair) and not _sides_swapped(a, b):
        return f'"{pair[0]}" is the opposite of "{pair[1]}"'
    return _particles_differ(a, b)


# “Best” and “nearest” go without saying, “latest” is what is new; and the easiest way is a way.
_WEAK_SUPERLATIVES = frozenset(
    "best nearest closest latest earliest easiest simplest interest request honest modest forest guest test rest west"
    " harvest protest invest suggest digest contest arrest nicest greatest newest".split()
)
_WAYS = frozenset({"way", "ways", "method", "route", "option"})


@read_once
def _superlatives(text: Text) -> tuple[str, ...]:
    if text.lowers.isdisjoint(SUPERLATIVES):
        return ()
    words = [word.lower for word in text.words]
    return tuple(
        word
        for word, following in pairwise([*words, ""])
        if word in SUPERLATIVES and word not in _WEAK_SUPERLATIVES and following not in _WAYS
    )


def comparison_differs(a: Text, b: Text) -> str | None:
    """“A is faster than B” against “B is faster than A”; at least against at most."""
    if (swapped := _sides_swapped(a, b)) is not None and opposites_between(a, b) is None:
        return f'order differs: "{swapped[0]}" and "{swapped[1]}" have changed sides'
    for here, there in ((a, b), (b, a)):
        for word in _superlatives(here):
            if not _has_superlative(there, word):
                return f'only one of them asks for the "{word}"'
    ours, theirs = _bounds(a), _bounds(b)
    if ours and theirs and ours.isdisjoint(theirs):
        return f"one says {_BOUND_NAMES[min(ours)]}, the other {_BOUND_NAMES[min(theirs)]}"
    return None


def _has_superlative(text: Text, word: str) -> bool:
    """The same, another superlative (opposites are seen elsewhere), or “most” and “least” with any adjective."""
    return bool(SUPERLATIVES & text.lowers) or not text.lowers.isdisjoint(_DEGREES) or stem_of(word) in text.stems


_DEGREES = frozenset(
    {"most", "least", "top", "best", "maximum", "minimum", "max", "min", "first", "last", "limit", "age"}
)
_BOUND_NAMES = {"low": "at least", "high": "at most", "exact": "exactly"}


@read_once
def _bounds(text: Text) -> frozenset[str]:
    """Of numbers: “over 25”, not “over the river”."""
    found = {
        found.lastgroup
        for found in _BOUNDS.finditer(text.raw)
        if found.lastgroup and any(map(str.isdigit, text.raw[found.end() : found.end() + 4]))
    }
    found |= {found.lastgroup for found in _BOUND_BEHIND.finditer(text.raw) if found.lastgroup}
    return frozenset(found)


# Several guards ask for the same pair.
@functools.lru_cache(maxsize=64)
def opposites_between(a: Text, b: Text) -> tuple[str, str] | None:
    only_a, only_b = _only_in(a, b), _only_in(b, a)
    if not only_a or not only_b:
        return None
    return _opposite_pair(only_a, only_b) or _prefixed_pair(only_a, only_b) or _prefixed_pair(only_b, only_a)


def _only_in(here: Text, there: Text) -> list[Word]:
    return [
        word
        for word in here.words
        if word.stem not in there.stems or (word.lower in _SHORT and word.lower not in there.lowers)
    ]


def _opposite_pair(only_a: list[Word], only_b: list[Word]) -> tuple[str, str] | None:
    theirs = {form: word.lower for word in only_b for form in _forms(word.lower)}
    for word in only_a:
        for form in _forms(word.lower):
            for opposite in OPPOSITES[form]:
                if opposite in theirs:
                    return word.lower, theirs[opposite]
    return None


@functools.lru_cache(maxsize=8192)
def _forms(word: str) -> tuple[str, ...]:
    """The forms of a word that stand in the table: “lowers”, “lowered” and “lowering” are “lower”."""
    forms = {word, IRREGULAR.get(word, word)}
    for ending in ("s", "es", "ed", "d", "ing"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            rest = word[: -len(ending)]
            forms |= {rest, rest + "e"}
            if rest[-1] == rest[-2]:
                forms.add(rest[:-1])
            if rest.endswith("i"):
                forms.add(rest[:-1] + "y")
    return tuple(form for form in forms if form in OPPOSITES)


def _prefixed_pair(left: list[Word], right: list[Word]) -> tuple[str, str] | None:
    stems = {word.stem: word.lower for word in right}
    for word in left:
        for prefix in _PREFIXES:
            rest = word.lower.removeprefix(prefix)
            if rest != word.lower and len(rest) > 3 and (other := stems.get(stem_of(rest.lstrip("-")))) is not None:
                return word.lower, other
    return None


def _turned(text: Text, pair: tuple[str, str]) -> bool:
    """“not happy” is no opposite of “unhappy”, nor “least expensive” of “cheap”."""
    words = text.lower.split()
    for at, word in enumerate(words):
        if denies(word) or word in {"least", "less"}:
            reached = words[at + 1 : at + 1 + _REACH]
            if pair[0] in reached or pair[1] in reached:
                return True
    return False


_PIVOTS = {"than": "than", "before": "when", "after": "when", "prior": "when"}


def _sides_swapped(a: Text, b: Text) -> tuple[str, str] | None:
    """What stands before “than” in one stands behind it in the other, and the other way round."""
    ours, theirs = _sides(a), _sides(b)
    if ours is None or theirs is None or ours[0] != theirs[0]:
        return None
    left = ours[1].keys() & theirs[2].keys() - theirs[1].keys()
    right = ours[2].keys() & theirs[1].keys() - theirs[2].keys()
    return (ours[1][min(left)], ours[2][min(right)]) if left and right else None


@read_once
def _sides(text: Text) -> tuple[str, dict[str, str], dict[str, str]] | None:
    """The pivot's kind; stem → word before it, and behind it."""
    words = text.words
    for at, word in enumerate(words):
        if (kind := _PIVOTS.get(word.lower)) is not None:
            before = {word.stem: word.lower for word in words[max(0, at - 7) : at] if word.is_content}
            behind = {word.stem: word.lower for word in words[at + 1 : at + 5] if word.is_content}
            if before and behind:
                return kind, before, behind
    return None


def _particles_differ(a: Text, b: Text) -> str | None:
    """“Turn on” against “turn off”, “sign in” against “sign up”."""
    ours, theirs = _particles(a), _particles(b)
    for verb in ours.keys() & theirs.keys():
        (mine, group), (yours, other) = ours[verb], theirs[verb]
        if group != other:
            return f'one says "{verb} {mine}", the other "{verb} {yours}"'
    return None


@read_once
def _particles(text: Text) -> dict[str, tuple[str, int]]:
    """Verb → the particle behind it, at once or behind a thing of a word or two: “turn the light off”."""
    found: dict[str, tuple[str, int]] = {}
    words = [word.lower for word in text.words]
    for at, word in enumerate(words):
        for verb in {word, IRREGULAR.get(word, word), *_verbs(word)} & PARTICLES.keys():
            for particle in words[at + 1 : at + 5]:
                if (group := PARTICLES[verb].get(particle)) is not None:
                    found.setdefault(verb, (particle, group))
                    break
                if particle in _CLAUSE_ENDS:
                    break
    return found


# Behind these stands a place or a reason: “log a call in the app”, “check what is in the box”.
_CLAUSE_ENDS = frozenset("to for from with at by that what which who how why when where if and or".split())


def _verbs(word: str) -> tuple[str, ...]:
    return tuple(
        form
        for ending in ("s", "ed", "ing", "ting", "ging", "ning", "ted", "ged")
        if word.endswith(ending)
        for form in (word.removesuffix(ending), word.removesuffix(ending) + "e")
    )


# Preposition or conjunction → its side of a pair. One against its opposite, before the same word, is another question.
_PAIRS = (
    ("with having including", "without lacking minus excluding except sans"),
    ("in inside within into", "outside"),
    ("into onto entering", "out-of off leaving"),
    ("above over exceeding beyond", "below under beneath underneath"),
    ("before prior-to", "after following", "during while", "until till"),
    ("since from starting", "until till"),
    ("for supporting", "against opposing"),
    ("if when assuming", "unless"),
    ("upstream", "downstream"),
    ("besides including plus also", "except excluding but"),
)
_OPPOSED: dict[str, list[tuple[int, int]]] = {}
for _pair, _sides_of_pair in enumerate(_PAIRS):
    for _side, _words in enumerate(_sides_of_pair):
        for _word in _words.split():
            _OPPOSED.setdefault(_word, []).append((_pair, _side))


def prepositions_differ(a: Text, b: Text) -> str | None:
    """“Into the house” against “out of the house”, “until 9” against “from 9”, “if” against “unless”."""
    ours, theirs = _objects(a), _objects(b)
    if not ours or not theirs or _denied(a) != _denied(b):
        return None
    for what in ours.keys() & theirs.keys():
        for pair, (side, phrase) in ours[what].items():
            other = theirs[what].get(pair)
            if other is not None and other[0] != side:
                return f'one says "{phrase}", the other "{other[1]}"'
    return None


def _denied(text: Text) -> bool:
    """“Not in the country” is outside."""
    return any(map(denies, text.lowers))


@read_once
def _objects(text: Text) -> dict[str, dict[int, tuple[int, str]]]:
    """The word that each preposition leads to → number of the pair → side."""
    words = text.words
    found: dict[str, dict[int, tuple[int, str]]] = {}
    for at, word in enumerate(words):
        following = words[at + 1].lower if at + 1 < len(words) else ""
        name = f"{word.lower}-{following}" if following in {"of", "to", "from"} else word.lower
        sides = _OPPOSED.get(name) or _OPPOSED.get(word.lower)
        if not sides:
            continue
        for near in words[at + 1 : at + 5]:
            if near.is_content or near.lower[:1].isdigit() or near.lower in _PERSONS:
                for pair, side in sides:
                    found.setdefault(near.stem, {}).setdefault(pair, (side, f"{word.lower} {near.lower}"))
                break
    return found


_PERSONS = frozenset({"me", "him", "us", "them"})
