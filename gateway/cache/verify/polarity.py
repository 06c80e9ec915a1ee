"""Guard on what one text denies and the other asserts. Pure."""

from __future__ import annotations

import re

from gateway.cache.verify.text import Text, read_once, stem_of
from gateway.cache.verify.vocabulary import FUNCTION_WORDS, TROUBLE

_NEGATION = frozenset(
    """
    no not never none nobody nothing nowhere neither nor without cannot cant dont doesnt didnt isnt arent wasnt werent
    wont wouldnt couldnt shouldnt havent hasnt hadnt aint mustnt nt unless hardly barely
    """.split()
)
_TAG = re.compile(r"\b(?:isn't|aren't|don't|doesn't|won't|can't) (?:it|you|they|we)$")
# These lack knowledge, not the thing: “I don't know how to pay” asks how to pay.
_IDIOMS = re.compile(
    r"\b(?:do not|don't|dont|did not|didn't|cannot|can't|cant|can not|couldn't|could not|am not|i'm not|not|no)"
    r" (?:seem to |really |quite |exactly )*"
    r"(?:know|find|figure|remember|recall|see|sure|certain|clear|understand|idea)\b"
    r"|\bno (?=of\b)|\bwhy not\b|\bif not\b|\bnot only\b|\bnot yet\b|\bor not\b|\bno longer (?=available)"
)
# “I can't pay” and “how do I pay” want the same help.
_UNABLE = re.compile(r"\b(?:i|we)(?:'m| am| are)? (?:can't|cant|cannot|can not|couldn't|could not|not able to)\b")
_HELP = frozenset({"how", "help", "assist", "assistance"})
# “I don't have a card, how do I get one” asks how to get a card; but “if I don't have one” is another case.
_LACKING = re.compile(
    r"^(?:hi |hello |hey )?(?:i|we) (?:still |just )?(?:don't|dont|do not|haven't|havent|have not|never) "
    r"(?:yet )?(?:have|got|gotten|get|received?)\b"
)
# “My car won't start” asks how to start it.
_REFUSING = re.compile(
    r"^(?:hi |hello |hey |help )?(?:(?:my|our|the) )?(?:\w{1,20} ){1,3}"
    r"(?:won't|wont|will not|doesn't|doesnt|does not|can't|cant|cannot|isn't|is not)\b"
)
_GETTING = frozenset("get getting find order request obtain apply where when receive arrive".split())
# How many words a “not” reaches; and how far before it stands what it may deny: “labs are not needed”.
_REACH = 4
_REACH_BACK = 5
_TROUBLE_STEMS = frozenset(stem_of(word) for word in TROUBLE)


def negation_differs(a: Text, b: Text) -> str | None:
    """What one denies, the other asserts."""
    denied_a, denied_b = _denied(a), _denied(b)
    if not denied_a and not denied_b:
        return None
    if denied_a and denied_b:
        return _cross(a, denied_a, b, denied_b)
    for denied, here, there in ((denied_a, a, b), (denied_b, b, a)):
        if not denied or _has_negation(there) or _says_so_otherwise(here, there):
            continue
        for stem, word in denied.items():
            if stem in there.stems:
                return f'only one of them denies "{word}"'
    return None


def _says_so_otherwise(here: Text, there: Text) -> bool:
    return (
        bool((there.stems - here.stems) & _TROUBLE_STEMS)
        or bool(there.lowers & _HELP and _UNABLE.search(here.lower))
        or bool(there.lowers & _GETTING and _LACKING.search(here.lower))
        or bool("how" in there.lowers and _REFUSING.search(here.lower))
    )


def _cross(a: Text, denied_a: dict[str, str], b: Text, denied_b: dict[str, str]) -> str | None:
    """Both deny something: a conflict only if each asserts what the other denies (“tea, not coffee”)."""
    reached_a, reached_b = _reached(a), _reached(b)
    ours = next((word for stem, word in denied_a.items() if stem in b.stems and stem not in reached_b), None)
    theirs = next((word for stem, word in denied_b.items() if stem in a.stems and stem not in reached_a), None)
    if ours and theirs:
        return f'one denies "{ours}", the other "{theirs}"'
    return None


def _has_negation(text: Text) -> bool:
    return any(map(denies, text.lowers))


@read_once
def _denying(text: Text) -> list[str]:
    """The words without idioms; empty if none denies."""
    if not _has_negation(text):
        return []
    return _IDIOMS.sub("", _TAG.sub("", text.lower)).split()


@read_once
def _denied(text: Text) -> dict[str, str]:
    """Stem → word of the first content word after each negation."""
    words = _denying(text)
    denied: dict[str, str] = {}
    for at, word in enumerate(words):
        if denies(word):
            following = next((w for w in words[at + 1 : at + 1 + _REACH] if w not in FUNCTION_WORDS), None)
            if following is not None:
                denied.setdefault(stem_of(following), following)
    return denied


def _reached(text: Text) -> set[str]:
    """Stems of all words around a negation, which it may deny."""
    words = _denying(text)
    return {
        stem_of(near)
        for at, word in enumerate(words)
        if denies(word)
        for near in words[max(0, at - _REACH_BACK) : at + 1 + _REACH]
    }


def denies(word: str) -> bool:
    return word.endswith("n't") or word.replace("'", "") in _NEGATION
