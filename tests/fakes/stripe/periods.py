"""Billing periods: months and years by the calendar in UTC, from an anchor, as Stripe counts them. Pure."""

from __future__ import annotations

import calendar
import datetime as dt

from tests.fakes.stripe.faults import Object

DAY_S = 86_400
_MONTHS = {"month": 1, "year": 12}
_DAYS = {"day": 1, "week": 7}


def at(time: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(time, dt.UTC)


def add_months(time: int, months: int) -> int:
    """The same day and hour; the month's last day where it has no such day."""
    when = at(time)
    year, month = divmod(when.year * 12 + when.month - 1 + months, 12)
    day = min(when.day, calendar.monthrange(year, month + 1)[1])
    return int(when.replace(year=year, month=month + 1, day=day).timestamp())


def add_intervals(anchor: int, recurring: Object, count: int) -> int:
    """The anchor, so many intervals on. Counted from it, so that the 31st comes back after February."""
    steps = int(recurring["interval_count"]) * count
    if recurring["interval"] in _MONTHS:
        return add_months(anchor, _MONTHS[recurring["interval"]] * steps)
    return anchor + _DAYS[recurring["interval"]] * DAY_S * steps


def next_end(anchor: int, recurring: Object, after: int) -> int:
    """The first boundary later than `after`."""
    count = 1
    while add_intervals(anchor, recurring, count) <= after:
        count += 1
    return add_intervals(anchor, recurring, count)


def day_text(time: int) -> str:
    return f"{at(time).day} {at(time):%b %Y}"
