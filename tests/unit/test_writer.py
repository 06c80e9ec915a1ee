"""Rows that are written a moment after: while the database is away, no more wait than memory has room for."""

from __future__ import annotations

import asyncio
import logging

import pytest
from psycopg_pool import AsyncConnectionPool

from gateway.cache import writer
from gateway.cache.entries import Entry
from gateway.cache.writer import Writer
from gateway.metrics import CACHE_ROWS_LOST
from gateway.types import Meta

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"
META = Meta("e", 1.0, "p", False, "openai", "m", 1, 0, 1)


def entry(number: int) -> Entry:
    return Entry("", f"f{number}", "", (), "", "m", "Hi", b"{}", META, 60, 0)


def lost(reason: str) -> float:
    return float(CACHE_ROWS_LOST.labels(reason)._value.get())


def test_an_answer_that_gets_no_row_is_counted_and_the_log_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer, "WAITING_AT_MOST", 3)
    before = lost("waiting"), lost("database")

    async def story() -> None:
        rows = Writer(AsyncConnectionPool(NOWHERE, open=False, timeout=0.1))
        for number in range(5):
            rows.put("t_x", entry(number))
        await rows.close()

    with caplog.at_level(logging.WARNING):
        asyncio.run(story())
    assert lost("waiting") - before[0] == 2
    assert lost("database") - before[1] == 3
    said = [record.getMessage() for record in caplog.records if record.name == writer.logger.name]
    assert said[0] == "1 answers have no row: 3 wait for the database already"
    assert len(said) == 2 and said[1].startswith("3 answers have no row: ")
