"""Anthropic Messages to clients: answers, streams and errors, whoever gave them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects import anthropic_messages, openai_chat
from gateway.errors import GatewayError, ProviderFailed
from tests.messages import ANYTHING, call_of, events_of, put_together, streamed_chunks, tool_call


def rendered(message: dict[str, Any], finish_reason: str | None = "stop", **choice: Any) -> dict[str, Any]:
    whole = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish_reason, **choice}
    body = {
        "id": "chatcmpl-7",
        "model": "m-1",
        "choices": [whole],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    }
    answer: dict[str, Any] = orjson.loads(anthropic_messages.render(call_of(), orjson.dumps(body), {}))
    return answer


def test_an_answer_becomes_a_message() -> None:
    assert rendered({"content": "Tea.", "refusal": None, "annotations": []}) == {
        "id": "msg_7",
        "type": "message",
        "role": "assistant",
        "model": "m-1",
        "content": [{"type": "text", "text": "Tea."}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "stop_details": None,
        "usage": {
            "input_tokens": 3,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 2,
        },
    }


@pytest.mark.parametrize(
    ("choice", "stop_reason", "stop_sequence"),
    [
        ({"finish_reason": "length"}, "max_tokens", None),
        ({"finish_reason": "content_filter"}, "refusal", None),
        ({"finish_reason": "stop", "stop_reason": "END"}, "stop_sequence", "END"),
        ({"finish_reason": "stop", "stop_reason": 128001}, "end_turn", None),
        ({"finish_reason": "something new"}, "end_turn", None),
        ({"finish_reason": None}, "end_turn", None),
    ],
)
def test_an_answer_says_why_it_ended(choice: dict[str, Any], stop_reason: str, stop_sequence: str | None) -> None:
    answer = rendered({"content": "Tea."}, **choice)
    assert (answer["stop_reason"], answer["stop_sequence"]) == (stop_reason, stop_sequence)


def test_calls_of_tools_become_blocks_whatever_their_arguments() -> None:
    calls = [tool_call('{"city":"Köln"}'), tool_call("", 1), tool_call("[1", 2)]
    answer = rendered({"content": None, "tool_calls": calls}, "stop")
    assert [block["input"] for block in answer["content"]] == [{"city": "Köln"}, {}, {"INVALID_JSON": "[1"}]
    assert answer["stop_reason"] == "tool_use"


def test_thoughts_and_refusals_are_content() -> None:
    assert rendered({"content": "Tea.", "reasoning_content": "Hm."})["content"] == [
        {"type": "thinking", "thinking": "Hm.", "signature": ""},
        {"type": "text", "text": "Tea."},
    ]
    refused = rendered({"content": None, "refusal": "I cannot."})
    assert refused["content"] == [{"type": "text", "text": "I cannot."}] and refused["stop_reason"] == "refusal"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"), (401, "authentication_error"), (402, "billing_error"),
        (403, "permission_error"), (404, "not_found_error"), (405, "invalid_request_error"),
        (413, "request_too_large"), (429, "rate_limit_error"), (500, "api_error"), (502, "api_error"),
        (503, "api_error"), (504, "timeout_error"), (529, "overloaded_error"),
    ],
)  # fmt: skip
def test_errors_have_anthropics_names(status: int, kind: str) -> None:
    error = GatewayError("No.")
    error.status = status
    assert orjson.loads(anthropic_messages.render_error(error, "r1")) == {
        "type": "error",
        "error": {"type": kind, "message": "No."},
        "request_id": "r1",
    }


def streamed(*deltas: dict[str, Any], finish_reason: str = "stop") -> list[dict[str, Any]]:
    head = {"id": "chatcmpl-7", "model": "m-1"}
    chunks = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish_reason}]})
    return streamed_chunks([*chunks, {**head, "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}])


def piece(index: int, arguments: str = "", **more: Any) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, "function": {"arguments": arguments, **more.pop("function", {})}, **more}]}


def start(index: int) -> dict[str, Any]:
    return piece(index, id=f"t{index}", type="function", function={"name": f"tool{index}"})


def test_a_stream_has_anthropics_events_in_order() -> None:
    events = streamed({"role": "assistant", "content": ""}, {"content": "Green "}, {"content": "tea."})
    assert [event["type"] for event in events] == [
        "message_start", "content_block_start", "content_block_delta", "content_block_delta", "content_block_stop",
        "message_delta", "message_stop",
    ]  # fmt: skip
    message = put_together(events)
    assert message["content"] == [{"type": "text", "text": "Green tea."}]
    assert message["stop_reason"] == "end_turn" and message["usage"]["output_tokens"] == 2
    assert message["id"] == "msg_7"


def test_a_stream_may_go_from_text_to_tools_and_back() -> None:
    deltas = [{"content": "A"}, start(0), piece(0, '{"a":'), piece(0, "1}"), {"content": "B"}, start(1), piece(1, "{}")]
    content = put_together(streamed(*deltas, finish_reason="tool_calls"))["content"]
    assert [block["type"] for block in content] == ["text", "tool_use", "text", "tool_use"]
    assert content[1] == {"type": "tool_use", "id": "t0", "name": "tool0", "input": {"a": 1}}


def test_calls_whose_pieces_come_mixed_are_sent_one_after_another() -> None:
    deltas = [
        start(0),
        start(1),
        piece(0, '{"a":'),
        piece(1, '{"b"'),
        {"content": "so"},
        piece(0, "1}"),
        piece(1, ":2}"),
    ]
    message = put_together(streamed(*deltas, finish_reason="tool_calls"))
    assert [block.get("input") for block in message["content"]] == [{"a": 1}, {"b": 2}, None]
    assert message["content"][2]["text"] == "so" and message["stop_reason"] == "tool_use"


def test_a_call_whose_name_comes_late_or_in_pieces_is_whole() -> None:
    deltas = [piece(0, id="t0"), piece(0, function={"name": "wea"}), piece(0, "{}", function={"name": ""})]
    assert put_together(streamed(*deltas))["content"][0]["name"] == "wea"


def test_thoughts_in_a_stream_get_their_signature() -> None:
    block = {"type": "thinking", "thinking": "Hm, tea.", "signature": "s"}
    redacted = {"type": "redacted_thinking", "data": "d"}
    live: list[Any] = [{"reasoning_content": "Hm, "}, {"reasoning_content": "tea."}, {"thinking_blocks": [block]}]
    content = put_together(streamed(*live, {"thinking_blocks": [redacted]}, {"content": "Tea."}))["content"]
    assert content == [block, redacted, {"type": "text", "text": "Tea."}]
    without_text = {"type": "thinking", "thinking": "", "signature": "s"}
    assert put_together(streamed({"thinking_blocks": [without_text, redacted]}))["content"] == [without_text, redacted]


def test_thoughts_without_a_signature_of_their_own_get_none() -> None:
    merged = [{"type": "thinking", "thinking": text, "signature": "s"} for text in ("Hm, ", "tea.")]
    content = put_together(streamed({"reasoning_content": "Hm, tea."}, {"thinking_blocks": merged}))["content"]
    assert content == [{"type": "thinking", "thinking": "Hm, tea.", "signature": ""}]


def test_a_stored_answer_streams_as_it_was() -> None:
    body = {
        "id": "chatcmpl-7",
        "model": "m-1",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Green tea. " * 20,
                    "tool_calls": [tool_call('{"a":1}'), tool_call("{}", 1)],
                    "reasoning_content": "Hm.",
                    "thinking_blocks": [{"type": "thinking", "thinking": "Hm.", "signature": "s"}],
                },
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {
            "prompt_tokens": 9,
            "completion_tokens": 2,
            "prompt_tokens_details": {"cached_tokens": 4, "cache_creation_tokens": 2},
            "completion_tokens_details": {"reasoning_tokens": 1},
        },
    }
    whole = orjson.loads(anthropic_messages.render(call_of(), orjson.dumps(body), {}))
    assert put_together(streamed_chunks(list(openai_chat.chunks_of(body)))) == whole
    assert whole["usage"]["input_tokens"] == 3 and whole["usage"]["output_tokens_details"] == {"thinking_tokens": 1}


def test_an_error_in_a_stream_is_an_event() -> None:
    stream = anthropic_messages.Stream(call_of())
    (event,) = events_of(stream.error(ProviderFailed("It broke.", provider="fake")))
    assert event["error"] == {"type": "api_error", "message": "It broke."} and event["request_id"] == "r1"


_MESSAGES = st.dictionaries(
    st.sampled_from("content refusal reasoning_content thinking_blocks tool_calls".split()), ANYTHING, max_size=4
)


@given(_MESSAGES, ANYTHING, ANYTHING)
def test_no_answer_of_a_provider_breaks_the_dialect(message: dict[str, Any], reason: Any, usage: Any) -> None:
    choice = {"index": 0, "message": message, "finish_reason": reason, "stop_reason": reason}
    answer = anthropic_messages.render(call_of(), orjson.dumps({"choices": [choice], "usage": usage}), {})
    assert orjson.loads(answer)["id"] == "msg_0123"


@given(st.lists(_MESSAGES, max_size=4), ANYTHING)
def test_no_chunk_of_a_provider_breaks_a_stream(deltas: list[dict[str, Any]], usage: Any) -> None:
    chunks = [{"choices": [{"index": 0, "delta": delta}], "usage": usage} for delta in deltas]
    assembler = openai_chat.Assembler()
    try:
        for chunk in chunks:
            assembler.add(chunk)
    except (ValueError, TypeError, AttributeError):
        # Such a chunk never gets to a dialect.
        return
    assert streamed_chunks(chunks)[-1]["type"] == "message_stop"
