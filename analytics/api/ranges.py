"""From when to when: the `from`, `to` and `tz` of this app's endpoints, read and bounded."""

from __future__ import annotations

import datetime as dt
import functools
import re
import zoneinfo
from typing import Any, NamedTuple

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from tenants.bodies import Body

MAX_DAYS, DEFAULT_DAYS = 400, 30
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_YEARS = range(2000, 2101)


class Range(NamedTuple):
    """From `start` (included) to `end` (excluded)."""

    start: dt.datetime
    end: dt.datetime
    zone: zoneinfo.ZoneInfo


class RangeQuery(Body):
    """Both ends may be left out."""

    def get_fields(self) -> dict[str, Any]:
        what = "A date, or a time such as 2026-11-01T08:00:00Z."
        first = f"{what} {DEFAULT_DAYS} days in all without it."
        last = f"A date, which is included, or a time, which is not. {MAX_DAYS} days after `from` at most."
        return {
            "from": serializers.CharField(max_length=40, required=False, help_text=first),
            "to": serializers.CharField(max_length=40, required=False, help_text=last),
            "tz": serializers.CharField(max_length=64, default="UTC", help_text="Whose days; such as Europe/Berlin."),
            **super().get_fields(),
        }


def range_of(query: dict[str, Any], *, max_days: int = MAX_DAYS) -> Range:
    """Raises ValidationError, which names the parameter."""
    if query["tz"] not in _zones():
        raise ValidationError({"tz": gettext("There is no such time zone. Names are like UTC or Europe/Berlin.")})
    zone = zoneinfo.ZoneInfo(query["tz"])
    if "to" in query:
        end = _moment("to", query["to"], zone, include=True)
    else:
        end = _midnight(timezone.now().astimezone(zone).date() + dt.timedelta(days=1), zone)
    if "from" in query:
        start = _moment("from", query["from"], zone, include=False)
    else:
        start = (end.astimezone(zone) - dt.timedelta(days=min(DEFAULT_DAYS, max_days))).astimezone(dt.UTC)
    if start >= end:
        raise ValidationError({"to": gettext("This is not after `from`.")})
    # A day of 25 hours is one day.
    if end - start > dt.timedelta(days=max_days, hours=2):
        raise ValidationError(
            {"from": gettext("That is more than %(most)s days before `to`. Ask for less at once.") % {"most": max_days}}
        )
    return Range(start, end, zone)


@functools.cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def _moment(name: str, text: str, zone: zoneinfo.ZoneInfo, *, include: bool) -> dt.datetime:
    """`include`: a date means its end."""
    try:
        if _DATE.fullmatch(text):
            day = dt.date.fromisoformat(text)
            at = _midnight(day + dt.timedelta(days=include), zone)
        else:
            # A + that was not escaped.
            parsed = parse_datetime(text.replace(" ", "+") if "T" in text else text)
            if parsed is None:
                raise ValueError
            at = (parsed if parsed.tzinfo else parsed.replace(tzinfo=zone)).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        at = None
    if at is None or at.year not in _YEARS:
        raise ValidationError(
            {name: gettext("Write a date such as 2026-11-01, or a time such as 2026-11-01T08:00:00Z.")}
        )
    return at


def _midnight(day: dt.date, zone: zoneinfo.ZoneInfo) -> dt.datetime:
    return dt.datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(dt.UTC)
