"""From the form between dialects and providers to Cohere's API and back, against a faithful fake of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import orjson
import pytest

from gateway.errors import InvalidRequest, ProviderFailed, ProviderRefused, Untranslatable
from gateway.providers import cohere
from gateway.providers.cohere_requests import embedding_request
from gateway.providers.cohere_requests import request as made
from gateway.providers.http import Http
from gateway.types import ProviderConfig
from tests import damage
from tests.asking import both, fake, streamed
from tests.fakes.cohere import ID, KEY

CONFIG = ProviderConfig("cohere", "cohere")
PICTURE = "data:image/png;base64,iVBORw0KGgo="
IMAGE = {"type": "image_url", "image_url": {"url": PICTURE}}
SOUND = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}


def tool(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object"}, **more}}


def asked(*messages: Any, model: str = "command-a-03-2025", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": list(messages) or [{"role": "user", "content": "Hello"}], **more}


def request(payload: dict[str, Any]) -> dict[str, Any]:
    return made(CONFIG, payload, stream=False)


def of_parameters(**given: Any) -> dict[str, Any]:
    body, plain = request(asked(**given)), request(asked())
    return {name: value for name, value in body.items() if name not in plain}


CALL: Any = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}


# --- requests ------------------------------------------------------------------------------------------------------


def test_a_conversation_keeps_its_order() -> None:
    body = request(
        asked(
            {"role": "developer", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": PICTURE, "detail": "low"}},
                    {"type": "image_url", "image_url": {"url": "https://example.com/a"}},
                ],
            },
            {"role": "assistant", "content": "A cat.", "reasoning_content": "Whiskers.", "refusal": None},
            {"role": "user", "content": [{"type": "text", "text": "And now?"}]},
        )
    )
    assert body == {
        "model": "command-a-03-2025",
        "stream": False,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": PICTURE, "detail": "low"}},
                    {"type": "image_url", "image_url": {"url": "https://example.com/a"}},
                ],
            },
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": "Whiskers."}, {"type": "text", "text": "A cat."}],
            },
            {"role": "user", "content": "And now?"},
        ],
    }


def test_a_plan_a_call_and_its_result_go_back() -> None:
    body = request(
        asked(
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": None, "reasoning_content": "I look it up.", "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": "12 °C"},
            {"role": "tool", "tool_call_id": "c1", "content": "no such city", "is_error": True},
        )
    )
    assert body["messages"][1:] == [
        {"role": "assistant", "tool_plan": "I look it up.", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "12 °C"},
        {
            "role": "tool",
            "tool_call_id": "c1",
            "content": [{"type": "document", "document": {"data": {"error": "no such city"}}}],
        },
    ]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"temperature": 0.2, "seed": 7, "top_k": 40}, {"temperature": 0.2, "seed": 7, "k": 40}),
        ({"top_p": 0.9}, {"p": 0.9}),
        ({"top_p": 1}, {"p": 0.99}),
        ({"top_p": 0}, {"p": 0.01}),
        ({"stop": "END"}, {"stop_sequences": ["END"]}),
        ({"max_completion_tokens": 9}, {"max_tokens": 9}),
        ({"presence_penalty": 0.5, "frequency_penalty": 0}, {"presence_penalty": 0.5}),
        ({"logprobs": True, "top_logprobs": 0}, {"logprobs": True}),
        ({"response_format": {"type": "json_object"}}, {"response_format": {"type": "json_object"}}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}},
            {"response_format": {"type": "json_object", "json_schema": {"type": "object"}}},
        ),
        ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
        ({"reasoning_effort": "high"}, {"thinking": {"type": "enabled"}}),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2000}, "reasoning_effort": "low"},
            {"thinking": {"type": "enabled", "token_budget": 2000}},
        ),
        ({"thinking": {"type": "adaptive"}}, {"thinking": {"type": "enabled"}}),
        ({"thinking": {"type": "disabled"}}, {"thinking": {"type": "disabled"}}),
        ({"n": 1, "logprobs": False, "user": "u", "store": False, "tools": [], "modalities": ["text"]}, {}),
    ],
)
def test_parameters_have_coheres_names(given: Any, expected: Any) -> None:
    assert of_parameters(**given) == expected


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", (["weather", "time"], None)),
        ("none", (["weather", "time"], "NONE")),
        ("required", (["weather", "time"], "REQUIRED")),
        ({"type": "function", "function": {"name": "time"}}, (["time"], "REQUIRED")),
    ],
)
def test_a_tool_chosen_by_name_is_the_only_one(choice: Any, expected: Any) -> None:
    body = request(asked(tools=[tool("weather"), tool("time")], tool_choice=choice))
    assert ([one["function"]["name"] for one in body["tools"]], body.get("tool_choice")) == expected


def test_tools_have_a_schema_and_may_be_strict() -> None:
    body = request(asked(tools=[tool("weather", strict=True), {"type": "function", "function": {"name": "time"}}]))
    assert body["strict_tools"] is True
    assert body["tools"][1]["function"] == {"name": "time", "parameters": {"type": "object", "properties": {}}}


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"n": 2}, "n"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"logit_bias": {"5": 1}}, "logit_bias"),
        ({"reasoning_effort": "medium"}, "reasoning_effort"),
        ({"something_new": 1}, "something_new"),
        ({"thinking": {"type": "between_tools"}}, "thinking.type"),
        ({"tools": [{"type": "custom"}]}, "tools[0].type"),
        ({"messages": [{"role": "user", "content": [SOUND]}]}, "messages[0].content[0].input_audio.format"),
        (
            {"messages": [{"role": "tool", "tool_call_id": "c", "content": [IMAGE]}]},
            "messages[0].content[0].image_url.url",
        ),
    ],
)
def test_what_cohere_has_nothing_like_is_refused_by_name(given: Any, param: str) -> None:
    with pytest.raises(Untranslatable) as caught:
        request(asked() | given)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"top_p": "most"}, "top_p"),
        ({"thinking": 7}, "thinking.type"),
        (
            {"tools": [tool("weather")], "tool_choice": {"type": "function", "function": {"name": "time"}}},
            "tool_choice",
        ),
        ({"messages": [{"role": "tool", "content": "1"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "assistant", "tool_calls": {"id": "c"}}]}, "messages[0].tool_calls"),
    ],
)
def test_a_malformed_field_is_named(given: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        request(asked() | given)
    assert caught.value.param == param


FULL = asked(
    {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PICTURE, "detail": "auto"}}]},
    {"role": "assistant", "content": "So:", "reasoning_content": "Hm.", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "12"}], "is_error": False},
    tools=[tool("weather", description="Of a city", strict=True)],
    tool_choice={"type": "function", "function": {"name": "weather"}},
    response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
    thinking={"type": "enabled", "budget_tokens": 1024},
    stop=["x"],
    top_p=0.5,
    max_tokens=5,
)


def test_no_damage_to_a_request_is_more_than_a_bad_request() -> None:
    damage.check_requests(FULL, request)


def test_what_embeddings_are_for_can_be_said() -> None:
    plain = embedding_request(CONFIG, {"model": "embed-v4.0", "input": "a", "dimensions": 256})
    assert plain == {
        "model": "embed-v4.0",
        "input_type": "search_document",
        "embedding_types": ["float"],
        "output_dimension": 256,
    }
    query = embedding_request(CONFIG, {"model": "embed-v4.0", "input": "a", "input_type": "search_query"})
    assert query["input_type"] == "search_query"
    with pytest.raises(Untranslatable):
        embedding_request(CONFIG, {"model": "embed-v4.0", "input": "a", "encoding_format": "base64"})


# --- answers -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def upstream() -> Iterator[ProviderConfig]:
    with fake("cohere", KEY) as config:
        yield config


@pytest.fixture
async def provider() -> AsyncIterator[cohere.Cohere]:
    async with aiohttp.ClientSession() as session:
        yield cohere.Cohere(Http(session, first_byte_timeout_s=5))


@both
async def test_an_answer_is_text_and_what_is_billed(
    provider: cohere.Cohere, upstream: ProviderConfig, ask: Any
) -> None:
    found = await ask(provider, upstream, "ok")
    assert found["id"] == ID and found["model"] == "ok" and found["object"] == "chat.completion"
    choice = found["choices"][0]
    assert choice["message"]["content"] == "You said: Hello" and choice["finish_reason"] == "stop"
    assert found["usage"] == {
        "prompt_tokens": 11,
        "completion_tokens": 7,
        "total_tokens": 18,
        "prompt_tokens_details": {"cached_tokens": 4},
    }


@both
async def test_thoughts_are_apart(provider: cohere.Cohere, upstream: ProviderConfig, ask: Any) -> None:
    message = (await ask(provider, upstream, "thinking"))["choices"][0]["message"]
    assert message["reasoning_content"] == "Water first." and message["content"] == "You said: Hello"


@both
async def test_calls_come_with_the_plan_behind_them(
    provider: cohere.Cohere, upstream: ProviderConfig, ask: Any
) -> None:
    choice = (await ask(provider, upstream, "tools", tools=[tool("weather"), tool("time")]))["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["reasoning_content"].strip() == "I will look up the weather."
    assert [(call["id"], call["function"]) for call in choice["message"]["tool_calls"]] == [
        ("weather_x0", {"name": "weather", "arguments": '{"city":"Oslo"}'}),
        ("time_x1", {"name": "time", "arguments": "{}"}),
    ]


@both
async def test_reasons_to_end_have_openais_names(provider: cohere.Cohere, upstream: ProviderConfig, ask: Any) -> None:
    assert (await ask(provider, upstream, "length"))["choices"][0]["finish_reason"] == "length"
    stopped = (await ask(provider, upstream, "stop", stop=["END"]))["choices"][0]
    assert stopped["finish_reason"] == "stop" and stopped["stop_reason"] == "END"
    # Which of several it was, Cohere does not say.
    assert "stop_reason" not in (await ask(provider, upstream, "stop", stop=["END", "FIN"]))["choices"][0]


@both
async def test_logprobs_are_told(provider: cohere.Cohere, upstream: ProviderConfig, ask: Any) -> None:
    choice = (await ask(provider, upstream, "ok", logprobs=True))["choices"][0]
    assert [(token["token"], token["logprob"]) for token in choice["logprobs"]["content"]] == [
        ("You ", -0.75),
        ("said: ", -0.75),
        ("Hello", -0.75),
    ]


@both
@pytest.mark.parametrize(("model", "said"), [("failed", "ERROR"), ("garbage", "JSON"), ("overloaded", "503")])
async def test_what_is_no_answer_is_a_failure(
    provider: cohere.Cohere, upstream: ProviderConfig, ask: Any, model: str, said: str
) -> None:
    with pytest.raises(ProviderFailed, match=said) as caught:
        await ask(provider, upstream, model)
    assert caught.value.retryable


@pytest.mark.parametrize("model", ["cut", "unfinished"])
async def test_a_stream_without_its_end_is_a_failure(
    provider: cohere.Cohere, upstream: ProviderConfig, model: str
) -> None:
    with pytest.raises(ProviderFailed):
        await streamed(provider, upstream, model)


@both
async def test_refusals_and_pace_are_told(provider: cohere.Cohere, upstream: ProviderConfig, ask: Any) -> None:
    with pytest.raises(ProviderRefused, match="too many tokens") as refused:
        await ask(provider, upstream, "refused")
    assert refused.value.status == 400
    with pytest.raises(ProviderFailed) as caught:
        await ask(provider, upstream, "rate-limited")
    assert caught.value.throttled and caught.value.retry_after_s == 1


ANSWER: Any = {
    "id": ID,
    "message": {
        "role": "assistant",
        "tool_plan": "I look.",
        "tool_calls": [CALL],
        "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Hi"}],
    },
    "finish_reason": "TOOL_CALL",
    "usage": {"billed_units": {"input_tokens": 1.0, "output_tokens": 2.0}, "cached_tokens": 1.0},
    "logprobs": [{"text": "Hi", "token_ids": [1], "logprobs": [-0.5]}],
}


def test_no_damage_to_an_answer_is_more_than_a_failure() -> None:
    damage.check_answers(ANSWER, CONFIG, lambda found: cohere.whole(CONFIG, asked(), found))


# --- embeddings ----------------------------------------------------------------------------------------------------


async def test_embeddings_come_in_order_and_counted(provider: cohere.Cohere, upstream: ProviderConfig) -> None:
    texts = ["x" * length for length in range(1, 201)]
    found = orjson.loads(await provider.embed(upstream, {"model": "embed", "input": texts, "dimensions": 2}))
    assert [one["embedding"] for one in found["data"]] == [[float(length)] * 2 for length in range(1, 201)]
    assert found["usage"] == {"prompt_tokens": 400, "total_tokens": 400}


async def test_missing_vectors_are_a_failure(provider: cohere.Cohere, upstream: ProviderConfig) -> None:
    with pytest.raises(ProviderFailed, match="1 of 2 vectors"):
        await provider.embed(upstream, {"model": "embed-short", "input": ["a", "b"]})
