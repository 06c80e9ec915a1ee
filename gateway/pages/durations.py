"""Lengths of time as people write them: a number and a unit."""

from __future__ import annotations

from django.utils.translation import gettext_lazy

UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
UNIT_NAMES = {
    "s": gettext_lazy("seconds"),
    "min": gettext_lazy("minutes"),
    "h": gettext_lazy("hours"),
    "d": gettext_lazy("days"),
}


def split(seconds: int) -> tuple[int, str]:
    """In the largest unit that is whole."""
    unit = next(name for name in reversed(UNITS) if seconds % UNITS[name] == 0) if seconds else "min"
    return seconds // UNITS[unit], unit
