"""What Chat Completions takes, and how it says what it does not take."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cache import fingerprint
from gateway.dialects import anthropic_messages, openai_chat, openai_responses
from gateway.errors import InvalidRequest
from tests.fuzz import almost

WAYS = (("openai", "gpt-4o-mini"),)
FUNCTION = {"name": "weather", "description": "By city", "parameters": {"type": "object"}, "strict": True}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
EVERYTHING: dict[str, Any] = {
    "model": "gpt-4o-mini",
    "messages": [
        {"role": "system", "content": "Be short.", "name": "boss", "cache_control": {"type": "ephemeral"}},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "How is it?", "cache_control": {"type": "ephemeral"}},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
                {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "Hm.",
            "thinking_blocks": [{"type": "thinking", "thinking": "Hm.", "signature": "s"}],
            "tool_calls": [CALL],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "rain", "is_error": True},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}], "refusal": None},
        {"role": "function", "name": "old", "content": None},
        {"role": "user", "content": [{"type": "text", "text": "And now?"}]},
    ],
    "audio": {"voice": "alloy", "format": "wav"},
    "frequency_penalty": 0.5,
    "functions": [FUNCTION],
    "function_call": {"name": "weather"},
    "logit_bias": {"50256": -100},
    "logprobs": True,
    "max_completion_tokens": 100,
    "max_tokens": 100,
    "metadata": {"a": "b"},
    "modalities": ["text"],
    "n": 2,
    "parallel_tool_calls": False,
    "prediction": {"type": "content", "content": "x"},
    "presence_penalty": -0.5,
    "prompt_cache_options": {"mode": "implicit"},
    "reasoning_effort": "low",
    "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}},
    "seed": 1,
    "service_tier": "auto",
    "stop": ["."],
    "store": False,
    "stream": True,
    "stream_options": {"include_usage": True},
    "temperature": 0,
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "tool_choice": {"type": "function", "function": {"name": "weather"}},
    "tools": [{"type": "function", "function": FUNCTION}, {"type": "custom", "custom": {"name": "sql"}}],
    "top_k": 40,
    "top_logprobs": 3,
    "top_p": 1,
    "user": "u",
    "verbosity": "low",
    "web_search_options": {},
}


def read(**changes: Any) -> Any:
    messages = [{"role": "user", "content": "How do I make tea?"}]
    return openai_chat.parse(orjson.dumps({"model": "gpt-4o-mini", "messages": messages} | changes))


def test_every_field_that_is_right_is_taken_as_it_is() -> None:
    request = openai_chat.parse(orjson.dumps(EVERYTHING))
    assert request.payload == EVERYTHING
    assert (request.stream, request.include_usage, request.max_tokens, request.n) == (True, True, 100, 2)


def test_what_is_not_known_passes_through() -> None:
    unknown = {"a_new_field": [{"x": 1}], "tools": [{"type": "retrieval", "index": 7}], "tool_choice": "any"}
    messages = [{"role": "user", "content": [{"type": "video_url", "video_url": 7}], "weight": 0}]
    payload = read(messages=messages, **unknown).payload
    assert payload["messages"] == messages and payload.items() >= unknown.items()


@pytest.mark.parametrize("content", ["How do I make tea?", [{"type": "text", "text": "How do I make tea?"}]])
def test_a_text_alone_is_a_question(content: Any) -> None:
    assert read(messages=[{"role": "user", "content": content}]).question == "How do I make tea?"


@pytest.mark.parametrize("content", [" ", "a\0b", [{"type": "text", "text": "a\0b"}]])
def test_a_text_that_says_nothing_or_cannot_be_kept_is_no_question(content: Any) -> None:
    assert read(messages=[{"role": "user", "content": content}]).question is None


LONG = "word " * 2_000
LONG_FUNCTION = {"name": "weather", "description": LONG, "parameters": {"type": "object"}}
LONG_SCHEMA = {"type": "object", "description": LONG}
LONG_CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": LONG}}
LONG_FILE = "data:text/plain;base64," + base64.b64encode(LONG.encode()).decode()


@pytest.mark.parametrize(
    "change",
    [
        {"tools": [{"type": "function", "function": LONG_FUNCTION}]},
        {"functions": [LONG_FUNCTION]},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": LONG_SCHEMA}}},
        {"prediction": {"type": "content", "content": LONG}},
        {"a_new_field": {"documents": [LONG]}},
        {"messages": [{"role": "assistant", "tool_calls": [LONG_CALL]}]},
        {"messages": [{"role": "assistant", "function_call": LONG_CALL["function"]}]},
        {"messages": [{"role": "assistant", "content": "x", "reasoning_content": LONG}]},
        {"messages": [{"role": "assistant", "thinking_blocks": [{"type": "thinking", "thinking": LONG}]}]},
        {"messages": [{"role": "assistant", "refusal": LONG}]},
        {"messages": [{"role": "assistant", "content": [{"type": "refusal", "refusal": LONG}]}]},
        {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_data": LONG_FILE}}]}]},
        {"messages": [{"role": "user", "name": LONG, "content": "x"}]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_all_text_that_a_model_is_given_is_in_the_estimate(change: dict[str, Any]) -> None:
    assert 0 <= read(**change).prompt_tokens - len(LONG) / openai_chat.BYTES_PER_TOKEN < 100


def test_thoughts_that_are_told_in_two_fields_are_counted_once() -> None:
    blocks = [{"type": "thinking", "thinking": LONG, "signature": "s"}]
    both = {"role": "assistant", "content": "x", "thinking_blocks": blocks, "reasoning_content": LONG}
    assert read(messages=[both]).prompt_tokens < 1.1 * len(LONG) / openai_chat.BYTES_PER_TOKEN


@pytest.mark.parametrize(
    ("dialect", "tools"),
    [
        (anthropic_messages, [{"name": "weather", "description": LONG, "input_schema": {"type": "object"}}]),
        (openai_responses, [{"type": "function", "strict": False, **LONG_FUNCTION}]),
    ],
    ids=["anthropic", "responses"],
)
def test_tools_are_in_the_estimate_of_every_dialect(dialect: Any, tools: list[Any]) -> None:
    question = [{"role": "user", "content": "x"}]
    body = {"model": "m", "max_tokens": 10, "messages": question, "tools": tools}
    if dialect is openai_responses:
        body = {"model": "m", "input": question, "tools": tools}
    assert dialect.parse(orjson.dumps(body)).prompt_tokens > len(LONG) / openai_chat.BYTES_PER_TOKEN


def test_what_no_model_reads_is_not_in_the_estimate() -> None:
    unread = {"temperature": 0.1, "max_tokens": 5, "stream": True, "user": "u" * 900, "metadata": {"a": "b" * 900}}
    assert read(**unread).prompt_tokens == read().prompt_tokens
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{LONG}"}}
    assert read(messages=[{"role": "user", "content": [picture]}]).prompt_tokens == openai_chat.TOKENS_PER_MESSAGE


def test_tools_nested_too_deeply_are_named() -> None:
    deep: Any = []
    for _ in range(300):
        deep = [deep]
    with pytest.raises(InvalidRequest) as refused:
        openai_chat.read(
            {"model": "m", "messages": [{"role": "user", "content": "x"}], "tools": [{"type": "x", "a": deep}]}
        )
    assert refused.value.param == "tools"


def test_null_is_as_good_as_absent() -> None:
    nothing = dict.fromkeys(EVERYTHING.keys() - {"model", "messages"})
    assert read(**nothing).max_tokens is None


def message(**fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "x"} | fields]}


def part(**fields: Any) -> dict[str, Any]:
    return message(content=[fields])


def called(**fields: Any) -> dict[str, Any]:
    return message(role="assistant", tool_calls=[CALL | fields])


@pytest.mark.parametrize(
    ("change", "param"),
    [
        (message(role=[]), "messages[0].role"),
        (message(content={"type": "text"}), "messages[0].content"),
        (message(content=["x"]), "messages[0].content[0].type"),
        (message(role="tool"), "messages[0].tool_call_id"),
        (message(role="tool", tool_call_id=7), "messages[0].tool_call_id"),
        (message(role="function"), "messages[0].name"),
        (message(name=7), "messages[0].name"),
        (message(role="assistant", tool_calls={}), "messages[0].tool_calls"),
        ({"messages": [{"role": "assistant", "tool_calls": "x"}]}, "messages[0].tool_calls"),
        (message(role="assistant", tool_calls=["x"]), "messages[0].tool_calls[0].type"),
        (message(role="assistant", tool_calls=[{}]), "messages[0].tool_calls[0].id"),
        (message(role="assistant", reasoning_content=["x"]), "messages[0].reasoning_content"),
        (message(role="assistant", thinking_blocks=["x"]), "messages[0].thinking_blocks[0].type"),
        (message(role="assistant", function_call={"name": "x"}), "messages[0].function_call.arguments"),
        (called(id=""), "messages[0].tool_calls[0].id"),
        (called(function={"name": "x"}), "messages[0].tool_calls[0].function.arguments"),
        (called(function={"name": "x", "arguments": {}}), "messages[0].tool_calls[0].function.arguments"),
        (called(type="custom"), "messages[0].tool_calls[0].custom"),
        (part(text="x"), "messages[0].content[0].type"),
        (part(type="text"), "messages[0].content[0].text"),
        (part(type="text", text="x", cache_control="y"), "messages[0].content[0].cache_control"),
        (part(type="image_url", image_url="https://x"), "messages[0].content[0].image_url"),
        (part(type="image_url", image_url={"url": None}), "messages[0].content[0].image_url.url"),
        (part(type="input_audio", input_audio={"data": "x"}), "messages[0].content[0].input_audio.format"),
        (part(type="file", file=[]), "messages[0].content[0].file"),
        (part(type="refusal", refusal=1), "messages[0].content[0].refusal"),
        ({"tools": {}}, "tools"),
        ({"tools": ["x"]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"tools": [{"type": "function", "function": FUNCTION | {"strict": 1}}]}, "tools[0].function.strict"),
        ({"tools": [{"type": "function", "function": FUNCTION | {"parameters": []}}]}, "tools[0].function.parameters"),
        ({"tool_choice": 7}, "tool_choice.type"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.function"),
        ({"response_format": "json"}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, "response_format.json_schema.name"),
        ({"stop": 7}, "stop"),
        ({"stop": ["x", 7]}, "stop[1]"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": "0"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"top_p": -0.1}, "top_p"),
        ({"presence_penalty": 3}, "presence_penalty"),
        ({"logit_bias": []}, "logit_bias"),
        ({"logit_bias": {"7": "x"}}, "logit_bias.7"),
        ({"seed": 1.5}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"metadata": {"a": {}}}, "metadata.a"),
        ({"user": 7}, "user"),
        ({"logprobs": 1}, "logprobs"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"parallel_tool_calls": "no"}, "parallel_tool_calls"),
        ({"stream_options": {}}, "stream_options"),
        ({"stream": True, "stream_options": []}, "stream_options"),
        ({"modalities": "text"}, "modalities"),
        ({"thinking": "yes"}, "thinking.type"),
    ],
)
def test_a_value_that_is_wrong_is_named(change: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(**change)
    assert caught.value.param == param
    assert f"`{param.removesuffix('.type').removesuffix('.role')}" in caught.value.message


def test_options_nested_beyond_what_can_be_sent_are_refused() -> None:
    # By hand: orjson does not write it either.
    options = '{"a":' * 300 + "{}" + "}" * 300
    body = '{"model":"m","messages":[{"role":"user","content":"x"}],"prompt_cache_options":' + options + "}"
    with pytest.raises(InvalidRequest) as caught:
        openai_chat.parse(body.encode())
    assert caught.value.param == "prompt_cache_options"


@settings(max_examples=400, deadline=None)
@given(almost(EVERYTHING))
def test_whatever_comes_is_read_or_refused(request_: dict[str, Any]) -> None:
    try:
        request = openai_chat.parse(orjson.dumps(request_))
    except InvalidRequest as error:
        assert error.message
        return
    assert fingerprint.fingerprint(request, WAYS, "")
    fingerprint.scope(request, WAYS, "")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_whatever_bytes_come_are_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        openai_chat.parse(body)
