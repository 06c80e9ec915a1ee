"""Guards on words: negation, opposites, names, times, and what kind of thing is asked for. Pure."""

from __future__ import annotations

import re

from gateway.cache.verify.text import Text, Word, stem_of, unmatched
from gateway.cache.verify.vocabulary import FUNCTION_WORDS, OPPOSITES, TIMES, TROUBLE

_NEGATION = frozenset(
    """
    no not never none nobody nothing nowhere neither nor without cannot cant dont doesnt didnt isnt arent wasnt werent
    wont wouldnt couldnt shouldnt havent hasnt hadnt aint mustnt nt
    """.split()
)
# Said as a lack or a failure, a negation needs no “not”.
_PREFIXES = ("un", "dis", "non", "in", "im", "ir", "il", "de", "mis")
_TAG = re.compile(r"\b(?:isn't|aren't|don't|doesn't|won't|can't) (?:it|you|they|we)$")


# How far a “not” reaches.
_REACH = 4
# These lack knowledge, not the thing: “I don't know how to pay” asks how to pay.
_IDIOMS = re.compile(
    r"\b(?:do not|don't|dont|did not|didn't|cannot|can't|cant|can not|couldn't|could not|am not|i'm not|not|no)"
    r" (?:seem to |really |quite |exactly )*"
    r"(?:know|find|figure|remember|recall|see|sure|certain|clear|understand|idea)\b"
    r"|\bno (?=of\b)|\bwhy not\b|\bif not\b|\bnot only\b|\bnot yet\b|\bor not\b"
)


def negation_differs(a: Text, b: Text) -> str | None:
    """What one denies, the other asserts."""
    ours, theirs = _denied(a), _denied(b)
    for denied, others, other in ((ours, theirs, b), (theirs, ours, a)):
        for stem, word in denied.items():
            # “It does not work” and “working is a problem” say the same.
            if stem in other.stems and stem not in others and not other.stems & _TROUBLE_STEMS:
                return f"only one of them denies “{word}”"
    return None


_TROUBLE_STEMS = frozenset(stem_of(word) for word in TROUBLE)


def _denied(text: Text) -> dict[str, str]:
    """Stem → word of the content words that a negation reaches."""
    words = _IDIOMS.sub("", _TAG.sub("", text.lower)).split()
    denied: dict[str, str] = {}
    for at, word in enumerate(words):
        if word.replace("'", "") not in _NEGATION:
            continue
        for following in words[at + 1 : at + 1 + _REACH]:
            if following not in FUNCTION_WORDS:
                denied.setdefault(stem_of(following), following)
                break
    return denied


def antonyms(a: Text, b: Text) -> str | None:
    """A word in one, its opposite in the other, and neither in both."""
    only_a = {word.stem: word.lower for word in a.words if word.stem not in b.stems}
    only_b = {word.stem: word.lower for word in b.words if word.stem not in a.stems}
    for stem, word in only_a.items():
        for opposite in _OPPOSITE_STEMS.get(stem, ()):
            if opposite in only_b:
                return f"“{word}” is the opposite of “{only_b[opposite]}”"
    for left, right in ((only_a, only_b), (only_b, only_a)):
        for word in left.values():
            for prefix in _PREFIXES:
                rest = word.removeprefix(prefix)
                if rest != word and len(rest) > 3 and stem_of(rest) in right:
                    return f"“{word}” is the opposite of “{right[stem_of(rest)]}”"
    return _connectives(a, b)


def _opposites() -> dict[str, set[str]]:
    stems: dict[str, set[str]] = {}
    for left, right in OPPOSITES:
        stems.setdefault(stem_of(left), set()).add(stem_of(right))
        stems.setdefault(stem_of(right), set()).add(stem_of(left))
    return stems


_OPPOSITE_STEMS = _opposites()


def _connectives(a: Text, b: Text) -> str | None:
    """“A and B” against “A or B”."""
    for one, other in (("and", "or"), ("or", "and")):
        if _joined(a, one) & _joined(b, other):
            return "one says “and” where the other says “or”"
    return None


def _joined(text: Text, by: str) -> set[tuple[str, str]]:
    words = text.words
    return {
        (min(left.stem, right.stem), max(left.stem, right.stem))
        for left, middle, right in zip(words, words[1:], words[2:], strict=False)
        if middle.lower == by
    }


def times_differ(a: Text, b: Text) -> str | None:
    ours, theirs = a.lowers & TIMES, b.lowers & TIMES
    if ours and theirs and ours.isdisjoint(theirs):
        return f"times differ: {', '.join(sorted(ours))} against {', '.join(sorted(theirs))}"
    return None


_HOW = {"many": "amount", "much": "amount", "long": "time", "soon": "time", "often": "frequency", "far": "distance",
        "old": "age", "big": "size", "tall": "size", "fast": "speed"}  # fmt: skip
_WH = {"who": "person", "whom": "person", "whose": "person", "when": "time", "where": "place", "why": "reason"}


def questions_differ(a: Text, b: Text) -> str | None:
    """Who, when, where, why, how many: each wants another kind of answer. What, which and how are silent."""
    ours, theirs = _asked_for(a), _asked_for(b)
    if ours and theirs and ours != theirs:
        return f"one asks for a {ours}, the other for a {theirs}"
    return None


def _asked_for(text: Text) -> str | None:
    words = [word.lower for word in text.words]
    for at, word in enumerate(words):
        if word == "how" and at + 1 < len(words):
            return _HOW.get(words[at + 1])
        if word in {"what", "which"} and at + 1 < len(words):
            return "time" if words[at + 1] in {"time", "date", "day", "year"} else None
        # “When I pay, …” is a clause, “when will …” a question.
        if word in _WH and (at == 0 or word not in {"when", "where"} or _is_question_at(words, at)):
            return _WH[word]
    return None


_AUXILIARY = frozenset(
    """
    is are was were do does did will would can could should has have had may might am
    """.split()
)


def _is_question_at(words: list[str], at: int) -> bool:
    return at + 1 < len(words) and words[at + 1] in _AUXILIARY


def entities_differ(a: Text, b: Text) -> str | None:
    """Each names something that the other does not."""
    ours, theirs = _rare(unmatched(a, b)), _rare(unmatched(b, a))
    if ours and theirs:
        return f"one is about “{ours[0].text}”, the other about “{theirs[0].text}”"
    if (named := _named(ours) or _named(theirs)) is not None:
        return f"only one of them is about “{named.text}”"
    return None


def _rare(words: list[Word]) -> list[Word]:
    return [word for word in words if word.is_rare]


def _named(words: list[Word]) -> Word | None:
    """A name that only one text has, if its capital letter tells so."""
    return next((word for word in words if word.name), None)
