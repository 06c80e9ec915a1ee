"""When a billing period ends, whatever its anchor became."""

from __future__ import annotations

import datetime as dt

import pytest

from billing.closing import end_of


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("anchor", "start", "end"),
    [
        ("2026-01-31T09:30", "2026-01-31T09:30", "2026-02-28T09:30"),
        ("2026-01-31T09:30", "2026-02-28T09:30", "2026-03-31T09:30"),
        ("2026-01-31T09:30", "2026-12-31T09:30", "2027-01-31T09:30"),
        # The anchor has moved: to the middle of the period, to before it, to long after it, by a second.
        ("2026-11-21T14:00", "2026-11-01T00:00", "2026-11-21T14:00"),
        ("2026-03-05T00:00", "2026-11-01T00:00", "2026-11-05T00:00"),
        ("2027-05-01T00:00:01", "2026-11-01T00:00", "2026-11-01T00:00:01"),
    ],
)
def test_a_period_ends_after_a_month_or_where_the_next_one_begins(anchor: str, start: str, end: str) -> None:
    assert end_of(at(anchor), at(start)) == at(end)
