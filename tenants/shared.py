"""A question that many ask at the same moment is asked once: a burst must not stand in its own way at the database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

Question = TypeVar("Question", bound=Hashable)
Answer = TypeVar("Answer")


class Shared(Generic[Question, Answer]):
    """What `ask` answers, to all who want to know while it is on its way. It goes on when the first of them leaves."""

    def __init__(self, ask: Callable[[Question], Coroutine[Any, Any, Answer]]) -> None:
        self._ask = ask
        self._asked: dict[Question, asyncio.Task[Answer]] = {}

    async def answer(self, question: Question) -> Answer:
        task = self._asked.get(question)
        if task is None:
            task = self._asked[question] = asyncio.create_task(self._ask(question))
            task.add_done_callback(lambda done: self._forget(question, done))
        return await asyncio.shield(task)

    def _forget(self, question: Question, task: asyncio.Task[Answer]) -> None:
        del self._asked[question]
        if not task.cancelled():
            # Where nobody waits any more, nobody need be told.
            task.exception()
