"""What many ask at the same moment is asked once."""

from __future__ import annotations

import asyncio

import pytest

from tenants.shared import Shared


class Database:
    """Answers when it is let; counts what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.let = asyncio.Event()

    async def ask(self, question: str) -> str:
        self.asked.append(question)
        await self.let.wait()
        if question == "broken":
            raise LookupError(question)
        return question.upper()


async def test_who_asks_the_same_at_once_shares_the_answer() -> None:
    database = Database()
    shared = Shared(database.ask)
    waiting = [asyncio.create_task(shared.answer(question)) for question in ("a", "b", "a", "a")]
    await asyncio.sleep(0)
    database.let.set()
    assert await asyncio.gather(*waiting) == ["A", "B", "A", "A"]
    assert database.asked == ["a", "b"]


async def test_who_asks_later_is_told_anew() -> None:
    database = Database()
    shared = Shared(database.ask)
    database.let.set()
    await shared.answer("a")
    await shared.answer("a")
    assert database.asked == ["a", "a"]


async def test_the_first_to_ask_may_leave() -> None:
    database = Database()
    shared = Shared(database.ask)
    first, second = (asyncio.create_task(shared.answer("a")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    database.let.set()
    assert await second == "A"


async def test_all_are_told_of_a_failure_and_the_next_tries_again() -> None:
    database = Database()
    shared = Shared(database.ask)
    database.let.set()
    for _ in range(2):
        with pytest.raises(LookupError):
            await shared.answer("broken")
    assert database.asked == ["broken", "broken"]
