"""Guards on figures: numbers with their units, sums, codes and single letters. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from itertools import pairwise, zip_longest

from gateway.cache.verify.text import Text

_UNITS = (
    "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen",
    "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
# “one” is left out: it is a pronoun more often than a number. “second” too: it is a time.
SPELLED: dict[str, int] = (
    {word: number for number, word in enumerate(_UNITS, 2)}
    | {word: 10 * number for number, word in enumerate(_TENS, 2)}
    | {"zero": 0, "hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "dozen": 12}
)
_ORDINALS = {
    "first": 1, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9, "tenth": 10,
}  # fmt: skip
_ORDINAL_ENDINGS = frozenset({"st", "nd", "rd", "th"})
_SUM = re.compile(r"(?<![\w.,])(\d[\d.,]*)\s?([-+*/x×÷^%−]|plus|minus|times|over|divided by|mod)\s?(?=\d)")
_OPERATORS = {"plus": "+", "minus": "-", "−": "-", "times": "*", "x": "*", "×": "*", "÷": "/", "over": "/",
              "divided by": "/", "mod": "%"}  # fmt: skip
_UNIT = re.compile(r"([$€£¥])?\s?(\d[\d,]*(?:\.\d+)?)\s?(%|°?[a-z]{1,12}\b|[$€£¥])?")
_MEASURES = {
    "$": "usd", "dollar": "usd", "dollars": "usd", "usd": "usd",
    "€": "eur", "euro": "eur", "euros": "eur", "eur": "eur",
    "£": "gbp", "pound": "gbp", "pounds": "gbp", "gbp": "gbp", "¥": "jpy", "yen": "jpy", "%": "%", "percent": "%",
    "kg": "kg", "kilos": "kg", "kilograms": "kg", "g": "g", "grams": "g", "lb": "lb", "lbs": "lb", "oz": "oz",
    "km": "km", "kilometers": "km", "kilometres": "km", "mi": "mi", "mile": "mi", "miles": "mi", "m": "m",
    "meters": "m", "metres": "m", "cm": "cm", "mm": "mm", "ft": "ft", "feet": "ft", "inch": "in", "inches": "in",
    "am": "am", "pm": "pm", "s": "s", "sec": "s", "seconds": "s", "min": "min", "minute": "min", "minutes": "min",
    "h": "h", "hour": "h", "hours": "h", "day": "d", "days": "d", "week": "w", "weeks": "w", "month": "mon",
    "months": "mon", "year": "y", "years": "y", "kb": "kb", "mb": "mb", "gb": "gb", "tb": "tb", "c": "°c", "°c": "°c",
    "celsius": "°c", "f": "°f", "°f": "°f", "fahrenheit": "°f", "ml": "ml", "l": "l", "liters": "l", "litres": "l",
}  # fmt: skip
_LETTERS = frozenset("bcdefghjklmnopqrstuvwxyz")


# How often something happened, or how long ago, when people tell what happened to them: beside the question.
_CIRCUMSTANCE = re.compile(
    r"\b(?:\w+ times|\w+ ?(?:seconds?|minutes?|mins?|hours?|hrs?|days?|weeks?|months?|years?) (?:ago|now|already)"
    r"|(?:for|after|over|in the (?:last|past)) (?:about |over |almost |more than )?\w+ "
    r"(?:hours?|days?|weeks?|months?))\b"
)
_TELLING = frozenset({"i", "i've", "ive", "my", "we", "we've", "our", "me", "i'm"})


def numbers_differ(a: Text, b: Text) -> str | None:
    ours, theirs = set(_numbers(a)), set(_numbers(b))
    if ours != theirs and not (_beside_the_point(a, ours - theirs, b) and _beside_the_point(b, theirs - ours, a)):
        return f"numbers differ: {_listed(sorted(ours))} against {_listed(sorted(theirs))}"
    first, second = _ranks(a), _ranks(b)
    if first and second and first != second:
        return f"ranks differ: {_listed(sorted(first))} against {_listed(sorted(second))}"
    if not ours:
        return None
    if (sums := _sums(a)) != (others := _sums(b)) and (sums or others):
        return "the calculations differ"
    mine, yours = _measures(a), _measures(b)
    for number in mine.keys() & yours.keys():
        if mine[number] and yours[number] and mine[number].isdisjoint(yours[number]):
            return f"units differ for {number}"
    return None


def codes_differ(a: Text, b: Text) -> str | None:
    ours, theirs = _codes(a), _codes(b)
    if ours == theirs:
        return None
    return f"codes differ: {_listed(sorted(ours))} against {_listed(sorted(theirs))}"


def _numbers(text: Text) -> Iterator[str]:
    """“twenty five” is 25, “two hundred” and “2 hundred” are 200; “2nd” is a rank."""
    pending: int | None = None
    for word, following in zip_longest(text.words, text.words[1:]):
        lower = word.lower
        value = SPELLED.get(lower)
        if pending is not None and value is not None and (together := _compound(pending, value)) is not None:
            pending = together
            continue
        if pending is not None:
            yield str(pending)
        pending = value
        if lower[:1].isdigit() and (following is None or following.lower not in _ORDINAL_ENDINGS):
            plain = _plain(lower)
            if plain.isdecimal() and len(plain) < 16:
                pending = int(plain)
            else:
                yield plain
    if pending is not None:
        yield str(pending)


def _compound(number: int, next_number: int) -> int | None:
    if next_number >= 100 and number < next_number:
        return number * next_number
    if (next_number < 10 <= number < 100 and number % 10 == 0) or (next_number < 100 <= number and number % 100 == 0):
        return number + next_number
    return None


def _beside_the_point(text: Text, extra: set[str], other: Text) -> bool:
    """Whether the extra numbers only tell how long ago or how often, and the other text does not tell it otherwise."""
    if not extra:
        return True
    if not text.lowers & _TELLING or not other.lowers & _TELLING or _CIRCUMSTANCE.search(other.lower):
        return False
    rest = set(_numbers(Text.parse(_CIRCUMSTANCE.sub(" ", text.lower))))
    return extra.isdisjoint(rest)


def _sums(text: Text) -> list[tuple[str, str]]:
    return [(number, _OPERATORS.get(operator, operator)) for number, operator in _SUM.findall(text.raw)]


def _ranks(text: Text) -> set[str]:
    ranks = {str(_ORDINALS[word]) for word in text.lowers & _ORDINALS.keys()}
    for word, following in pairwise(text.words):
        if following.lower in _ORDINAL_ENDINGS and word.lower.isdecimal():
            ranks.add(word.lower)
    return ranks


def _plain(number: str) -> str:
    digits = number.replace(",", "")
    try:
        return f"{Decimal(digits).normalize():f}" if len(digits) < 40 else digits
    except InvalidOperation:
        return number


def _measures(text: Text) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for symbol, number, unit in _UNIT.findall(text.raw):
        measures = {_MEASURES[name] for name in (symbol, unit) if name in _MEASURES}
        found.setdefault(_plain(number), set()).update(measures)
    return found


def _codes(text: Text) -> set[str]:
    """Letters with digits in one word, and letters that stand alone: “vitamin C”, “group b”."""
    codes = set()
    for word in text.words:
        lower = word.lower.replace("-", "")
        mixed = any(c.isdigit() for c in lower) and any(c.isalpha() for c in lower)
        if lower in _LETTERS or (mixed and not re.fullmatch(r"\d+(st|nd|rd|th|s)", lower)):
            codes.add(lower)
    return codes


def _listed(values: list[str]) -> str:
    return ", ".join(values[:5]) if values else "none"
