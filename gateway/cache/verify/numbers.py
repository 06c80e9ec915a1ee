"""Guards on figures: numbers with their units, sums, codes and single letters. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation

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
_ORDINALS = frozenset(["first", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"])
_SUM = re.compile(r"(?<![\w.])(\d[\d.,]*)\s*([-+*/x×÷^%−])\s*(?=\d)")
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


def numbers_differ(a: Text, b: Text) -> str | None:
    ours, theirs = set(_numbers(a)), set(_numbers(b))
    if ours != theirs:
        return f"numbers differ: {_listed(sorted(ours))} against {_listed(sorted(theirs))}"
    first, second = _ranks(a), _ranks(b)
    if first and second and first != second:
        return f"ranks differ: {_listed(sorted(first))} against {_listed(sorted(second))}"
    if not ours:
        return None
    if (sums := _SUM.findall(a.raw)) != (others := _SUM.findall(b.raw)) and (sums or others):
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
    for word in text.words:
        lower = word.lower
        if lower[:1].isdigit():
            yield _plain(lower)
        elif lower in SPELLED:
            yield str(SPELLED[lower])


def _ranks(text: Text) -> set[str]:
    return {word for word in text.lowers if word in _ORDINALS}


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
