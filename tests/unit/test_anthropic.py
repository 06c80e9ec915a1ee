"""Anthropic Messages from clients: what their requests mean in Chat Completions."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cache import fingerprint
from gateway.dialects import anthropic_messages, openai_chat
from gateway.errors import InvalidRequest
from tests.messages import ANYTHING, FUNCTION, MARK, PIXEL, TOOL, said


def parsed(**change: Any) -> dict[str, Any]:
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]} | change
    return anthropic_messages.parse(orjson.dumps(body)).payload


def test_the_same_question_in_both_dialects_is_one_cache_entry() -> None:
    messages = parsed(
        system=[{"type": "text", "text": "Be brief."}],
        messages=said({"type": "text", "text": "Hi"}),
        temperature=0.5,
        stop_sequences=["END"],
        tools=[TOOL],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
        metadata={"user_id": "u1"},
    )
    chat = {
        "model": "m",
        "max_tokens": 9,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        "temperature": 0.5,
        "stop": ["END"],
        "tools": [{"type": "function", "function": FUNCTION}],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "user": "u1",
    }
    assert messages == chat
    first, second = (openai_chat.read(payload) for payload in (messages, chat))
    assert fingerprint.fingerprint(first, (), "") == fingerprint.fingerprint(second, (), "")


def test_a_plain_question_can_be_compared_by_meaning() -> None:
    body = {"model": "m", "max_tokens": 9, "messages": said({"type": "text", "text": "How do I make tea?"})}
    assert anthropic_messages.parse(orjson.dumps(body)).question == "How do I make tea?"


def test_unknown_fields_pass_through() -> None:
    assert parsed(inference_geo="eu", seed=7, thinking={"type": "adaptive"}) == parsed() | {
        "inference_geo": "eu",
        "seed": 7,
        "thinking": {"type": "adaptive"},
    }


def test_results_of_tools_come_before_the_rest_of_the_message() -> None:
    history = [
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "s"},
                {"type": "redacted_thinking", "data": "d"},
                {"type": "text", "text": "Let me look."},
                {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Köln"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "And?"},
                {"type": "tool_result", "tool_use_id": "t1", "is_error": True, "content": "no such city"},
            ],
        },
    ]
    assert parsed(messages=history)["messages"] == [
        {
            "role": "assistant",
            "content": "Let me look.",
            "thinking_blocks": history[0]["content"][:2],
            "tool_calls": [
                {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Köln"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "t1", "content": "no such city", "is_error": True},
        {"role": "user", "content": "And?"},
    ]


def test_images_and_documents_become_parts() -> None:
    image: dict[str, Any] = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    document = {"type": "document", "title": "a.pdf", "source": {**image["source"], "media_type": "application/pdf"}}
    note = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Grüße"}}
    linked = {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}, "cache_control": MARK}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": [image]}
    tool, user = parsed(messages=said(result, image, linked, document, note))["messages"]
    part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    assert tool == {"role": "tool", "tool_call_id": "t1", "content": [part]}
    assert user["content"] == [
        part,
        {"type": "image_url", "image_url": {"url": "https://x/y.png"}, "cache_control": MARK},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PIXEL}"}},
        {
            "type": "file",
            "file": {
                "filename": "document.txt",
                "file_data": f"data:text/plain;base64,{base64.b64encode('Grüße'.encode()).decode()}",
            },
        },
    ]


def test_an_output_format_and_an_effort_have_names_of_openais() -> None:
    schema = {"type": "object"}
    payload = parsed(output_config={"effort": "high", "format": {"type": "json_schema", "schema": schema}})
    assert payload["reasoning_effort"] == "high"
    assert payload["response_format"]["json_schema"]["schema"] == schema
    assert "output_config" not in payload


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"model": None}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": [None]}, "messages[0]"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": "x", "name": "Bob"}]}, "messages[0].name"),
        ({"messages": [{"role": "user", "content": "x", "cached": 0}]}, "messages[0].cached"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
        ({"messages": said("Hi")}, "messages[0].content[0]"),
        ({"messages": said({"type": ["text"]})}, "messages[0].content[0].type"),
        ({"messages": said({"type": "text", "text": None})}, "messages[0].content[0].text"),
        ({"messages": said({"type": "search_result"})}, "messages[0].content[0].type"),
        ({"messages": said({"type": "image"})}, "messages[0].content[0].source"),
        ({"messages": said({"type": "image", "source": {"type": "file"}})}, "messages[0].content[0].source.type"),
        (
            {"messages": said({"type": "image", "source": {"type": "base64"}})},
            "messages[0].content[0].source.media_type",
        ),
        ({"messages": said({"type": "document", "source": {"type": "url"}})}, "messages[0].content[0].source.type"),
        ({"messages": said({"type": "text", "text": "x", "citations": [{}]})}, "messages[0].content[0].citations"),
        ({"messages": said({"type": "text", "text": "x", "cache_control": 1})}, "messages[0].content[0].cache_control"),
        ({"messages": said({"type": "tool_result"})}, "messages[0].content[0].tool_use_id"),
        (
            {"messages": said({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "tool_reference"}]})},
            "messages[0].content[0].content[0].type",
        ),
        ({"messages": said({"type": "tool_use", "input": []}, role="assistant")}, "messages[0].content[0].input"),
        ({"system": 7}, "system"),
        ({"system": [{"type": "image"}]}, "system[0].type"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"name": "x"}]}, "tools[0].input_schema"),
        ({"tools": {}}, "tools"),
        ({"tool_choice": {"type": "sometimes"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"metadata": {"user_id": 7}}, "metadata.user_id"),
        ({"service_tier": "gold"}, "service_tier"),
        ({"output_config": {"format": {"type": "xml"}}}, "output_config.format.type"),
        ({"output_config": {"task_budget": {"total": 1}}}, "output_config.task_budget"),
        ({"stop_sequences": "END"}, "stop_sequences"),
        ({"temperature": "warm"}, "temperature"),
        ({"top_k": True}, "top_k"),
        ({"thinking": True}, "thinking"),
        ({"stream": "yes"}, "stream"),
        ({"n": 2}, "n"),
        ({"stop": "END"}, "stop"),
    ],
)
def test_what_cannot_be_translated_is_refused_by_its_name(change: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parsed(**change)
    assert caught.value.param == param


def test_input_of_a_tool_may_not_be_endless() -> None:
    deep = b'{"a":' * 400 + b"1" + b"}" * 400
    body = orjson.dumps(
        {"model": "m", "max_tokens": 9, "messages": said({"type": "tool_use", "input": 0}, role="assistant")}
    )
    with pytest.raises(InvalidRequest) as caught:
        anthropic_messages.parse(body.replace(b'"input":0', b'"input":' + deep))
    assert caught.value.param == "messages[0].content[0].input"


@given(
    st.fixed_dictionaries(
        {"model": st.just("m"), "max_tokens": st.just(9), "messages": ANYTHING},
        optional=dict.fromkeys(
            """system tools tool_choice metadata output_config stop_sequences thinking stream service_tier
            temperature""".split(),
            ANYTHING,
        ),
    )
    | st.fixed_dictionaries(
        {
            "model": st.just("m"),
            "max_tokens": st.just(9),
            "messages": st.lists(
                st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": ANYTHING}),
                min_size=1,
            ),
        }
    )
    | ANYTHING
)
def test_no_request_breaks_the_dialect(body: Any) -> None:
    try:
        request = anthropic_messages.parse(orjson.dumps(body))
    except InvalidRequest:
        return
    assert request.prompt_tokens >= 0
