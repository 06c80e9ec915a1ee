"""Personal data and secrets in texts: found by rules, replaced by placeholders. Pure; time grows as the text does.

Rules know forms, not meanings: a name or a street has none. No pattern here goes over the same characters twice, and
what a pattern proposes is checked by sum (cards, IBANs) or by a parser (addresses of machines).
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

# A longer text is not looked through, and counts as one with something in it: a call must not wait for it.
MOST_CHARACTERS = 100_000
WORD = "word"
MAX_WORDS, MAX_WORD_CHARACTERS = 100, 60


class Redaction(NamedTuple):
    """What a workspace asks for: names of RULES, and words of its own.

    `skip`: answers to what holds any of it are not kept at all. `mask_answers`: answers that hold any of it are kept
    with placeholders, and given so; else they are not kept.
    """

    names: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    skip: bool = False
    mask_answers: bool = False


class Span(NamedTuple):
    start: int
    end: int


Finder = Callable[[str], Iterator[Span]]


def mask(text: str, asked: Redaction) -> str:
    """With `[email]` and the like in place of what was found; a text that is too long to look through is left out."""
    if len(text) > MOST_CHARACTERS:
        return "[too long to redact]"
    for name, find in _finders(asked.names, asked.words):
        pieces: list[str] = []
        last = 0
        for start, end in find(text):
            pieces += text[last:start], f"[{name}]"
            last = end
        if pieces:
            text = "".join(pieces) + text[last:]
    return text


def finds(text: str, asked: Redaction) -> bool:
    """Whether `mask` would change it."""
    return len(text) > MOST_CHARACTERS or any(
        next(find(text), None) is not None for _, find in _finders(asked.names, asked.words)
    )


def finds_in(value: Any, asked: Redaction) -> bool:
    """In any text of a JSON value."""
    waiting, read = [value], 0
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            read += len(one)
            if read > MOST_CHARACTERS or finds(one, asked):
                return True
        elif isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return False


def mask_in(value: Any, asked: Redaction) -> Any:
    """In every text of a JSON value."""
    if isinstance(value, str):
        return mask(value, asked)
    if isinstance(value, dict):
        return {name: mask_in(inner, asked) for name, inner in value.items()}
    return [mask_in(inner, asked) for inner in value] if isinstance(value, list) else value


@functools.lru_cache(maxsize=512)
def _finders(names: tuple[str, ...], words: tuple[str, ...]) -> tuple[tuple[str, Finder], ...]:
    """Words first, so that they are not looked for in placeholders; then the rules in their own order."""
    own = [(WORD, _matches(_pattern_of(words)))] if words else []
    return (*own, *((name, find) for name, find in RULES.items() if name in names))


def _pattern_of(words: tuple[str, ...]) -> re.Pattern[str]:
    """Literally, in any case, with some white space between two words."""
    longest_first = sorted(words, key=len, reverse=True)
    texts = (r"\s{1,3}".join(map(re.escape, word.split())) for word in longest_first)
    return re.compile(rf"(?<!\w)(?:{'|'.join(texts)})(?!\w)", re.IGNORECASE)


def _matches(pattern: re.Pattern[str], group: int = 0) -> Finder:
    def find(text: str) -> Iterator[Span]:
        return (Span(*found.span(group)) for found in pattern.finditer(text))

    return find


# --- the rules --------------------------------------------------------------------------------------------------------

# What is before the @ is read once, from its beginning; “++” never gives back.
_EMAIL = re.compile(r"(?<![\w.+%'-])[\w.+%'-]++@[\w-]++(?:\.[\w-]++)++")
# +49 30 1234567, 0049…, 030 1234567, (415) 555-2671.
_PHONE = re.compile(
    r"(?:(?<!\+)\+|(?<![\w+])00)[1-9](?:[ .\-/()]{0,2}\d){6,14}(?!\w)"
    r"|(?<![\w.,+-])\(?0[1-9](?:[ .\-/()]{0,2}\d){7,11}(?!\w)"
    r"|(?<![\w.+-])(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\w-])"
)
# As they are printed: 4-4-4-4 and 4-4-4-4-3, 4-6-5, 4-6-4, or in one.
_CARD = re.compile(
    r"(?<![\w-])(?:[2-6]\d{3}(?:[ -]\d{4}){3}(?:[ -]\d{1,3})?+|[2-6]\d{3}[ -]\d{6}[ -]\d{4,5}|[2-6]\d{12,18})(?!\w)"
)
CARD_DIGITS = range(13, 20)
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]){11,30}+")
# Of https://www.swift.com/standards/data-standards/iban (registry of 2024): the length says where it ends.
_IBAN_LENGTHS = {
    length: frozenset(countries.split())
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FI FO GL NL SD FK",
        19: "MK SI",
        20: "AT BA EE KZ LT LU XK MN",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS",
        23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HU LB NI PL SV",
        29: "BR EG PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
}
_IBAN_LENGTH = {country: length for length, countries in _IBAN_LENGTHS.items() for country in countries}
_SSN = re.compile(r"(?<![\w-])(?!000|666|9)\d{3}([- ])(?!00)\d{2}\1(?!0000)\d{4}(?![\w-])")
_MACHINE = re.compile(r"(?<![\w.:])[0-9A-Fa-f:.]{3,64}+(?!\w)")
_SECRET = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?:[^-]|-(?!----END))*+(?:-----END [A-Z ]{0,40}-----)?"
    r"|(?<![\w-])(?:"
    r"(?:sk|rk|pk|nk)-[\w-]{16,}+"
    r"|(?:sk|rk|pk)_(?:live|test)_\w{10,}+"
    r"|whsec_\w{16,}+"
    r"|(?:AKIA|ASIA)[0-9A-Z]{16}"
    r"|gh[oprsu]_\w{30,}+|github_pat_\w{30,}+|glpat-[\w-]{16,}+"
    r"|xox[abeoprs]-[\w-]{10,}+"
    r"|AIza[\w-]{30,}+"
    r"|hf_\w{20,}+|npm_\w{20,}+|pypi-[\w-]{20,}+"
    r"|eyJ[\w-]{8,}+\.[\w-]{4,}+\.[\w-]*+"
    r")"
)
# What stands after “password:” and its like, up to the next white space.
_NAMED_SECRET = re.compile(
    r"(?<![A-Za-z])(?:password|passwd|passphrase|pwd|secret|api[_ -]?key|access[_ -]?token|auth[_ -]?token|bearer)"
    # Where no sign says so, only what has a digit in it.
    r"(?:[\"']?\s{0,2}[:=]\s{0,2}|(?:\sis|(?<=earer))\s(?=\S*\d))[\"']?([^\s\"'\[\]]{4,}+)",
    re.IGNORECASE,
)


def _cards(text: str) -> Iterator[Span]:
    at = 0
    while found := _CARD.search(text, at):
        end = _card_end(text, found.start(), found.end())
        if end is not None:
            yield Span(found.start(), end)
        # A card's first digits begin a group: those of the next one, if not of this.
        at = end if end is not None else _next_group(text, found.start(), found.end())


def _card_end(text: str, start: int, end: int) -> int | None:
    """Where a number that begins here ends, at the end of a group; None: no length of it has the right sum."""
    while True:
        digits = [int(character) for character in text[start:end] if character.isdecimal()]
        if len(digits) in CARD_DIGITS and is_luhn(digits):
            return end
        # Without its last group.
        end = max(text.rfind(" ", start, end), text.rfind("-", start, end))
        if end - start < CARD_DIGITS.start:
            return None


def _next_group(text: str, start: int, end: int) -> int:
    at = start
    while at < end and text[at].isdigit():
        at += 1
    return max(at, start + 1)


def is_luhn(digits: list[int]) -> bool:
    """ISO/IEC 7812-1, annex B."""
    doubled = [2 * digit - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _ibans(text: str) -> Iterator[Span]:
    at = 0
    while found := _IBAN.search(text, at):
        end = _iban_end(text, found.start(), found.end())
        if end is not None:
            yield Span(found.start(), end)
        at = end if end is not None else found.start() + 4


def _iban_end(text: str, start: int, end: int) -> int | None:
    length = _IBAN_LENGTH.get(text[start : start + 2].upper())
    if length is None:
        return None
    places = [at for at in range(start, end) if text[at] != " "][:length]
    after = places[-1] + 1
    if len(places) < length or (after < len(text) and text[after].isalnum()):
        return None
    return after if is_iban("".join(text[at] for at in places).upper()) else None


def is_iban(compact: str) -> bool:
    """ISO 13616: modulo 97 of the number that it makes with its first four at the end."""
    turned = compact[4:] + compact[:4]
    return int("".join(str(int(character, 36)) for character in turned)) % 97 == 1


def _machines(text: str) -> Iterator[Span]:
    for found in _MACHINE.finditer(text):
        written = found[0].rstrip(".:") if not found[0].endswith("::") else found[0]
        # A time has colons, a version has dots.
        if written.count(".") != 3 and written.count(":") < 2:
            continue
        address = written.rsplit(":", 1)[0] if written.count(":") == 1 else written
        try:
            ipaddress.ip_address(address)
        except ValueError:
            continue
        if any(character.isalnum() for character in address):
            yield Span(found.start(), found.start() + len(address))


def _secrets(text: str) -> Iterator[Span]:
    last = 0
    spans = [*_matches(_SECRET)(text), *_matches(_NAMED_SECRET, group=1)(text)]
    for start, end in sorted(spans):
        if start >= last:
            yield Span(start, end)
        last = max(last, end)


# In the order in which they look; docs/redaction.md says what each knows.
RULES: dict[str, Finder] = {
    "secret": _secrets,
    "email": _matches(_EMAIL),
    "iban": _ibans,
    "card": _cards,
    "ssn": _matches(_SSN),
    "ip": _machines,
    "phone": _matches(_PHONE),
}
