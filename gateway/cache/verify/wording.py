"""Guards on words: negation, opposites, times, and what kind of thing is asked for. Pure."""

from __future__ import annotations

import re
from itertools import pairwise

from gateway.cache.verify.text import Text, Word, stem_of
from gateway.cache.verify.vocabulary import FUNCTION_WORDS, OPPOSITES, TIMES, TROUBLE

_NEGATION = frozenset(
    """
    no not never none nobody nothing nowhere neither nor without cannot cant dont doesnt didnt isnt arent wasnt werent
    wont wouldnt couldnt shouldnt havent hasnt hadnt aint mustnt nt
    """.split()
)
_PREFIXES = ("un", "dis", "non", "in", "im", "ir", "il", "de", "mis")
_TAG = re.compile(r"\b(?:isn't|aren't|don't|doesn't|won't|can't) (?:it|you|they|we)$")
# These lack knowledge, not the thing: “I don't know how to pay” asks how to pay.
_IDIOMS = re.compile(
    r"\b(?:do not|don't|dont|did not|didn't|cannot|can't|cant|can not|couldn't|could not|am not|i'm not|not|no)"
    r" (?:seem to |really |quite |exactly )*"
    r"(?:know|find|figure|remember|recall|see|sure|certain|clear|understand|idea)\b"
    r"|\bno (?=of\b)|\bwhy not\b|\bif not\b|\bnot only\b|\bnot yet\b|\bor not\b"
)
# “I can't pay” and “how do I pay” want the same help.
_UNABLE = re.compile(r"\b(?:i|we)(?:'m| am| are)? (?:can't|cant|cannot|can not|couldn't|could not|not able to)\b")
_HELP = frozenset({"how", "help", "assist", "assistance"})
# How many words a “not” reaches; and how far before it stands what it may deny: “labs are not needed”.
_REACH = 4
_REACH_BACK = 5
_TROUBLE_STEMS = frozenset(stem_of(word) for word in TROUBLE)


def negation_differs(a: Text, b: Text) -> str | None:
    """What one denies, the other asserts."""
    denied_a, denied_b = _denied(a), _denied(b)
    if denied_a and denied_b:
        return _cross(a, denied_a, b, denied_b)
    for denied, here, there in ((denied_a, a, b), (denied_b, b, a)):
        if (
            not denied
            or _has_negation(there)
            or there.stems & _TROUBLE_STEMS
            or (there.lowers & _HELP and _UNABLE.search(here.lower))
        ):
            continue
        for stem, word in denied.items():
            if stem in there.stems:
                return f"only one of them denies “{word}”"
    return None


def _cross(a: Text, denied_a: dict[str, str], b: Text, denied_b: dict[str, str]) -> str | None:
    """Both deny something: a conflict only if each asserts what the other denies (“tea, not coffee”)."""
    reached_a, reached_b = _reached(a), _reached(b)
    ours = next((word for stem, word in denied_a.items() if stem in b.stems and stem not in reached_b), None)
    theirs = next((word for stem, word in denied_b.items() if stem in a.stems and stem not in reached_a), None)
    if ours and theirs:
        return f"one denies “{ours}”, the other “{theirs}”"
    return None


def _has_negation(text: Text) -> bool:
    return any(_denies(word) for word in text.lowers)


def _denying(text: Text) -> list[str]:
    """The words without idioms; empty if none denies."""
    if not _has_negation(text):
        return []
    return _IDIOMS.sub("", _TAG.sub("", text.lower)).split()


def _denied(text: Text) -> dict[str, str]:
    """Stem → word of the first content word after each negation."""
    words = _denying(text)
    denied: dict[str, str] = {}
    for at, word in enumerate(words):
        if _denies(word):
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
        if _denies(word)
        for near in words[max(0, at - _REACH_BACK) : at + 1 + _REACH]
    }


def _denies(word: str) -> bool:
    return word.endswith("n't") or word.replace("'", "") in _NEGATION


def antonyms(a: Text, b: Text) -> str | None:
    """A word in one, its opposite in the other, neither in both, and none of them denied."""
    only_a = [word for word in a.words if word.stem not in b.stems]
    only_b = [word for word in b.words if word.stem not in a.stems]
    if only_a and only_b:
        pair = _opposite_pair(only_a, only_b) or _prefixed_pair(only_a, only_b) or _prefixed_pair(only_b, only_a)
        if pair is not None and not _turned(a, pair) ^ _turned(b, pair):
            return f"“{pair[0]}” is the opposite of “{pair[1]}”"
    return _connectives(a, b)


def _opposite_pair(only_a: list[Word], only_b: list[Word]) -> tuple[str, str] | None:
    theirs = {_key(word): word.lower for word in only_b}
    for word in only_a:
        for opposite in _OPPOSITES.get(_key(word), ()):
            if opposite in theirs:
                return word.lower, theirs[opposite]
    return None


def _prefixed_pair(left: list[Word], right: list[Word]) -> tuple[str, str] | None:
    stems = {word.stem: word.lower for word in right}
    for word in left:
        for prefix in _PREFIXES:
            rest = word.lower.removeprefix(prefix)
            if rest != word.lower and len(rest) > 3 and stem_of(rest) in stems:
                return word.lower, stems[stem_of(rest)]
    return None


def _turned(text: Text, pair: tuple[str, str]) -> bool:
    """“not happy” is no opposite of “unhappy”, nor “least expensive” of “cheap”."""
    words = text.lower.split()
    for at, word in enumerate(words):
        if _denies(word) or word in {"least", "less"}:
            reached = words[at + 1 : at + 1 + _REACH]
            if pair[0] in reached or pair[1] in reached:
                return True
    return False


def _key(word: Word) -> str:
    """Short words have no stem of their own: “offer” is not “off”."""
    return word.lower if len(word.lower) <= 4 or len(word.stem) <= 3 else word.stem


def _opposites() -> dict[str, set[str]]:
    def key(word: str) -> str:
        return word if len(word) <= 4 or len(stem_of(word)) <= 3 else stem_of(word)

    keys: dict[str, set[str]] = {}
    for left, right in OPPOSITES:
        keys.setdefault(key(left), set()).add(key(right))
        keys.setdefault(key(right), set()).add(key(left))
    return keys


_OPPOSITES = _opposites()
_EXCEPT = frozenset({"besides", "except", "excluding", "outside"})


def _connectives(a: Text, b: Text) -> str | None:
    """“A and B” against “A or B”; not after “not”, where they say the same."""
    ours, theirs = a.lowers & {"and", "or"}, b.lowers & {"and", "or"}
    if not ours or not theirs or ours == theirs:
        return None
    for one, other in (("and", "or"), ("or", "and")):
        if _joined(a, one) & _joined(b, other):
            excluded = (a.lowers | b.lowers) & _EXCEPT or _denying(a) or _denying(b)
            return None if excluded else "one says “and” where the other says “or”"
    return None


def _joined(text: Text, by: str) -> set[tuple[str, str]]:
    words = text.words
    return {
        (min(left.stem, right.stem), max(left.stem, right.stem))
        for left, middle, right in zip(words, words[1:], words[2:], strict=False)
        if middle.lower == by
    }


# Without a counterpart, these may be nouns and verbs, or tell when something happened.
_VAGUE_TIMES = frozenset("today tonight yesterday spring fall morning noon afternoon evening midnight night".split())


def times_differ(a: Text, b: Text) -> str | None:
    """Another time of one kind; or a day, month or season that only one of them names."""
    ours, theirs = _times(a), _times(b)
    if ours == theirs:
        return None
    only_ours, only_theirs = ours - theirs, theirs - ours
    for word in sorted(only_ours):
        for other in sorted(only_theirs):
            if TIMES[word] == TIMES[other]:
                return f"times differ: {word} against {other}"
    named = (only_ours | only_theirs) - _VAGUE_TIMES
    kinds = {TIMES[word] for word in named} - {TIMES[word] for word in ours & theirs}
    alone = sorted(word for word in named if TIMES[word] in kinds)
    return f"only one of them says “{alone[0]}”" if alone else None


def _times(text: Text) -> set[str]:
    found = set()
    for word in text.lowers:
        for part in word.split("-"):
            time = part if part in TIMES else part.removesuffix("s")
            if time in TIMES:
                found.add(time)
    return found


_HOW = {"many": "number", "often": "frequency", "far": "distance", "big": "size", "tall": "size", "fast": "speed",
        "old": "age", "long": "time", "soon": "time"}  # fmt: skip
_WH = {"who": "person", "whom": "person", "whose": "person", "when": "time", "where": "place", "why": "reason"}
_WHAT = {"time": "time", "date": "time", "day": "time", "year": "time", "month": "time", "reason": "reason",
         "place": "place", "person": "person", "causes": "reason", "caused": "reason"}  # fmt: skip
_BE_OR_DO = frozenset("is are was were do does did has have".split())
_AUXILIARY = frozenset("is are was were do does did will would can could should has have had may might am".split())
# Asked for with “what”, these are amounts, as with “how much” and “how many”.
_AMOUNTS = frozenset(
    "number amount total count price cost fee charge rate size population percentage average sum limit many".split()
)


def questions_differ(a: Text, b: Text) -> str | None:
    """Who, when, where, why, how many, or which ones: each wants another kind of answer."""
    ours, theirs = _asked_for(a), _asked_for(b)
    if ours is None or theirs is None or ours == theirs:
        return None
    if "number" not in (ours, theirs) and (ours in _LOOSE or theirs in _LOOSE):
        return None
    return f"one asks for {_ARTICLE.get(ours, f'a {ours}')}, the other for {_ARTICLE.get(theirs, f'a {theirs}')}"


# Which ones, and whether: these ask for anything, but not for a number.
_LOOSE = frozenset({"which ones", "yes or no"})
_ARTICLE = {kind: kind for kind in _LOOSE} | {"age": "an age"}
_QUANTITY = re.compile(r"\b(?:number|quantity|amount|count) of\b")


def _asked_for(text: Text) -> str | None:
    words = [word.lower for word in text.words]
    for at, (word, following) in enumerate(pairwise([*words, ""])):
        if word == "how":
            return _how(words[at + 1 : at + 3])
        if word in {"what", "which", "what's"}:
            if _QUANTITY.search(text.lower):
                return "number"
            return _WHAT.get(following) or (None if text.lowers & _AMOUNTS else "which ones")
        # “When I pay, …” is a clause, “when will …” a question; “where does it come from” is a why.
        if word in _WH and (word not in {"when", "where"} or following in _AUXILIARY):
            return None if word == "where" and "from" in words[at:] else _WH[word]
    return "yes or no" if words and words[0] in _BE_OR_DO else None


# “How did I get this” asks for a reason as often as for a manner.
_SPEAKERS = frozenset({"i", "we", "you", "my", "it", "this", "that"})


def _how(following: list[str]) -> str | None:
    match following:
        case ["much" | "many", "time" | "times" | "longer" | "years" | "days" | "hours" | "minutes" | "weeks"]:
            return None
        case ["did" | "does" | "was" | "were", subject] if subject not in _SPEAKERS:
            return "manner"
        case [first, *_]:
            return _HOW.get(first)
    return None


_BEING = re.compile(r"\b(who|what|where|how)(?: (is|are|was|were)\b|('s)\b)")
_PAST = frozenset({"was", "were"})
_USED_TO = re.compile(r"\bused? to be\b|\bdid\b.{1,60}\buse to\b")


def tenses_differ(a: Text, b: Text) -> str | None:
    """Who is it, and who was it; what is, what used to be, and what is becoming so."""
    ours, theirs = _BEING.search(a.lower), _BEING.search(b.lower)
    if ours and theirs and ours[1] == theirs[1] and (ours[2] in _PAST) != (theirs[2] in _PAST):
        return "one asks about now, the other about the past"
    if bool(_USED_TO.search(a.lower)) != bool(_USED_TO.search(b.lower)):
        return "only one of them asks what used to be"
    if ("becoming" in a.lowers) != ("becoming" in b.lowers):
        return "only one of them asks what is becoming so"
    return None
