"""Guards on what kind of question it is: what is asked for, may or must, now or then. Pure."""

from __future__ import annotations

import re
from itertools import pairwise

from gateway.cache.verify.text import Text, read_once

_HOW = {
    "many": "number", "often": "frequency", "frequently": "frequency", "far": "distance", "big": "size",
    "tall": "size", "large": "size", "high": "size", "heavy": "weight", "fast": "speed", "quickly": "speed",
    "old": "age", "long": "time", "soon": "time", "early": "time", "late": "time", "deep": "size", "wide": "size",
    "much": "amount", "hot": "temperature", "cold": "temperature",
}  # fmt: skip
_WH = {"who": "person", "whom": "person", "whose": "person", "when": "time", "where": "place", "why": "reason"}
_WHAT = {
    "time": "time", "date": "time", "day": "time", "year": "time", "month": "time", "reason": "reason",
    "place": "place", "person": "person", "causes": "reason", "caused": "reason", "cause": "reason", "makes": "reason",
    "made": "reason", "age": "age", "distance": "distance",
}  # fmt: skip
_BE_OR_DO = frozenset("is are was were do does did has have".split())
_AUXILIARY = frozenset("is are was were do does did will would can could should has have had may might am to".split())
# Asked for with “what”, these are amounts, as with “how much” and “how many”.
_AMOUNTS = frozenset(
    "number amount total price cost fee charge rate size population percentage average sum limit".split()
)
# Which ones, and whether: these ask for anything, but not for a number.
_LOOSE = frozenset({"which ones", "yes or no"})
# “How much sleep” and “how many hours”: each may be answered in the other's terms.
_NEAR = frozenset({frozenset({"amount", kind}) for kind in ("number", "size", "yes or no", "which ones")})
_ARTICLE = {kind: kind for kind in _LOOSE} | {"age": "an age", "amount": "an amount"}
_DEFINITION = re.compile(r"what(?:'s| is| are) an? (?!good |way |place |reason |number )(?:\w+ ){0,2}\w+$")
_QUANTITY = re.compile(r"\b(?:number|quantity|amount|count) of\b")


def questions_differ(a: Text, b: Text) -> str | None:
    """Who, when, where, why, how many, or which ones: each wants another kind of answer."""
    ours, theirs = _asked_for(a), _asked_for(b)
    if ours is None or theirs is None or ours == theirs or frozenset({ours, theirs}) in _NEAR:
        return None
    if "number" not in (ours, theirs) and (ours in _LOOSE or theirs in _LOOSE):
        return None
    return f"one asks for {_ARTICLE.get(ours, f'a {ours}')}, the other for {_ARTICLE.get(theirs, f'a {theirs}')}"


@read_once
def _asked_for(text: Text) -> str | None:
    words = [word.lower for word in text.words]
    for at, (word, following) in enumerate(pairwise([*words, ""])):
        if word == "how":
            return _how(words[at + 1 : at + 3])
        if at == 0 and word in {"what", "what's"} and _DEFINITION.match(text.lower):
            return "meaning"
        if word in {"what", "which", "what's"}:
            if _QUANTITY.search(text.lower):
                return "number"
            return _WHAT.get(following) or (None if text.lowers & _AMOUNTS else "which ones")
        # “When I pay, …” is a clause, “when will …” a question; “where does it come from” is a why.
        if word in _WH and (word not in {"when", "where"} or following in _AUXILIARY):
            return None if word == "where" and "from" in words[at:] else _WH[word]
    if words and words[0] in _BE_OR_DO:
        return "yes or no"
    return "yes or no" if any(pair in _ASKING for pair in pairwise(words)) else None


# “Of these, do any …”
_ASKING = frozenset((verb, subject) for verb in _BE_OR_DO for subject in ("any", "there"))


# “How did I get this” asks for a reason as often as for a manner.
_SPEAKERS = frozenset({"i", "we", "you", "my", "it", "this", "that"})


def _how(following: list[str]) -> str | None:
    match following:
        case ["much" | "many", "time" | "times" | "longer" | "years" | "days" | "hours" | "minutes" | "weeks"]:
            return None
        case ["come", *_]:
            return "reason"
        case ["did" | "does" | "was" | "were" | "are" | "is", subject] if subject not in _SPEAKERS:
            return "manner"
        case [first, *_]:
            return _HOW.get(first)
    return None


_MODALITY = re.compile(
    r"(?P<must>\bmust\b|\b(?:have|has|had|got|gotta) to\b|\bobliged\b|\bmandatory\b|\bcompulsory\b|\bobligatory\b"
    r"|\bforced to\b|\brequired?\b)"
    r"|(?P<need>\bneed(?:s|ed)?\b|\bnecessary\b)"
    r"|(?P<should>\bshould\b|\bought to\b|\brecommended\b|\badvisable\b|\bsupposed to\b|\bgood idea\b|\bbetter to\b)"
    r"|(?P<may>\bcan\b|\bcould\b|\bmay\b|\bmight\b|\bable to\b|\bpossible\b|\ballowed\b|\bpermitted\b|\blegal\b"
    r"|\bok(?:ay)?\b)"
)
# “How can I”, “what should I”, “where do I have to”: these ask how, what and where.
_OPEN = frozenset({"how", "what", "where", "why", "which"})
_POLITE = re.compile(
    r"^(?:(?:hi|hello|hey|please|so|also|and|but|thanks)[ ,]*)*"
    r"(?:(?:can|could|would|may|might) (?:you|u|i|someone|anyone|somebody) (?:please )?"
    r"(?:tell|explain|help|show|know|ask|get some help)"
    r"|i (?:need|want|have) to (?:know|ask)|(?:is it )?possible to tell)\b"
)
_COMPATIBLE = frozenset({frozenset({"need", "must"}), frozenset({"need", "should"})})
_MODAL_NAMES = {"must": "must", "need": "is needed", "should": "should", "may": "may"}


def modality_differs(a: Text, b: Text) -> str | None:
    """“Do I have to” against “can I” and “should I”, where that is what is asked."""
    ours, theirs = _modality(a), _modality(b)
    if ours is None or theirs is None or ours == theirs or frozenset({ours, theirs}) in _COMPATIBLE:
        return None
    return f"one asks what {_MODAL_NAMES[ours]} be, the other what {_MODAL_NAMES[theirs]} be"


@read_once
def _modality(text: Text) -> str | None:
    lower = _POLITE.sub("", text.lower, count=1)
    found = _MODALITY.search(lower)
    if found is None or found.lastgroup is None:
        return None
    before = lower[: found.start()].split()
    # Only early in a question that wants a yes or a no, or asks who or when.
    if len(before) > 4 or not _OPEN.isdisjoint(before) or _tells(before, found.lastgroup):
        return None
    return found.lastgroup


_QUESTION_STARTS = frozenset("is are was were do does did am would will who whom whose when if".split())


def _tells(before: list[str], modal: str) -> bool:
    """“I need a card”, “you can …” state; “do I need”, “who can”, “can I” ask."""
    return bool(before) and before[0] not in _QUESTION_STARTS


_BEING = re.compile(r"\b(who|what|where|how)(?: (is|are|was|were|will be)\b|('s)\b)")
_FIRST = re.compile(
    r"^(?:(?:so|and|but|hi|hey|hello|ok|well) )*(?:(?P<wh>when|where|who|what|which)(?: \w{1,20})? )?"
    r"(?P<verb>is|are|am|was|were|will|did|does|do|has|have|had)(?:n't| not)? (?P<subject>\w[\w'-]*)(?P<rest>.{0,30})"
)
_PAST = frozenset({"was", "were"})
_USED_TO = re.compile(r"(?<!\bit )\bused to (?:be|own|have|live|work|play|call|do)\b|\bdid\b.{1,60}\buse to\b")
_TENSES = {
    "is": "now", "are": "now", "am": "now", "was": "past", "were": "past", "did": "past", "does": "now", "do": "now",
    "has": "past", "have": "past", "had": "past", "will": "future",
}  # fmt: skip
_FUTURE = re.compile(r"\bgoing to\b|\bgonna\b|\babout to\b")
_ASKED_OF = frozenset({"i", "my", "we", "our", "you", "your", "it", "this", "that", "there", "not"})


def tenses_differ(a: Text, b: Text) -> str | None:
    """Who is it, and who was it; what is, what used to be, and what is becoming so."""
    ours, theirs = _being(a), _being(b)
    if ours and theirs and ours[0] == theirs[0] and ours[1] != theirs[1]:
        return f"one asks about the {_TENSE_NAMES[ours[1]]}, the other about the {_TENSE_NAMES[theirs[1]]}"
    if _used_to(a) != _used_to(b):
        return "only one of them asks what used to be"
    if ("becoming" in a.lowers) != ("becoming" in b.lowers):
        return "only one of them asks what is becoming so"
    first, second = _tense(a), _tense(b)
    if first is None or second is None or first[2] != second[2] or not _apart(first, second):
        return None
    return f"one asks about the {_TENSE_NAMES[first[0]]}, the other about the {_TENSE_NAMES[second[0]]}"


_TENSE_NAMES = {"now": "present", "past": "past", "future": "future"}


def _apart(first: tuple[str, str, str | None], second: tuple[str, str, str | None]) -> bool:
    """“Will” and “does” may ask the same; “will” and “did”, “is” and “was” do not."""
    tenses = {first[0], second[0]}
    if tenses == {"past", "future"}:
        return True
    verbs = {first[1], second[1]}
    if tenses == {"now", "past"}:
        return verbs <= {"is", "are", "was", "were"} or verbs <= {"do", "does", "did"}
    return False


@read_once
def _used_to(text: Text) -> bool:
    return _USED_TO.search(text.lower) is not None


@read_once
def _being(text: Text) -> tuple[str, str] | None:
    found = _BEING.search(text.lower)
    if found is None:
        return None
    verb = found[2]
    return found[1], "past" if verb in _PAST else "future" if verb == "will be" else "now"


@read_once
def _tense(text: Text) -> tuple[str, str, str | None] | None:
    """Of a question that wants a yes or no, or asks who, what, when or where: its tense, the verb, and which wh."""
    found = _FIRST.match(text.lower)
    if found is None or (
        found["subject"] in _ASKED_OF and found["verb"] not in {"am", "are", "were", "will", "is", "was"}
    ):
        return None
    if _FUTURE.search(found["rest"]):
        return "future", "will", found["wh"]
    return _TENSES[found["verb"]], found["verb"], found["wh"]
