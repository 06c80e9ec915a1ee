"""Tags are few, short and printable, or the request is refused."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.dialects import openai_chat, openai_responses
from gateway.errors import InvalidRequest
from gateway.tags import HEADER, tags_of


def test_without_tags_there_are_none_and_nothing_changes() -> None:
    payloads: list[dict[str, Any]] = [{}, {"metadata": None}, {"metadata": {"user_id": "u"}}, {"metadata": {}}]
    for payload in payloads:
        before = dict(payload)
        assert tags_of({}, payload) == ()
        assert payload == before
    assert tags_of({HEADER: b""}, {}) == ()
    for nothing in ("", None):
        assert tags_of({}, {"metadata": {"tags": nothing}}) == ()


def test_each_is_named_once_wherever_it_stands() -> None:
    payload: dict[str, Any] = {"metadata": {"tags": "batch, team-b", "topic": "demo"}}
    assert tags_of({HEADER: b"team-a , batch"}, payload) == ("team-a", "batch", "team-b")
    # Texts are OpenAI's, and go on.
    assert payload == {"metadata": {"tags": "batch, team-b", "topic": "demo"}}


def test_litellms_list_goes_no_further() -> None:
    payload: dict[str, Any] = {"metadata": {"tags": ["team-a"], "topic": "demo"}}
    assert tags_of({}, payload) == ("team-a",)
    assert payload == {"metadata": {"topic": "demo"}}
    payload = {"metadata": {"tags": ["team-a"]}}
    assert tags_of({}, payload) == ("team-a",)
    assert payload == {}


@pytest.mark.parametrize(
    "header",
    [b"a,,b", b",", b" ", "tämä".encode(), b"a\tb", b"x" * 65, b",".join(b"%d" % number for number in range(11))],
    ids=["gap", "comma", "blank", "umlaut", "tab", "long", "many"],
)
def test_a_header_that_is_no_list_of_tags_is_refused_by_name(header: bytes) -> None:
    with pytest.raises(InvalidRequest, match="`X-Nexus-Tags` must be up to 10 tags"):
        tags_of({HEADER: header}, {})


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("a,", ("a",)),
        ("Größe", ()),
        ("Größe, team-a, ,team-b", ("team-a", "team-b")),
        ("a" * 65, ()),
        ("a\0b", ()),
        (",".join(str(number) for number in range(20)), tuple(str(number) for number in range(10))),
        ("," * 10_000_000, ()),
    ],
    ids=["comma", "umlaut", "mixed", "long", "nul", "many", "commas"],
)
def test_a_text_may_be_ordinary_metadata_and_is_never_refused(text: str, tags: tuple[str, ...]) -> None:
    payload = {"metadata": {"tags": text}}
    assert tags_of({}, payload) == tags
    assert payload == {"metadata": {"tags": text}}


@pytest.mark.parametrize(
    "tags",
    [[1], [None], ["a,b"], ["x" * 65], [""], ["\0"], ["a"] * 11, 7, 0, True, {"a": "b"}, {}],
    ids=str,
)
def test_so_are_those_in_the_body(tags: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"`metadata.tags` must be"):
        tags_of({}, {"metadata": {"tags": tags}})


def test_chat_requests_may_have_them_in_both_forms() -> None:
    body = b'{"model": "m", "messages": [{"role": "user", "content": "Hi"}], "metadata": {"tags": %b, "a": %b}}'
    for tags in (b'"a,b"', b'["a", "b"]'):
        assert tags_of({}, openai_chat.parse(body % (tags, b'"1"')).payload) == ("a", "b")
    for ordinary in (b'""', '"Größe"'.encode(), b'"a,"'):
        openai_chat.parse(body % (ordinary, b'"1"'))
    for wrong in ((b'{"a": 1}', b'"1"'), (b'["a"]', b'["1"]')):
        with pytest.raises(InvalidRequest, match=r"metadata"):
            openai_chat.parse(body % wrong)


def test_responses_have_them_too_and_they_go_no_further() -> None:
    body = b'{"model": "m", "input": "Hi", "metadata": {"tags": "a, b", "topic": "demo"}}'
    request = openai_responses.parse(body)
    assert tags_of({}, request.payload) == ("a", "b")
    assert "metadata" not in request.payload
    assert request.echo["metadata"] == {"tags": "a, b", "topic": "demo"}
    for ordinary in ("", "Größe"):
        sent = {"model": "m", "input": "Hi", "metadata": {"tags": ordinary}}
        assert "metadata" not in openai_responses.parse(orjson.dumps(sent)).payload
