"""The replay command: reads its file, judges hits, waits for limits, and says what it saw."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from django.core.management import CommandError, call_command

from nexus.jsonlines import BadFile
from nexus.replay.player import Player, Question, Target, read
from nexus.replay.report import Answer, Report, percentile
from tests.conftest import Workspace

ANSWER = {"choices": [], "usage": {"total_tokens": 18}}


def answer(tier: str, entry_id: str, cluster: str | None, **more: Any) -> Answer:
    figures = {"latency_ms": 1.0, "tokens": 10, "cost_usd": Decimal(0), "saved_usd": Decimal(0), **more}
    return Answer(tier=tier, entry_id=entry_id, cluster=cluster, **figures)


def written(folder: Path, *lines: str) -> Path:
    file = folder / "questions.jsonl"
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


@asynccontextmanager
async def gateway(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[Target]:
    """A server that answers chat requests in a way that the real one cannot be made to."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    try:
        yield Target(f"http://127.0.0.1:{port}", "nk-a-b", "gpt-4o-mini", "", stream=False)
    finally:
        await runner.cleanup()


async def played(target: Target, *texts: str, concurrency: int = 1) -> Report:
    report = Report(len(texts))
    await Player(target, report, lambda count: None).play([Question(text, None) for text in texts], concurrency)
    return report


def test_questions_are_read_with_their_clusters(tmp_path: Path) -> None:
    file = written(tmp_path, '{"q": "one", "cluster": 7}', "", '{"q": "two"}', '{"q": "three"}')
    assert read(file, limit=2) == [Question("one", "7"), Question("two", None)]


@pytest.mark.parametrize("line", ["not JSON", "[]", '{"question": "one"}', '{"q": 1}'])
def test_a_bad_row_is_named_by_its_line(tmp_path: Path, line: str) -> None:
    with pytest.raises(BadFile, match=r"line 2 "):
        read(written(tmp_path, '{"q": "one"}', line))


def test_a_file_that_is_missing_or_empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="cannot be read"):
        read(tmp_path / "missing.jsonl")
    with pytest.raises(BadFile, match="no questions"):
        read(written(tmp_path, ""))


def test_a_hit_is_wrong_when_its_entry_was_stored_for_another_cluster() -> None:
    report = Report()
    report.add(answer("MISS", "a", "tea"))
    report.add(answer("HIT-SEMANTIC", "a", "tea"))
    report.add(answer("HIT-SEMANTIC", "a", "coffee"))
    report.add(answer("HIT-EXACT", "a", "tea"))
    assert report.judged("HIT-SEMANTIC") == (2, 1)
    assert report.judged("HIT-EXACT") == (1, 0)


def test_a_hit_that_overtakes_its_miss_is_judged_all_the_same() -> None:
    report = Report()
    report.add(answer("HIT-EXACT", "a", "coffee"))
    report.add(answer("MISS", "a", "tea"))
    assert report.judged("HIT-EXACT") == (1, 1)


def test_hits_without_a_known_truth_are_not_judged_and_said_so() -> None:
    report = Report(4)
    report.add(answer("MISS", "a", "tea"))
    report.add(answer("HIT-SEMANTIC", "a", "tea"))
    report.add(answer("HIT-SEMANTIC", "from another replay", "tea"))
    report.add(answer("HIT-SEMANTIC", "a", None))
    assert report.judged("HIT-SEMANTIC") == (1, 0)
    assert "not judged: 2 hits" in report.table()


def test_tokens_and_dollars_are_summed_by_where_they_came_from() -> None:
    report = Report()
    report.add(answer("MISS", "a", None, tokens=30, cost_usd=Decimal("0.02")))
    report.add(answer("HIT-EXACT", "a", None, tokens=30, saved_usd=Decimal("0.02")))
    report.add(answer("MISS", "b", None, tokens=5, cost_usd=None, saved_usd=None))
    summary = report.summary()
    assert summary["tokens"] == {"cache": 30, "provider": 35}
    assert (summary["cost_usd"], summary["saved_usd"], summary["unpriced"]) == ("0.02", "0.02", 1)


def test_a_report_of_nothing_prints() -> None:
    assert "answered 0 of 3" in Report(3).table()
    json.dumps(Report(3).summary())


def test_percentiles_are_by_nearest_rank() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, percent) for percent in (50, 95, 99)] == [50, 95, 99]
    assert percentile([3.0], 99) == 3.0


async def test_a_rate_limit_is_waited_for_and_counted() -> None:
    refused = iter([True, True, False])

    async def refuse_twice(request: web.Request) -> web.Response:
        if next(refused):
            return web.json_response({}, status=429, headers={"Retry-After": "0"})
        return web.json_response(ANSWER, headers={"X-Cache": "MISS"})

    async with gateway(refuse_twice) as target:
        report = await played(target, "one")
    assert (report.answered, report.waits, report.failures) == (1, 2, {})


async def test_errors_are_counted_by_status_with_the_first_message() -> None:
    numbers = iter(range(9))

    async def refuse(request: web.Request) -> web.Response:
        return web.json_response({"error": {"message": f"refusal {next(numbers)}"}}, status=402)

    async with gateway(refuse) as target:
        report = await played(target, "one", "two", "three")
    assert (report.failures["402"].count, report.failures["402"].first_message) == (3, "refusal 0")
    assert "failed 3 ×: 402 refusal 0" in report.table()


async def test_a_stream_that_breaks_off_is_a_failure() -> None:
    async def break_off(request: web.Request) -> web.Response:
        return web.Response(body=b'data: {"choices": []}\n\n', content_type="text/event-stream")

    async with gateway(break_off) as target:
        report = await played(target._replace(stream=True), "one")
    assert (report.answered, report.failures["ValueError"].first_message) == (0, "the stream broke off")


async def test_an_interrupted_replay_keeps_what_was_answered() -> None:
    waiting, over = asyncio.Event(), asyncio.Event()

    async def answer_once(request: web.Request) -> web.Response:
        if b"second" in await request.read():
            waiting.set()
            await over.wait()
        return web.json_response(ANSWER, headers={"X-Cache": "MISS"})

    async with gateway(answer_once) as target:
        report = Report(2)
        player = Player(target, report, lambda count: None)
        playing = asyncio.create_task(player.play([Question("first", None), Question("second", None)], 1))
        await waiting.wait()
        playing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await playing
        # Or the server would wait for its answer.
        over.set()
    assert report.answered == 1
    assert report.elapsed_s > 0
    assert "answered 1 of 2" in report.table()


@pytest.mark.parametrize("stream", [False, True])
def test_the_command_tells_hits_wrong_hits_and_savings(
    server: str, alice: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str], stream: bool
) -> None:
    file = written(
        tmp_path,
        '{"q": "How do I make tea?", "cluster": "tea"}',
        '{"q": "Recipe for tea", "cluster": "tea"}',
        '{"q": "How do I make tea?", "cluster": "labelled otherwise"}',
        '{"q": "Which planet is the largest?", "cluster": "planets"}',
    )
    figures = tmp_path / "figures.json"
    call_command("replay", file, url=server, key=alice.key, concurrency=1, stream=stream, json=figures)
    summary = json.loads(figures.read_text())
    assert (summary["answered"], summary["errors"]) == (4, {})
    assert summary["hits"] == {"HIT-EXACT": 1, "HIT-SEMANTIC": 1}
    assert summary["wrong_hits"] == {"HIT-EXACT": 1, "HIT-SEMANTIC": 0}
    assert summary["tokens"]["cache"] > 0
    assert Decimal(summary["saved_usd"]) > 0
    assert "HIT-SEMANTIC" in capsys.readouterr().out


def test_every_replay_begins_with_an_empty_cache(server: str, alice: Workspace, tmp_path: Path) -> None:
    file, figures = written(tmp_path, '{"q": "How do I make tea?"}'), tmp_path / "figures.json"
    hits = []
    for namespace in (None, None, "kept", "kept"):
        call_command("replay", file, url=server, key=alice.key, namespace=namespace, json=figures)
        hits.append(json.loads(figures.read_text())["hits"]["HIT-EXACT"])
    assert hits == [0, 0, 0, 1]


def test_a_replay_that_reaches_nobody_fails_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="Nothing was answered"):
        call_command("replay", written(tmp_path, '{"q": "one"}'), url="http://127.0.0.1:9", key="nk-a-b")
