"""The figures of a text: numbers in any spelling with their units, ranks, codes. Pure."""

from __future__ import annotations

import dataclasses
import re
from decimal import Decimal
from typing import NamedTuple

from gateway.cache.verify.text import Text, read_once, stem_of
from gateway.cache.verify.units import AFTER_NUMBERS, DURATIONS, ORDINALS, ROMAN, SPELLED, UNITS
from gateway.cache.verify.vocabulary import FUNCTION_WORDS

_DOZEN = 12
_OFTEN = {"twice": "2", "thrice": "3"}
_MULTIPLIERS = {"k": 1000, "bn": 10**9, "mn": 10**6, "mio": 10**6}
# With a currency before the number: “$5m”.
_OF_MONEY = {"m": 10**6, "mm": 10**6, "b": 10**9}
_SYMBOLS = frozenset("$€£¥₹")
_OPERATORS = {
    "plus": "+", "minus": "-", "−": "-", "times": "*", "x": "*", "×": "*", "÷": "/", "divided": "/", "over": "/",
    "multiplied": "*", "to": "to", "of": "of", "vs": "vs", "versus": "vs", "into": "to", "+": "+", "*": "*", "=": "=",
    "^": "^", "-": "-", "/": "/",
}  # fmt: skip
_TOKEN = re.compile(r"[$€£¥₹%+*=^×÷−/]|°[cf]?|-(?=\d)|[^\W_]+(?:[-.,:/'][^\W_]+)*")
_NUMBER = re.compile(r"\d[\d.,:/]*")
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_WITH_SUFFIX = re.compile(r"(\d[\d.,]*)(-?)([^\W\d_]+)")
_VERSION = re.compile(r"(?:v|fy'?)(\d[\d.]*)")
_MONTH = re.compile(
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)"
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# “u r”, “need s”: slips of the finger and short forms, no codes.
_NO_CODE = frozenset("iausntyr")

# Other ways to write a figure, as the reader knows it.
_HALVES = re.compile(
    r"\b(an?|one|two|three|four|five|six|\d{1,4}) (?:(hour|day|week|month|year|minute)s? )?and a half\b"
)
_HALF_A = re.compile(r"\bhalf an? (?=hour|day|year|dozen|million|billion|minute)")
_ISO_DATE = re.compile(r"\b(\d{4})-(0[1-9]|1[0-2])-(\d{2})\b")
_SHORT_YEAR = re.compile(r"(?<![\w'])'(\d\d)(?!\w)")
_DECADE = re.compile(r"(?<![\w.,])(1[5-9]|20)?([0-9]0)'?s\b")
_SPACED = re.compile(r"(?<=\d) ?/ ?(?=\d)")
_FULL_HOUR = re.compile(r"(?<![\d:])(\d{1,2}):00(?!\d)")


class Figure(NamedTuple):
    """`duration`: in minutes or months. `counted`: the stem of what there are so many of."""

    value: str
    units: frozenset[str]
    duration: tuple[str, str] | None
    counted: str


@dataclasses.dataclass(slots=True, eq=False)
class Figures:
    """`pairs`: two numbers and what stands between them. `units`: also those without a number.

    `often`: twice, once a day. `joined`: the text in one piece, to find a code that is written in two.
    """

    joined: str = ""
    numbers: list[Figure] = dataclasses.field(default_factory=list)
    values: set[str] = dataclasses.field(default_factory=set)
    durations: set[tuple[str, str]] = dataclasses.field(default_factory=set)
    ranks: set[str] = dataclasses.field(default_factory=set)
    often: set[str] = dataclasses.field(default_factory=set)
    codes: set[str] = dataclasses.field(default_factory=set)
    pairs: set[tuple[str, str, str]] = dataclasses.field(default_factory=set)
    units: set[frozenset[str]] = dataclasses.field(default_factory=set)


@read_once
def figures_of(text: Text) -> Figures:
    reader = _Reader(_TOKEN.findall(_as_usual(text.raw)))
    reader.read()
    reader.found.joined = text.raw.translate(_JOINING)
    return reader.found


_JOINING = str.maketrans("", "", " \t\n-._")


def _as_usual(raw: str) -> str:
    if "half" in raw:
        raw = _HALF_A.sub("0.5 ", _HALVES.sub(_and_a_half, raw))
    if not any(map(str.isdigit, raw)):
        return raw
    if "'" in raw:
        raw = _SHORT_YEAR.sub(r"20\1", raw)
    raw = _DECADE.sub(lambda found: f"{found[1] or '19'}{found[2]}s", raw)
    raw = _ISO_DATE.sub(lambda found: f"{found[1]} {_MONTHS[int(found[2]) - 1]} {int(found[3])}", raw)
    raw = _FULL_HOUR.sub(r"\1", _SPACED.sub("/", raw))
    return raw.replace("(k)", "k").replace("per cent", "percent")


def _and_a_half(found: re.Match[str]) -> str:
    whole = SPELLED.get(found[1]) or (int(found[1]) if found[1].isdigit() else 1)
    return f"{whole}.5 {found[2] or ''}"


class _Reader:
    """Goes through the words once. A number stays open while the next word may belong to it: “two hundred and five”."""

    def __init__(self, words: list[str]) -> None:
        self.found = Figures()
        self._words = ["", *words, "", "", ""]
        self._open: Decimal | None = None
        self._symbol = ""
        self._last: tuple[str, int] | None = None
        self._operator: str | None = None

    def read(self) -> None:
        for at in range(1, len(self._words) - 2):
            word = self._words[at]
            if word in SPELLED:
                self._spelled(at, SPELLED[word])
            elif not (self._open is not None and word == "and" and self._words[at + 1] in SPELLED):
                self._close(at)
                if word[:1].isdigit():
                    self._digits(at, word)
                else:
                    self._word(at, word)

    def _word(self, at: int, word: str) -> None:
        before, following = self._words[at - 1], self._words[at + 1]
        if word in _SYMBOLS:
            self._symbol = word
            return
        self._symbol = ""
        if word in ORDINALS or (word == "second" and before in {"the", "my", "a", "his", "her", "came", "their"}):
            self._rank(at, str(ORDINALS.get(word, 2)))
        elif word in _OFTEN or (word == "once" and following in {"a", "per", "every", "each"}):
            self.found.often.add(_OFTEN.get(word, "1"))
        elif word in ROMAN and before and before not in FUNCTION_WORDS:
            self._number(at, str(ROMAN[word]), "")
        elif word in _OPERATORS:
            self._operator = _OPERATORS[word]
        elif word in UNITS and word not in AFTER_NUMBERS:
            self.found.units.add(UNITS[word])
        elif (len(word) < 3 or "-" in word or not word.isalpha()) and word:
            self._code(at, word)

    def _spelled(self, at: int, value: int) -> None:
        number = self._open
        if number is None:
            self._open = Decimal(value)
        elif (value >= 100 and number < value) or value == _DOZEN:
            self._open = number * value
        elif (value < 10 <= number < 100 and number % 10 == 0) or (value < number and number % 100 == 0):
            self._open = number + value
        else:
            self._close(at)
            self._open = Decimal(value)

    def _digits(self, at: int, word: str) -> None:
        if _NUMBER.fullmatch(word):
            number = _plain(word)
            following = self._words[at + 1]
            measured = self._symbol or following in UNITS or following in _MULTIPLIERS or following in SPELLED
            # 3.10 may be a version, which is not 3.1, and 007 is not 7.
            if (
                number is None
                or ("." in word and not measured)
                or (word[0] == "0" and len(word) > 1 and "." not in word)
            ):
                self._number(at, _trimmed(word), "")
            else:
                self._open = number
        elif suffixed := _WITH_SUFFIX.fullmatch(word):
            self._suffixed(at, word, suffixed[1], suffixed[3], hyphen=bool(suffixed[2]))
        elif word.replace("-", "").isdigit():
            for part in word.split("-"):
                self._number(at, part.lstrip("0") or "0", "")
                self._operator = "to"
            self._operator = None
        else:
            self.found.codes.add(_bare(word))

    def _suffixed(self, at: int, word: str, digits: str, suffix: str, *, hyphen: bool) -> None:
        number = _plain(digits)
        factor = _MULTIPLIERS.get(suffix) or (_OF_MONEY.get(suffix) if self._symbol else None)
        if number is None:
            self.found.codes.add(_bare(word))
        elif suffix in {"st", "nd", "rd", "th"}:
            self._rank(at, str(number))
        elif factor:
            self._open = number * factor
        elif suffix == "s" and number % 10 == 0:
            self._number(at, f"{number}s", "")
        elif suffix == "x" or hyphen or suffix in UNITS:
            # “24-hour”, “9-credit”.
            self._number(at, _written(number), suffix)
        else:
            self.found.codes.add(_bare(word))

    def _code(self, at: int, word: str) -> None:
        before = self._words[at - 1]
        if version := _VERSION.fullmatch(word):
            year = word.startswith("fy") and len(version[1]) == 2
            self._number(at, f"20{version[1]}" if year else _trimmed(version[1]), "")
        elif any(map(str.isdigit, word)):
            self.found.codes.add(_bare(word))
        elif len(word) == 1 and word.isalpha() and word not in _NO_CODE:
            named = before.isalpha() and before not in FUNCTION_WORDS
            self.found.codes.add(before + word if named else word)
        elif "-" in word and any(len(part) == 1 for part in word.split("-")):
            self.found.codes.add(_bare(word))

    def _rank(self, at: int, rank: str) -> None:
        """“The third quarter” is Q3, “July 4th” is July 4."""
        before, following = self._words[at - 1], self._words[at + 1]
        if following in {"quarter", "half"} and rank in "1234":
            self.found.codes.add(("q" if following == "quarter" else "h") + rank)
        elif any(map(_MONTH.fullmatch, (before, following, self._words[at + 2] if following == "of" else ""))):
            self._number(at, rank, "")
        else:
            self.found.ranks.add(rank)

    def _close(self, at: int) -> None:
        """The number that was open ends before this word, which may be its unit."""
        if self._open is None:
            return
        number, self._open = self._open, None
        word = self._words[at]
        if word in _MULTIPLIERS or (self._symbol and word in _OF_MONEY):
            number *= _MULTIPLIERS.get(word) or _OF_MONEY[word]
            word = self._words[at + 1]
        elif word in {"degrees", "degree"}:
            word = self._words[at + 1]
        self._number(at - 1, _written(number), word)

    def _number(self, at: int, value: str, following: str) -> None:
        negative = self._words[at - 1] == "-" and (self._last is None or at - self._last[1] > 3)
        value = f"-{value}" if negative else value
        units = UNITS.get(self._symbol, frozenset()) | UNITS.get(following, frozenset())
        self._symbol = ""
        duration = _duration(value, units)
        if duration is not None:
            self.found.durations.add(duration)
        if units:
            self.found.units.add(units)
        counted = stem_of(following) if following.isalpha() and following not in FUNCTION_WORDS else ""
        if self._last is not None and self._operator is not None and at - self._last[1] <= 4:
            self.found.pairs.add((self._last[0], self._operator, value))
            if self._operator == "/":
                self.found.values.add(f"{self._last[0]}/{value}")
        self._last, self._operator = (value, at), None
        self.found.numbers.append(Figure(value, units, duration, counted))
        self.found.values.add(value)
        # “120/80” is “120 over 80”.
        if "/" in value:
            self.found.values.update(value.split("/"))


def _duration(value: str, units: frozenset[str]) -> tuple[str, str] | None:
    for unit in units & DURATIONS.keys():
        if (number := _plain(value)) is not None:
            measure, factor = DURATIONS[unit]
            return measure, _written(number * factor)
    return None


def _plain(word: str) -> Decimal | None:
    """The number that digits, commas and at most one dot write. None for “8:30”, “3/4”, “2.14.1”."""
    if _GROUPED.fullmatch(word):
        word = word.replace(",", "")
    if len(word) > 30 or word.count(".") > 1 or not word.replace(".", "").isascii():
        return None
    return Decimal(word) if word.replace(".", "").isdigit() else None


def _written(number: Decimal) -> str:
    return f"{number.normalize():f}"


def _trimmed(word: str) -> str:
    """“03/04” is “3/4”, “3.0” is “3”; “3.10” stays."""
    word = "/".join(part.lstrip("0") or "0" for part in word.split("/")) if "/" in word else word
    return word[:-2] if word.endswith(".0") and word.count(".") == 1 else word


def _bare(word: str) -> str:
    return word.replace("-", "").replace(".", "")
