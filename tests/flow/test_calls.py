"""Calls that do not go as planned: failing providers, leaving clients, spent quotas. Counted afterwards."""

from __future__ import annotations

import asyncio
import json
import socket
import time
import uuid
from collections.abc import Callable

import httpx2
import pytest

from billing.models import LedgerEntry
from gateway.models import Provider
from tenants.db import schema_of
from tests.calls import body_of, chat, make_route, records, upstream_calls, used
from tests.conftest import Workspace

Configure = Callable[[Workspace], Workspace]


@pytest.fixture
def fake(alice: Workspace, with_provider: Configure) -> Workspace:
    """Alice, with the fake provider."""
    return with_provider(alice)


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("status-500", 502, "provider_failed"),
        ("status-503", 502, "provider_failed"),
        ("status-429", 502, "provider_failed"),
        ("status-401", 502, "provider_failed"),
        ("status-302", 502, "provider_failed"),
        ("garbage", 502, "provider_failed"),
        ("empty", 502, "provider_failed"),
        ("hang", 504, "provider_timed_out"),
    ],
)
def test_a_failing_provider_is_named_recorded_and_not_billed(
    server: str, fake: Workspace, model: str, status: int, code: str
) -> None:
    answer = chat(server, fake.key, model)
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code
    assert "fake" in answer.json()["error"]["message"] or model == "hang"
    (record,) = records(fake, 1)
    assert (record.status, record.error, record.billed_tokens) == (status, code, 0)
    assert used(server, fake.key) == (0, 0)
    assert LedgerEntry.objects.get(tenant=fake.tenant).requests == 0


@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_providers_own_refusal_of_the_request_is_passed_on(server: str, fake: Workspace, status: int) -> None:
    answer = chat(server, fake.key, f"status-{status}")
    assert answer.status_code == status
    assert answer.json() == {
        "error": {"message": f"told to fail with {status}", "type": "t", "param": None, "code": "c"}
    }


def test_a_second_try_may_succeed(server: str, fake: Workspace, provider: str) -> None:
    model = f"flaky-{uuid.uuid4().hex[:6]}"
    assert chat(server, fake.key, model).status_code == 200
    assert upstream_calls(provider)[model] == 2


def test_the_next_in_the_chain_answers_when_one_fails(server: str, fake: Workspace, provider: str) -> None:
    make_route(fake, "house", "status-503", "ok")
    until = time.monotonic() + 2
    while (answer := chat(server, fake.key, "house")).status_code != 200:
        assert time.monotonic() < until
    assert answer.headers["x-nexus-model"] == "ok"


def test_the_tenants_own_credential_is_sent_and_nothing_of_the_clients(
    server: str, fake: Workspace, provider: str
) -> None:
    assert chat(server, fake.key, user="somebody", a_new_option={"x": 1}).status_code == 200
    last = httpx2.get(f"{provider}/calls").json()["last"]
    assert last["authorization"] == "Bearer sk-upstream"
    assert last["payload"]["a_new_option"] == {"x": 1}
    with schema_of(fake.tenant):
        assert b"sk-upstream" not in bytes(Provider.objects.get(name="fake").credential)


@pytest.mark.parametrize("model", ["cut", "hang"])
def test_a_stream_that_breaks_ends_with_an_error_and_is_not_kept(server: str, fake: Workspace, model: str) -> None:
    content = uuid.uuid4().hex
    for _ in range(2):
        answer = chat(server, fake.key, model, content, stream=True)
        assert answer.headers["x-cache"] == "MISS"
        events = [line for line in answer.text.splitlines() if line.startswith("data: ")]
        assert json.loads(events[-1][6:])["error"]["type"] == "provider_error"
        assert "data: [DONE]" not in events
    assert [record.billed_tokens for record in records(fake, 2)] == [0, 0]
    assert used(server, fake.key) == (0, 0)


def test_an_answer_cut_at_the_limit_is_not_kept(server: str, fake: Workspace) -> None:
    for _ in range(2):
        assert chat(server, fake.key, "length", "the same").headers["x-cache"] == "MISS"


def test_tokens_that_a_provider_does_not_count_are_estimated(server: str, fake: Workspace) -> None:
    for stream in (False, True):
        chat(server, fake.key, "silent", stream=stream)
    assert all(record.billed_tokens > 10 for record in records(fake, 2))


def test_identical_questions_at_once_make_one_upstream_call(server: str, fake: Workspace, provider: str) -> None:
    model = f"slow-{uuid.uuid4().hex[:6]}"

    async def ask_all(stream: bool) -> list[httpx2.Response]:
        async with httpx2.AsyncClient(timeout=30) as client:
            body = body_of(model, f"the same {stream}", stream=stream)
            headers = {"Authorization": f"Bearer {fake.key}"}
            url = f"{server}/v1/chat/completions"
            return await asyncio.gather(*(client.post(url, json=body, headers=headers) for _ in range(20)))

    for stream in (False, True):
        answers = asyncio.run(ask_all(stream))
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.content for answer in answers}) == 1
        assert [answer.headers["x-cache"] for answer in answers].count("MISS") == 1
    assert upstream_calls(provider)[model] == 2
    booked = records(fake, 40)
    assert sum(record.billed_tokens for record in booked) == 36
    assert used(server, fake.key) == (40, 36)


def test_a_client_that_leaves_is_accounted_for_and_its_answer_kept(server: str, fake: Workspace) -> None:
    host, port = server.removeprefix("http://").split(":")
    for model in ("slow", "slow-stream"):
        payload = json.dumps(body_of(model, f"leaving {model}", stream="stream" in model)).encode()
        with socket.create_connection((host, int(port))) as connection:
            head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {fake.key}\r\n"
            connection.sendall(head.encode() + b"Content-Length: %d\r\n\r\n" % len(payload) + payload)
            time.sleep(0.3)
    assert [record.billed_tokens for record in records(fake, 2)] == [18, 18]
    assert used(server, fake.key) == (2, 36)
    assert chat(server, fake.key, "slow", "leaving slow").headers["x-cache"] == "HIT-EXACT"


def test_what_a_client_may_say_about_the_cache(server: str, fake: Workspace) -> None:
    def outcome(**headers: str) -> str:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return str(chat(server, fake.key, "ok", "How do I make tea?", headers=named).headers["x-cache"])

    assert outcome(Cache_Control="no-store") == "BYPASS"
    assert outcome() == "MISS"
    assert outcome() == "HIT-EXACT"
    assert outcome(X_Nexus_Cache="off") == "BYPASS"
    assert outcome(Cache_Control="no-cache") == "REFRESH"
    assert outcome(Cache_Control="max-age=600") == "HIT-EXACT"
    assert outcome(Cache_Control="max-age=0") == "MISS"
    assert outcome(X_Nexus_Cache_Namespace="other") == "MISS"
    paraphrase = {"Authorization": f"Bearer {fake.key}"}
    url, body = f"{server}/v1/chat/completions", body_of("ok", "Recipe for tea")
    assert httpx2.post(url, json=body, headers={**paraphrase, "X-Nexus-Cache": "exact"}).headers["x-cache"] == "MISS"
    for header, value in (("X-Nexus-Cache-Threshold", "2"), ("X-Nexus-Cache", "maybe"), ("Cache-Control", "max-age=x")):
        assert httpx2.post(url, json=body, headers={**paraphrase, header: value}).status_code == 400


def test_only_if_cached_asks_no_provider(server: str, fake: Workspace) -> None:
    answer = chat(server, fake.key, headers={"Cache-Control": "only-if-cached"})
    assert answer.status_code == 504 and answer.json()["error"]["code"] == "not_in_cache"
    assert used(server, fake.key) == (0, 0)


def test_a_raised_threshold_refuses_what_the_default_serves(server: str, fake: Workspace) -> None:
    chat(server, fake.key, content="How do I make tea?")
    high = chat(server, fake.key, content="Recipe for tea", headers={"X-Nexus-Cache-Threshold": "0.99"})
    assert high.headers["x-cache"] == "MISS"


def test_the_free_plan_ends_with_402_and_says_when_it_resets(
    server: str, make_workspace: Callable[..., Workspace], with_provider: Configure
) -> None:
    free = with_provider(make_workspace("free", requests_per_minute=None))
    answers = [chat(server, free.key) for _ in range(102)]
    assert [answer.status_code for answer in answers] == [200] * 100 + [402] * 2
    error = answers[-1].json()["error"]
    assert error["code"] == "quota_exceeded"
    assert "resets on" in error["message"] and free.tenant.slug in error["message"]
    assert len(records(free, 100)) == 100


def test_ten_a_minute_then_429_with_the_time_to_wait(server: str, make_workspace: Callable[..., Workspace]) -> None:
    free = make_workspace("free")
    answers = [chat(server, free.key, "gpt-4o-mini", "How do I make tea?") for _ in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 65
    assert answers[-1].headers["x-ratelimit-remaining-requests"] == "0"


def test_little_left_means_a_shorter_answer(
    server: str, make_workspace: Callable[..., Workspace], with_provider: Configure, provider: str
) -> None:
    poor = with_provider(make_workspace("free", requests_per_minute=None, monthly_tokens=60))
    assert chat(server, poor.key, content="short", max_tokens=4000).status_code == 200
    assert httpx2.get(f"{provider}/calls").json()["last"]["payload"]["max_tokens"] <= 60
    while (answer := chat(server, poor.key, content=uuid.uuid4().hex[:5])).status_code == 200:
        pass
    assert answer.status_code == 402 and "tokens" in answer.json()["error"]["message"]


def test_500_at_once_on_a_quota_of_100_answers_exactly_100(
    server: str, make_workspace: Callable[..., Workspace], with_provider: Configure
) -> None:
    workspace = with_provider(make_workspace("scale", requests_per_minute=None, monthly_requests=100))

    async def ask_all() -> list[int]:
        async with httpx2.AsyncClient(timeout=60, limits=httpx2.Limits(max_connections=500)) as client:
            headers = {"Authorization": f"Bearer {workspace.key}"}
            url = f"{server}/v1/chat/completions"
            calls = (client.post(url, json=body_of("ok", f"number {n}"), headers=headers) for n in range(500))
            return [answer.status_code for answer in await asyncio.gather(*calls)]

    statuses = asyncio.run(ask_all())
    assert {status: statuses.count(status) for status in set(statuses)} == {200: 100, 402: 400}
    assert len(records(workspace, 100)) == 100
    assert sum(entry.requests for entry in LedgerEntry.objects.filter(tenant=workspace.tenant)) == 100


def test_a_models_allow_list_is_kept(server: str, fake: Workspace) -> None:
    fake.api_key.allowed_models = ["ok"]
    fake.api_key.save()
    until = time.monotonic() + 1
    while (answer := chat(server, fake.key, "other")).status_code != 403:
        assert time.monotonic() < until
    assert answer.json()["error"]["code"] == "model_not_allowed"
    assert chat(server, fake.key, "ok").status_code == 200
