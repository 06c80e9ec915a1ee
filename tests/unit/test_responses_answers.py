"""OpenAI Responses: answers and streams are what the SDK's types demand, whoever gave them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from gateway.dialects import openai_chat, openai_responses
from gateway.errors import GatewayError, ProviderFailed, TooManyRequests
from tests.fuzz import almost
from tests.responses import (
    COMPLETION,
    OUTPUT,
    TOOL,
    TOOL_CALL,
    TOOL_MESSAGE,
    USAGE,
    USER,
    assistant,
    call_of,
    chat,
    completion,
    parse,
    render,
)

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


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
