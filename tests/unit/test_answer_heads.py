"""nexus.answer_heads: to the byte what uvicorn writes, and its errors."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from nexus import answer_heads
from nexus.answer_heads import Cycle
from nexus.one_write import MOST_BYTES, OneWrite
from tenants.asgi import WHOLE
from tests.unit.test_one_write import Wire

Headers = list[tuple[bytes, bytes]]

PLAIN: Headers = [(b"content-type", b"application/json"), (b"x-cache", b"HIT-EXACT")]
DATE = (b"date", b"Sun, 22 Nov 2026 07:00:00 GMT")


class Flow:
    write_paused = False


def cycle_of(kind: type[RequestResponseCycle], wire: Wire, **other: Any) -> RequestResponseCycle:
    facts: dict[str, Any] = {"default_headers": [DATE], "keep_alive": True, "method": "POST", **other}
    return kind(
        scope={"method": facts["method"]},  # type: ignore[typeddict-item]
        transport=OneWrite(wire, asyncio.get_running_loop()),  # type: ignore[arg-type]
        flow=Flow(),  # type: ignore[arg-type]
        logger=None,  # type: ignore[arg-type]
        access_logger=None,  # type: ignore[arg-type]
        access_log=False,
        default_headers=facts["default_headers"],
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=facts["keep_alive"],
        on_response=lambda: None,
    )


def answered(kind: type[RequestResponseCycle], messages: list[Any], **other: Any) -> tuple[bytes, str]:
    """What went out, and what was raised."""

    async def answer() -> tuple[bytes, str]:
        wire, raised = Wire(), ""
        cycle = cycle_of(kind, wire, **other)
        try:
            for message in messages:
                await cycle.send(message)
            assert cycle.response_complete
            assert cycle.message_event.is_set()
        except (RuntimeError, ValueError) as error:
            raised = str(error)
        # A head that waits for a body, waits no longer.
        await asyncio.sleep(0)
        return wire.sent, raised

    return asyncio.run(answer())


def begun(status: int, headers: Headers) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": headers}


def rest(body: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body}


def whole(headers: Headers, body: bytes = b"{}", status: int = 200, **other: Any) -> tuple[bytes, str]:
    ours = answered(Cycle, [{"type": WHOLE, "status": status, "headers": headers, "body": body}], **other)
    with_length = [*headers, (b"content-length", b"%d" % len(body))]
    assert ours == answered(RequestResponseCycle, [begun(status, with_length), rest(body)], **other)
    return ours


NAMES = st.sampled_from(
    [b"x-a", b"X-Upper", b"connection", b"transfer-encoding", b"content-length", b"", b"a b", b"a:"]
)
VALUES = st.sampled_from(
    [b"", b"2", b"3", b"-2", b"+2", b"close", b"chunked", b"a\tb", b"a\nb", b"\r\n", b"\0", b"\x7f", b"\xff"]
)


@given(
    st.lists(st.tuples(NAMES | st.binary(max_size=3), VALUES | st.binary(max_size=3)), max_size=6),
    st.sampled_from([200, 204, 304, 404]),
    st.sampled_from(["POST", "HEAD"]),
    st.booleans(),
)
def test_whatever_is_sent_is_sent_as_uvicorn_does(headers: Headers, status: int, method: str, keep_alive: bool) -> None:
    whole(headers, status=status, method=method, keep_alive=keep_alive)


def test_a_plain_answer_is_written_here() -> None:
    head = b"HTTP/1.1 200 OK\r\ndate: Sun, 22 Nov 2026 07:00:00 GMT\r\ncontent-type: application/json\r\n"
    assert whole(PLAIN) == (head + b"x-cache: HIT-EXACT\r\ncontent-length: 2\r\n\r\n{}", "")
    assert b"x-cache" in answer_heads._ordinary


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b=c", b"a\nb", b"a\rb", b"a\0b", b"\x1b[2J", b"\x7f"])
def test_no_value_begins_another_header(value: bytes) -> None:
    assert whole([*PLAIN, (b"x-model", value)]) == (b"", "Invalid HTTP header value.")


def test_two_wrongs_do_not_make_up_for_each_other() -> None:
    """Controls are counted: one too many in a value, one that is missing nowhere."""
    assert whole([(b"x-a", b"\r\n\r\n"), *PLAIN]) == (b"", "Invalid HTTP header value.")
    assert whole([*PLAIN, (b"x-a\r\n", b"b")]) == (b"", "Invalid HTTP header name.")


def test_another_length_than_the_bodys_is_an_error() -> None:
    assert whole([(b"content-length", b"1"), *PLAIN])[1] == "Response content longer than Content-Length"
    assert whole([(b"content-length", b"3"), *PLAIN])[1] == "Response content shorter than Content-Length"


def test_names_are_remembered_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_heads, "_ordinary", set())
    monkeypatch.setattr(answer_heads, "MOST_NAMES", 3)
    for number in range(9):
        whole([*PLAIN, (b"x-%d" % number, b"")])
    assert len(answer_heads._ordinary) == 3


@pytest.mark.parametrize("body", [b"", b"{}", b"x" * (MOST_BYTES + 1)])
def test_a_whole_answer_is_what_head_and_body_are(body: bytes) -> None:
    sent, _ = whole(PLAIN, body)
    assert sent.endswith(b"\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))


def test_the_answer_to_head_has_no_body() -> None:
    sent, _ = whole(PLAIN, method="HEAD")
    assert sent.endswith(b"\r\ncontent-length: 2\r\n\r\n")


async def test_a_whole_answer_is_one_write_and_the_next_request_may_come() -> None:
    wire, told = Wire(), list[str]()
    cycle = cycle_of(Cycle, wire)
    cycle.on_response = lambda: told.append("complete")
    answer: Any = {"type": WHOLE, "status": 200, "headers": PLAIN, "body": b"{}"}
    await cycle.send(answer)
    assert len(wire.said) == 1
    assert told == ["complete"]
    with pytest.raises(RuntimeError, match="after response already completed"):
        await cycle.send(answer)
    assert len(wire.said) == 1


async def test_what_begins_with_a_body_is_refused() -> None:
    with pytest.raises(RuntimeError, match="Expected ASGI message"):
        await cycle_of(Cycle, Wire()).send({"type": "http.response.body", "body": b""})
