"""Guards on figures: numbers, what they count or measure, ranks and calculations. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gateway.cache.verify.figures import Figure, Figures, figures_of
from gateway.cache.verify.text import Text

# How often something happened, or how long ago, when people tell what happened to them: beside the question.
_CIRCUMSTANCE = re.compile(
    r"\b(?:\w{1,20} times|\w{1,20} ?(?:seconds?|minutes?|mins?|hours?|hrs?|days?|weeks?|months?|years?) "
    r"(?:ago|now|already)|(?:for|after|over|in the (?:last|past)) (?:about |over |almost |more than )?\w{1,20} "
    r"(?:hours?|days?|weeks?|months?))\b"
)
_TELLING = frozenset({"i", "i've", "ive", "my", "we", "we've", "our", "me", "i'm"})
_ARITHMETIC = frozenset("+-*/^=")
# Where one unit is turned into another, an hour is not sixty minutes.
_CONVERTING = frozenset({"convert", "conversion", "many", "much"})


def numbers_differ(a: Text, b: Text) -> str | None:
    ours, theirs = figures_of(a), figures_of(b)
    if not ours.numbers and not theirs.numbers and ours.ranks == theirs.ranks and ours.often == theirs.often:
        return None
    return (
        _values_differ(a, ours, b, theirs)
        or _ranks_differ(ours, theirs)
        or _pairs_differ(ours.pairs, theirs.pairs)
        or _counted_differ(ours, theirs)
    )


def units_differ(a: Text, b: Text) -> str | None:
    """The same number of something else; or the same question, in other units."""
    ours, theirs = figures_of(a), figures_of(b)
    mine, yours = _units_by_value(ours.numbers), _units_by_value(theirs.numbers)
    for value in mine.keys() & yours.keys():
        if mine[value] and yours[value] and mine[value].isdisjoint(yours[value]):
            return f"units differ for {value}: {_apart(mine[value], yours[value])}"
    # “Sixty minutes” and “an hour” both have units of which the other says nothing.
    if ours.durations and ours.durations == theirs.durations:
        return None
    for one in sorted(ours.units - theirs.units, key=sorted):
        for other in sorted(theirs.units - ours.units, key=sorted):
            if one.isdisjoint(other) and _kinds(one) & _kinds(other):
                return f"units differ: {_apart(one, other)}"
    return None


def codes_differ(a: Text, b: Text) -> str | None:
    """Letters with digits in one word, letters that stand alone, versions: “E404”, “vitamin C”, “2.14.1”."""
    ours, theirs = figures_of(a), figures_of(b)
    if ours.codes == theirs.codes:
        return None
    # “W-2”, “w2”, “w 2”.
    only_ours = [code for code in ours.codes - theirs.codes if code not in theirs.joined]
    only_theirs = [code for code in theirs.codes - ours.codes if code not in ours.joined]
    if not only_ours and not only_theirs:
        return None
    return f"codes differ: {_listed(only_ours)} against {_listed(only_theirs)}"


def _values_differ(a: Text, ours: Figures, b: Text, theirs: Figures) -> str | None:
    only_ours, only_theirs = _without_counterpart(a, ours, b, theirs), _without_counterpart(b, theirs, a, ours)
    if not only_ours and not only_theirs:
        if ours.often and theirs.often and ours.often != theirs.often:
            return f"numbers differ: {_listed(ours.often)} times against {_listed(theirs.often)} times"
        return None
    if _beside_the_point(a, only_ours, b) and _beside_the_point(b, only_theirs, a):
        return None
    return f"numbers differ: {_listed(ours.values)} against {_listed(theirs.values)}"


_SINGLE = frozenset({"one", "a", "an", "single"})


def _without_counterpart(here: Text, ours: Figures, there: Text, theirs: Figures) -> set[str]:
    convertible = _CONVERTING.isdisjoint(here.lowers) and _CONVERTING.isdisjoint(there.lowers)
    durations = theirs.durations if convertible else set()
    return {
        number.value
        for number in ours.numbers
        if number.value not in theirs.values
        and not (number.value == "1" and _SINGLE & there.lowers)
        and number.value not in theirs.often
        and number.duration not in durations
    }


def _beside_the_point(text: Text, extra: set[str], other: Text) -> bool:
    """Whether the extra numbers only tell how long ago or how often, and the other text does not tell it otherwise."""
    if not extra:
        return True
    if not text.lowers & _TELLING or not other.lowers & _TELLING or _CIRCUMSTANCE.search(other.lower):
        return False
    rest = figures_of(Text.parse(_CIRCUMSTANCE.sub(" ", text.lower)))
    return extra.isdisjoint(rest.values)


# “First, I …” and “the second time” are said by the way; who asks for the third of something wants that one.
_BY_THE_WAY = frozenset({"1", "2"})


def _ranks_differ(ours: Figures, theirs: Figures) -> str | None:
    if ours.ranks == theirs.ranks:
        return None
    only_ours, only_theirs = ours.ranks - theirs.ranks - theirs.values, theirs.ranks - ours.ranks - ours.values
    if (only_ours and only_theirs) or (only_ours | only_theirs) - _BY_THE_WAY:
        return f"ranks differ: {_listed(ours.ranks)} against {_listed(theirs.ranks)}"
    return None


def _pairs_differ(ours: set[tuple[str, str, str]], theirs: set[tuple[str, str, str]]) -> str | None:
    """“10 / 2” and “2 / 10”, “from 4 to 6” and “from 6 to 4”, “2 + 2” and “2 * 2”."""
    if ours == theirs:
        return None
    found = {(first, last): operator for first, operator, last in theirs}
    for first, operator, last in ours:
        other = found.get((first, last))
        if other is not None and other != operator and {other, operator} <= _ARITHMETIC:
            return f"the calculations differ: {first} {operator} {last} against {first} {other} {last}"
        back = found.get((last, first))
        if back is not None and first != last and not (back == operator and operator in "+*"):
            return f"numbers have changed places: {first} and {last}"
    return None


def _counted_differ(ours: Figures, theirs: Figures) -> str | None:
    """“2 adults and 3 children” against “3 adults and 2 children”."""
    mine, yours = _counted(ours), _counted(theirs)
    if len(mine) < 2:
        return None
    for what, value in mine.items():
        other = yours.get(what)
        if other is not None and other != value and value in yours.values() and other in mine.values():
            return f"numbers have changed places: {value} and {other}"
    return None


def _counted(figures: Figures) -> dict[str, str]:
    return {number.counted: number.value for number in figures.numbers if number.counted}


def _units_by_value(numbers: Iterable[Figure]) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for number in numbers:
        found[number.value] = found.get(number.value, frozenset()) | number.units
    return found


def _kinds(units: frozenset[str]) -> set[str]:
    return {unit.partition(" ")[0] for unit in units}


def _apart(one: frozenset[str], other: frozenset[str]) -> str:
    """Against euros, a pound is money."""
    kinds = _kinds(one) & _kinds(other)
    names = (min(units, key=lambda unit: (unit.partition(" ")[0] not in kinds, unit)) for units in (one, other))
    return " against ".join(name.partition(" ")[2] for name in names)


def _listed(values: Iterable[str]) -> str:
    return ", ".join(value[:20] for value in sorted(values)[:5]) or "none"
