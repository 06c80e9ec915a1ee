"""The guard on who is what to whom: from and to, greater and smaller, who does it and to whom it is done. Pure."""

from __future__ import annotations

from typing import NamedTuple

from gateway.cache.verify.text import Text, Word
from gateway.cache.verify.vocabulary import FUNCTION_WORDS, TIMES

_FROM = frozenset({"from", "leaving", "departing"})
_TO = frozenset({"to", "into", "toward", "towards", "onto", "reaching", "arriving"})
# “Exchange euros for dollars”: after these, “for” leads to what one gets.
_BARTER = frozenset({"exchang", "swap", "trad", "convert", "chang", "leav", "depart"})
# Between two things, these say what one is to the other; swapped sides say the opposite.
_PIVOTS = frozenset({"to", "into", "onto", "than", "before", "after", "over", "by", "for"})
# Whoever is married to somebody has a spouse: here the sides do not matter.
_SYMMETRIC = frozenset(
    """
    and or nor with between among versus vs both each together acquaintance acquaintances acquainted adjacent alike
    buddies classmate classmates close colleague colleagues compare compared connected cousin cousins coworkers dating
    differ difference different differs distance engaged equal equals equivalent friend friends identical linked marry
    married marries match matches meet met mix near neighbor neighbors neighbour neighbours next opposite overlap
    parallel partner partners related relative relatives roommate roommates same sibling siblings similar spouse synonym
    tied twin twins unrelated
    """.split()
)
_BE = frozenset({"am", "is", "are", "was", "were", "be", "been", "being", "get", "got", "gets"})
# Function words elsewhere: “I want to”, “used to”.
_EMPTY_PARTICIPLES = frozenset({"used", "needed", "wanted", "helped", "known", "shown", "given", "told"})
_PRONOUNS = {"he": "he", "him": "he", "his": "he", "himself": "he", "she": "she", "her": "she", "hers": "she",
             "herself": "she"}  # fmt: skip
_TIME_UNITS = frozenset("second seconds minute minutes hour hours day days week weeks month months year years".split())
_REACH = 3


class _Route(NamedTuple):
    starts: dict[str, str]  # stem → word
    ends: dict[str, str]


def direction_differs(a: Text, b: Text) -> str | None:
    return _turned_round(a, b) or _swapped(a, b)


def _turned_round(a: Text, b: Text) -> str | None:
    """Where it starts in one text is where it ends in the other."""
    if not a.lowers & (_FROM | _TO) or not b.lowers & (_FROM | _TO):
        return None
    ours, theirs = _route(a), _route(b)
    there, back = ours.starts.keys() & theirs.ends.keys(), ours.ends.keys() & theirs.starts.keys()
    if not there and not back:
        return None
    # With four ends told, one thing on both sides is chance (“from another account to this account”), unless it is all.
    told = all((ours.starts, ours.ends, theirs.starts, theirs.ends))
    single = len(ours.starts) == len(ours.ends) == len(theirs.starts) == len(theirs.ends) == 1
    if told and not single and not (there and back):
        return None
    stem = next(iter(there or back))
    word = ours.starts.get(stem) or ours.ends[stem]
    return f"direction differs: “{word}” is where it starts in one, and where it ends in the other"


def _route(text: Text) -> _Route:
    """A word that is both start and end says nothing."""
    starts: dict[str, str] = {}
    ends: dict[str, str] = {}
    barter = bool(text.stems & _BARTER)
    for at, word in enumerate(text.words):
        if word.lower in _FROM:
            side = starts
        elif word.lower in _TO or (barter and word.lower == "for"):
            side = ends
        else:
            continue
        side.update(_place(text.words[at + 1 : at + 1 + _REACH], after_to=word.lower == "to"))
    both = starts.keys() & ends.keys()
    return _Route(
        {stem: word for stem, word in starts.items() if stem not in both},
        {stem: word for stem, word in ends.items() if stem not in both},
    )


def _place(words: tuple[Word, ...], *, after_to: bool) -> dict[str, str]:
    """The words that name a place: up to the next small word. No time, and nothing to do (“to pay”, “from adding”)."""
    place: dict[str, str] = {}
    for at, word in enumerate(words):
        if word.is_content:
            infinitive = after_to and at == 0 and word.is_everyday and not word.name
            if infinitive or word.lower.endswith("ing") or word.lower in TIMES or word.lower in _TIME_UNITS:
                break
            place[word.stem] = word.lower
        elif place or word.lower in _FROM or word.lower in _TO:
            break
    return place


def _swapped(a: Text, b: Text) -> str | None:
    """Two things that both texts name have changed sides around a word that relates them."""
    if (reason := _exchanged_pronouns(a, b)) is not None:
        return reason
    if not _SYMMETRIC.isdisjoint(a.lowers) or not _SYMMETRIC.isdisjoint(b.lowers):
        return None
    agent_a, agent_b = _agent(a), _agent(b)
    if (agent_a is None) != (agent_b is None):
        return _passive_differs(agent_a, b) if agent_a is not None else _passive_differs(agent_b, a)
    return _exchanged(a, b) or _around_pivot(a, b)


def _exchanged(a: Text, b: Text) -> str | None:
    """All words alike, but for two in each other's place: “does X follow Y”."""
    if len(a.words) != len(b.words):
        return None
    apart = [at for at, (ours, theirs) in enumerate(zip(a.words, b.words, strict=True)) if ours.stem != theirs.stem]
    # Side by side, nothing relates them: “delivered separately”.
    if len(apart) != 2 or apart[1] == apart[0] + 1 or not all(a.words[at].is_content for at in apart):
        return None
    left, right = (a.words[at] for at in apart)
    if left.stem == b.words[apart[1]].stem and right.stem == b.words[apart[0]].stem:
        return f"order differs: “{left.lower}” and “{right.lower}” have changed sides"
    return None


def _exchanged_pronouns(a: Text, b: Text) -> str | None:
    """“Would he ask her” and “would she ask him”."""
    ours = [_PRONOUNS[word.lower] for word in a.words if word.lower in _PRONOUNS]
    theirs = [_PRONOUNS[word.lower] for word in b.words if word.lower in _PRONOUNS]
    if len(ours) == len(theirs) and len(set(ours)) == 2 and all(x != y for x, y in zip(ours, theirs, strict=True)):
        return "order differs: “he” and “she” have changed sides"
    return None


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
            return f"order differs: “{left.lower}” and “{right.lower}” have changed sides"
    return None


def _agent(text: Text) -> Word | None:
    """Who does it, in the passive: “… is followed by X”."""
    if "by" not in text.lowers or text.lowers.isdisjoint(_BE):
        return None
    words = text.words
    for at, word in enumerate(words):
        if word.lower == "by" and at and _is_participle(words[at - 1]) and any(w.lower in _BE for w in words[:at]):
            following = next((w for w in words[at + 1 : at + 4] if w.is_content), None)
            if following is not None:
                return following
    return None


def _is_participle(word: Word) -> bool:
    return word.lower in _EMPTY_PARTICIPLES or (word.lower.endswith(("ed", "en", "n", "t", "d")) and word.is_content)


def _passive_differs(agent: Word | None, active: Text) -> str | None:
    """In the active voice, who does it comes before what it is done to."""
    if agent is not None and len(active.content) >= 2 and active.content[-1].stem == agent.stem:
        return f"order differs: “{agent.lower}” does it in one, and has it done to it in the other"
    return None


def _neighbours(text: Text, at: int) -> tuple[Word | None, Word | None]:
    """The nearest words with a meaning on both sides of a place."""

    def nearest(words: tuple[Word, ...]) -> Word | None:
        return next((word for word in words[:_REACH] if word.lower not in FUNCTION_WORDS), None)

    return nearest(text.words[:at][::-1]), nearest(text.words[at + 1 : at + 1 + _REACH])


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
