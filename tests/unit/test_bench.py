"""The bench: its questions, its load generator, and how it turns samples into verdicts."""

from __future__ import annotations

import cProfile
import json
import os
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from django.conf import settings

from gateway.cache import policy, verify
from gateway.cache.embedding import build
from gateway.cache.embedding.minilm import MiniLM
from nexus.bench import hotspots, load, questions, report
from nexus.bench.__main__ import parse
from nexus.bench.load import Sample
from nexus.bench.provider import TEXT
from nexus.bench.report import Row
from tests import servers


def sample(cpu_us: float, *, count: int = 1000, first_byte_ms: float = 1.0) -> Sample:
    return Sample([2.0] * count, [first_byte_ms] * count, cpu_us * count / 1e6, 0.0, 1.0)


def verdict(row: Row) -> str:
    (line,) = [line for line in report.table([row], 0.0).splitlines() if line.startswith(row.mode)]
    return line


@pytest.fixture(scope="module")
def provider_port() -> Iterator[int]:
    with servers.running("nexus.bench.provider:application", ready="/") as server:
        port = urllib.parse.urlsplit(server.url).port
        assert port is not None
        yield port


def chat(*holds: bytes, stream: bool = False) -> load.Request:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}], "stream": stream}
    return load.post("/v1/chat/completions", orjson.dumps(body), {}, holds)


async def endless(request: load.Request, port: int) -> Sample:
    def again() -> Iterator[load.Request]:
        while True:
            yield request

    return await load.run(port, again(), connections=2, seconds=0.2, pid=os.getpid())


def test_a_thousand_questions_mean_different_things() -> None:
    stored, paraphrases = questions.stored(), questions.paraphrases()
    assert len(set(stored)) == 1000
    assert len(paraphrases) == 3000
    assert set(paraphrases.values()) == set(stored)
    assert set(paraphrases).isdisjoint(stored)


def test_paraphrases_are_near_their_question_and_pass_the_guards() -> None:
    model = MiniLM.load(build.ensure(Path(settings.MODEL_DIR)))
    for paraphrase, stored in list(questions.paraphrases().items())[::50]:
        ours, theirs = model.encode([paraphrase, stored])
        assert float(ours @ theirs) >= 0.85, paraphrase
        assert verify.check(paraphrase, stored) is None, paraphrase
        assert policy.classify(paraphrase).semantic, paraphrase


async def test_every_answer_is_measured(provider_port: int) -> None:
    measured = await endless(chat(TEXT[:40].encode()), provider_port)
    assert len(measured.latency_ms) == len(measured.first_byte_ms) > 0
    assert measured.elapsed_s > 0


async def test_a_stream_s_first_byte_comes_before_its_last(provider_port: int) -> None:
    measured = await endless(chat(b"data: [DONE]", stream=True), provider_port)
    pairs = zip(measured.first_byte_ms, measured.latency_ms, strict=True)
    assert all(first <= last for first, last in pairs)


async def test_a_wrong_answer_ends_the_measuring(provider_port: int) -> None:
    with pytest.raises(load.WrongAnswer, match="x-cache: HIT-EXACT"):
        await endless(chat(b"x-cache: HIT-EXACT"), provider_port)
    with pytest.raises(load.WrongAnswer, match="HIT-EXACT"):
        await load.fetch(provider_port, chat(b"HIT-EXACT"))


def test_the_ratio_is_the_median_of_rounds_side_by_side() -> None:
    # The machine was twice as slow in the last round.
    row = Row("exact hit", 1, [sample(150), sample(160), sample(300)], [sample(100), sample(100), sample(200)])
    assert row.ratio == pytest.approx(1.5)
    assert "ratio ≤ 1.6: kept" in verdict(row)


def test_a_budget_that_is_exceeded_is_called_missed() -> None:
    assert "ratio ≤ 1.6: MISSED" in verdict(Row("exact hit", 1, [sample(200)], [sample(100)]))
    assert "ratio ≤ 4: MISSED" in verdict(Row("miss, semantic off", 16, [sample(500)], [sample(100)]))


def test_a_semantic_hit_is_judged_by_what_it_costs_beyond_the_embedding() -> None:
    row = Row("semantic hit", 1, [sample(4000)], [sample(100)], embedding_us=[1500.0])
    assert "beyond the embedding 2500 µs ≤ 3000: kept" in verdict(row)
    assert "semantic hit: 1500 µs a text" in report.table([row], 0.0)


def test_the_first_token_is_judged_against_the_provider_s_own_and_one_at_a_time_only() -> None:
    target, direct = [sample(1000, first_byte_ms=5.0)], [sample(100, first_byte_ms=1.0)]
    assert "first token +4.00 ms ≤ 3: MISSED" in verdict(Row("stream, miss", 1, target, [sample(300)], direct))
    assert "first token" not in verdict(Row("stream, miss", 16, target, [sample(300)], direct))


def test_user_and_system_time_are_told_apart() -> None:
    both = Sample([1.0] * 10, [1.0] * 10, user_s=0.003, system_s=0.001, elapsed_s=1.0)
    assert (both.user_us, both.system_us, both.cpu_us) == pytest.approx((300, 100, 400))


def test_a_busy_machine_is_told() -> None:
    row = Row("exact hit", 1, [sample(150)], [sample(100)])
    assert "distrust" in report.table([row], 0.8)
    assert "distrust" not in report.table([row], 0.1)


def test_memory_has_to_be_small_and_flat() -> None:
    assert "MISSED" not in report.memory(1000, [150.0, 180.0, 181.0])
    assert "≤ 250: MISSED" in report.memory(1000, [150.0, 260.0, 240.0])
    assert "second half +20.0 MB ≤ 10: MISSED" in report.memory(1000, [150.0, 160.0, 180.0])


def test_time_in_c_counts_for_the_package_that_called_it() -> None:
    profile = cProfile.Profile()
    profile.enable()
    for _ in range(100):
        json.dumps({"a": list(range(1000))})
    profile.disable()
    profile.create_stats()
    packages = dict(hotspots.of(profile.stats)["packages"])
    assert packages["python json"] > 0.5
    assert sum(packages.values()) == pytest.approx(1.0, abs=0.1)


def test_files_are_named_by_their_package() -> None:
    assert hotspots.package(verify.__file__) == "gateway/cache"
    assert hotspots.package(orjson.__file__) == "orjson"
    assert hotspots.package(json.__file__) == "python json"
    assert hotspots.package("~") == "the loop, in C"


def test_a_profile_prints_packages_beside_functions() -> None:
    text = hotspots.table("exact hit", {"packages": [("uvicorn", 0.5)], "functions": [("send", 0.25), ("read", 0.1)]})
    assert text.splitlines()[1].split() == ["50.0%", "uvicorn", "25.0%", "send"]
    assert text.splitlines()[2].split() == ["10.0%", "read"]


def test_impossible_options_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--rounds", "0"])
    assert "positive" in capsys.readouterr().err
    assert parse(["--quick"]).rounds == 1
