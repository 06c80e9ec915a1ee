"""OpenAI Responses: its requests are Chat Completions' requests, or are refused by the client's own names."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings

from gateway.dialects import openai_chat, openai_responses
from gateway.dialects.responses_input import seal
from gateway.errors import InvalidRequest
from tests.fuzz import almost
from tests.responses import (
    CHAT_TOOL,
    COMPLETION,
    FUNCTION_CALL,
    OUTPUT,
    TOOL,
    TOOL_CALL,
    TOOL_MESSAGE,
    USER,
    assistant,
    chat,
    parse,
    render,
)


def items(*given: dict[str, Any]) -> dict[str, Any]:
    return {"input": list(given)}


def said(*parts: dict[str, Any], role: str = "user") -> dict[str, Any]:
    return {"type": "message", "role": role, "content": list(parts)}


def thought(text: str) -> dict[str, Any]:
    return {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": text}]}


HI = {"type": "input_text", "text": "Hi"}
REPLY = said({"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}, role="assistant")
PHOTO = {"type": "input_image", "image_url": "https://example.com/a.png"}


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ({}, chat()),
        (items({"role": "user", "content": "Hi"}), chat()),
        (items(said(HI)), chat()),
        (
            {"instructions": "Be short."},
            chat({"role": "system", "content": "Be short."}, {"role": "user", "content": "Hi"}),
        ),
        (items(said(HI, role="developer")), chat({"role": "developer", "content": "Hi"})),
        ({"temperature": 0, "top_p": 0.5, "stream": True}, chat(temperature=0, top_p=0.5, stream=True)),
        ({"max_output_tokens": 9, "user": "u", "seed": 7}, chat(max_completion_tokens=9, user="u", seed=7)),
        ({"metadata": {"a": "b"}, "store": True, "truncation": "disabled", "background": False}, chat()),
        ({"instructions": None, "tools": None, "text": None, "reasoning": None, "include": None}, chat()),
        ({"tools": [], "tool_choice": "auto", "parallel_tool_calls": True}, chat()),
        (
            {"tools": [TOOL], "tool_choice": "required", "parallel_tool_calls": False},
            chat(tools=[CHAT_TOOL], tool_choice="required", parallel_tool_calls=False),
        ),
        (
            {"tools": [TOOL], "tool_choice": {"type": "function", "name": "weather"}},
            chat(tools=[CHAT_TOOL], tool_choice={"type": "function", "function": {"name": "weather"}}),
        ),
        (
            {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "a"}]}},
            chat(
                tool_choice={
                    "type": "allowed_tools",
                    "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "a"}}]},
                }
            ),
        ),
        ({"text": {"format": {"type": "text"}, "verbosity": "low"}}, chat(verbosity="low")),
        ({"text": {"format": {"type": "json_object"}}}, chat(response_format={"type": "json_object"})),
        (
            {"text": {"format": {"type": "json_schema", "name": "a", "schema": {}, "strict": True}}},
            chat(response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": {}, "strict": True}}),
        ),
        ({"reasoning": {"effort": "low", "summary": "auto"}}, chat(reasoning_effort="low")),
        ({"include": ["message.output_text.logprobs"], "top_logprobs": 0}, chat(logprobs=True)),
        ({"top_logprobs": 3}, chat(logprobs=True, top_logprobs=3)),
        (
            items(said(HI, PHOTO | {"detail": "auto"})),
            chat(
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "Hi"},
                        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                    ],
                }
            ),
        ),
        (
            items(
                said(
                    PHOTO | {"detail": "low"},
                    {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="},
                    {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
                )
            ),
            chat(
                {
                    "role": "user",
                    "content": [
                        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
                        {
                            "type": "file",
                            "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="},
                        },
                        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
                    ],
                }
            ),
        ),
        (items(USER, REPLY, USER), chat(USER, assistant("Hello"), USER)),
        (items(REPLY, REPLY), chat(assistant("Hello"), assistant("Hello"))),
        (items(USER, FUNCTION_CALL, OUTPUT), chat(USER, assistant(None, tool_calls=[TOOL_CALL]), TOOL_MESSAGE)),
        (
            items(thought("Hm."), REPLY, FUNCTION_CALL, FUNCTION_CALL, OUTPUT),
            chat(assistant("Hello", reasoning_content="Hm.", tool_calls=[TOOL_CALL, TOOL_CALL]), TOOL_MESSAGE),
        ),
        (
            items(FUNCTION_CALL, REPLY, REPLY, OUTPUT),
            chat(
                assistant(
                    [{"type": "text", "text": "Hello"}, {"type": "text", "text": "Hello"}], tool_calls=[TOOL_CALL]
                ),
                TOOL_MESSAGE,
            ),
        ),
        (
            items(thought("Hm."), FUNCTION_CALL, thought("Ah."), FUNCTION_CALL),
            chat(assistant(None, reasoning_content="Hm.\n\nAh.", tool_calls=[TOOL_CALL, TOOL_CALL])),
        ),
        (items({"type": "reasoning", "id": "rs_1", "summary": []}, REPLY), chat(assistant("Hello"))),
        (
            items(said({"type": "refusal", "refusal": "No."}, role="assistant")),
            chat(assistant(None, refusal="No.")),
        ),
        (
            items(OUTPUT | {"output": [HI, PHOTO]}),
            chat(
                TOOL_MESSAGE
                | {
                    "content": [
                        {"type": "text", "text": "Hi"},
                        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                    ]
                }
            ),
        ),
    ],
)
def test_equal_meaning_is_an_equal_chat_completion(sent: dict[str, Any], meant: dict[str, Any]) -> None:
    request = parse(**sent)
    assert request.payload == meant
    assert request.payload == openai_chat.read(meant).payload
    assert request.question == openai_chat.read(meant).question


@pytest.mark.parametrize(
    ("sent", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"background": True}, "background"),
        ({"background": 0}, "background"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"truncation": "auto"}, "truncation"),
        ({"context_management": [{"type": "compaction"}]}, "context_management"),
        ({"messages": []}, "messages"),
        ({"max_tokens": 7}, "max_tokens"),
        ({"n": 2}, "n"),
        ({"n": True}, "n"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [TOOL, {"type": "mcp", "server_label": "x"}]}, "tools[1].type"),
        ({"tools": [TOOL | {"defer_loading": True}]}, "tools[0].defer_loading"),
        ({"tools": [TOOL | {"defer_loading": 0}]}, "tools[0].defer_loading"),
        ({"tool_choice": {"type": "file_search"}}, "tool_choice.type"),
        ({"include": ["file_search_call.results"]}, "include[0]"),
        ({"text": {"tone": "kind"}}, "text.tone"),
        ({"reasoning": {"mode": "pro"}}, "reasoning.mode"),
        (items({"type": "item_reference", "id": "msg_1"}), "input[0].type"),
        (items({"type": "computer_call"}), "input[0].type"),
        (items(said({"type": "input_video"})), "input[0].content[0].type"),
        (items(said({"type": "input_image", "file_id": "file-1"})), "input[0].content[0].file_id"),
        (items(said({"type": "input_file", "file_url": "https://x"})), "input[0].content[0].file_url"),
        (items(thought("x") | {"encrypted_content": "gAAAA"}, REPLY), "input[0].encrypted_content"),
        (items(thought("x") | {"encrypted_content": seal([{"thinking": "x"}])}, REPLY), "input[0].encrypted_content"),
        (items(FUNCTION_CALL | {"namespace": "x"}), "input[0].namespace"),
    ],
)
def test_what_has_no_counterpart_is_refused_by_its_name(sent: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(**sent)
    assert (caught.value.param, caught.value.code) == (param, "unsupported_parameter")
    assert f"`{param.removesuffix('.type').split('[')[0]}" in caught.value.message


@pytest.mark.parametrize(
    ("sent", "param"),
    [
        ({"model": None}, "model"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": {}}, "input"),
        ({"input": [None]}, "input[0].type"),
        ({"input": ["Hi"]}, "input[0].type"),
        ({"instructions": ["x"]}, "instructions"),
        (items({"role": "tool", "content": "x"}), "input[0].role"),
        (items({"role": "user"}), "input[0].content"),
        (items(said()), "input[0].content"),
        (items(said({"type": "input_text"})), "input[0].content[0].text"),
        (items(said({"type": "input_image"})), "input[0].content[0].image_url"),
        (items(said({"type": "input_file"})), "input[0].content[0].file_data"),
        (items(FUNCTION_CALL | {"call_id": 7}), "input[0].call_id"),
        (items(FUNCTION_CALL | {"arguments": {}}), "input[0].arguments"),
        (items(OUTPUT | {"output": 7}), "input[0].output"),
        (items(thought("x")), "input"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"store": 1}, "store"),
        ({"stream": "yes"}, "stream"),
        ({"temperature": "hot"}, "temperature"),
        ({"text": "json"}, "text"),
        ({"text": {"format": {"type": "yaml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"),
        ({"text": {"format": {"type": "json_schema", "name": "a", "schema": []}}}, "text.format.schema"),
        ({"text": {"verbosity": 1}}, "text.verbosity"),
        ({"reasoning": {"effort": 1}}, "reasoning.effort"),
        ({"tools": [TOOL | {"name": None}]}, "tools[0].name"),
        ({"tools": [TOOL | {"parameters": "x"}]}, "tools[0].parameters"),
        ({"tool_choice": "Any"}, "tool_choice.type"),
        ({"include": "x"}, "include"),
    ],
)
def test_a_value_that_is_wrong_is_named_as_the_client_named_it(sent: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(**sent)
    assert caught.value.param == param
    assert f"`{param.split('[')[0].split('.')[0]}" in caught.value.message


EVERYTHING: dict[str, Any] = {
    "model": "gpt-4o-mini",
    "instructions": "Be short.",
    "input": [
        said(HI, PHOTO, {"type": "input_file", "filename": "a", "file_data": "data:application/pdf;base64,JVBERg=="}),
        thought("Hm."),
        REPLY,
        FUNCTION_CALL,
        OUTPUT | {"output": [HI]},
        said({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}),
        {"role": "user", "content": "Hi"},
    ],
    "include": ["message.output_text.logprobs", "reasoning.encrypted_content"],
    "max_output_tokens": 100,
    "max_tool_calls": 1,
    "metadata": {"a": "b"},
    "parallel_tool_calls": True,
    "prompt_cache_key": "k",
    "reasoning": {"effort": "low", "summary": "auto"},
    "safety_identifier": "s",
    "service_tier": "auto",
    "store": False,
    "stream": True,
    "stream_options": {"include_obfuscation": False},
    "temperature": 1,
    "text": {"format": {"type": "json_schema", "name": "a", "schema": {"type": "object"}}, "verbosity": "low"},
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "weather"}]},
    "tools": [TOOL],
    "top_logprobs": 3,
    "top_p": 1,
    "truncation": "disabled",
    "user": "u",
}


@settings(max_examples=400, deadline=None)
@given(almost(EVERYTHING))
def test_whatever_comes_is_read_or_refused(sent: dict[str, Any]) -> None:
    try:
        request = openai_responses.parse(orjson.dumps(sent))
    except InvalidRequest as error:
        assert error.message and not (error.param or "").startswith("messages[")
        return
    assert render(COMPLETION, request=request)["output"]
