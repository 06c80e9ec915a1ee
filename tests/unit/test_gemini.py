"""Gemini's answers, streams, errors and embeddings in the form between dialects and providers, from a faithful fake."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import orjson
import pytest

from gateway import metering
from gateway.errors import ProviderFailed, ProviderRefused
from gateway.providers import gemini
from gateway.providers.http import Http
from gateway.types import ProviderConfig, Usage
from tests import damage
from tests.asking import both, fake, hello, streamed, whole
from tests.fakes.gemini import KEY, SIGNATURE

CONFIG = ProviderConfig("gemini", "gemini")
WEATHER: Any = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


@pytest.fixture(scope="module")
def upstream() -> Iterator[ProviderConfig]:
    with fake("gemini", KEY) as config:
        yield config


@pytest.fixture
async def provider() -> AsyncIterator[gemini.Gemini]:
    async with aiohttp.ClientSession() as session:
        yield gemini.Gemini(Http(session, first_byte_timeout_s=5, read_error=gemini.read_error))


@both
async def test_an_answer_is_text_and_usage(provider: gemini.Gemini, upstream: ProviderConfig, ask: Any) -> None:
    found = await ask(provider, upstream, "ok")
    assert found["id"] == "lsPuaLyl" and found["model"] == "gemini-fake-001" and found["object"] == "chat.completion"
    choice = found["choices"][0]
    assert choice["message"]["content"] == "You said: Hello" and choice["finish_reason"] == "stop"
    assert found["usage"] == {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


@both
async def test_thoughts_are_apart_and_counted(provider: gemini.Gemini, upstream: ProviderConfig, ask: Any) -> None:
    found = await ask(provider, upstream, "thinking")
    message = found["choices"][0]["message"]
    assert message["reasoning_content"] == "Water first." and message["content"] == "You said: Hello"
    assert message["extra_content"] == {"google": {"thought_signature": SIGNATURE}}
    assert found["usage"] == {
        "prompt_tokens": 11,
        "completion_tokens": 12,
        "total_tokens": 23,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }


@both
async def test_calls_have_ids_and_text_for_arguments(
    provider: gemini.Gemini, upstream: ProviderConfig, ask: Any
) -> None:
    found = await ask(provider, upstream, "tools", tools=[WEATHER])
    choice = found["choices"][0]
    first, second = choice["message"]["tool_calls"]
    assert choice["finish_reason"] == "tool_calls"
    assert first["id"].startswith("call_") and first["function"] == {"name": "weather", "arguments": '{"city":"Oslo"}'}
    assert second["id"] == "8f2b1a3c" and second["function"]["arguments"] == "{}"


async def test_a_call_carries_its_signature(provider: gemini.Gemini, upstream: ProviderConfig) -> None:
    first, second = (await whole(provider, upstream, "tools", tools=[WEATHER]))["choices"][0]["message"]["tool_calls"]
    assert first["extra_content"] == {"google": {"thought_signature": SIGNATURE}} and "extra_content" not in second
    deltas = [orjson.loads(chunk) async for chunk in provider.stream(upstream, hello("tools", tools=[WEATHER]))]
    calls = [c for d in deltas for choice in d["choices"] for c in choice["delta"].get("tool_calls", ())]
    assert [one["index"] for one in calls] == [0, 1]
    assert calls[0]["extra_content"] == {"google": {"thought_signature": SIGNATURE}}


@both
async def test_several_candidates_are_choices(provider: gemini.Gemini, upstream: ProviderConfig, ask: Any) -> None:
    found = await ask(provider, upstream, "ok", n=2)
    assert [choice["index"] for choice in found["choices"]] == [0, 1]
    assert {choice["message"]["content"] for choice in found["choices"]} == {"You said: Hello"}


@both
@pytest.mark.parametrize(("model", "reason"), [("length", "length"), ("filtered", "content_filter")])
async def test_reasons_to_end_have_openais_names(
    provider: gemini.Gemini, upstream: ProviderConfig, ask: Any, model: str, reason: str
) -> None:
    choice = (await ask(provider, upstream, model))["choices"][0]
    assert choice["finish_reason"] == reason
    assert bool(choice["message"].get("refusal")) == (reason == "content_filter")


@both
async def test_a_blocked_prompt_is_a_refusal(provider: gemini.Gemini, upstream: ProviderConfig, ask: Any) -> None:
    found = await ask(provider, upstream, "blocked")
    choice = found["choices"][0]
    assert choice["finish_reason"] == "content_filter"
    assert choice["message"]["refusal"] == "The prompt was blocked: PROHIBITED_CONTENT."
    assert found["usage"]["prompt_tokens"] == 11 and found["usage"]["completion_tokens"] == 0


@both
async def test_logprobs_are_told(provider: gemini.Gemini, upstream: ProviderConfig, ask: Any) -> None:
    choice = (await ask(provider, upstream, "logprobs", logprobs=True, top_logprobs=2))["choices"][0]
    token = choice["logprobs"]["content"][0]
    assert token["token"] == "You " and token["logprob"] == -0.1 and token["bytes"] == [89, 111, 117, 32]
    assert [one["token"] for one in token["top_logprobs"]] == ["You ", "I"]


@both
@pytest.mark.parametrize(
    ("model", "said"), [("malformed", "MALFORMED_FUNCTION_CALL"), ("picture", "inlineData"), ("garbage", "JSON")]
)
async def test_what_is_no_answer_is_a_failure(
    provider: gemini.Gemini, upstream: ProviderConfig, ask: Any, model: str, said: str
) -> None:
    with pytest.raises(ProviderFailed, match=said) as caught:
        await ask(provider, upstream, model)
    assert caught.value.retryable


@pytest.mark.parametrize("model", ["cut", "unfinished", "overloaded-middle"])
async def test_a_stream_without_its_end_is_a_failure(
    provider: gemini.Gemini, upstream: ProviderConfig, model: str
) -> None:
    with pytest.raises(ProviderFailed):
        await streamed(provider, upstream, model)


@both
async def test_a_refusal_names_its_reason(provider: gemini.Gemini, upstream: ProviderConfig, ask: Any) -> None:
    with pytest.raises(ProviderRefused) as caught:
        await ask(provider, upstream, "refused")
    assert caught.value.status == 400 and caught.value.code == "INVALID_ARGUMENT" and "top_k" in caught.value.message


@both
async def test_a_wrong_key_is_not_the_clients_fault(
    provider: gemini.Gemini, upstream: ProviderConfig, ask: Any
) -> None:
    wrong = ProviderConfig("gemini", "gemini", upstream.base_url, "AIzaWrong")
    with pytest.raises(ProviderFailed, match="API key not valid") as caught:
        await ask(provider, wrong, "ok")
    assert not caught.value.retryable


@both
async def test_overload_and_pace_are_told_apart(provider: gemini.Gemini, upstream: ProviderConfig, ask: Any) -> None:
    with pytest.raises(ProviderFailed) as caught:
        await ask(provider, upstream, "overloaded")
    assert caught.value.retryable and not caught.value.throttled
    with pytest.raises(ProviderFailed) as caught:
        await ask(provider, upstream, "rate-limited")
    assert caught.value.throttled and caught.value.retry_after_s == 1


ANSWER: Any = {
    "candidates": [
        {
            "content": {
                "parts": [
                    {"text": "Hm.", "thought": True},
                    {"text": "Hi"},
                    {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": SIGNATURE},
                ],
                "role": "model",
            },
            "finishReason": "STOP",
            "index": 0,
            "logprobsResult": {
                "chosenCandidates": [{"token": "Hi", "logProbability": -0.1}],
                "topCandidates": [{"candidates": [{"token": "Hi", "logProbability": -0.1}]}],
            },
        }
    ],
    "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2, "cachedContentTokenCount": 1},
    "modelVersion": "gemini-3.5-flash",
    "responseId": "r",
}


def test_no_damage_to_an_answer_is_more_than_a_failure() -> None:
    damage.check_answers(ANSWER, CONFIG, lambda found: gemini.whole(CONFIG, "m", found))


def test_any_shape_of_error_is_read() -> None:
    violation = {"fieldViolations": [{"field": "generation_config.top_k"}]}
    error = {"error": {"code": 400, "message": "m", "status": "INVALID_ARGUMENT", "details": [violation]}}
    assert gemini.read_error(error) == {"message": "m", "code": "INVALID_ARGUMENT", "param": "generation_config.top_k"}
    for _, found in damage.damaged(error):
        if isinstance(found, dict):
            ProviderRefused(400, gemini.read_error(found), provider="gemini")


# --- embeddings ----------------------------------------------------------------------------------------------------


async def test_embeddings_come_in_order_and_counted(provider: gemini.Gemini, upstream: ProviderConfig) -> None:
    texts = ["x" * length for length in range(1, 231)]
    found = orjson.loads(await provider.embed(upstream, {"model": "embed", "input": texts, "dimensions": 2}))
    assert [one["embedding"] for one in found["data"]] == [[float(length)] * 2 for length in range(1, 231)]
    assert [one["index"] for one in found["data"]] == list(range(230))
    assert found["object"] == "list" and found["model"] == "embed"
    assert found["usage"] == {"prompt_tokens": 460, "total_tokens": 460}


async def test_uncounted_embeddings_are_not_free(provider: gemini.Gemini, upstream: ProviderConfig) -> None:
    found = orjson.loads(await provider.embed(upstream, {"model": "embed-uncounted", "input": "Hello there"}))
    assert found["usage"]["prompt_tokens"] > 0


async def test_missing_vectors_are_a_failure(provider: gemini.Gemini, upstream: ProviderConfig) -> None:
    with pytest.raises(ProviderFailed, match="1 of 2 vectors"):
        await provider.embed(upstream, {"model": "embed-short", "input": ["a", "b"]})


def test_kinds_of_tokens_are_counted_wherever_gemini_names_them(upstream: ProviderConfig) -> None:
    counted = {
        "promptTokenCount": 300,
        "cachedContentTokenCount": 100,
        "toolUsePromptTokenCount": 20,
        "candidatesTokenCount": 40,
        "thoughtsTokenCount": 60,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 100},
            {"modality": "AUDIO", "tokenCount": 120},
            {"modality": "IMAGE", "tokenCount": 50},
            {"modality": "DOCUMENT", "tokenCount": 30},
        ],
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 80}, {"modality": "VIDEO"}],
        "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 10}, {"modality": "TEXT", "tokenCount": 30}],
        "toolUsePromptTokensDetails": [{"modality": "IMAGE", "tokenCount": 20}],
    }
    candidate = {"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}
    body = gemini.whole(upstream, "gemini-x", {"candidates": [candidate], "usageMetadata": counted})
    assert metering.read(orjson.loads(body)["usage"]) == Usage(
        320, 100, 100,
        {
            "cached": 100, "input_audio": 120, "input_image": 100, "cached_audio": 80, "reasoning": 60,
            "output_audio": 10,
        },
    )  # fmt: skip
