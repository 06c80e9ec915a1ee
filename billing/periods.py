"""Monthly billing periods, anchored to the subscription's day and time of the month. Pure."""

from __future__ import annotations

import calendar
import datetime as dt
from typing import NamedTuple


class Period(NamedTuple):
    """From `start` (included) to `end` (excluded), both aware and in UTC."""

    start: dt.datetime
    end: dt.datetime

    @property
    def id(self) -> str:
        """Its start in seconds since 1970: what names it in Redis."""
        return str(int(self.start.timestamp()))


def period_at(anchor: dt.datetime, now: dt.datetime) -> Period:
    """The period that holds `now`. An anchor on the 31st begins on the last day of shorter months."""
    anchor, now = anchor.astimezone(dt.UTC).replace(microsecond=0), now.astimezone(dt.UTC)
    start = _anchored(anchor, now.year, now.month)
    if start > now:
        return Period(_anchored(anchor, now.year, now.month - 1), start)
    return Period(start, _anchored(anchor, now.year, now.month + 1))


def _anchored(anchor: dt.datetime, year: int, month: int) -> dt.datetime:
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    day = min(anchor.day, calendar.monthrange(year, month)[1])
    return anchor.replace(year=year, month=month, day=day)
