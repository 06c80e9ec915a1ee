"""Guard on times: days, months, seasons, times of day, this and last, how often. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

from gateway.cache.verify.text import Text, read_once
from gateway.cache.verify.vocabulary import RATES, TIMES

_Note = Callable[[str, str], None]
# Short forms and months that are words of their own count where the next or the last word tells of a date.
_AMBIGUOUS = frozenset("may march mar sun sat wed mon sept fri thu tue dec jan".split())
# “I fall”, “a spring”.
_SEASONS_OR_NOT = frozenset({"spring", "fall"})
_BEFORE_SEASONS = frozenset(
    "in on of since until by last next this early late mid every each during from through and or the for spring winter"
    " summer fall".split()
)
_BEFORE_DATES = frozenset(
    "in on of since until till by last next this early late mid every each during from through before after".split()
)
_MARKERS = {
    "last": "last", "previous": "last", "past": "last", "this": "this", "current": "this", "next": "next",
    "coming": "next", "upcoming": "next", "following": "next",
}  # fmt: skip
_PERIODS = frozenset(
    "week month year semester term quarter weekend season decade century summer winter spring autumn fall night".split()
)
_GREETING = re.compile(r"\bgood (?:morning|afternoon|evening|night|day)\b")
_PHRASES = re.compile(
    r"\b(?:day (after tomorrow|before yesterday)|new year'?s? (day|eve)|(christmas|xmas) (eve|day)|(valentine)'?s? day"
    r"|(mother|father)'?s? day|(labou?r|memorial|independence) day|(black|good) friday"
    r"|(?:business|working|week) days?)\b"
)
_HALF_DAY = re.compile(r"\d ?([ap])\.?m\b|\d (?:o'clock )?(?:in the|at) (morning|afternoon|evening|night)\b")
_RATE = re.compile(
    r"\b(?:per|a|an|every|each) (second|minute|hour|day|night|week|weekend|month|quarter|year)\b(?! (?:ago|old|later))"
)
_ERA = re.compile(r"\d (bce?|ad|ce)\b|\b(ad) (?=\d)")


def times_differ(a: Text, b: Text) -> str | None:
    """Another time of one kind; or a day, month or season that only one of them names."""
    ours, theirs = _times(a), _times(b)
    if ours == theirs:
        return None
    for kind in sorted(ours.keys() & theirs.keys()):
        only_ours, only_theirs = ours[kind] - theirs[kind], theirs[kind] - ours[kind]
        if (only_ours or only_theirs) and kind in _ALONE:
            return (
                f'only one of them says "{min(only_ours | only_theirs)}"'
                if not (only_ours and only_theirs)
                else (f"times differ: {min(only_ours)} against {min(only_theirs)}")
            )
        if only_ours and only_theirs:
            return f"times differ: {min(only_ours)} against {min(only_theirs)}"
    for kind in sorted(ours.keys() ^ theirs.keys()):
        named = ours.get(kind) or theirs[kind]
        teller = a if kind in ours else b
        if kind in _ALONE or (kind in _ALONE_UNLESS_TOLD and teller.lowers.isdisjoint(_TELLING)):
            return f'only one of them says "{min(named)}"'
    return None


# Named in one text only, these ask about another time; “every day” and “am” may go without saying.
_ALONE = frozenset({"weekday", "weekend", "month", "season", "holiday"})
# So do these, but “I paid this morning” tells how it came about.
_ALONE_UNLESS_TOLD = frozenset({"relative day", "time of day", "half of the day"})
_TELLING = frozenset({"i", "i've", "ive", "my", "we", "we've", "our", "me", "i'm"})


@read_once
def _times(text: Text) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}

    def note(kind: str, time: str) -> None:
        found.setdefault(kind, set()).add(time)

    lower = text.lower
    if "good " in lower:
        lower = _GREETING.sub("", lower)
    for phrase in _PHRASES.finditer(lower):
        parts = " ".join(part for part in phrase.groups() if part)
        note("holiday" if parts and not parts.startswith(("after", "before")) else "relative day", parts or "weekday")
    lower = _PHRASES.sub("", lower) if found else lower
    for half in _HALF_DAY.finditer(text.raw):
        note("half of the day", "am" if half[1] == "a" or half[2] == "morning" else "pm")
    lower = _HALF_DAY.sub("", lower)
    if _DIGIT_ERA.search(text.raw):
        for era in _ERA.finditer(text.raw):
            note("era", "bc" if (era[1] or "").startswith("b") else "ad")
    for rate in _RATE.finditer(lower):
        note("how often", rate[1])
    before = ""
    for word in lower.split():
        _note_word(word, before, note)
        before = word
    return found


_DIGIT_ERA = re.compile(r"\d (?:bc|ad|ce)|\bad \d")


def _note_word(word: str, before: str, note: _Note) -> None:
    if word in RATES:
        note("how often", RATES[word])
    if before in _MARKERS and word.rstrip("s") in _PERIODS:
        note(f"which {word.rstrip('s')}", f"{_MARKERS[before]} {word.rstrip('s')}")
    for part in word.split("-") if "-" in word else (word,):
        time = part if part in TIMES else part.removesuffix("s")
        if time not in TIMES:
            continue
        if part in _AMBIGUOUS and before not in _BEFORE_DATES and not before[:1].isdigit():
            continue
        if part in _SEASONS_OR_NOT and before not in _BEFORE_SEASONS:
            continue
        kind, name = TIMES[time]
        note(kind, name)
