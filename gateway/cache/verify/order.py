"""Guard on direction: where something starts in one text, and ends in the other. Pure."""

from __future__ import annotations

from typing import NamedTuple

from gateway.cache.verify.text import Text, Word, read_once
from gateway.cache.verify.units import UNITS
from gateway.cache.verify.vocabulary import TIMES

_FROM = frozenset({"from", "leaving", "departing", "leave", "leaves", "depart", "departs"})
_TO = frozenset({"to", "into", "toward", "towards", "onto", "reaching", "arriving"})
# “Exchange euros for dollars”: after these, “for” leads to what one gets.
_BARTER = frozenset({"exchang", "swap", "trad", "convert", "chang", "leav", "depart"})
# It is as far there as back.
_EITHER_WAY = frozenset({"far", "distance", "distant", "away", "near", "close", "closer", "between", "difference"})
_REACH = 3


class _Route(NamedTuple):
    starts: dict[str, str]  # stem → word
    ends: dict[str, str]


def direction_differs(a: Text, b: Text) -> str | None:
    """Where it starts in one text is where it ends in the other."""
    ours, theirs = _route(a), _route(b)
    there, back = ours.starts.keys() & theirs.ends.keys(), ours.ends.keys() & theirs.starts.keys()
    if (not there and not back) or not _EITHER_WAY.isdisjoint(a.lowers):
        return None
    # With four ends told, one thing on both sides is chance (“from another account to this account”), unless it is all.
    told = all((ours.starts, ours.ends, theirs.starts, theirs.ends))
    single = len(ours.starts) == len(ours.ends) == len(theirs.starts) == len(theirs.ends) == 1
    if told and not single and not (there and back):
        return None
    stem = min(there or back)
    word = ours.starts.get(stem) or ours.ends[stem]
    return f'direction differs: "{word}" is where it starts in one, and where it ends in the other'


@read_once
def _route(text: Text) -> _Route:
    """A word that is both start and end says nothing."""
    starts: dict[str, str] = {}
    ends: dict[str, str] = {}
    if text.lowers.isdisjoint(_FROM) and text.lowers.isdisjoint(_TO):
        return _Route(starts, ends)
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
            time = word.lower in TIMES or any(unit.startswith("time ") for unit in UNITS.get(word.lower, ()))
            if infinitive or word.lower.endswith("ing") or time:
                break
            place[word.stem] = word.lower
        elif place or word.lower in _FROM or word.lower in _TO:
            break
    return place
