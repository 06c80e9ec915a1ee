"""What apps do with the official SDK, against a running gateway: it must not notice the difference."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import openai
import pytest

from tests.conftest import Workspace

QUESTION: Any = [{"role": "user", "content": "How do I make tea?"}]


@pytest.fixture
def client(server: str, alice: Workspace, with_provider: Callable[[Workspace], Workspace]) -> Iterator[openai.OpenAI]:
    with_provider(alice)
    with openai.OpenAI(base_url=f"{server}/v1", api_key=alice.key, max_retries=0) as client:
        yield client


@pytest.fixture
def simulated(server: str, alice: Workspace) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server}/v1", api_key=alice.key, max_retries=0) as client:
        yield client


def ask(client: openai.OpenAI, model: str = "ok", content: str = "How do I make tea?", **more: Any) -> Any:
    return client.chat.completions.with_raw_response.create(
        model=model,
        messages=[{"role": "user", "content": content}],
        **more,
    )


def test_an_answer_comes_as_the_provider_gave_it(client: openai.OpenAI) -> None:
    raw = ask(client)
    answer = raw.parse()
    assert answer.choices[0].message.content == "You said: How do I make tea?"
    assert answer.usage is not None and answer.usage.total_tokens == 18
    assert answer.model_extra == {"a_new_field": {"kept": True}}
    assert raw.headers["x-cache"] == "MISS"
    assert raw.headers["x-nexus-provider"] == "fake"


def test_a_repeat_is_an_exact_hit_with_the_same_body(client: openai.OpenAI) -> None:
    first, second = ask(client), ask(client)
    assert second.headers["x-cache"] == "HIT-EXACT"
    assert second.headers["x-nexus-cache-id"] == first.headers["x-nexus-cache-id"]
    assert second.content == first.content


def test_a_paraphrase_is_a_semantic_hit(client: openai.OpenAI) -> None:
    first = ask(client)
    second = ask(client, content="Recipe for tea")
    assert second.headers["x-cache"] == "HIT-SEMANTIC"
    assert float(second.headers["x-nexus-similarity"]) >= 0.85
    assert second.headers["x-nexus-cache-id"] == first.headers["x-nexus-cache-id"]


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ("What is 2+2?", "What is 2+3?"),
        ("Flights from Dallas to Baltimore", "Flights from Baltimore to Dallas"),
        ("flights from dallas to baltimore", "flights from baltimore to dallas"),
    ],
)
def test_a_look_alike_is_a_miss(client: openai.OpenAI, stored: str, asked: str) -> None:
    ask(client, content=stored)
    assert ask(client, content=asked).headers["x-cache"] == "MISS"


def test_a_stream_arrives_in_chunks_and_ends(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(model="ok", messages=QUESTION, stream=True)
    chunks: list[Any] = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "You said: How do I make tea?"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks)


def test_a_stream_tells_its_usage_to_who_asks(client: openai.OpenAI) -> None:
    for expected in ("MISS", "HIT-EXACT"):
        with client.chat.completions.with_streaming_response.create(
            model="ok",
            messages=QUESTION,
            stream=True,
            stream_options={"include_usage": True},
        ) as raw:
            chunks: list[Any] = list(raw.parse())
        assert raw.headers["x-cache"] == expected
        assert chunks[-1].choices == [] and chunks[-1].usage is not None
        assert chunks[-1].usage.total_tokens == 18


def test_a_streamed_answer_serves_later_requests_of_both_kinds(client: openai.OpenAI) -> None:
    list(client.chat.completions.create(model="ok", messages=QUESTION, stream=True))
    whole = ask(client)
    assert whole.headers["x-cache"] == "HIT-EXACT"
    assert whole.parse().choices[0].message.content == "You said: How do I make tea?"
    again: list[Any] = list(client.chat.completions.create(model="ok", messages=QUESTION, stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in again) == "You said: How do I make tea?"


async def test_the_async_client_works_side_by_side(server: str, alice: Workspace) -> None:
    async with openai.AsyncOpenAI(base_url=f"{server}/v1", api_key=alice.key) as client:

        async def one(number: int) -> str | None:
            stream = await client.chat.completions.create(
                model="gpt-4o-mini", messages=[{"role": "user", "content": f"Number {number}"}], stream=True
            )
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

        answers = await asyncio.gather(*(one(number) for number in range(20)))
    assert all(answer and f"Number {number}" in answer for number, answer in enumerate(answers))


def test_the_simulated_provider_says_that_it_is_one(simulated: openai.OpenAI) -> None:
    raw = ask(simulated, model="gpt-4o-mini")
    assert raw.headers["x-nexus-simulated"] == "1"
    assert raw.parse().system_fingerprint == "nexus-simulated"
    assert (raw.parse().choices[0].message.content or "").startswith("[simulated answer]")


def test_models_are_listed(simulated: openai.OpenAI) -> None:
    assert "gpt-4o-mini" in {model.id for model in simulated.models.list()}
    assert simulated.models.retrieve("gpt-4o-mini").owned_by == "simulated"


def test_a_wrong_key_is_an_authentication_error(server: str) -> None:
    for key in ("nk-aaaaaaaaaaaa-" + "x" * 43, "sk-whatever", "nk-"):
        with pytest.raises(openai.AuthenticationError) as caught:
            ask(openai.OpenAI(base_url=f"{server}/v1", api_key=key))
        assert caught.value.code == "invalid_api_key"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
        ({"model": ""}, "model"),
        ({"model": None}, "model"),
        ({"model": "gpt\u0000"}, "model"),
        ({"model": "gpt\r\nx-evil: 1"}, "model"),
        ({"stream": "yes"}, "stream"),
        ({"n": 0}, "n"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
    ],
)
def test_a_bad_field_is_named(server: str, alice: Workspace, change: dict[str, object], param: str) -> None:
    body = {"model": "gpt-4o-mini", "messages": QUESTION} | change
    answer = post(server, alice.key, json=body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["param"] == param and error["type"] == "invalid_request_error" and error["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"a":' * 2000, b"{}"])
def test_garbage_is_refused_as_bad_request(server: str, alice: Workspace, body: bytes) -> None:
    answer = post(server, alice.key, content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_an_unknown_model_is_not_found(simulated: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        ask(simulated, model="gpt-4o-minni")
    assert caught.value.code == "model_not_found"


def test_a_body_beyond_the_limit_is_too_large(server: str, alice: Workspace) -> None:
    answer = post(server, alice.key, content=b" " * (10 * 1024 * 1024 + 1))
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "request_too_large"


def test_other_methods_and_paths_answer_in_the_envelope(server: str, alice: Workspace) -> None:
    headers = {"Authorization": f"Bearer {alice.key}"}
    assert httpx2.get(f"{server}/v1/chat/completions", headers=headers).json()["error"]["code"] == "method_not_allowed"
    unknown = httpx2.get(f"{server}/v1/nothing/here", headers=headers)
    assert unknown.status_code == 404 and unknown.json()["error"]["code"] == "not_found"


def test_the_request_id_is_the_clients_if_it_is_fit(server: str, alice: Workspace) -> None:
    body = {"model": "gpt-4o-mini", "messages": QUESTION}
    assert post(server, alice.key, json=body, headers={"X-Request-Id": "abc-1"}).headers["x-request-id"] == "abc-1"
    long = post(server, alice.key, json=body, headers={"X-Request-Id": "x" * 200}).headers["x-request-id"]
    assert len(long) == 32


def test_the_simple_dialect_answers_plainly(server: str, alice: Workspace) -> None:
    headers = {"Authorization": f"Bearer {alice.key}"}
    for expected in ("MISS", "HIT-EXACT"):
        answer = httpx2.post(f"{server}/api/chat", json={"message": "How do I make tea?"}, headers=headers).json()
        assert answer["cache"] == expected and answer["model"] == "gpt-4o-mini"
        assert "How do I make tea?" in answer["response"] and answer["request_id"] and answer["simulated"]
    assert answer["saved_usd"] > 0
    refused = httpx2.post(f"{server}/chat", json={"massage": "x"}, headers=headers)
    assert refused.status_code == 400 and refused.json()["error"]["param"] == "message"


def test_the_simple_dialect_streams(server: str, alice: Workspace) -> None:
    headers = {"Authorization": f"Bearer {alice.key}"}
    body = {"message": "Name three teas", "stream": True}
    text = httpx2.post(f"{server}/api/chat", json=body, headers=headers).text
    assert '"delta"' in text and '"done":true' in text and text.endswith("data: [DONE]\n\n")


def post(server: str, key: str, **request: Any) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    headers |= request.pop("headers", {})
    return httpx2.post(f"{server}/v1/chat/completions", headers=headers, **request)
