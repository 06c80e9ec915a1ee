"""Sends the questions, keeping their order as far as concurrency allows."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import orjson

from nexus import jsonlines
from nexus.jsonlines import BadFile
from nexus.replay.report import Answer, Report

ROW = '{"q": "How do I make tea?"}'
MAX_WAITS = 20
TIMEOUT_S = 180.0


class Question(NamedTuple):
    text: str
    cluster: str | None


def read(path: Path, limit: int | None = None) -> list[Question]:
    """JSON lines with `q` and, if wrong hits shall be counted, `cluster`. Raises BadFile."""
    questions = [_question(place, row) for place, row in itertools.islice(jsonlines.rows(path, ROW), limit)]
    if not questions:
        raise BadFile(f"{path} holds no questions.")
    return questions


def _question(place: str, row: dict[str, Any]) -> Question:
    if not isinstance(row.get("q"), str):
        raise BadFile(f'{place} needs a text "q", as in {ROW}.')
    cluster = row.get("cluster")
    return Question(row["q"], None if cluster is None else str(cluster))


class Target(NamedTuple):
    url: str
    key: str
    model: str
    namespace: str
    stream: bool


class Player:
    def __init__(self, target: Target, report: Report, on_progress: Callable[[int], None]) -> None:
        self._target = target
        self._report = report
        self._on_progress = on_progress
        self._headers = {"Authorization": f"Bearer {target.key}", "Content-Type": "application/json"}
        if target.namespace:
            self._headers["X-Nexus-Cache-Namespace"] = target.namespace

    async def play(self, questions: list[Question], concurrency: int) -> None:
        """Stops early when it is cancelled; the report then holds what was answered."""
        began = time.perf_counter()
        waiting = iter(questions)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        try:
            async with (
                aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency), timeout=timeout) as session,
                asyncio.TaskGroup() as group,
            ):
                for _ in range(concurrency):
                    group.create_task(self._work(session, waiting))
        finally:
            self._report.elapsed_s = time.perf_counter() - began

    async def _work(self, session: aiohttp.ClientSession, waiting: Iterator[Question]) -> None:
        for question in waiting:
            try:
                await self._ask(session, question)
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                self._report.fail(type(error).__name__, str(error))
            self._on_progress(1)

    async def _ask(self, session: aiohttp.ClientSession, question: Question) -> None:
        body: dict[str, Any] = {"model": self._target.model, "messages": [{"role": "user", "content": question.text}]}
        if self._target.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        data = orjson.dumps(body)
        for _ in range(MAX_WAITS):
            began = time.perf_counter()
            async with session.post(
                f"{self._target.url}/v1/chat/completions", data=data, headers=self._headers
            ) as response:
                raw = await response.read()
                if response.status == 429 and "retry-after" in response.headers:
                    self._report.waits += 1
                    await asyncio.sleep(min(60.0, float(response.headers["retry-after"])))
                    continue
                latency_ms = (time.perf_counter() - began) * 1000
                if response.status != 200:
                    self._report.fail(str(response.status), _message(raw))
                    return
                self._report.add(self._answer(question, response, raw, latency_ms))
                return
        self._report.fail("429", f"still refused by a rate limit after {MAX_WAITS} waits")

    def _answer(self, question: Question, response: aiohttp.ClientResponse, raw: bytes, latency_ms: float) -> Answer:
        usage = _streamed_usage(raw) if self._target.stream else _usage(orjson.loads(raw))
        return Answer(
            tier=response.headers.get("x-cache", "?"),
            latency_ms=latency_ms,
            entry_id=response.headers.get("x-nexus-cache-id", ""),
            cluster=question.cluster,
            tokens=int(usage.get("total_tokens") or 0),
            cost_usd=_usd(response.headers.get("x-nexus-cost-usd")),
            saved_usd=_usd(response.headers.get("x-nexus-saved-usd")),
        )


def _streamed_usage(raw: bytes) -> dict[str, int]:
    if not raw.rstrip().endswith(b"data: [DONE]"):
        raise ValueError("the stream broke off")
    for line in reversed(raw.splitlines()):
        if line.startswith(b"data: {"):
            return _usage(orjson.loads(line[6:]))
    return {}


def _usage(answer: Any) -> dict[str, int]:
    if not isinstance(answer, dict):
        raise ValueError(f"the answer is not an object: {str(answer)[:100]}")
    return answer.get("usage") or {}


def _usd(text: str | None) -> Decimal | None:
    try:
        return Decimal(text or "")
    except InvalidOperation:
        return None


def _message(raw: bytes) -> str:
    try:
        return str(orjson.loads(raw)["error"]["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return raw[:100].decode(errors="replace")
