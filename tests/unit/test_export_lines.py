"""How rows are written: money with all digits, and nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import datetime as dt
import io
import uuid
from decimal import Decimal
from typing import Any

import orjson
import pytest

from analytics import exports


def cell(value: Any) -> str:
    text = exports.csv_lines(["a"], [{"a": value}], header=False).decode()
    ((one,),) = csv.reader(io.StringIO(text, newline=""))
    return one


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", '=HYPERLINK("http://x")']
)
def test_no_text_begins_a_formula(text: str) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["gpt-4o", "a=b", 'ü, "x"\r\ny', "", "'=1", " =1"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert cell(text) == text


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Decimal("1E-10"), "0.0000000001"),
        (Decimal("-0.5"), "-0.5000000000"),
        (Decimal(0), "0.0000000000"),
        (Decimal("123456789.1"), "123456789.1000000000"),
        (None, ""),
        (True, "true"),
        (-3, "-3"),
        (0.25, "0.25"),
        (["=a"], '["=a"]'),
        ({"cached": 3}, '{"cached":3}'),
        (dt.date(2026, 11, 21), "2026-11-21"),
        (dt.datetime(2026, 11, 21, 1, 30, tzinfo=dt.timezone(dt.timedelta(hours=2))), "2026-11-20T23:30:00Z"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_values_are_plain(value: Any, written: str) -> None:
    assert cell(value) == written


def test_json_lines_keep_types_and_write_money_as_text() -> None:
    row = {"a": None, "b": ["x"], "c": Decimal("1.5"), "d": "=1"}
    (line,) = exports.json_lines(list(row), [row], header=True).splitlines()
    assert orjson.loads(line) == {"a": None, "b": ["x"], "c": "1.5000000000", "d": "=1"}


@pytest.mark.parametrize(
    ("header", "takes"),
    [("gzip", True), ("br, GZIP;q=0.5", True), ("*", True), ("", False), ("identity", False), ("gzip; q=0", False)],
)
def test_gzip_is_for_who_asks(header: str, takes: bool) -> None:
    assert exports.takes_gzip(header) is takes
