"""A provider's bad day is not the app's: fallbacks, breakers, hedges, places, and clients that leave."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from gateway import setups
from gateway.models import Provider
from tenants import revocations
from tenants.db import schema_of
from tests import servers
from tests.calls import body_of, chat, make_route, records, set_up_calls, upstream_calls
from tests.conftest import Workspace


@pytest.fixture
def fake(alice: Workspace, with_provider: Callable[[Workspace], Workspace]) -> Workspace:
    """Alice, with the fake provider."""
    return with_provider(alice)


def seen(provider: str) -> dict[str, Any]:
    return dict(httpx2.get(f"{provider}/calls").json())


def streamed(answer: httpx2.Response) -> list[dict[str, Any]]:
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["status-500", "status-429", "status-401", "garbage", "hang"])
def test_another_target_answers_when_the_first_does_not_begin(
    server: str, fake: Workspace, model: str, stream: bool
) -> None:
    make_route(fake, "house", model, "ok")
    if model == "hang" and stream:
        pytest.skip("this one hangs after its first token")
    answer = chat(server, fake.key, "house", stream=stream)
    assert answer.status_code == 200
    assert answer.headers["x-nexus-model"] == "ok"
    (record,) = records(fake, 1)
    assert (record.model, record.upstream_model, record.billed_tokens) == ("house", "ok", 18)


def test_a_provider_that_cannot_be_found_is_replaced(server: str, fake: Workspace) -> None:
    setups.configure_provider(fake.tenant, name="lost", kind="openai", base_url="http://no-such-host.invalid/v1")
    make_route(fake, "house", ("lost", "gpt-4o"), "ok")
    assert chat(server, fake.key, "house").headers["x-nexus-provider"] == "fake"
    alone = chat(server, fake.key, "lost/gpt-4o")
    assert alone.status_code == 502
    assert "lost could not be reached" in alone.json()["error"]["message"]


def test_a_stream_that_has_begun_never_restarts_elsewhere(server: str, fake: Workspace, provider: str) -> None:
    make_route(fake, "house", "cut", "ok-after-cut")
    answer = chat(server, fake.key, "house", stream=True)
    assert answer.status_code == 200
    *_, last = streamed(answer)
    assert last["error"]["code"] == "provider_failed"
    assert "ok-after-cut" not in upstream_calls(provider)
    (record,) = records(fake, 1)
    assert (record.status, record.billed_tokens, record.cost_usd) == (502, 0, 0)


def test_a_short_wait_that_a_provider_asks_for_is_kept(server: str, fake: Workspace, provider: str) -> None:
    model = "later-50"
    before = upstream_calls(provider).get(model, 0)
    assert chat(server, fake.key, model).status_code == 200
    assert upstream_calls(provider)[model] == before + 2


def test_a_long_wait_is_not_waited_for_but_told(server: str, fake: Workspace) -> None:
    answer = chat(server, fake.key, "later-30000")
    assert answer.status_code == 502
    assert answer.headers["retry-after"] == "30"


def test_who_fails_too_often_is_left_alone_by_all_processes(server: str, fake: Workspace, provider: str) -> None:
    model = "status-500"
    with servers.gateway() as other:
        assert chat(other.url, fake.key, "ok").status_code == 200
        while (answer := chat(server, fake.key, model)).status_code == 502:
            assert upstream_calls(provider)[model] < 50
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "circuit_open"
        assert int(answer.headers["retry-after"]) >= 1
        until = time.monotonic() + 2
        while chat(other.url, fake.key, model).status_code != 503:
            assert time.monotonic() < until
        calls = upstream_calls(provider)[model]
        assert {chat(url, fake.key, model).status_code for url in (server, other.url)} == {503}
        assert upstream_calls(provider)[model] == calls
    assert chat(server, fake.key, "ok").status_code == 200


def test_an_open_breaker_of_one_tenant_is_nobody_elses(
    server: str, fake: Workspace, mallory: Workspace, with_provider: Callable[[Workspace], Workspace], provider: str
) -> None:
    while chat(server, fake.key, "status-503").status_code != 503:
        pass
    assert chat(server, with_provider(mallory).key, "status-503").status_code == 502


def test_a_slow_beginning_is_hedged(server: str, fake: Workspace) -> None:
    make_route(fake, "house", "slow", "ok", hedge_after_ms=50)
    answer = chat(server, fake.key, "house")
    assert answer.headers["x-nexus-model"] == "ok"
    streaming = chat(server, fake.key, "house", stream=True)
    assert streaming.headers["x-nexus-model"] == "ok"
    assert [record.upstream_model for record in records(fake, 2)] == ["ok", "ok"]


def test_a_hedge_is_not_needed_when_the_first_fails(server: str, fake: Workspace) -> None:
    make_route(fake, "house", "status-400", "ok", hedge_after_ms=4000)
    assert chat(server, fake.key, "house").status_code == 400
    make_route(fake, "other", "status-401", "ok", hedge_after_ms=4000)
    assert chat(server, fake.key, "other").headers["x-nexus-model"] == "ok"


def test_a_providers_limit_of_calls_at_once_is_kept(server: str, fake: Workspace, provider: str) -> None:
    with schema_of(fake.tenant):
        Provider.objects.filter(name="fake").update(max_concurrency=2)
    revocations.publish(f"tenant:{fake.tenant.pk}")
    model = f"slow-{uuid.uuid4().hex[:6]}"

    async def ask(client: httpx2.AsyncClient, stream: bool) -> int:
        body = body_of(model, uuid.uuid4().hex, stream=stream)
        headers = {"Authorization": f"Bearer {fake.key}"}
        return (await client.post(f"{server}/v1/chat/completions", json=body, headers=headers)).status_code

    async def all_at_once() -> list[int]:
        async with httpx2.AsyncClient(timeout=30) as client:
            return await asyncio.gather(*(ask(client, bool(number % 2)) for number in range(8)))

    assert asyncio.run(all_at_once()) == [200] * 8
    assert seen(provider)["most_at_once"][model] == 2


def leave_after_two_chunks(server: str, workspace: Workspace, content: str) -> None:
    headers = {"Authorization": f"Bearer {workspace.key}"}
    body = body_of("long", content, stream=True)
    with httpx2.stream("POST", f"{server}/v1/chat/completions", json=body, headers=headers) as answer:
        lines = answer.iter_lines()
        for _ in range(6):
            next(lines)


def test_who_leaves_stops_the_provider_where_the_tenant_wants_it(server: str, fake: Workspace, provider: str) -> None:
    set_up_calls(fake, on_disconnect="cancel")
    content = uuid.uuid4().hex
    leave_after_two_chunks(server, fake, content)
    (record,) = records(fake, 1)
    assert (record.status, record.error) == (499, "client_left")
    assert 0 < record.billed_tokens < 200
    until = time.monotonic() + 5
    while not seen(provider)["cut_off"].get("long"):
        assert time.monotonic() < until


def test_an_abandoned_answer_is_not_drained_beyond_the_limit(server: str, fake: Workspace) -> None:
    set_up_calls(fake, drain_limit_s=1)
    leave_after_two_chunks(server, fake, uuid.uuid4().hex)
    (record,) = records(fake, 1)
    assert record.status == 499
    assert record.latency_ms > 1000


def test_who_leaves_before_the_first_byte_is_noticed(server: str, fake: Workspace) -> None:
    set_up_calls(fake, on_disconnect="cancel")
    with pytest.raises(httpx2.TimeoutException):
        httpx2.post(
            f"{server}/v1/chat/completions",
            json=body_of("hang", uuid.uuid4().hex),
            headers={"Authorization": f"Bearer {fake.key}"},
            timeout=0.2,
        )
    (record,) = records(fake, 1)
    assert (record.status, record.error, record.billed_tokens) == (499, "client_left", 0)


def test_fifty_clients_share_one_stream_live(server: str, fake: Workspace, provider: str) -> None:
    model, content = f"slow-{uuid.uuid4().hex[:6]}", uuid.uuid4().hex

    async def follow(client: httpx2.AsyncClient) -> tuple[str, str]:
        headers = {"Authorization": f"Bearer {fake.key}"}
        body = body_of(model, content, stream=True)
        async with client.stream("POST", f"{server}/v1/chat/completions", json=body, headers=headers) as answer:
            text = (await answer.aread()).decode()
            return answer.headers["x-cache"], text

    async def all_at_once() -> list[tuple[str, str]]:
        limits = httpx2.Limits(max_connections=50)
        async with httpx2.AsyncClient(timeout=30, limits=limits) as client:
            return await asyncio.gather(*(follow(client) for _ in range(50)))

    answers = asyncio.run(all_at_once())
    assert upstream_calls(provider)[model] == 1
    assert {text.count("data: [DONE]") for _, text in answers} == {1}
    assert len({text for _, text in answers}) == 1
    assert sorted(outcome for outcome, _ in answers) == ["HIT-EXACT"] * 49 + ["MISS"]
    assert sum(record.billed_tokens for record in records(fake, 50)) == 18


def test_a_tenants_provider_may_not_be_at_a_private_address(alice: Workspace, provider: str) -> None:
    port = provider.rpartition(":")[2]
    hosts = ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "169.254.169.254"]
    for number, host in enumerate(hosts):
        url = f"http://{host}:{port}/v1"
        setups.configure_provider(alice.tenant, name=f"inner-{number}", kind="openai", base_url=url)
    with servers.gateway(NEXUS_PRIVATE_PROVIDERS="off") as strict:
        for number in range(len(hosts)):
            answer = chat(strict.url, alice.key, f"inner-{number}/ok")
            assert answer.status_code == 502
            assert "not at a public address" in answer.json()["error"]["message"]
        passed_on = httpx2.get(f"{strict.url}/v1/files", headers={"Authorization": f"Bearer {alice.key}"})
        assert passed_on.status_code == 502
        assert "not at a public address" in passed_on.json()["error"]["message"]
