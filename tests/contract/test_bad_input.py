"""Input that no description has, on every chat endpoint: refused in the endpoint's own envelope, and the next request
is answered.
"""

from __future__ import annotations

import gzip
import os
import uuid
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from billing import subscriptions
from gateway.urls import CHAT_PATHS
from tenants import registration
from tests import servers, wire
from tests.bodies import body_of
from tests.wire import check_refusal, chunk, head, send, whole

LIMIT = 10 * 1024 * 1024
at_every_path = pytest.mark.parametrize("path", CHAT_PATHS)


@pytest.fixture(scope="module")
def key(database: None) -> str:
    registered = registration.register(f"{uuid.uuid4().hex[:12]}@example.com")
    unlimited = {"requests_per_minute": None, "tokens_per_minute": None}
    subscriptions.change_plan(registered.tenant, "scale", overrides=unlimited)
    return registered.issued.text


@pytest.fixture(autouse=True)
def still_answers(server: str, key: str) -> Iterator[None]:
    """After each of these tests."""
    yield
    assert send(server, whole("/v1/chat/completions", key, valid("/v1/chat/completions"))).status == 200


def valid(path: str, **more: Any) -> bytes:
    return orjson.dumps(body_of(path, "Why is the sky blue?", **more))


def with_value(path: str, name: str, json: bytes) -> bytes:
    """A valid body with one more field, whose value is written as it is."""
    return valid(path)[:-1] + b',"%b":%b}' % (name.encode(), json)


# --- what is no JSON, or too much of it ------------------------------------------------------------------------------

NO_JSON = {
    "empty": b"",
    "blank": b" \r\n\t",
    "words": b"hello",
    "cut": b'{"model": "gpt-4o-mini", "mess',
    "form": b"model=gpt-4o-mini&message=hi",
    "single quotes": b"{'model': 'gpt-4o-mini'}",
    "two objects": b"{}{}",
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"model": "gpt-4o-mini"}'.encode("utf-16"),
    "bad UTF-8": b'{"model": "gpt-4o-\xff"}',
    "overlong UTF-8": b'{"model": "\xc0\xaf"}',
    "surrogates in UTF-8": b'{"model": "\xed\xa0\x80"}',
    "lone surrogate": b'{"model": "\\ud800"}',
    "surrogates reversed": b'{"model": "\\udc00\\ud800"}',
    "NUL": b"\0",
    "raw control character": b'{"model": "a\nb"}',
    "NaN": b'{"temperature": NaN}',
    "Infinity": b'{"temperature": Infinity}',
    "-Infinity": b'{"temperature": -Infinity}',
    "beyond all numbers": b'{"temperature": 1e400}',
    "a list": b"[]",
    "a text": b'"hi"',
    "a number": b"7",
    "null": b"null",
    "deep lists": b"[" * 1_000 + b"]" * 1_000,
    "deeper lists": b"[" * 100_000 + b"]" * 100_000,
    "lists without an end": b"[" * 100_000,
    "deep objects": b'{"a":' * 1_000 + b"1" + b"}" * 1_000,
}


@at_every_path
@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON)
def test_a_body_that_is_no_request_is_refused(server: str, key: str, path: str, body: bytes) -> None:
    check_refusal(path, send(server, whole(path, key, body)), 400)


@at_every_path
@pytest.mark.parametrize("depth", [1_000, 100_000])
def test_deep_nesting_is_refused_wherever_it_is(server: str, key: str, path: str, depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    for name in ("x", "metadata", "tools", "messages", "input", "message", "prompt", "temperature"):
        check_refusal(path, send(server, whole(path, key, with_value(path, name, deep))), 400)
        deep_object = b'{"a":' * depth + b"1" + b"}" * depth
        check_refusal(path, send(server, whole(path, key, with_value(path, name, deep_object))), 400)


@at_every_path
@pytest.mark.parametrize(
    "number", [b"1e308", b"-1e308", b"1" * 400, b"1" * 30, b"-1", b"2.5", b"true", b'"1"', b"1e-999"]
)
def test_numbers_that_cannot_be_are_refused_by_name(server: str, key: str, path: str, number: bytes) -> None:
    name = "max_output_tokens" if path == "/v1/responses" else "max_tokens"
    check_refusal(path, send(server, whole(path, key, with_value(path, name, number))), 400)


@at_every_path
def test_the_last_of_equal_keys_is_meant(server: str, key: str, path: str) -> None:
    twice = b'{"temperature":"hot",' + valid(path, temperature=1)[1:]
    assert send(server, whole(path, key, twice)).status == 200
    answer = send(server, whole(path, key, with_value(path, "temperature", b'"hot"')))
    check_refusal(path, answer, 400, "temperature")


@at_every_path
def test_a_body_that_is_too_large_is_refused_before_it_is_sent(server: str, key: str, path: str) -> None:
    lines = (b"Content-Type: application/json", b"Content-Length: %d" % (LIMIT + 1))
    check_refusal(path, send(server, head(path, key, *lines)), 413)


@at_every_path
def test_a_body_that_grows_too_large_is_refused(server: str, key: str, path: str) -> None:
    lines = (b"Content-Type: application/json", b"Transfer-Encoding: chunked")
    blocks = [chunk(b" " * (LIMIT // 4)) for _ in range(4)]
    answer = send(server, head(path, key, *lines), *blocks, chunk(b" "), b"0\r\n\r\n")
    check_refusal(path, answer, 413)


# --- fields ----------------------------------------------------------------------------------------------------------

MESSAGES: dict[str, tuple[Any, str]] = {
    "none": ([], "messages"),
    "no list": ({"role": "user", "content": "hi"}, "messages"),
    "no messages": (["hi"], "messages[0]"),
    "unknown role": ([{"role": "wizard", "content": "hi"}], "messages[0].role"),
    "role of no text": ([{"role": 7, "content": "hi"}], "messages[0].role"),
    "no content": ([{"role": "user"}], "messages[0].content"),
    "content of no text": ([{"role": "user", "content": 7}], "messages[0].content"),
    "part of no type": ([{"role": "user", "content": [{"text": "hi"}]}], "messages[0].content[0].type"),
}
TOOLS: dict[str, tuple[Any, str]] = {
    "no list": ({"type": "function"}, "tools"),
    "no object": ([7], "tools[0]"),
    "no function": ([{"type": "function"}], "tools[0]"),
    "no name": ([{"type": "function", "function": {}}], "tools[0]"),
    "name of no text": ([{"type": "function", "name": 7, "function": {"name": 7}}], "tools[0]"),
    "parameters of no object": (
        [{"type": "function", "name": "f", "parameters": 7, "function": {"name": "f", "parameters": 7}}],
        "tools[0]",
    ),
}
WITH_TOOLS = ("/v1/chat/completions", "/api/v1/chat/completions", "/v1/responses", "/v1/messages")


def named_in(answer: wire.Answer) -> str:
    """What an error says of where it is: `param`, or the message where there is none."""
    error = orjson.loads(answer.body)["error"]
    return str(error.get("param") or error["message"])


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/v1/chat/completions", "/v1/messages"])
@pytest.mark.parametrize(("messages", "at"), MESSAGES.values(), ids=MESSAGES)
def test_messages_that_are_none_are_refused_by_name(server: str, key: str, path: str, messages: Any, at: str) -> None:
    body = orjson.dumps(orjson.loads(valid(path)) | {"messages": messages})
    answer = send(server, whole(path, key, body))
    check_refusal(path, answer, 400)
    assert at.removesuffix(".type") in named_in(answer)


@pytest.mark.parametrize("path", WITH_TOOLS)
@pytest.mark.parametrize(("tools", "at"), TOOLS.values(), ids=TOOLS)
def test_tools_that_are_none_are_refused_by_name(server: str, key: str, path: str, tools: Any, at: str) -> None:
    answer = send(server, whole(path, key, valid(path, tools=tools)))
    check_refusal(path, answer, 400)
    assert at in named_in(answer)


@pytest.mark.parametrize(("path", "name"), [("/v1/chat", "prompt"), ("/api/chat", "message"), ("/chat", "message")])
@pytest.mark.parametrize("question", [None, "", " \n", 7, True, [], ["hi"], {}])
def test_a_question_that_is_no_text_is_refused_by_name(
    server: str, key: str, path: str, name: str, question: Any
) -> None:
    check_refusal(path, send(server, whole(path, key, orjson.dumps({name: question}))), 400, name)


@pytest.mark.parametrize("items", [None, [], {}, 7, [7], [{}], [{"role": "wizard", "content": "hi"}]])
def test_input_that_is_none_is_refused_by_name(server: str, key: str, items: Any) -> None:
    answer = send(server, whole("/v1/responses", key, orjson.dumps({"model": "gpt-4o-mini", "input": items})))
    check_refusal("/v1/responses", answer, 400)
    assert named_in(answer).startswith("input")


@at_every_path
@pytest.mark.parametrize("model", ["", "\u0000", "a\nb", "m" * 121, 7, [], {}])
def test_a_model_that_is_no_name_is_refused_by_name(server: str, key: str, path: str, model: Any) -> None:
    check_refusal(path, send(server, whole(path, key, valid(path, model=model))), 400, "model")


@pytest.mark.parametrize("path", ["/v1/chat", "/api/chat", "/chat"])
def test_no_model_and_a_model_of_null_are_the_usual_one(server: str, key: str, path: str) -> None:
    body = orjson.loads(valid(path))
    del body["model"]
    for without in (body, body | {"model": None}):
        assert send(server, whole(path, key, orjson.dumps(without))).status == 200


@at_every_path
def test_any_characters_of_a_question_are_answered(server: str, key: str, path: str) -> None:
    text = "".join(map(chr, [*range(0x100), 0x2028, 0xFEFF, 0xFFFF, 0x1F600, 0x10FFFF]))
    body = orjson.dumps(body_of(path, text))
    assert send(server, whole(path, key, body)).status == 200


# --- around the body -------------------------------------------------------------------------------------------------


@at_every_path
@pytest.mark.parametrize(
    "kind",
    [
        b"text/plain",
        b"application/x-www-form-urlencoded",
        b"multipart/form-data; boundary=x",
        b"application/jsonp",
        b"application/octet-stream",
        b"json",
        b"\xff\xfe",
        b"",
    ],
)
def test_another_content_type_is_refused(server: str, key: str, path: str, kind: bytes) -> None:
    check_refusal(path, send(server, whole(path, key, valid(path), b"Content-Type: " + kind)), 415)


@at_every_path
@pytest.mark.parametrize("coding", [b"gzip", b"br", b"zstd", b"gzip, identity", b"nonsense"])
def test_a_compressed_body_is_refused(server: str, key: str, path: str, coding: bytes) -> None:
    body = gzip.compress(b" " * LIMIT)
    answer = send(server, whole(path, key, body, b"Content-Encoding: " + coding))
    check_refusal(path, answer, 400)
    assert b"ompressed" in answer.body


@at_every_path
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_another_method_is_refused(server: str, key: str, path: str, method: str) -> None:
    answer = send(server, head(path, key, b"Content-Length: 0", method=method))
    check_refusal(path, answer, 405)
    assert answer.headers["allow"] == "POST"


@at_every_path
def test_a_head_request_is_refused_without_a_body(server: str, key: str, path: str) -> None:
    answer = send(server, head(path, key, b"Connection: close", method="HEAD"))
    assert (answer.status, answer.headers["allow"], answer.body) == (405, "POST", b"")


def test_a_method_that_is_not_passed_on_is_refused(server: str, key: str) -> None:
    answer = send(server, head("/v1/files", key, b"Content-Length: 0", method="TRACE"))
    check_refusal("/v1/files", answer, 405)
    assert answer.headers["allow"] == "DELETE, GET, PATCH, POST, PUT"


@pytest.fixture(scope="module")
def impatient_server(database: None) -> Iterator[str]:
    with servers.gateway(NEXUS_BODY_TIMEOUT_S="0.3") as gateway:
        yield gateway.url


@at_every_path
@pytest.mark.parametrize("sent", [b"", chunk(b'{"model":'), b"5\r\n{"], ids=["nothing", "a part", "half a chunk"])
def test_a_body_that_does_not_arrive_is_given_up(impatient_server: str, key: str, path: str, sent: bytes) -> None:
    lines = (b"Content-Type: application/json", b"Transfer-Encoding: chunked")
    check_refusal(path, send(impatient_server, head(path, key, *lines), sent), 408)
    check_refusal(path, send(impatient_server, head(path, key, b"Content-Length: 10"), b"{"), 408)


# --- headers ---------------------------------------------------------------------------------------------------------

UNFIT = {
    "empty": b"",
    "spaces": b"two words",
    "tab": b"a\tb",
    "bytes": b"\x80\xff",
    "UTF-8": "naïve".encode(),
    "too long": b"x" * 300,
    # A head may have 64 KiB in all (tests/unit/test_bounded_http.py).
    "absurdly long": b"x" * 60_000,
}
unfit = pytest.mark.parametrize("value", UNFIT.values(), ids=UNFIT)


@at_every_path
@unfit
def test_a_request_id_that_is_unfit_for_headers_is_replaced(server: str, key: str, path: str, value: bytes) -> None:
    answer = send(server, whole(path, key, valid(path), b"X-Request-Id: " + value))
    assert answer.status == 200
    assert len(answer.headers["x-request-id"]) == 32


@at_every_path
@unfit
@pytest.mark.parametrize(
    "name", ["X-Nexus-Cache-Namespace", "Idempotency-Key", "X-Nexus-Cache", "X-Nexus-Cache-Threshold"]
)
def test_a_header_that_means_nothing_is_refused_by_name(
    server: str, key: str, path: str, name: str, value: bytes
) -> None:
    answer = send(server, whole(path, key, valid(path), f"{name}: ".encode() + value))
    check_refusal(path, answer, 400, name)


@at_every_path
@pytest.mark.parametrize("value", [b"max-age=", b"max-age=-1", b"max-age=1.5", b"max-age=\xb2", b"max-age=soon"])
def test_an_age_that_is_none_is_refused_by_name(server: str, key: str, path: str, value: bytes) -> None:
    answer = send(server, whole(path, key, valid(path), b"Cache-Control: " + value))
    check_refusal(path, answer, 400, "Cache-Control")


@at_every_path
@pytest.mark.parametrize("value", [b"nan", b"inf", b"-0.1", b"1.1", b"1e400", b"0x1", b"one"])
def test_a_threshold_that_is_none_is_refused_by_name(server: str, key: str, path: str, value: bytes) -> None:
    answer = send(server, whole(path, key, valid(path), b"X-Nexus-Cache-Threshold: " + value))
    check_refusal(path, answer, 400, "X-Nexus-Cache-Threshold")


@at_every_path
@pytest.mark.parametrize(
    "value",
    [b"", b"Bearer", b"Bearer ", b"Basic eDp5", b"Bearer nk-\xff", b"Bearer " + b"x" * 60_000, b"Bearer nk-a b"],
)
def test_a_key_that_is_none_is_refused(server: str, path: str, value: bytes) -> None:
    request = whole(path, "-", valid(path)).replace(b"Authorization: Bearer -", b"Authorization: " + value)
    check_refusal(path, send(server, request), 401)


@at_every_path
@pytest.mark.parametrize("break_", [b"\r\n", b"\n", b"\r", b"%0d%0a"], ids=["CRLF", "LF", "CR", "percent"])
@pytest.mark.parametrize("name", [b"X-Request-Id", b"X-Nexus-Cache-Namespace", b"Idempotency-Key"])
def test_no_header_of_a_request_becomes_one_of_the_answer(
    server: str, key: str, path: str, name: bytes, break_: bytes
) -> None:
    value = uuid.uuid4().hex.encode()
    line = name + b": " + value + break_ + b"X-Evil: 1"
    answer = send(server, whole(path, key, valid(path), line))
    assert answer.status in {200, 400}
    assert "x-evil" not in answer.headers


@at_every_path
def test_thousands_of_headers_are_read(server: str, key: str, path: str) -> None:
    lines = [b"X-%d: %b" % (number, os.urandom(8).hex().encode()) for number in range(2_000)]
    assert send(server, whole(path, key, valid(path), *lines)).status == 200


@at_every_path
def test_a_head_without_measure_is_refused(server: str, key: str, path: str) -> None:
    assert send(server, whole(path, key, valid(path), b"X-Long: " + b"x" * 1_000_000)).status == 431
