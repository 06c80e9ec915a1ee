"""The time that a statement of savings is about: whole days of UTC, as the ledger's are, and the time before. Pure."""

from __future__ import annotations

import datetime as dt
import urllib.parse
from collections.abc import Mapping
from typing import Any, NamedTuple

from django.utils.translation import gettext
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from tenants.bodies import Body
from tenants.management_views import read

MONTH, LAST_MONTH, CUSTOM = "month", "last-month", "custom"
# Days, today among them.
_LATEST = {"7d": 7, "30d": 30, "90d": 90, "365d": 365}
RANGES = (MONTH, LAST_MONTH, *_LATEST)
MAX_DAYS = 400
_EARLIEST = dt.date(2000, 1, 1)
_DAY, _HOUR = dt.timedelta(days=1), dt.timedelta(hours=1)


class Span(NamedTuple):
    """From `start` (included) to `end` (excluded), both midnights.

    Up to `whole` no hour is still growing; so much is compared with the time from `before` to `before_end`.
    """

    name: str
    start: dt.datetime
    end: dt.datetime
    whole: dt.datetime
    before: dt.datetime
    before_end: dt.datetime

    @property
    def first_day(self) -> dt.date:
        return self.start.date()

    @property
    def last_day(self) -> dt.date:
        return (self.end - _DAY).date()

    @property
    def days(self) -> int:
        return (self.end - self.start).days

    @property
    def is_open(self) -> bool:
        return self.whole < self.end

    @property
    def ends(self) -> dict[str, str]:
        """As the list of requests takes them."""
        return {"from": str(self.first_day), "to": str(self.last_day)}

    @property
    def query(self) -> str:
        """As it stands in the URL of a page about this time."""
        return urllib.parse.urlencode(self.ends if self.name == CUSTOM else {"range": self.name})


class SpanQuery(Body):
    range = serializers.ChoiceField(RANGES, required=False)

    def get_fields(self) -> dict[str, Any]:
        return {
            "from": serializers.DateField(required=False),
            "to": serializers.DateField(required=False),
            **super().get_fields(),
        }


def choose(parameters: Mapping[str, str], now: dt.datetime) -> Span:
    """Of a query string, in which others may stand beside; this month without any. Raises ValidationError."""
    known = ("range", "from", "to")
    query: dict[str, Any] = read(SpanQuery(data={name: parameters[name] for name in known if parameters.get(name)}))
    if "from" not in query and "to" not in query:
        return span_of(query.get("range", MONTH), now)
    last = min(query.get("to", now.date()), now.date())
    return custom(query.get("from", last.replace(day=1)), last, now)


def custom(first: dt.date, last: dt.date, now: dt.datetime) -> Span:
    """Both days included. Raises ValidationError."""
    if first > last or first < _EARLIEST:
        raise ValidationError({"from": gettext("The first day must not be after the last one, or after today.")})
    if (last - first).days >= MAX_DAYS:
        raise ValidationError(
            {"from": gettext("That is more than %(most)s days. Ask for less at once.") % {"most": MAX_DAYS}}
        )
    start, end = _midnight(first), _midnight(last) + _DAY
    return _span(CUSTOM, start, end, start - (end - start), now)


def span_of(name: str, now: dt.datetime) -> Span:
    """One of RANGES, as it is now."""
    month, tomorrow = month_of(now), _midnight(now.date()) + _DAY
    if name == MONTH:
        return _span(name, month, tomorrow, _month_before(month), now)
    if name == LAST_MONTH:
        start = _month_before(month)
        return _span(name, start, month, _month_before(start), now)
    long = dt.timedelta(days=_LATEST[name])
    return _span(name, tomorrow - long, tomorrow, tomorrow - 2 * long, now)


def month_of(now: dt.datetime) -> dt.datetime:
    """Where it began."""
    return _midnight(now.date().replace(day=1))


def _month_before(month: dt.datetime) -> dt.datetime:
    return (month - _DAY).replace(day=1)


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC)


def _span(name: str, start: dt.datetime, end: dt.datetime, before: dt.datetime, now: dt.datetime) -> Span:
    hour = now.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)
    if end <= hour:
        return Span(name, start, end, end, before, start)
    whole = max(start, hour)
    # Half a month is compared with as much of the month before.
    return Span(name, start, end, whole, before, min(start, before + (whole - start)))
