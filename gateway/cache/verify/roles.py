"""Guard on who does what to whom. Pure.

It knows no grammar: of a text it keeps who and what takes part, in the order of the active voice, and looks whether two
of them stand on the other side of what relates them.
"""

from __future__ import annotations

import re
from itertools import combinations
from typing import NamedTuple

from gateway.cache.verify.opposites import SUPERLATIVES
from gateway.cache.verify.text import Text, Word, read_once
from gateway.cache.verify.vocabulary import FUNCTION_WORDS

# Between two things, these say what one is to the other; swapped sides say the opposite.
_PIVOTS = frozenset({"to", "into", "onto", "over", "by", "for"})
# Whoever is married to somebody has a spouse: here the sides do not matter.
_SYMMETRIC = frozenset(
    """
    and or nor between among versus vs both each together acquaintance acquaintances acquainted adjacent alike
    buddies classmate classmates close colleague colleagues compare compared connected cousin cousins coworkers dating
    differ difference different differs distance engaged equal equals equivalent friend friends identical linked marry
    married marries match matches meet met mix near neighbor neighbors neighbour neighbours next opposite overlap
    parallel partner partners related relative relatives roommate roommates same sibling siblings similar spouse synonym
    tied twin twins unrelated far
    """.split()
)
_BE = frozenset({"am", "is", "are", "was", "were", "be", "been", "being", "get", "got", "gets"})
# Function words elsewhere: “I want to”, “used to”.
_EMPTY_PARTICIPLES = frozenset(
    {"used", "needed", "wanted", "helped", "known", "shown", "given", "told", "owned", "liked"}
)
_PRONOUNS = {"he": "he", "him": "he", "his": "he", "himself": "he", "she": "she", "her": "she", "hers": "she",
             "herself": "she"}  # fmt: skip
_SPEAKER = frozenset({"i", "me", "we", "us", "myself"})
_OTHERS = {"they": "they", "them": "they", "he": "he", "him": "he", "she": "she"}
_ASKED = frozenset({"who", "whom", "what"})
_DO = frozenset({"do", "does", "did"})
# What stands behind these is where, when or about what it happens; not who takes part.
_CIRCUMSTANCES = frozenset(
    "in on at for during near since until till under around about with without within after before while as if when"
    " because of through via per".split()
)
_DETERMINERS = frozenset("a an the my your his her its our their this that these those some any every each no".split())
# Verbs that are small words elsewhere, by their forms.
_VERBS = {
    form: verb
    for verb in "like use need want help own give show tell let make keep know".split()
    for form in (verb, verb + "s", verb + "ed", verb + "d")
} | {"gave": "give", "given": "give", "told": "tell", "made": "make", "kept": "keep", "knew": "know", "known": "know",
     "shown": "show"}  # fmt: skip
# A clause ends; what stands in the next one has a role of its own.
_CLAUSES = frozenset(
    "so because but that which when if while then how what who where why and or after before according".split()
)
# These say how it is, or that it can be; nobody does them to anybody.
_LIGHT = SUPERLATIVES | frozenset(
    "best good better great top nice possible able allowed sure wrong available start wish try left extra".split()
)
_OPINION = re.compile(
    r"\b(?:thinks?|believes?|says?|considers?|suppose|reckon|claims?) (?:that |\w+ ){0,6}?"
    r"(?:is|are|was|were|will|should)\b"
)
_REACH = 3
_MOST = 9
_MOST_APART = 1


class _Roles(NamedTuple):
    """Stems in the order of the active voice, with the words themselves. `passive`: whether they were turned."""

    stems: tuple[str, ...]
    words: tuple[str, ...]
    passive: bool


def roles_differ(a: Text, b: Text) -> str | None:
    """Two things that both texts name have changed sides around a word that relates them."""
    if (reason := _exchanged_pronouns(a, b)) is not None:
        return reason
    if _is_symmetric(a) or _is_symmetric(b):
        return None
    ours, theirs = _roles(a), _roles(b)
    if ours.passive == theirs.passive:
        return _exchanged(a, b) or _around_pivot(a, b) or _swapped(ours, theirs)
    return _swapped(ours, theirs)


@read_once
def _is_symmetric(text: Text) -> bool:
    """“Is A a friend of B”, not “my friend”."""
    if _SYMMETRIC.isdisjoint(text.lowers):
        return False
    return any(
        word.lower in _SYMMETRIC and (not at or text.words[at - 1].lower not in _POSSESSIVES)
        for at, word in enumerate(text.words)
    )


_POSSESSIVES = frozenset("my your his her our their".split())


def _swapped(ours: _Roles, theirs: _Roles) -> str | None:
    """“X … verb … Y” against “Y … verb … X”."""
    if ours.stems == theirs.stems or len(ours.stems) < 3 or len(theirs.stems) < 3:
        return None
    # Only where both say about the same: a story tells it in any order.
    if len(set(ours.stems) ^ set(theirs.stems)) > _MOST_APART or max(len(ours.stems), len(theirs.stems)) > _MOST:
        return None
    places = {stem: at for at, stem in enumerate(theirs.stems) if theirs.stems.count(stem) == 1}
    shared = [
        (at, places[stem]) for at, stem in enumerate(ours.stems) if stem in places and ours.stems.count(stem) == 1
    ]
    for left, verb, right in combinations(shared, 3):
        if right[1] < verb[1] < left[1]:
            return _changed(ours.words[left[0]], ours.words[right[0]])
    return None


def _changed(left: str, right: str) -> str:
    return f'order differs: "{left}" and "{right}" have changed sides'


@read_once
def _roles(text: Text) -> _Roles:
    agent_at, found = _agent(text), _taking_part(text)
    words = text.words
    if agent_at is not None:
        return _active(words, agent_at, found)
    # “I was charged” by somebody: no telling who does it.
    if not text.lowers.isdisjoint(_BE) and any(word.is_content and word.lower.endswith("ed") for word in words):
        return _Roles((), (), passive=False)
    # “Who do they think is best” asks about another clause.
    if _OPINION.search(text.lower):
        return _Roles((), (), passive=False)
    # “Who did X beat” asks whom; “who beat X” asks who.
    if found and found[0][0] == "who" and _asks_for_object(words):
        found.append(found.pop(0))
    return _Roles(tuple(stem for stem, _ in found), tuple(word for _, word in found), passive=False)


def _taking_part(text: Text) -> list[tuple[str, str]]:
    """Stem and word of who and what takes part, in the order in which they stand; and of what relates them."""
    found: list[tuple[str, str]] = []
    behind = False
    words = text.words
    for at, word in enumerate(words):
        lower = word.lower
        if lower in _CLAUSES and len(found) > 1:
            break
        if lower in _CIRCUMSTANCES:
            behind = True
        elif lower in _SPEAKER:
            behind = False
            found.append(("i", lower))
        elif lower in _OTHERS:
            found.append((_OTHERS[lower], lower))
        elif lower in _ASKED and at + 1 < len(words):
            found.append(("who", lower))
        elif word.is_content or lower in _VERBS:
            if not behind and lower not in _LIGHT and (word.name or not lower.endswith("ly")):
                found.append((_VERBS.get(lower, word.stem), lower))
        elif lower not in _DETERMINERS and lower not in _BE:
            behind = False
    return found


def _asks_for_object(words: tuple[Word, ...]) -> bool:
    at = next(at for at, word in enumerate(words) if word.lower in _ASKED)
    following = [word.lower for word in words[at + 1 : at + 4]]
    return any(word in _DO for word in following[:1]) or bool(_SPEAKER.intersection(following[1:2]))


def _active(words: tuple[Word, ...], by: int, found: list[tuple[str, str]]) -> _Roles:
    """“The mouse was eaten by the cat”: cat, eat, mouse."""
    agent = next((word for word in words[by + 1 : by + 5] if word.is_content or word.lower in _SPEAKER | _ASKED), None)
    verb = words[by - 1].lower
    done = _VERBS.get(verb, words[by - 1].stem)
    key = (
        None if agent is None else ("i" if agent.lower in _SPEAKER else "who" if agent.lower in _ASKED else agent.stem)
    )
    # “Who was it invented by”.
    if key is None:
        key = "who"
    rest = [(stem, word) for stem, word in found if stem not in {key, done}]
    name = agent.lower if agent is not None else "who"
    turned = [(key, name), (done, verb), *rest]
    return _Roles(tuple(stem for stem, _ in turned), tuple(word for _, word in turned), passive=True)


def _agent(text: Text) -> int | None:
    """Where the “by” of a passive stands: “… is followed by X”."""
    if "by" not in text.lowers or text.lowers.isdisjoint(_BE):
        return None
    words = text.words
    for at, word in enumerate(words):
        if word.lower == "by" and at and _is_participle(words[at - 1]) and any(w.lower in _BE for w in words[:at]):
            return at
    return None


def _is_participle(word: Word) -> bool:
    return word.lower in _EMPTY_PARTICIPLES or (word.lower.endswith(("ed", "en", "n", "t", "d")) and word.is_content)


def _exchanged(a: Text, b: Text) -> str | None:
    """All words alike, but for two in each other's place: “does X follow Y”."""
    if len(a.words) != len(b.words):
        return None
    apart = [at for at, (ours, theirs) in enumerate(zip(a.words, b.words, strict=True)) if ours.stem != theirs.stem]
    # Side by side, nothing relates them: “delivered separately”.
    if len(apart) != 2 or apart[1] == apart[0] + 1 or not all(a.words[at].is_content for at in apart):
        return None
    left, right = (a.words[at] for at in apart)
    if any(word.lower == "with" for word in a.words[apart[0] : apart[1]]):
        return None
    if left.stem == b.words[apart[1]].stem and right.stem == b.words[apart[0]].stem:
        return _changed(left.lower, right.lower)
    return None


def _exchanged_pronouns(a: Text, b: Text) -> str | None:
    """“Would he ask her” and “would she ask him”; “his” and “her”."""
    ours, theirs = _pronouns(a), _pronouns(b)
    if len(ours) == len(theirs) and ours and all(x != y for x, y in zip(ours, theirs, strict=True)):
        return (
            'order differs: "he" and "she" have changed sides'
            if len(set(ours)) == 2
            else 'one says "he", the other "she"'
        )
    return None


@read_once
def _pronouns(text: Text) -> tuple[str, ...]:
    return tuple(_PRONOUNS[word.lower] for word in text.words if word.lower in _PRONOUNS)


def _around_pivot(a: Text, b: Text) -> str | None:
    pivots = a.lowers & b.lowers & _PIVOTS
    if not pivots:
        return None
    ours, theirs = _first_places(a), _first_places(b)
    for pivot in pivots & ours.keys() & theirs.keys():
        left, right = _neighbours(a, ours[pivot])
        if left is None or right is None or left.stem not in theirs or right.stem not in theirs:
            continue
        if theirs[right.stem] < theirs[pivot] < theirs[left.stem]:
            return _changed(left.lower, right.lower)
    return None


def _neighbours(text: Text, at: int) -> tuple[Word | None, Word | None]:
    """The nearest words with a meaning on both sides of a place."""

    def nearest(words: tuple[Word, ...]) -> Word | None:
        return next((word for word in words[:_REACH] if word.lower not in FUNCTION_WORDS), None)

    return nearest(text.words[:at][::-1]), nearest(text.words[at + 1 : at + 1 + _REACH])


@read_once
def _first_places(text: Text) -> dict[str, int]:
    """Where each word stands; one that stands twice has no place."""
    places: dict[str, int] = {}
    twice = set()
    for at, word in enumerate(text.words):
        key = word.lower if word.lower in FUNCTION_WORDS else word.stem
        if key in places:
            twice.add(key)
        places.setdefault(key, at)
    return {key: at for key, at in places.items() if key not in twice}
