"""Rows of a tenant as CSV or JSON lines, however many they are.

A page at a time, each a short query: memory is constant, and no connection is held while a client reads. What was there
when the export began comes once; what arrives meanwhile may come, too.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import uuid
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from decimal import Decimal
from typing import Any

import orjson
from asgiref.sync import sync_to_async
from django.db import connection

ROWS = 2_000
MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}
# What spreadsheets take for the beginning of a formula, or skip before one.
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
_GZIP = 31

Row = dict[str, Any]
# From where a page ended (None: the first one) to its rows, and where it ends (None: the last one).
ReadPage = Callable[[Sequence[Any] | None], tuple[list[Row], Sequence[Any] | None]]


class Export:
    """One export under way."""

    def __init__(self, columns: Sequence[str], read_page: ReadPage, *, format: str, compress: bool) -> None:
        self._columns = columns
        self._read_page = read_page
        self._write = {"csv": csv_lines, "jsonl": json_lines}[format]
        self._squeeze = zlib.compressobj(wbits=_GZIP) if compress else None
        self._begun = self._ended = False
        self._place: Sequence[Any] | None = None

    def block(self) -> bytes:
        """The next page as text; not to be asked for after the last."""
        try:
            rows, self._place = self._read_page(self._place)
        finally:
            # Who reads slowly has none while they read.
            connection.close()
        text = self._write(self._columns, rows, header=not self._begun)
        self._begun, self._ended = True, self._place is None
        if self._squeeze is None:
            return text
        # Something of each block, so that nobody waits for the next one.
        how = zlib.Z_FINISH if self._ended else zlib.Z_SYNC_FLUSH
        return self._squeeze.compress(text) + self._squeeze.flush(how)

    async def blocks(self, first: bytes) -> AsyncIterator[bytes]:
        """`first` was read before the answer began, so that what failed was still an error."""
        yield first
        while not self._ended:
            yield await sync_to_async(self.block)()


def csv_lines(columns: Sequence[str], rows: Sequence[Row], *, header: bool) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    if header:
        writer.writerow(columns)
    writer.writerows([_cell(row[name]) for name in columns] for row in rows)
    return text.getvalue().encode()


def json_lines(columns: Sequence[str], rows: Sequence[Row], *, header: bool) -> bytes:
    return b"".join(orjson.dumps({name: plain(row[name]) for name in columns}) + b"\n" for row in rows)


def plain(value: Any) -> Any:
    """As JSON has it: money with all its digits as text, times in UTC."""
    write = _PLAIN.get(type(value))
    return value if write is None else write(value)


def _cell(value: Any) -> Any:
    write = _CELLS.get(type(value))
    return value if write is None else write(value)


def _text(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _utc(at: dt.datetime) -> str:
    return at.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


_PLAIN: dict[type, Callable[[Any], str]] = {
    Decimal: "{:.10f}".format,
    dt.datetime: _utc,
    dt.date: str,
    uuid.UUID: str,
}
_CELLS = {**_PLAIN, str: _text, bool: _json, dict: _json, list: _json}


def takes_gzip(accept_encoding: str) -> bool:
    """By the request's header."""
    for part in accept_encoding.lower().split(","):
        name, _, parameters = part.partition(";")
        if name.strip() in {"gzip", "*"}:
            return parameters.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False
