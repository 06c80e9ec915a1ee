"""The time that a page tells about: chosen by its URL, and from there its bars and what it is compared with. Pure."""

from __future__ import annotations

import datetime as dt
import urllib.parse
import zoneinfo
from collections.abc import Mapping
from typing import Any, NamedTuple

from rest_framework import serializers

from analytics.api.ranges import RangeQuery, range_of
from analytics.models import DAY_S, HOUR_S, MINUTE_S
from analytics.rollups import MINUTES_ARE_KEPT
from tenants.management_views import read

# Seconds of a range, and of a bar of its chart.
RANGES = {
    "15m": (15 * MINUTE_S, MINUTE_S),
    "1h": (HOUR_S, MINUTE_S),
    "24h": (DAY_S, 15 * MINUTE_S),
    "7d": (7 * DAY_S, 3 * HOUR_S),
    "30d": (30 * DAY_S, DAY_S),
    "90d": (90 * DAY_S, DAY_S),
}
DEFAULT, CUSTOM = "1h", "custom"
MAX_BARS = 100
_STEPS = (MINUTE_S, 5 * MINUTE_S, 15 * MINUTE_S, HOUR_S, 3 * HOUR_S, DAY_S, 7 * DAY_S)
_UTC = zoneinfo.ZoneInfo("UTC")


class Choice(NamedTuple):
    """What a URL says. `end` of None: up to now. Two of the same are shown the same."""

    name: str = DEFAULT
    start: dt.datetime | None = None
    end: dt.datetime | None = None
    zone: zoneinfo.ZoneInfo = _UTC

    @property
    def query(self) -> str:
        """As it stands in a URL."""
        if self.start is None:
            return urllib.parse.urlencode({"range": self.name})
        ends = {"from": self.start, "to": self.end}
        return urllib.parse.urlencode(
            {name: f"{at.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}" for name, at in ends.items() if at is not None}
            | ({} if self.zone == _UTC else {"tz": self.zone.key})
        )


class Window(NamedTuple):
    """From `start` (included) to `end` (excluded), in bars of `step_s`.

    Sums are by minute or by hour, `resolution_s`; up to `whole` none of them is still growing, and so much is compared
    with as long a time before.
    """

    start: dt.datetime
    end: dt.datetime
    whole: dt.datetime
    step_s: int
    resolution_s: int
    is_open: bool

    @property
    def before(self) -> dt.datetime:
        """Where the time begins that this one is compared with; it ends at `start`."""
        return self.start - (self.whole - self.start)

    @property
    def bars(self) -> range:
        """Where each begins, in seconds since 1970."""
        first = int(_floor(self.start, self.step_s).timestamp())
        return range(first, int(self.end.timestamp()), self.step_s)


class WindowQuery(RangeQuery):
    range = serializers.ChoiceField(list(RANGES), required=False)


def choose(parameters: Mapping[str, str]) -> Choice:
    """Of a query string, in which others may stand beside. Raises ValidationError."""
    known = ("range", "from", "to", "tz")
    query: dict[str, Any] = read(WindowQuery(data={name: parameters[name] for name in known if parameters.get(name)}))
    if "from" not in query and "to" not in query:
        return Choice(query.get("range", DEFAULT))
    asked = range_of(query)
    return Choice(CUSTOM, asked.start, asked.end if "to" in query else None, asked.zone)


def window_of(choice: Choice, now: dt.datetime) -> Window:
    if choice.start is None:
        span_s, step_s = RANGES[choice.name]
        end = _floor(now, step_s) + dt.timedelta(seconds=step_s)
        return _window(end - dt.timedelta(seconds=span_s), end, step_s, now)
    end = min(choice.end or now, now)
    start = min(choice.start, end)
    long_s = (end - start).total_seconds()
    finest = MINUTE_S if _has_minutes(start, end, now) else HOUR_S
    step_s = next((step for step in _STEPS if step >= finest and long_s / step <= MAX_BARS), _STEPS[-1])
    end = _floor(end - dt.timedelta(microseconds=1), finest) + dt.timedelta(seconds=finest)
    return _window(min(_floor(start, finest), end - dt.timedelta(seconds=finest)), end, step_s, now)


def _window(start: dt.datetime, end: dt.datetime, step_s: int, now: dt.datetime) -> Window:
    resolution_s = MINUTE_S if _has_minutes(start, end, now) else HOUR_S
    whole = min(end, max(start, _floor(now, resolution_s)))
    return Window(start, end, whole, step_s, resolution_s, is_open=end > now)


def _has_minutes(start: dt.datetime, end: dt.datetime, now: dt.datetime) -> bool:
    """Whether the sums by minute reach back as far as what it is compared with."""
    return start - (min(end, now) - start) >= now - MINUTES_ARE_KEPT


def _floor(at: dt.datetime, step_s: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(at.timestamp() // step_s * step_s, dt.UTC)
