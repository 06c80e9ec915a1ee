"""Anthropic as a provider: what it is asked, and what becomes of its answers and failures."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import aiohttp
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import metering
from gateway.dialects import anthropic_messages, openai_chat
from gateway.errors import InvalidRequest, ProviderFailed, ProviderRefused, Untranslatable
from gateway.providers.anthropic import Anthropic, answer_of, read_error
from gateway.providers.anthropic_requests import request_of
from gateway.providers.http import Http
from gateway.types import ProviderConfig, Usage
from tests import asking
from tests.fakes import anthropic as fake
from tests.messages import (
    ANYTHING,
    FUNCTION,
    MARK,
    PIXEL,
    SCALARS,
    TOOL,
    call_of,
    put_together,
    said,
    streamed_chunks,
    tool_call,
)

PROVIDER = ProviderConfig("claude", "anthropic", settings={})


def parsed(**change: Any) -> dict[str, Any]:
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]} | change
    return anthropic_messages.parse(orjson.dumps(body)).payload


def asked(messages: list[dict[str, Any]] | None = None, **payload: Any) -> dict[str, Any]:
    return request_of(PROVIDER, {"model": "m", "messages": messages or [{"role": "user", "content": "Hi"}], **payload})


def test_a_request_to_anthropic_has_its_names() -> None:
    schema = {"type": "object"}
    assert asked(
        max_completion_tokens=9,
        temperature=0.5,
        top_k=3,
        stop="END",
        user="u1",
        service_tier="default",
        reasoning_effort="minimal",
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}},
        tools=[{"type": "function", "function": {**FUNCTION, "strict": True}, "cache_control": MARK}],
        tool_choice={"type": "function", "function": {"name": "weather"}},
        parallel_tool_calls=False,
        stream=True,
        stream_options={"include_usage": True},
        metadata={"trace": "1"},
        prompt_cache_key="k",
        seed=None,
        n=1,
        frequency_penalty=0,
        presence_penalty=0.0,
        logprobs=False,
        logit_bias={},
    ) == {
        "model": "m",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
        "max_tokens": 9,
        "temperature": 0.5,
        "top_k": 3,
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u1"},
        "service_tier": "standard_only",
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": schema}},
        "tools": [{**TOOL, "strict": True, "cache_control": MARK}],
        "tool_choice": {"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
    }


def test_anthropic_always_gets_a_limit() -> None:
    assert asked()["max_tokens"] == 4096
    own = ProviderConfig("claude", "anthropic", settings={"max_tokens": 64})
    payload = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    assert request_of(own, payload)["max_tokens"] == 64
    assert request_of(own, {**payload, "max_tokens": 7})["max_tokens"] == 7


def test_turns_are_merged_and_system_comes_first() -> None:
    request = asked(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Weather?"},
            {"role": "developer", "content": [{"type": "text", "text": "In English.", "cache_control": MARK}]},
            {"role": "assistant", "content": "", "tool_calls": [tool_call('{"a":1}'), tool_call("oops", 1)]},
            {"role": "tool", "tool_call_id": "t0", "name": "tool0", "content": "Sun", "is_error": True},
            {
                "role": "tool",
                "tool_call_id": "t1",
                "content": [{"type": "text", "text": "Rain"}],
                "cache_control": MARK,
            },
            {"role": "user", "content": "And?"},
        ]
    )
    assert request["system"] == [
        {"type": "text", "text": "Be brief."},
        {"type": "text", "text": "In English.", "cache_control": MARK},
    ]
    assert request["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "Weather?"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "t0", "name": "tool0", "input": {"a": 1}},
                {"type": "tool_use", "id": "t1", "name": "tool1", "input": {"INVALID_JSON": "oops"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t0", "content": "Sun", "is_error": True},
                {
                    "type": "tool_result",
                    "tool_use_id": "t1",
                    "content": [{"type": "text", "text": "Rain"}],
                    "cache_control": MARK,
                },
                {"type": "text", "text": "And?"},
            ],
        },
    ]


def test_only_signed_thoughts_are_sent_back() -> None:
    signed = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
    thoughts = [
        signed,
        {"type": "redacted_thinking", "data": "d"},
        {"type": "thinking", "thinking": "?", "signature": ""},
    ]
    message = {"role": "assistant", "content": "Tea.", "reasoning_content": "Hm.?", "thinking_blocks": thoughts}
    (turn,) = asked([message])["messages"]
    assert turn["content"] == [*thoughts[:2], {"type": "text", "text": "Tea."}]


def test_what_anthropic_was_asked_survives_both_translations() -> None:
    body = {
        "model": "m",
        "max_tokens": 9,
        "system": [{"type": "text", "text": "Be brief.", "cache_control": MARK}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm.", "signature": "s"},
                    {"type": "text", "text": "Look."},
                    {"type": "tool_use", "id": "t", "name": "weather", "input": {"a": [1]}, "cache_control": MARK},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t", "content": "Sun", "cache_control": MARK},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
                    {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
                    {
                        "type": "document",
                        "title": "a.txt",
                        "source": {"type": "text", "media_type": "text/plain", "data": "Grüße"},
                    },
                    {"type": "text", "text": "And?"},
                ],
            },
        ],
        "tools": [{**TOOL, "cache_control": MARK, "input_examples": [{"a": 1}]}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "output_config": {"effort": "max", "format": {"type": "json_schema", "schema": {"type": "object"}}},
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u1"},
        "service_tier": "standard_only",
        "temperature": 1,
        "top_k": 5,
        "cache_control": MARK,
    }
    assert request_of(PROVIDER, anthropic_messages.parse(orjson.dumps(body)).payload) == body


@pytest.mark.parametrize(
    ("payload", "param"),
    [
        ({"n": 2}, "n"),
        ({"seed": 1}, "seed"),
        ({"logprobs": True}, "logprobs"),
        ({"logit_bias": {"1": 2}}, "logit_bias"),
        ({"frequency_penalty": 0.1}, "frequency_penalty"),
        ({"presence_penalty": 0.1}, "presence_penalty"),
        ({"temperature": 1.5}, "temperature"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"response_format": {"type": "json_object"}}, "response_format.type"),
        ({"reasoning_effort": "enormous"}, "reasoning_effort"),
        ({"something_new": {"a": 1}}, "something_new"),
        ({"tools": [{"type": "custom", "custom": {}}]}, "tools[0].type"),
        ({"tools": [{"type": "function", "function": FUNCTION, "defer_loading": True}]}, "tools[0].defer_loading"),
        (
            {"tools": [{"type": "function", "function": FUNCTION}], "tool_choice": {"type": "allowed_tools"}},
            "tool_choice",
        ),
        ({"messages": [{"role": "user", "name": "Bob", "content": "Hi"}]}, "messages[0].name"),
        ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "assistant", "audio": {"id": "a"}}]}, "messages[0].audio"),
        ({"messages": said({"type": "input_audio", "input_audio": {}})}, "messages[0].content[0].type"),
        ({"messages": said({"type": "file", "file": {"file_id": "f"}})}, "messages[0].content[0].file.file_id"),
        (
            {"messages": said({"type": "image_url", "image_url": {"url": "data:image/tiff;base64,AA=="}})},
            "messages[0].content[0].image_url.url",
        ),
    ],
)
def test_anthropic_is_not_asked_for_what_it_cannot_do(payload: dict[str, Any], param: str) -> None:
    with pytest.raises(Untranslatable) as caught:
        asked(**payload)
    assert caught.value.param == param and caught.value.provider == "claude"


@pytest.mark.parametrize(
    ("payload", "param"),
    [
        ({"tools": "weather"}, "tools"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"response_format": "json"}, "response_format"),
        ({"messages": said({"type": "image_url", "image_url": "https://x"})}, "messages[0].content[0].image_url"),
        ({"messages": said({"type": "text", "text": 7})}, "messages[0].content[0].text"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "assistant", "content": "x", "tool_calls": {}}]}, "messages[0].tool_calls"),
        (
            {"messages": said({"type": "file", "file": {"file_data": "data:text/plain;base64,/w=="}})},
            "messages[0].content[0].file.file_data",
        ),
    ],
)
def test_what_nobody_could_read_is_a_bad_request(payload: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        asked(**payload)
    assert caught.value.param == param


@given(
    st.dictionaries(
        st.sampled_from(
            """temperature stop user service_tier reasoning_effort response_format tools tool_choice thinking
            parallel_tool_calls n seed metadata modalities""".split()
        ),
        ANYTHING,
    ),
    st.lists(
        st.fixed_dictionaries(
            {"role": st.sampled_from("system user assistant tool".split()), "content": ANYTHING},
            optional={"tool_calls": ANYTHING, "thinking_blocks": ANYTHING, "tool_call_id": SCALARS},
        ),
        min_size=1,
    ),
)
def test_no_chat_request_breaks_the_translation(options: dict[str, Any], messages: list[dict[str, Any]]) -> None:
    with contextlib.suppress(InvalidRequest, Untranslatable):
        orjson.dumps(request_of(PROVIDER, openai_chat.read({"model": "m", "messages": messages, **options}).payload))


@pytest.fixture(scope="module")
def upstream() -> Iterator[ProviderConfig]:
    with asking.fake("anthropic", fake.KEY, "/v1/") as config:
        yield config


@pytest.fixture
async def provider() -> AsyncIterator[Anthropic]:
    async with aiohttp.ClientSession() as session:
        yield Anthropic(Http(session, first_byte_timeout_s=1, read_error=read_error))


TWO_TOOLS = [{"type": "function", "function": {"name": name}} for name in ("weather", "clock")]


async def both(provider: Anthropic, config: ProviderConfig, model: str, **more: Any) -> list[dict[str, Any]]:
    """The answer as a whole, and put together from its stream."""
    answers = [await ask(provider, config, model, **more) for ask in (asking.whole, asking.streamed)]
    for answer in answers:
        answer["choices"][0]["message"].pop("refusal", None)
        assert answer.pop("created") > 1_700_000_000
    return answers


@pytest.mark.parametrize("model", ["ok", "tools", "thinking", "unknown", "length", "stop", "future"])
async def test_a_stream_says_what_a_whole_answer_says(
    provider: Anthropic, upstream: ProviderConfig, model: str
) -> None:
    whole, streamed = await both(provider, upstream, model, tools=TWO_TOOLS)
    assert streamed == whole
    assert whole["id"] == "msg_01XFDUDYJgAACzvnptvVoYEL" and whole["model"] == f"{model}-20261021"
    assert whole["usage"] == {
        "prompt_tokens": 11,
        "completion_tokens": 12,
        "total_tokens": 23,
        "prompt_tokens_details": {"cached_tokens": 4, "cache_creation_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


async def test_calls_of_tools_and_thoughts_are_translated(provider: Anthropic, upstream: ProviderConfig) -> None:
    (tools, _), (thought, _) = [
        await both(provider, upstream, model, tools=TWO_TOOLS) for model in ("tools", "thinking")
    ]
    choice = tools["choices"][0]
    assert choice["finish_reason"] == "tool_calls" and choice["message"]["content"] == "Let me look."
    assert [call["function"] for call in choice["message"]["tool_calls"]] == [
        {"name": "weather", "arguments": '{"city":"Paris"}'},
        {"name": "clock", "arguments": "{}"},
    ]
    message = thought["choices"][0]["message"]
    assert message["reasoning_content"] == "Water first, then leaves."
    assert message["thinking_blocks"] == [
        {"type": "thinking", "thinking": "Water first, then leaves.", "signature": fake.SIGNATURE},
        {"type": "redacted_thinking", "data": fake.REDACTED},
    ]


@pytest.mark.parametrize(
    ("model", "finish_reason", "stop_reason"),
    [
        ("length", "length", None),
        ("stop", "stop", "END"),
        ("refusal", "content_filter", None),
        ("future", "length", None),
    ],
)
async def test_the_reason_for_an_end_is_translated(
    provider: Anthropic, upstream: ProviderConfig, model: str, finish_reason: str, stop_reason: str | None
) -> None:
    for answer in await both(provider, upstream, model):
        choice = answer["choices"][0]
        assert (choice["finish_reason"], choice.get("stop_reason")) == (finish_reason, stop_reason)


async def test_what_anthropic_streamed_reaches_its_own_clients_unchanged(
    provider: Anthropic, upstream: ProviderConfig
) -> None:
    for model in ("ok", "tools", "thinking", "length", "stop"):
        payload = asking.hello(model, tools=TWO_TOOLS)
        whole = anthropic_messages.render(call_of(), await provider.complete(upstream, payload), {})
        chunks = [orjson.loads(chunk) async for chunk in provider.stream(upstream, payload)]
        assert put_together(streamed_chunks(chunks)) == orjson.loads(whole)


@pytest.mark.parametrize(
    ("model", "error"),
    [("overloaded", ProviderFailed), ("rate-limited", ProviderFailed), ("refused", ProviderRefused),
     ("missing", ProviderRefused), ("hang", ProviderFailed), ("garbage", ProviderFailed)],
)  # fmt: skip
async def test_failures_are_told_apart(
    provider: Anthropic, upstream: ProviderConfig, model: str, error: type[Exception]
) -> None:
    with pytest.raises(error) as caught:
        await provider.complete(upstream, asking.hello(model))
    if isinstance(caught.value, ProviderRefused):
        assert caught.value.type in ("invalid_request_error", "not_found_error") and caught.value.message
    if model == "rate-limited":
        assert isinstance(caught.value, ProviderFailed)
        assert caught.value.retry_after_s == 7 and caught.value.throttled


@pytest.mark.parametrize("model", ["cut", "garbage", "overloaded-middle"])
async def test_a_stream_that_breaks_off_is_a_failure(provider: Anthropic, upstream: ProviderConfig, model: str) -> None:
    stream = provider.stream(upstream, asking.hello(model))
    assert orjson.loads(await anext(stream))["choices"][0]["delta"]["role"] == "assistant"
    with pytest.raises(ProviderFailed):
        async for _ in stream:
            pass


async def test_a_stream_that_fails_before_its_first_block_gave_nothing(
    provider: Anthropic, upstream: ProviderConfig
) -> None:
    with pytest.raises(ProviderFailed, match="Overloaded"):
        await anext(provider.stream(upstream, asking.hello("overloaded-late")))


async def test_a_wrong_key_is_our_failure_and_not_the_requests(provider: Anthropic, upstream: ProviderConfig) -> None:
    with pytest.raises(ProviderFailed) as caught:
        await provider.complete(ProviderConfig("claude", "anthropic", upstream.base_url, "wrong"), asking.hello("ok"))
    assert not caught.value.retryable


@given(st.lists(ANYTHING), ANYTHING, ANYTHING)
def test_no_answer_breaks_the_translation(content: Any, usage: Any, details: Any) -> None:
    answer = answer_of({"id": "msg_1", "content": content, "usage": usage, "stop_details": details})
    assert answer["choices"][0]["finish_reason"]


def test_what_is_written_to_the_cache_is_told_by_how_long_it_stays() -> None:
    usage = {
        "input_tokens": 5,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 300,
        "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
        "output_tokens": 50,
        "output_tokens_details": {"thinking_tokens": 30},
    }
    answer = answer_of({"content": [], "usage": usage, "stop_reason": "end_turn"})
    assert metering.read(answer["usage"]) == Usage(
        405, 100, 50, {"cached": 100, "cache_write": 300, "cache_write_1h": 200, "reasoning": 30}
    )
    # And told again to who speaks Anthropic's API.
    call: Any = SimpleNamespace(id="c", request=SimpleNamespace(model="m"))
    rendered = orjson.loads(anthropic_messages.render(call, orjson.dumps(answer), {}))
    assert rendered["usage"] == usage
