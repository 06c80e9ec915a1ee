"""The same Idempotency-Key and body: the same answer, charged once."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tests.calls import body_of, chat, records, upstream_calls, used
from tests.conftest import Workspace


@pytest.fixture
def fake(alice: Workspace, with_provider: Callable[[Workspace], Workspace]) -> Workspace:
    """Alice, with the fake provider."""
    return with_provider(alice)


def once(server: str, workspace: Workspace, key: str, model: str = "ok", **more: Any) -> httpx2.Response:
    headers = {"Idempotency-Key": key, "X-Nexus-Cache": "off"}
    return chat(server, workspace.key, model, headers=headers, **{"content": "the same", **more})


@pytest.mark.parametrize("stream", [False, True])
def test_a_repeated_request_gets_the_first_answer_and_is_charged_once(
    server: str, fake: Workspace, stream: bool
) -> None:
    key = uuid.uuid4().hex
    first, again = (once(server, fake, key, stream=stream) for _ in range(2))
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["x-cache"] == first.headers["x-cache"] == "BYPASS"
    if not stream:
        assert again.content == first.content
    assert len(records(fake, 1)) == 1
    assert used(server, fake.key) == (1, 18)


def test_another_body_with_the_same_key_is_a_conflict(server: str, fake: Workspace) -> None:
    key = uuid.uuid4().hex
    once(server, fake, key)
    answer = once(server, fake, key, content="something else")
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "idempotency_key_reused"


def test_of_ten_at_once_one_goes_to_the_provider(server: str, fake: Workspace, provider: str) -> None:
    model, key = f"slow-{uuid.uuid4().hex[:6]}", uuid.uuid4().hex
    headers = {"Authorization": f"Bearer {fake.key}", "Idempotency-Key": key, "X-Nexus-Cache": "off"}

    async def all_at_once() -> list[httpx2.Response]:
        async with httpx2.AsyncClient(timeout=30) as client:
            ask = [
                client.post(f"{server}/v1/chat/completions", json=body_of(model, "x"), headers=headers)
                for _ in range(10)
            ]
            return await asyncio.gather(*ask)

    answers = asyncio.run(all_at_once())
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert upstream_calls(provider)[model] == 1
    assert len(records(fake, 1)) == 1


def test_a_request_that_failed_may_be_tried_again(server: str, fake: Workspace) -> None:
    key = uuid.uuid4().hex
    assert once(server, fake, key, "status-401").status_code == 502
    assert once(server, fake, key, "status-401").status_code == 502
    assert once(server, fake, key, "ok").status_code == 200


def test_an_answer_from_the_cache_is_remembered_as_well(server: str, fake: Workspace) -> None:
    content = uuid.uuid4().hex
    chat(server, fake.key, "ok", content)
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    first, again = (chat(server, fake.key, "ok", content, headers=headers) for _ in range(2))
    assert (first.headers["x-cache"], again.headers["idempotent-replayed"]) == ("HIT-EXACT", "true")
    assert len(records(fake, 2)) == 2


def test_a_key_of_another_api_key_is_another_key(server: str, fake: Workspace, mallory: Workspace) -> None:
    key = uuid.uuid4().hex
    once(server, fake, key)
    answer = chat(server, mallory.key, "gpt-4o-mini", "the same", headers={"Idempotency-Key": key})
    assert answer.status_code == 200
    assert "idempotent-replayed" not in answer.headers


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "ä"])
def test_a_key_that_cannot_be_one_is_refused(server: str, fake: Workspace, key: str) -> None:
    answer = chat(server, fake.key, headers={"Idempotency-Key": key.encode()})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "Idempotency-Key"
