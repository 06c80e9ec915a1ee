"""Each request leaves one line in the access log, which says how it went and nothing that was said."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest
import websockets

from tests import servers
from tests.calls import body_of, chat
from tests.conftest import Workspace
from tests.sockets import session_of
from tests.told import access_line, lines_of


class Logging(NamedTuple):
    url: str
    log: Path


@pytest.fixture(scope="module")
def logging(tmp_path_factory: pytest.TempPathFactory, database: None) -> Iterator[Logging]:
    """A gateway whose log can be read."""
    log = tmp_path_factory.mktemp("log") / "web.log"
    with servers.gateway(log) as gateway:
        yield Logging(gateway.url, log)


@pytest.fixture
def fake(alice: Workspace, with_provider: Callable[[Workspace], Workspace]) -> Workspace:
    return with_provider(alice)


def new_id() -> str:
    return f"told-{uuid.uuid4().hex}"


def public_id(key: str) -> str:
    return key.split("-")[1]


def test_a_miss_and_its_hit_have_a_line_each(logging: Logging, fake: Workspace) -> None:
    content, ids = uuid.uuid4().hex, [new_id(), new_id()]
    for request_id in ids:
        chat(logging.url, fake.key, "ok", content, headers={"X-Request-Id": request_id})
    miss, hit = (access_line(logging.log, request_id) for request_id in ids)
    told = {"tenant": fake.tenant.pk, "key": public_id(fake.key), "route": "/v1/chat/completions", "method": "POST"}
    told |= {"status": 200, "model": "ok", "provider": "fake", "upstream_model": "ok", "dialect": "openai-chat"}
    for line, outcome in ((miss, "MISS"), (hit, "HIT-EXACT")):
        assert line.items() >= {**told, "outcome": outcome, "prompt_tokens": 11, "completion_tokens": 7}.items(), line
        assert line["ms"] > 0
    assert miss["provider_ms"] > 0
    assert "provider_ms" not in hit
    assert hit["cost_usd"] == "0"


def test_a_stream_has_its_line_when_it_has_ended(logging: Logging, fake: Workspace) -> None:
    request_id = new_id()
    answer = chat(logging.url, fake.key, "ok", stream=True, headers={"X-Request-Id": request_id})
    line = access_line(logging.log, request_id)
    assert line["streamed"]
    assert line["bytes"] == len(answer.content)
    assert 0 < line["first_byte_ms"] <= line["ms"]
    assert line["completion_tokens"] == 7


def test_a_client_that_leaves_has_a_line(logging: Logging, fake: Workspace) -> None:
    request_id = new_id()
    with pytest.raises(httpx2.TimeoutException):
        httpx2.post(
            f"{logging.url}/v1/chat/completions",
            json=body_of("hang", uuid.uuid4().hex),
            headers={"Authorization": f"Bearer {fake.key}", "X-Request-Id": request_id},
            timeout=0.7,
        )
    line = access_line(logging.log, request_id)
    assert (line["status"], line["client_left"]) == (499, True)


def test_refusals_have_lines_with_their_code(logging: Logging, fake: Workspace) -> None:
    missing, nobody, failed = new_id(), new_id(), new_id()
    chat(logging.url, fake.key, "ok", headers={"X-Request-Id": missing, "Cache-Control": "only-if-cached"})
    chat(logging.url, "nk-abc-wrong", headers={"X-Request-Id": nobody})
    chat(logging.url, fake.key, "status-500", headers={"X-Request-Id": failed})
    line = access_line(logging.log, missing)
    assert (line["status"], line["error"], line["model"]) == (504, "not_in_cache", "ok")
    assert line["tenant"] == fake.tenant.pk
    line = access_line(logging.log, nobody)
    assert (line["status"], line["error"]) == (401, "invalid_api_key")
    assert "key" not in line
    line = access_line(logging.log, failed)
    assert (line["status"], line["provider"]) == (502, "fake")


def test_pages_are_told_by_their_template(logging: Logging, alice: Workspace) -> None:
    session = session_of(alice.owner)
    cookies = {name: morsel.value for name, morsel in session.cookies.items()}
    answer = httpx2.get(f"{logging.url}/t/{alice.tenant.slug}/requests/?secret=1", cookies=cookies)
    line = access_line(logging.log, answer.headers["x-request-id"])
    assert (line["route"], line["status"], line["tenant"]) == ("/t/<slug:slug>/requests/", 200, alice.tenant.pk)
    answer = httpx2.get(f"{logging.url}/t/{alice.tenant.slug}/no-such-page/{uuid.uuid4().hex}")
    assert access_line(logging.log, answer.headers["x-request-id"])["route"] == "other"


def test_a_question_on_a_socket_has_a_line(logging: Logging, fake: Workspace) -> None:
    async def ask() -> str:
        url = f"{logging.url.replace('http', 'ws')}/ws/chat"
        async with websockets.connect(url, additional_headers={"Authorization": f"Bearer {fake.key}"}) as socket:
            await socket.send(json.dumps({"message": uuid.uuid4().hex, "model": "ok"}))
            while True:
                told = json.loads(await socket.recv())
                if "request_id" in told:
                    return str(told["request_id"])

    line = access_line(logging.log, asyncio.run(ask()))
    assert (line["route"], line["method"], line["outcome"]) == ("/ws/chat", "WS", "MISS")


def test_lines_have_nothing_that_was_said(logging: Logging, fake: Workspace) -> None:
    word, request_id = uuid.uuid4().hex, new_id()
    httpx2.post(
        f"{logging.url}/v1/chat/completions?api_key={word}",
        json=body_of("ok", word, user=word, metadata={"note": word}),
        headers={"Authorization": f"Bearer {fake.key}", "X-Request-Id": request_id, "Cookie": f"a={word}"},
    )
    chat(logging.url, f"nk-{word[:8]}-{word}", "m" * 5000, headers={"X-Request-Id": new_id()})
    chat(logging.url, fake.key, "m" * 5000, headers={"X-Request-Id": (long := new_id())})
    access_line(logging.log, request_id)
    assert len(access_line(logging.log, long).get("model", "")) <= 128
    text = logging.log.read_text()
    assert word not in text
    assert fake.key not in text
    assert fake.key.split("-")[2] not in text
    assert "sk-upstream" not in text


def test_only_errors_are_told_where_that_is_set(tmp_path: Path, fake: Workspace) -> None:
    log = tmp_path / "web.log"
    with servers.gateway(log, NEXUS_ACCESS_LOG="errors") as gateway:
        chat(gateway.url, fake.key, "ok")
        chat(gateway.url, fake.key, "status-500", headers={"X-Request-Id": "it-failed"})
    (line,) = lines_of(log, lambda line: line.get("log") == "access")
    assert line["request_id"] == "it-failed"
