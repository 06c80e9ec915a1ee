"""The guard on who is what to whom: from and to, greater and smaller, who does it and to whom it is done. Pure."""

from __future__ import annotations

from gateway.cache.verify.text import Text, Word
from gateway.cache.verify.vocabulary import FUNCTION_WORDS

_FROM = frozenset({"from", "leaving", "departing", "outof"})
_TO = frozenset({"to", "into", "toward", "towards", "onto", "reaching", "arriving"})
# Between two things, these say what one is to the other; swapped sides say the opposite.
_PIVOTS = frozenset({"to", "into", "onto", "than", "before", "after", "over", "by"})
# Whoever is married to somebody has a spouse: here the sides do not matter.
_SYMMETRIC = frozenset(
    """
    and or with between versus vs both friends dating engaged married close similar equal equals related near same
    different compare compared difference
    """.split()
)
_BE = frozenset({"is", "are", "was", "were", "be", "been", "being", "get", "got", "gets"})
_REACH = 3


def direction_differs(a: Text, b: Text) -> str | None:
    ours, theirs = _roles(a), _roles(b)
    for stem, role in ours.items():
        other = theirs.get(stem)
        if other is not None and other != role:
            return f"direction differs: “{stem}” is where it comes from in one, and where it goes in the other"
    return _swapped(a, b)


def _roles(text: Text) -> dict[str, str]:
    """Stem → whether it is the start or the end; a word that is both says nothing."""
    roles: dict[str, str] = {}
    unclear = set()
    for at, word in enumerate(text.words):
        role = "from" if word.lower in _FROM else "to" if word.lower in _TO else None
        if role is None:
            continue
        for following in text.words[at + 1 : at + 1 + _REACH]:
            if following.lower in _FROM or following.lower in _TO:
                break
            if following.lower in FUNCTION_WORDS:
                continue
            if roles.setdefault(following.stem, role) != role:
                unclear.add(following.stem)
    return {stem: role for stem, role in roles.items() if stem not in unclear}


def _swapped(a: Text, b: Text) -> str | None:
    """Two things that both texts name have changed sides around a word that relates them."""
    if (a.lowers | b.lowers) & _SYMMETRIC:
        return None
    ours, theirs = _first_places(a), _first_places(b)
    agent_a, agent_b = _agent(a), _agent(b)
    if (agent_a is None) != (agent_b is None):
        return _passive_differs(agent_a or agent_b, theirs if agent_a else ours)
    # The same frame with other words in its places, as in “does X follow Y”: any of them may relate the others.
    same_frame = _frame(a) == _frame(b)
    for pivot, at in ours.items():
        if pivot not in theirs or not (pivot in _PIVOTS or (same_frame and pivot not in FUNCTION_WORDS)):
            continue
        left, right = _neighbours(a, at)
        if left is None or right is None or left not in theirs or right not in theirs:
            continue
        if theirs[right] < theirs[pivot] < theirs[left]:
            return f"order differs: “{left}” and “{right}” have changed sides"
    return None


def _agent(text: Text) -> str | None:
    """Who does it, in the passive: “… is followed by X”."""
    words = text.words
    for at, word in enumerate(words[:-1]):
        if word.lower == "by" and any(w.lower in _BE for w in words[:at]) and words[at + 1 :]:
            following = next((w for w in words[at + 1 : at + 4] if w.lower not in FUNCTION_WORDS), None)
            if following is not None and not following.lower[0].isdigit():
                return following.stem
    return None


def _passive_differs(agent: str | None, active: dict[str, int]) -> str | None:
    """In the active voice, who does it comes before what it is done to."""
    things = sorted((at, stem) for stem, at in active.items() if stem not in FUNCTION_WORDS)
    if agent is not None and len(things) >= 2 and things[-1][1] == agent:
        return f"order differs: “{agent}” does it in one, and has it done to it in the other"
    return None


def _frame(text: Text) -> list[str]:
    return [word.lower for word in text.words if word.lower in FUNCTION_WORDS]


def _neighbours(text: Text, at: int) -> tuple[str | None, str | None]:
    """The nearest words with a meaning on both sides of a place."""

    def nearest(words: tuple[Word, ...]) -> str | None:
        return next((word.stem for word in words[:_REACH] if word.lower not in FUNCTION_WORDS), None)

    return nearest(text.words[:at][::-1]), nearest(text.words[at + 1 :])


def _first_places(text: Text) -> dict[str, int]:
    """Where each word stands; one that stands twice has no place."""
    places: dict[str, int] = {}
    twice = set()
    for at, word in enumerate(text.words):
        key = _key(word)
        if key in places:
            twice.add(key)
        places.setdefault(key, at)
    return {key: at for key, at in places.items() if key not in twice}


def _key(word: Word) -> str:
    return word.lower if word.lower in FUNCTION_WORDS else word.stem
