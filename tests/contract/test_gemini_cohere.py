"""What apps do with OpenAI's SDK when Gemini or Cohere answers behind the gateway: they must not notice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx2
import openai
import pytest

from gateway import setups
from tests import servers
from tests.conftest import Workspace
from tests.fakes import cohere, gemini

QUESTION: Any = [{"role": "user", "content": "How do I make tea?"}]
PICTURE = "data:image/png;base64,iVBORw0KGgo="
TOOLS: Any = [
    {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}},
    {"type": "function", "function": {"name": "time", "description": "Now", "parameters": {"type": "object"}}},
]


class Upstream(NamedTuple):
    kind: str
    url: str
    key: str

    def last(self) -> Any:
        return httpx2.get(f"{self.url}/calls").json()["last"]["payload"]


@pytest.fixture(scope="module")
def upstreams() -> Iterator[dict[str, Upstream]]:
    with (
        servers.running("tests.fakes.gemini:application", ready="/calls") as google,
        servers.running("tests.fakes.cohere:application", ready="/calls") as toronto,
    ):
        yield {
            "gemini": Upstream("gemini", google.url, gemini.KEY),
            "cohere": Upstream("cohere", toronto.url, cohere.KEY),
        }


@pytest.fixture(params=["gemini", "cohere"])
def upstream(request: pytest.FixtureRequest, upstreams: dict[str, Upstream], alice: Workspace) -> Upstream:
    """Alice's only provider."""
    upstream = upstreams[request.param]
    setups.configure_provider(
        alice.tenant, name=upstream.kind, kind=upstream.kind, base_url=upstream.url, api_key=upstream.key
    )
    return upstream


@pytest.fixture
def client(server: str, alice: Workspace, upstream: Upstream) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server}/v1", api_key=alice.key, max_retries=0) as client:
        yield client


def test_an_answer_comes_and_is_kept(client: openai.OpenAI, upstream: Upstream) -> None:
    for expected in ("MISS", "HIT-EXACT"):
        raw = client.chat.completions.with_raw_response.create(model="ok", messages=QUESTION, temperature=0.1)
        answer = raw.parse()
        assert answer.choices[0].message.content == "You said: How do I make tea?"
        assert answer.choices[0].finish_reason == "stop"
        assert answer.usage is not None and answer.usage.total_tokens == 18
        assert raw.headers["x-cache"] == expected and raw.headers["x-nexus-provider"] == upstream.kind


def test_a_stream_comes_in_pieces_with_its_usage(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="thinking", messages=QUESTION, stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = list(stream)
    deltas = [chunk.choices[0].delta for chunk in chunks]
    assert "".join(delta.content or "" for delta in deltas) == "You said: How do I make tea?"
    thoughts = "".join((delta.model_extra or {}).get("reasoning_content", "") for delta in deltas)
    assert thoughts == "Water first."
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert last.choices == [] and last.usage is not None and last.usage.prompt_tokens == 11


def test_tools_are_called_and_their_results_used(client: openai.OpenAI) -> None:
    first = client.chat.completions.create(model="tools", messages=QUESTION, tools=TOOLS)
    choice = first.choices[0]
    calls: Any = choice.message.tool_calls
    assert choice.finish_reason == "tool_calls"
    assert [call.function.name for call in calls] == ["weather", "time"]
    assert calls[0].function.arguments == '{"city":"Oslo"}'
    # As most apps do it: the whole message goes back, with whatever else is in it.
    results: Any = [
        {"role": "tool", "tool_call_id": call.id, "content": f"{call.function.name}: fine"} for call in calls
    ]
    history: Any = [*QUESTION, choice.message.model_dump(), *results]
    second = client.chat.completions.create(model="tools", messages=history, tools=TOOLS)
    assert second.choices[0].finish_reason == "stop" and "time: fine" in (second.choices[0].message.content or "")


def test_tools_are_called_in_a_stream(client: openai.OpenAI) -> None:
    calls: dict[int, dict[str, str]] = {}
    finish_reasons = []
    for chunk in client.chat.completions.create(model="tools", messages=QUESTION, tools=TOOLS, stream=True):
        finish_reasons.append(chunk.choices[0].finish_reason)
        for part in chunk.choices[0].delta.tool_calls or ():
            call = calls.setdefault(part.index, {"id": part.id or "", "name": "", "arguments": ""})
            call["name"] += (part.function and part.function.name) or ""
            call["arguments"] += (part.function and part.function.arguments) or ""
    assert finish_reasons[-1] == "tool_calls" and all(call["id"] for call in calls.values())
    assert [(call["name"], call["arguments"]) for call in calls.values()] == [
        ("weather", '{"city":"Oslo"}'),
        ("time", "{}"),
    ]


def test_an_app_that_loses_signatures_may_go_on(client: openai.OpenAI) -> None:
    calls: Any = [
        {"id": name, "type": "function", "function": {"name": name, "arguments": "{}"}} for name in ("weather", "time")
    ]
    results: Any = [{"role": "tool", "tool_call_id": call["id"], "content": "fine"} for call in calls]
    history: Any = [*QUESTION, {"role": "assistant", "tool_calls": calls}, *results]
    answer = client.chat.completions.create(model="tools", messages=history, tools=TOOLS)
    assert answer.choices[0].finish_reason == "stop"


def test_an_image_arrives(client: openai.OpenAI, upstream: Upstream) -> None:
    content: Any = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PICTURE}}]
    answer = client.chat.completions.create(model="ok", messages=[{"role": "user", "content": content}])
    assert answer.choices[0].message.content == "You said: What is this?"
    sent = upstream.last()
    if upstream.kind == "gemini":
        assert sent["contents"][0]["parts"][1] == {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}
    else:
        assert sent["messages"][0]["content"][1] == {"type": "image_url", "image_url": {"url": PICTURE}}


def test_json_of_a_schema_is_asked_for(client: openai.OpenAI, upstream: Upstream) -> None:
    schema: Any = {"type": "object", "properties": {"tea": {"type": "string"}}, "additionalProperties": False}
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "tea", "schema": schema, "strict": True}}
    client.chat.completions.create(model="ok", messages=QUESTION, response_format=wanted)
    sent = upstream.last()
    if upstream.kind == "gemini":
        assert sent["generationConfig"] == {"responseMimeType": "application/json", "responseJsonSchema": schema}
    else:
        assert sent["response_format"] == {"type": "json_object", "json_schema": schema}


@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_reaches_the_client_as_it_is(client: openai.OpenAI, *, stream: bool) -> None:
    with pytest.raises(openai.BadRequestError, match="too many tokens|top_k must be positive"):
        client.chat.completions.create(model="refused", messages=QUESTION, stream=stream)
    with pytest.raises(openai.NotFoundError, match="missing"):
        client.chat.completions.create(model="missing", messages=QUESTION, stream=stream)


@pytest.mark.parametrize("stream", [False, True])
def test_an_overloaded_provider_is_said_to_have_failed(
    client: openai.OpenAI, upstream: Upstream, *, stream: bool
) -> None:
    with pytest.raises(openai.InternalServerError, match="status 503") as caught:
        client.chat.completions.create(model="overloaded", messages=QUESTION, stream=stream)
    assert caught.value.status_code == 502 and upstream.kind in str(caught.value)


@pytest.mark.parametrize("model", ["cut", "unfinished", "garbage"])
def test_a_broken_stream_is_an_error_and_is_not_kept(client: openai.OpenAI, model: str) -> None:
    for _ in range(2):
        with client.chat.completions.with_streaming_response.create(model=model, messages=QUESTION, stream=True) as raw:
            assert raw.headers["x-cache"] == "MISS"
            with pytest.raises(openai.APIError):
                list(raw.parse())


def test_a_silent_provider_times_out(client: openai.OpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="hang", messages=QUESTION)
    assert caught.value.status_code == 504


def test_what_cannot_be_translated_is_refused_before_it_is_sent(client: openai.OpenAI, upstream: Upstream) -> None:
    model = f"untranslatable-{upstream.kind}"
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=model, messages=QUESTION, logit_bias={"5": 1})
    assert caught.value.code == "unsupported_parameter" and caught.value.param == "logit_bias"
    assert model not in httpx2.get(f"{upstream.url}/calls").json()["calls"]


def test_a_malformed_field_is_named(client: openai.OpenAI) -> None:
    temperature: Any = "hot"
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="ok", messages=QUESTION, temperature=temperature)
    assert caught.value.param == "temperature"
