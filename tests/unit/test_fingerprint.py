"""Which requests are the same, and which are compared by meaning."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.chat import completion_create_params

from gateway.cache import fingerprint
from gateway.dialects import openai_chat

WAYS = (("openai", "gpt-4o-mini"),)
MESSAGES: Any = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "How do I make tea?"}]


def request(**changes: Any) -> Any:
    return openai_chat.read({"model": "gpt-4o-mini", "messages": MESSAGES, **changes})


def digests(namespace: str = "", ways: Any = WAYS, **changes: Any) -> tuple[str, str | None]:
    asked = request(**changes)
    return fingerprint.fingerprint(asked, ways, namespace), fingerprint.scope(asked, ways, namespace)


def test_every_field_of_the_sdk_has_been_decided_on() -> None:
    known = fingerprint.ANSWER_FIELDS | fingerprint.NEUTRAL_FIELDS
    fields = set(completion_create_params.CompletionCreateParamsBase.__annotations__)
    assert not fields - known, "does it change the answer? Add it to one of the lists in gateway.cache.fingerprint"


@pytest.mark.parametrize(
    "change", [{"user": "u"}, {"stream": True}, {"store": True}, {"metadata": {"a": "b"}}, {"stop": None}]
)
def test_what_does_not_change_an_answer_changes_no_digest(change: dict[str, Any]) -> None:
    assert digests(**change) == digests()


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0.5},
        {"seed": 1},
        {"response_format": {"type": "json_object"}},
        {"a_new_field": 1},
        {"max_tokens": 9},
    ],
)
def test_what_changes_an_answer_changes_both(change: dict[str, Any]) -> None:
    ours, theirs = digests(**change), digests()
    assert ours[0] != theirs[0] and ours[1] != theirs[1]


def test_the_order_of_fields_does_not_matter() -> None:
    one = openai_chat.read({"model": "m", "messages": MESSAGES, "seed": 1})
    other = openai_chat.read({"seed": 1, "messages": MESSAGES, "model": "m"})
    assert fingerprint.fingerprint(one, WAYS, "") == fingerprint.fingerprint(other, WAYS, "")


def test_another_question_in_the_same_context_has_the_same_scope() -> None:
    other: Any = [MESSAGES[0], {"role": "user", "content": "Recipe for tea"}]
    assert digests(messages=other)[1] == digests()[1]
    assert digests(messages=other)[0] != digests()[0]


@pytest.mark.parametrize(
    "earlier", [[], [{"role": "system", "content": "Be long."}], [MESSAGES[0], {"role": "assistant", "content": "Hi"}]]
)
def test_another_context_is_another_scope(earlier: list[Any]) -> None:
    assert digests(messages=[*earlier, MESSAGES[1]])[1] != digests()[1]


def test_namespace_and_route_are_a_part_of_both() -> None:
    elsewhere = (("azure", "gpt-4o-mini"),)
    for other in (digests(namespace="x"), digests(ways=elsewhere)):
        assert other[0] != digests()[0] and other[1] != digests()[1]


@pytest.mark.parametrize(
    "change",
    [
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"n": 2},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
        {"messages": [MESSAGES[1], {"role": "assistant", "content": "Tea."}]},
        {"messages": [{"role": "user", "content": "  "}]},
    ],
)
def test_these_are_compared_literally_only(change: dict[str, Any]) -> None:
    assert digests(**change)[1] is None


def test_a_stream_and_its_pieces_put_together_again_are_the_same() -> None:
    body = {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Tea, " * 40},
                "logprobs": None,
                "finish_reason": "stop",
            },
            {
                "index": 1,
                "message": {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
                },
                "logprobs": None,
                "finish_reason": "tool_calls",
            },
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }
    assembler = openai_chat.Assembler()
    for chunk in openai_chat.chunks_of(body):
        assembler.add(chunk)
    assert assembler.body() == body


@pytest.mark.parametrize(
    "chunk",
    [{"choices": ["x"]}, {"choices": [{"delta": "x"}]}, {"choices": [{"index": "x", "delta": {}}]}],
)
def test_what_is_no_chunk_is_refused(chunk: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        openai_chat.Assembler().add(chunk)
