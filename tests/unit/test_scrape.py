"""/metrics: who may read it, and whose counts it shows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from gateway import scrape
from nexus import stack

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "a-token-for-the-scraper"
BEARER = {b"authorization": b"Bearer " + TOKEN.encode()}
HERE, ELSEWHERE = ("127.0.0.1", 4711), ("10.1.2.3", 4711)


@pytest.mark.parametrize(
    ("client", "headers", "allowed"),
    [
        (HERE, {}, True),
        (("::1", 4711), {}, True),
        (HERE, {b"x-forwarded-for": b"127.0.0.1"}, False),
        (HERE, {b"forwarded": b"for=127.0.0.1"}, False),
        (ELSEWHERE, {}, False),
        (ELSEWHERE, BEARER, True),
        (None, BEARER, True),
        (ELSEWHERE, {b"authorization": b"Bearer another"}, False),
        (ELSEWHERE, {b"authorization": TOKEN.encode()}, False),
        (ELSEWHERE, {b"authorization": "Bearer ü".encode()}, False),
        (None, {}, False),
        (("unix", 0), {}, False),
    ],
)
def test_the_token_or_this_machine_may_read(
    client: tuple[str, int] | None, headers: dict[bytes, bytes], allowed: bool, settings: Settings
) -> None:
    settings.METRICS_TOKEN = TOKEN
    assert scrape.may_read(client, headers) is allowed


def test_without_a_token_in_the_settings_an_empty_one_opens_nothing(settings: Settings) -> None:
    settings.METRICS_TOKEN = ""
    assert not scrape.may_read(ELSEWHERE, {b"authorization": b"Bearer "})
    assert not scrape.may_read(ELSEWHERE, {})


def asked(**changes: Any) -> int:
    return scrape.answer({"method": "GET", "client": HERE, "headers": [], **changes}).status


def test_a_stranger_cannot_tell_it_from_a_page_that_is_not_there() -> None:
    assert asked(client=ELSEWHERE) == 404
    assert asked(client=ELSEWHERE, method="POST") == 404
    assert asked(method="POST") == 405
    assert asked() == 200


COUNT = """
import os, sys
from gateway import metrics
metrics.EMBEDDING_REQUESTS.labels("grpc", "ok").inc(int(sys.argv[1]))
metrics.EMBEDDING_SECONDS.labels("grpc").observe(0.003)
"""


def test_several_processes_are_shown_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    for count in (3, 4):
        # One after the other: who died still counts.
        subprocess.run([sys.executable, "-c", COUNT, str(count)], cwd=ROOT, env=dict(os.environ), check=True)
    text = scrape.written()[0].decode()
    assert 'nexus_embedding_requests_total{embedder="grpc",result="ok"} 7.0' in text
    assert 'nexus_embedding_seconds_count{embedder="grpc"} 2.0' in text


def test_a_start_with_several_processes_begins_to_count_anew(tmp_path: Path) -> None:
    counters = tmp_path / "run" / "metrics"
    counters.mkdir(parents=True)
    (counters / "counter_1.db").touch()
    several = stack.web_service({"NEXUS_VAR": str(tmp_path)}, "127.0.0.1", 8000, 2)
    assert several.env["PROMETHEUS_MULTIPROC_DIR"] == str(counters)
    several.clear()
    assert counters.is_dir() and not list(counters.iterdir())
    single = stack.web_service({"NEXUS_VAR": str(tmp_path)}, "127.0.0.1", 8000, 1)
    assert "PROMETHEUS_MULTIPROC_DIR" not in single.env
