"""What APIs say they used, in each of their forms."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import orjson
import pytest

from billing.pricing import Override, PriceBook
from gateway import metering, relay
from gateway.dialects import openai_chat
from gateway.types import Candidate, Meta, ProviderConfig, Usage

NOW = dt.datetime(2026, 11, 21, 12, 30, tzinfo=dt.UTC)

FORMS: dict[str, tuple[dict[str, Any], Usage]] = {
    "chat, plain": (
        {"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29,
         "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
         "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0}},
        Usage(19, 0, 10),
    ),
    "chat, with sound": (
        {"prompt_tokens": 120, "completion_tokens": 90, "total_tokens": 210,
         "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 50,
                                   "cached_tokens_details": {"text_tokens": 40, "audio_tokens": 24}},
         "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 60, "text_tokens": 30}},
        Usage(120, 64, 90, {"cached": 64, "input_audio": 50, "cached_audio": 24, "output_audio": 60}),
    ),
    "chat, cache written": (
        {"prompt_tokens": 4000, "completion_tokens": 5, "prompt_tokens_details": {"cache_write_tokens": 3000}},
        Usage(4000, 0, 5, {"cache_write": 3000}),
    ),
    "as our Anthropic provider has it": (
        {"prompt_tokens": 900, "completion_tokens": 5, "total_tokens": 905,
         "prompt_tokens_details": {
             "cached_tokens": 100, "cache_creation_tokens": 700,
             "cache_creation_token_details": {"ephemeral_5m_input_tokens": 500, "ephemeral_1h_input_tokens": 200}},
         "completion_tokens_details": {"reasoning_tokens": 3}},
        Usage(900, 100, 5, {"cached": 100, "cache_write": 700, "cache_write_1h": 200, "reasoning": 3}),
    ),
    "chat, thoughts beside the answer": (
        {"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 241,
         "completion_tokens_details": {"reasoning_tokens": 200}},
        Usage(32, 0, 209, {"reasoning": 200}),
    ),
    "responses": (
        {"input_tokens": 75, "input_tokens_details": {"cached_tokens": 32}, "output_tokens": 1186,
         "output_tokens_details": {"reasoning_tokens": 1024}, "total_tokens": 1261},
        Usage(75, 32, 1186, {"cached": 32, "reasoning": 1024}),
    ),
    "images": (
        {"input_tokens": 50, "input_tokens_details": {"image_tokens": 40, "text_tokens": 10}, "output_tokens": 50,
         "output_tokens_details": {"image_tokens": 45, "text_tokens": 5}, "total_tokens": 100},
        Usage(50, 0, 50, {"input_image": 40, "output_image": 45}),
    ),
    "transcription, by tokens": (
        {"type": "tokens", "input_tokens": 14, "input_token_details": {"text_tokens": 0, "audio_tokens": 14},
         "output_tokens": 101, "total_tokens": 115},
        Usage(14, 0, 101, {"input_audio": 14}),
    ),
    "transcription, by the second": ({"type": "duration", "seconds": 9}, Usage()),
    "embeddings": ({"prompt_tokens": 5, "total_tokens": 5}, Usage(5)),
    "nothing of use": (
        {"prompt_tokens": True, "completion_tokens": -4, "prompt_tokens_details": [1], "completion_tokens_details": {
            "reasoning_tokens": "9", "audio_tokens": 2**40}},
        Usage(),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("said", "usage"), FORMS.values(), ids=FORMS.keys())
def test_each_form_is_read_into_one(said: dict[str, Any], usage: Usage) -> None:
    assert metering.read(said) == usage


@pytest.mark.parametrize(
    ("tail", "usage"),
    [
        (b"", Usage()),
        (b'{"text": "\\"usage\\": {\\"input_tokens\\": 9}"}', Usage()),
        (b'..."}], "usage": {"input_tokens": 1, "a": {"b": {"c": 2}}, "output_tokens": 2}}', Usage(1, 0, 2)),
        (b'data: {"usage": {"input_tokens": 1}}\n\ndata: {"usage":{"input_tokens": 7}}\n\ndata: [DONE]\n', Usage(7)),
        (b'data: {"usage": {"input_tokens": 3}}\n\ndata: {"usage": null}\n\n', Usage(3)),
        (b'{"usage": {"input_tokens": 3}, "usage": {"input_tokens": 4', Usage(3)),
        (b'\xff\xfe"usage": {"input_tokens": 3}', Usage(3)),
        (b'"usage": ' + b'{"a":' * 30_000, Usage()),
    ],
    ids=["empty", "quoted", "nested", "stream", "null", "cut", "bytes", "deep"],
)
def test_the_last_usage_of_a_long_answer_counts(tail: bytes, usage: Usage) -> None:
    assert metering.last_in(tail) == usage


def test_an_answer_full_of_usage_is_looked_at_a_few_times_only(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    decode = json.JSONDecoder().raw_decode

    def counted(text: str, at: int) -> Any:
        looked.append(at)
        return decode(text, at)

    monkeypatch.setattr(metering._JSON, "raw_decode", counted)
    assert metering.last_in(b'"usage":{"input_tokens":' * 2_700) == Usage()
    assert 0 < len(looked) <= 4
    # The last of them are those that are looked at.
    assert metering.last_in(b'"usage":{' * 5_000 + b'"usage":{"input_tokens":3}' + b'"usage":{' * 3) == Usage(3)


META = Meta("e", 1.0, "openai", False, "openai", "gpt-5", 10, 4, 20, {"cached": 4, "reasoning": 12})


def test_a_description_survives_the_cache() -> None:
    assert Meta.read(META.write()) == META
    plain = META._replace(token_details=None)
    assert Meta.read(plain.write()) == plain
    # As versions before knew it.
    assert "token_details" not in orjson.loads(plain.write())


def test_descriptions_of_older_and_newer_versions_are_read() -> None:
    facts = orjson.loads(META.write())
    del facts["token_details"]
    assert Meta.read(orjson.dumps(facts)) == META._replace(token_details=None)
    assert Meta.read({**META._asdict(), "colour": "green"}) == META


def worst(parts: list[dict[str, Any]], **fields: Any) -> tuple[int, int] | None:
    usd = {name: Decimal(at) for at, name in enumerate(Override._fields[3:], start=1)}
    book = PriceBook([Override("openai", "m", NOW, **usd)])
    body = {"model": "m", "messages": [{"role": "user", "content": parts}], **fields}
    request = openai_chat.parse(orjson.dumps(body))
    return metering.worst(book, Candidate(ProviderConfig("p", "openai"), "m"), request, NOW)


def test_what_a_request_may_cost_depends_on_what_it_sends_and_asks_for() -> None:
    text = {"type": "text", "text": "Hi"}
    sound = {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}}
    picture = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    # In 1e-10 USD a token: cache writes 4, reasoning 5, audio 6 and 7, images 8 and 9 USD per million.
    assert worst([text]) == (40_000, 50_000)
    assert worst([text, sound]) == (60_000, 70_000)
    assert worst([text], modalities=["text", "audio"]) == (60_000, 70_000)
    assert worst([text, picture]) == (80_000, 90_000)


def test_a_dearer_tier_may_be_met_by_who_asks_for_it() -> None:
    def of(**fields: Any) -> tuple[int, int] | None:
        body = {"model": "gpt-5", "messages": [{"role": "user", "content": "Hi"}], **fields}
        request = openai_chat.parse(orjson.dumps(body))
        return metering.worst(PriceBook(), Candidate(ProviderConfig("p", "openai"), "gpt-5"), request, NOW)

    assert of() == of(service_tier="flex") == (12_500, 100_000)
    assert of(service_tier="priority") == (25_000, 200_000)


def test_nobody_knows_what_an_unknown_model_may_cost() -> None:
    request = openai_chat.parse(b'{"model": "x", "messages": [{"role": "user", "content": "Hi"}]}')
    assert metering.worst(PriceBook(), Candidate(ProviderConfig("p", "openai"), "no-such"), request, NOW) is None


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"content": "Grüße", "role": "assistant"}, "Grüße"),
        ({"content": None, "refusal": "No."}, "No."),
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "bc"}]}, "abc"),
        ({"tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}]},
         'f{"a":1}'),
        ({"function_call": {"name": "f", "arguments": "{}"}}, "f{}"),
        ({"content": "x", "reasoning_content": "Hm."}, "xHm."),
        ({"content": "x", "reasoning": "Hm."}, "xHm."),
        ({"reasoning_content": "Hm.", "thinking_blocks": [{"type": "thinking", "thinking": "Hm.", "signature": "s"}]},
         "Hm."),
        ({"content": 7, "tool_calls": "x", "thinking_blocks": {"a": [None]}}, "x"),
        ({"audio": {"data": "QUJD"}, "a_new_field": "x"}, ""),
    ],
    ids=str,
)  # fmt: skip
def test_what_nobody_has_counted_is_estimated_by_all_that_was_written(message: dict[str, Any], said: str) -> None:
    assert relay.size_of_answer(message) == len(said.encode())


def test_a_stream_of_tool_calls_and_thoughts_without_usage_is_not_free() -> None:
    assembler = openai_chat.Assembler()
    deltas: list[dict[str, Any]] = [{"reasoning_content": "Hm. "}, {"reasoning_content": "Paris."}]
    deltas += [{"tool_calls": [{"index": 0, "id": "c", "function": {"name": "weather", "arguments": '{"city":'}}]}]
    deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": '"Paris"}'}}]}]
    for delta in deltas:
        assembler.add({"choices": [{"index": 0, "delta": delta}]})
    (choice,) = assembler.body()["choices"]
    assert relay.size_of_answer(choice["message"]) == len('Hm. Paris.weather{"city":"Paris"}')
