"""How numbers and moments stand in a text, in the language of whoever reads it. Times are UTC, and say so."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from django.utils.formats import date_format, number_format
from django.utils.functional import lazy


def number(value: Decimal | float, digits: int = 0) -> str:
    """Rounded to so many digits after the point, with its thousands apart."""
    # Django cuts digits off, where we round.
    return number_format(Decimal(f"{value:.{digits}f}"), digits, force_grouping=True)


def exact(value: float) -> str:
    """With the digits that it has, up to six after the point."""
    return number(value, len(f"{value:f}".rstrip("0").partition(".")[2]))


# For what is written once, when the program starts, and read in many languages.
lazy_number = lazy(number, str)


def day(at: dt.date) -> str:
    """A date; of a time its own, in whatever zone it is."""
    return date_format(at, "DATE_FORMAT")


def day_of_month(at: dt.date) -> str:
    """Without its year."""
    return date_format(at, "MONTH_DAY_FORMAT")


def moment(at: dt.datetime) -> str:
    return f"{date_format(at.astimezone(dt.UTC), 'DATETIME_FORMAT')} UTC"


def time_of_day(at: dt.datetime) -> str:
    return f"{date_format(at.astimezone(dt.UTC), 'TIME_FORMAT')} UTC"
