"""OpenAI Responses: its requests are Chat Completions' requests, and answers are what the SDK's types demand."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from gateway.dialects import openai_chat, openai_responses
from gateway.errors import GatewayError, InvalidRequest, ProviderFailed, TooManyRequests
from tests.fuzz import almost

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
TOOL = {"type": "function", "name": "weather", "description": "By city", "parameters": {"type": "object"}}
CHAT_TOOL = {"type": "function", "function": {name: value for name, value in TOOL.items() if name != "type"}}
USER = {"role": "user", "content": "How is the weather?"}
FUNCTION_CALL = {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"}
TOOL_CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}


def parse(**fields: Any) -> Any:
    return openai_responses.parse(orjson.dumps({"model": "gpt-4o-mini", "input": "Hi"} | fields))


def chat(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"model": "gpt-4o-mini", "messages": list(messages or [{"role": "user", "content": "Hi"}]), **fields}


# --- requests --------------------------------------------------------------------------------------------------------


def items(*given: dict[str, Any]) -> dict[str, Any]:
    return {"input": list(given)}


def said(*parts: dict[str, Any], role: str = "user") -> dict[str, Any]:
    return {"type": "message", "role": role, "content": list(parts)}


def thought(text: str) -> dict[str, Any]:
    return {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": text}]}


def assistant(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


HI = {"type": "input_text", "text": "Hi"}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "rain"}
TOOL_MESSAGE = {"role": "tool", "tool_call_id": "call_1", "content": "rain"}
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


# --- answers ---------------------------------------------------------------------------------------------------------

USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 7,
    "total_tokens": 18,
    "prompt_tokens_details": {"cached_tokens": 5, "cache_creation_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 2},
}


def completion(finish_reason: str = "stop", logprobs: Any = None, **message: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": None} | message
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_750_000_000,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [{"index": 0, "message": message, "logprobs": logprobs, "finish_reason": finish_reason}],
        "usage": USAGE,
    }


COMPLETION = completion(content="It rains.")


def call_of(request: Any) -> Any:
    """What a dialect reads of a call."""
    return SimpleNamespace(id="c1", at=1_750_000_000.5, request=request)


def render(body: dict[str, Any], *, request: Any = None, **fields: Any) -> dict[str, Any]:
    call = call_of(request or parse(**fields))
    written = openai_responses.render(call, orjson.dumps(body), {})
    read: dict[str, Any] = orjson.loads(written)
    return read


def events_of(chunks: Iterable[dict[str, Any]], error: GatewayError | None = None, **fields: Any) -> list[Any]:
    stream = openai_responses.Stream(call_of(parse(stream=True, **fields)))
    written = b"".join(stream.chunk(orjson.dumps(chunk), chunk) for chunk in chunks)
    written += stream.error(error) if error else stream.end({})
    events = []
    for block in written.decode().removesuffix("\n\n").split("\n\n"):
        name, data = block.split("\n")
        event = orjson.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        EVENT.validate_python(event)
        events.append(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events


def names(events: list[Any]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def test_an_answer_is_a_response_as_the_sdk_has_it() -> None:
    asked = {
        "instructions": "Be short.",
        "tools": [TOOL | {"strict": True}],
        "metadata": {"a": "b"},
        "temperature": 0.5,
        "max_output_tokens": 99,
        "text": {"verbosity": "low"},
        "store": True,
    }
    answer = render(COMPLETION, **asked)
    response = Response.model_validate(answer)
    assert response.output_text == "It rains." and response.status == "completed"
    assert response.id == "resp_c1" and response.model == "gpt-4o-mini-2024-07-18"
    assert answer.items() >= {"instructions": "Be short.", "metadata": {"a": "b"}, "temperature": 0.5}.items()
    assert answer["tools"] == asked["tools"] and answer["max_output_tokens"] == 99
    assert answer["text"] == {"format": {"type": "text"}, "verbosity": "low"}
    assert answer["store"] is False and answer["previous_response_id"] is None and answer["error"] is None
    assert answer["usage"] == {
        "input_tokens": 11,
        "input_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 3},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 18,
    }


@pytest.mark.parametrize(
    ("finish_reason", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")]
)
def test_an_answer_cut_short_is_incomplete(finish_reason: str, reason: str) -> None:
    body = completion(finish_reason, content="It ra")
    answer = render(body)
    assert answer["status"] == "incomplete" and answer["incomplete_details"] == {"reason": reason}
    assert answer["output"][0]["status"] == "incomplete" and "completed_at" not in answer
    assert names(events_of(openai_chat.chunks_of(body)))[-1] == "incomplete"


def test_function_calls_reasoning_and_refusals_are_items_of_their_own() -> None:
    other = TOOL_CALL | {"id": "call_2"}
    answer = render(completion("tool_calls", reasoning_content="Hm.", content="So:", tool_calls=[TOOL_CALL, other]))
    Response.model_validate(answer)
    assert [item["type"] for item in answer["output"]] == ["reasoning", "message", "function_call", "function_call"]
    assert answer["output"][0]["summary"] == [{"type": "summary_text", "text": "Hm."}]
    assert answer["output"][3]["call_id"] == "call_2" and answer["output"][3]["arguments"] == "{}"
    assert len({item["id"] for item in answer["output"]}) == 4
    (message,) = render(completion(refusal="No."))["output"]
    assert message["content"] == [{"type": "refusal", "refusal": "No."}]


def test_what_came_back_can_be_sent_again() -> None:
    answer = render(completion("tool_calls", reasoning_content="Hm.", content="So:", tool_calls=[TOOL_CALL]))
    payload = parse(input=[USER, *answer["output"], OUTPUT]).payload
    turn = assistant("So:", reasoning_content="Hm.", tool_calls=[TOOL_CALL])
    assert payload == chat(USER, turn, TOOL_MESSAGE)


def test_thinking_blocks_travel_as_encrypted_content_for_who_asks() -> None:
    blocks = [{"type": "thinking", "thinking": "Hm.", "signature": "s"}, {"type": "redacted_thinking", "data": "x"}]
    body = completion("tool_calls", reasoning_content="Hm.", thinking_blocks=blocks, tool_calls=[TOOL_CALL])
    answer = render(body, include=["reasoning.encrypted_content"])
    streamed = events_of(openai_chat.chunks_of(body), include=["reasoning.encrypted_content"])[-1]["response"]
    assert streamed["output"] == answer["output"]
    (_, turn, _) = parse(input=[USER, *answer["output"], OUTPUT]).payload["messages"]
    assert turn["thinking_blocks"] == blocks and turn["reasoning_content"] == "Hm."
    assert "encrypted_content" not in render(body)["output"][0]


def test_log_probabilities_and_citations_come_with_the_text() -> None:
    token = {"token": "It", "logprob": -0.1, "bytes": None}
    logprobs = {"content": [token | {"top_logprobs": [token]}]}
    cited = {
        "type": "url_citation",
        "url_citation": {"url": "https://x", "title": "x", "start_index": 0, "end_index": 2},
    }
    body = completion(content="It rains.", annotations=[cited], logprobs=logprobs)
    answer = render(body, include=["message.output_text.logprobs"])
    Response.model_validate(answer)
    (part,) = answer["output"][0]["content"]
    assert part["logprobs"][0]["token"] == "It" and part["logprobs"][0]["bytes"] == []
    assert part["annotations"] == [{"type": "url_citation", **cited["url_citation"]}]  # type: ignore[dict-item]
    chunk = {"choices": [{"index": 0, "delta": body["choices"][0]["message"], "logprobs": logprobs}]}
    events = events_of([chunk])
    assert "output_text.annotation.added" in names(events)
    assert events[-1]["response"]["output"][0]["content"] == [part]


def test_a_stream_tells_of_a_text_in_the_apis_order() -> None:
    events = events_of(openai_chat.chunks_of(COMPLETION))
    assert names(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert events[0]["response"]["output"] == [] and events[0]["response"]["status"] == "in_progress"
    assert events[2]["item"]["content"] == [] and events[2]["item"]["status"] == "in_progress"
    assert events[3]["part"]["text"] == "" and events[5]["text"] == "It rains."
    assert events[7]["item"] == events[8]["response"]["output"][0]


def test_a_stream_tells_of_reasoning_and_of_each_function_call() -> None:
    other = TOOL_CALL | {"id": "call_2"}
    body = completion("tool_calls", reasoning_content="Hm.", tool_calls=[TOOL_CALL, other])
    events = events_of(openai_chat.chunks_of(body))
    call = [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
    ]
    assert names(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        *call,
        *call,
        "completed",
    ]
    assert [event["output_index"] for event in events[8:16]] == [1] * 4 + [2] * 4


@pytest.mark.parametrize(
    "message",
    [
        {"content": "It rains. " * 30},
        {"refusal": "No."},
        {"content": "Well.", "refusal": "No."},
        {"reasoning_content": "Hm.", "content": "So:", "tool_calls": [TOOL_CALL, TOOL_CALL]},
        {},
    ],
)
def test_a_stream_ends_with_what_the_complete_answer_is(message: dict[str, Any]) -> None:
    body = completion(**message)
    ended, whole = events_of(openai_chat.chunks_of(body))[-1]["response"], render(body)
    ended.pop("completed_at"), whole.pop("completed_at")
    assert ended == whole


def test_arguments_that_come_late_are_in_the_complete_answer() -> None:
    def piece(index: int, arguments: str, **more: Any) -> dict[str, Any]:
        part = {"index": index, "function": {"name": "weather" if more else None, "arguments": arguments}, **more}
        return {"choices": [{"index": 0, "delta": {"tool_calls": [part]}}]}

    events = events_of([piece(0, "{", id="a"), piece(1, "{", id="b"), piece(0, "}"), piece(1, "}")])
    output = events[-1]["response"]["output"]
    assert [(item["call_id"], item["arguments"], item["name"]) for item in output] == [
        ("a", "{}", "weather"),
        ("b", "{}", "weather"),
    ]


def test_a_stream_that_breaks_says_so_twice() -> None:
    chunk = {"choices": [{"index": 0, "delta": {"content": "It ra"}}]}
    error, failed = events_of([chunk], ProviderFailed("fake broke off", provider="fake"))[-2:]
    assert error["type"] == "error" and error["code"] == "provider_failed"
    assert failed["type"] == "response.failed" and failed["response"]["status"] == "failed"
    assert failed["response"]["error"] == {"code": "server_error", "message": "fake broke off"}
    assert failed["response"]["output"][0]["status"] == "incomplete"
    limited = events_of([chunk], TooManyRequests("slow down"))[-1]
    assert limited["response"]["error"]["code"] == "rate_limit_exceeded"


RICH = completion(
    reasoning_content="Hm.",
    thinking_blocks=[{"type": "thinking"}],
    content="It rains.",
    annotations=[{"type": "url_citation", "url_citation": {"url": "https://x"}}],
    tool_calls=[TOOL_CALL],
    logprobs={"content": [{"token": "It", "logprob": -0.1, "top_logprobs": [{"token": "It", "logprob": -0.1}]}]},
)


@settings(max_examples=300, deadline=None)
@given(almost({"choice": RICH["choices"][0], "usage": USAGE, "model": "m", "service_tier": "default"}))
def test_whatever_a_provider_answers_there_is_a_response(answer: dict[str, Any]) -> None:
    choice = answer.pop("choice", {})
    body = {**answer, "choices": [choice if isinstance(choice, dict) else {}]}
    assert render(body, include=["reasoning.encrypted_content"])["object"] == "response"
