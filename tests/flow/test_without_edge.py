"""Where nothing stands in front of Django (`runserver`, the test client), the DRF view goes the whole way."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from typing import Any

from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client

from gateway import runtime
from tests.calls import records, upstream_calls
from tests.conftest import Workspace


def test_the_answers_are_the_same_as_at_the_edge(alice: Workspace) -> None:
    async def story() -> list[Any]:
        client = AsyncClient()

        async def ask(content: str, *, stream: bool = False) -> Any:
            body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": content}], "stream": stream}
            answer: Any = await client.post(
                "/v1/chat/completions",
                json.dumps(body),
                content_type="application/json",
                headers={"Authorization": f"Bearer {alice.key}"},
            )
            if answer.streaming:
                text = b"".join([block async for block in answer.streaming_content])
                return answer.status_code, answer.headers["x-cache"], text
            return answer.status_code, answer.headers.get("x-cache"), answer.content

        answers = [
            await ask("How do I make tea?"),
            await ask("How do I make tea?"),
            await ask("Recipe for tea"),
            await ask("How do I make tea?", stream=True),
            await ask("Name three teas", stream=True),
            await ask(""),
        ]
        await runtime.close()
        return answers

    answers = async_to_sync(story)()
    assert [answer[:2] for answer in answers] == [
        (200, "MISS"),
        (200, "HIT-EXACT"),
        (200, "HIT-SEMANTIC"),
        (200, "HIT-EXACT"),
        (200, "MISS"),
        (200, "MISS"),
    ]
    assert answers[0][2] == answers[1][2] == answers[2][2]
    assert all(answer[2].endswith(b"data: [DONE]\n\n") for answer in answers[3:5])


def test_vectors_that_a_shutdown_cuts_off_are_refused_and_their_hold_goes_back(
    alice: Workspace, with_provider: Callable[[Workspace], Workspace], provider: str, settings: Any
) -> None:
    settings.PRIVATE_PROVIDERS = True
    with_provider(alice)
    model = f"hang-{uuid.uuid4().hex[:6]}"

    async def story() -> tuple[int, Any, int]:
        client = AsyncClient()
        asking = asyncio.create_task(
            client.post(
                "/v1/embeddings",
                json.dumps({"model": f"fake/{model}", "input": ["one"]}),
                content_type="application/json",
                headers={"Authorization": f"Bearer {alice.key}"},
            )
        )
        gateway = await runtime.current()
        async with asyncio.timeout(10):
            while model not in await asyncio.to_thread(upstream_calls, provider):
                await asyncio.sleep(0.05)
        await gateway.tasks.drain(0.01)
        answer: Any = await asyncio.wait_for(asking, 10)
        principal = await gateway.directory.find(alice.key)
        assert principal is not None
        standing, _ = await gateway.quota.standing(gateway.account_of(principal))
        await runtime.close()
        return answer.status_code, json.loads(answer.content), standing.held_requests

    status, body, held = async_to_sync(story)()
    assert (status, body["error"]["code"], held) == (503, "service_unavailable", 0)
    (record,) = records(alice, 1)
    assert (record.dialect, record.status, record.billed_tokens) == ("openai-embeddings", 503, 0)


def test_refusals_are_in_the_envelope(alice: Workspace) -> None:
    async def story() -> list[Any]:
        client = AsyncClient()
        answers = [
            await client.post("/v1/chat/completions", "{", content_type="application/json"),
            await client.get("/v1/chat/completions"),
            await client.delete("/v1/usage"),
            await client.get("/v1/nothing"),
        ]
        await runtime.close()
        return answers

    answers = async_to_sync(story)()
    assert [answer.status_code for answer in answers] == [401, 405, 405, 404]
    assert all(set(json.loads(answer.content)["error"]) >= {"message", "type", "code"} for answer in answers)


def test_the_api_describes_itself() -> None:
    client = Client()
    schema = client.get("/api/schema/", headers={"Accept": "application/json"})
    assert schema.status_code == 200
    assert {"/api/register", "/v1/chat/completions", "/v1/usage"} <= set(json.loads(schema.content)["paths"])
    assert client.get("/api/docs/").status_code == 200
