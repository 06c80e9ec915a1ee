"""What reaches the application of what is sent, byte by byte, to its server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from nexus import bounded_http
from nexus.bounded_http import MAX_HEAD_BYTES, BoundedHttp

PATIENCE_S = 20
HEAD = b"Host: a.example\r\n"
END = b"0\r\n\r\n"


class Echo:
    """Says how many bytes of a body came; knows all that it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        # It reads nothing before.
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.append(scope)
        await self.go_on.wait()
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            size += len(message["body"])
            more = message["more_body"]
        body = b"%d bytes" % size
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[tuple[Echo, Any]]:
    """The application, and a function that opens a connection to it."""
    echo = Echo()
    config = uvicorn.Config(echo, port=0, http=BoundedHttp, lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield echo, lambda: asyncio.open_connection("127.0.0.1", port)
    finally:
        await server.shutdown()


async def told(*pieces: bytes) -> tuple[list[int], Echo, bytes]:
    """The statuses that come back until the server closes, or answers all; who was asked; all of the answer."""
    async with serving() as (echo, connect), asyncio.timeout(PATIENCE_S):
        reader, writer = await connect()
        with contextlib.suppress(OSError):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            writer.write_eof()
        answer = b""
        with contextlib.suppress(OSError):
            while some := await reader.read(65536):
                answer += some
                if answer.endswith(b" bytes"):
                    break
        writer.close()
        statuses = [int(part.split(b" ", 1)[0]) for part in answer.split(b"HTTP/1.1 ")[1:]]
        return statuses, echo, answer


def post(*headers: bytes, body: bytes = b"", version: bytes = b"1.1") -> bytes:
    return b"\r\n".join([b"POST / HTTP/" + version, b"Host: a.example", *headers, b"", b""]) + body


@pytest.mark.parametrize(
    "request_",
    [
        post(b"Content-Length: 3", body=b"abc"),
        post(b"Transfer-Encoding: chunked", body=b"3\r\nabc\r\n" + END),
        post(b"Transfer-Encoding: Chunked", body=b"3;x=y\r\nabc\r\n" + END),
        b"POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc",
    ],
)
async def test_what_everybody_reads_alike_is_served(request_: bytes) -> None:
    statuses, echo, answer = await told(request_)
    assert statuses == [200] and len(echo.asked) == 1 and answer.endswith(b"3 bytes")


@pytest.mark.parametrize(
    "request_",
    [
        post(b"Content-Length: 4", b"Transfer-Encoding: chunked", body=END),
        post(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=END),
        post(b"Content-Length: 4", b"Content-Length: 5", body=b"abcde"),
        post(b"Content-Length: 4", b"Content-Length: 4", body=b"abcd"),
        post(b"Content-Length: 4, 4", body=b"abcd"),
        post(b"Content-Length: +4", body=b"abcd"),
        post(b"Content-Length: -4", body=b"abcd"),
        post(b"Content-Length: 4 4", body=b"abcd"),
        post(b"Content-Length: 0x4", body=b"abcd"),
        post(b"Content-Length:", body=b"abcd"),
        post(b"Content-Length : 4", body=b"abcd"),
        post(b"Transfer-Encoding: xchunked", body=END),
        post(b"Transfer-Encoding: identity", body=END),
        post(b"Transfer-Encoding: gzip, chunked", body=END),
        post(b"Transfer-Encoding: chunked, identity", body=END),
        post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=END),
        post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", body=END),
        post(b"Transfer-Encoding:\r\n chunked", body=END),
        post(b"Transfer-Encoding: \x0bchunked", body=END),
        post(b"Transfer-Encoding: chunked", version=b"1.0", body=END),
        post(b"Transfer-Encoding: chunked", b"Upgrade: h2c", b"Connection: upgrade", body=END),
        post(b"Transfer-Encoding: chunked", body=b"3\nabc\r\n" + END),
        post(b"Transfer-Encoding: chunked", body=b"3 \r\nabc\r\n" + END),
        post(b"Transfer-Encoding: chunked", body=b"0x3\r\nabc\r\n" + END),
        post(b"Transfer-Encoding: chunked", body=b"3;a\nb\r\nabc\r\n" + END),
        post(b"Transfer-Encoding: chunked", body=b"3\r\nabcXX" + END),
        post(b"Transfer-Encoding: chunked", body=b"ffffffffffffffff3\r\nabc\r\n" + END),
        b"GET / HTTP/1.1\nHost: a.example\n\n",
        b"GET / HTTP/1.1\r\nHost: a.example\nX: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a.example\r\nX: a\r\n b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a.example\rX: b\r\n\r\n",
        b"GET / HTTP/1.1\r\n Host: a.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a.example\r\nX: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: a.example\r\nHost: b.example\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: a.example\r\n\r\n",
        b"GET /\r\n\r\n",
    ],
    ids=lambda request_: repr(request_.replace(HEAD, b""))[:60],
)
async def test_what_two_servers_could_read_in_two_ways_is_refused(request_: bytes) -> None:
    statuses, echo, _ = await told(request_)
    assert statuses == [400]
    # Where only the body was ill, somebody was asked, and has heard no end of it.
    assert all(scope["method"] == "POST" for scope in echo.asked)


async def test_a_head_of_64_kib_is_read_and_a_larger_one_is_not() -> None:
    largest = MAX_HEAD_BYTES - len(b"GET / HTTP/1.1\r\n" + HEAD + b"X: \r\n\r\n")
    statuses, echo, _ = await told(b"GET / HTTP/1.1\r\n" + HEAD + b"X: " + b"a" * largest + b"\r\n\r\n")
    assert statuses == [200] and len(echo.asked) == 1
    larger = b"GET / HTTP/1.1\r\n" + HEAD + b"X: " + b"a" * (MAX_HEAD_BYTES + 1) + b"\r\n\r\n"
    for pieces in ([larger], [larger[at : at + 1000] for at in range(0, len(larger), 1000)]):
        statuses, echo, _ = await told(*pieces)
        assert statuses == [431] and echo.asked == []


async def test_many_small_headers_and_a_long_address_count_too() -> None:
    for request_ in (
        b"GET / HTTP/1.1\r\n" + HEAD + b"X: a\r\n" * 12_000 + b"\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n" + HEAD + b"\r\n",
        # One that never ends.
        b"GET / HTTP/1.1\r\n" + HEAD + b"X: " + b"a" * 500_000,
    ):
        statuses, echo, _ = await told(request_)
        assert statuses == [431] and echo.asked == []


async def test_bodies_are_not_bounded_here() -> None:
    body = b"a" * 1_000_000
    statuses, _, answer = await told(post(b"Content-Length: 1000000", body=body))
    assert statuses == [200] and answer.endswith(b"1000000 bytes")
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(body), body) for _ in range(2)) + END
    statuses, _, answer = await told(post(b"Transfer-Encoding: chunked", body=chunks))
    assert statuses == [200] and answer.endswith(b"2000000 bytes")


async def test_a_request_after_a_large_body_is_read() -> None:
    first = post(b"Content-Length: 100000", body=b"a" * 100_000)
    second = post(b"Content-Length: 3", body=b"abc")
    async with serving() as (echo, connect), asyncio.timeout(PATIENCE_S):
        reader, writer = await connect()
        # The next head begins in the piece that ends the body.
        writer.write(first + second[:20])
        assert await reader.readuntil(b"100000 bytes")
        writer.write(second[20:])
        assert (await reader.readuntil(b"3 bytes")).startswith(b"HTTP/1.1 200")
        assert len(echo.asked) == 2
        writer.close()


async def test_trailers_are_no_headers() -> None:
    body = b"3\r\nabc\r\n0\r\nAuthorization: Bearer nk-x\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n"
    statuses, echo, _ = await told(post(b"Transfer-Encoding: chunked", body=body))
    assert statuses == [200]
    assert [name for name, _ in echo.asked[0]["headers"]] == [b"host", b"transfer-encoding"]


@pytest.mark.parametrize(
    "between", [b"0\r\nX: " + b"a" * 1_000_000, b"3;x=" + b"a" * 1_000_000], ids=["trailer", "ext"]
)
async def test_what_stands_between_chunks_is_bounded(between: bytes) -> None:
    head = post(b"Transfer-Encoding: chunked")
    pieces = [between[at : at + 16_384] for at in range(0, len(between), 16_384)]
    statuses, _, answer = await told(head, *pieces)
    assert statuses in ([431], []) and b"bytes\r\n" not in answer


async def closed_by_the_server(connect: Any, *pieces: bytes) -> bytes:
    """All that it says before it closes."""
    reader, writer = await connect()
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    said: bytes = await reader.read()
    writer.close()
    return said


async def test_whoever_does_not_end_a_head_is_told_and_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_http, "HEAD_S", 0.05)
    async with serving() as (echo, connect), asyncio.timeout(PATIENCE_S):
        said = await closed_by_the_server(connect, b"GET / HTTP/1.1\r\nHost: a")
        assert said.startswith(b"HTTP/1.1 408 ") and b"connection: close" in said
        # Who says nothing has asked nothing.
        assert await closed_by_the_server(connect) == b""
        # Also the second head of a connection.
        reader, writer = await connect()
        writer.write(post(b"Content-Length: 3", body=b"abc"))
        assert await reader.readuntil(b"3 bytes")
        writer.write(b"GET /")
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
        writer.close()
        assert len(echo.asked) == 1


async def test_bytes_that_trickle_do_not_prolong_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_http, "HEAD_S", 0.2)
    async with serving() as (_, connect), asyncio.timeout(PATIENCE_S):
        reader, writer = await connect()
        writer.write(b"GET / HTTP/1.1\r\n")

        async def trickle() -> None:
            with contextlib.suppress(OSError):
                while True:
                    writer.write(b"X: a\r\n")
                    await writer.drain()
                    await asyncio.sleep(0.01)

        trickling = asyncio.create_task(trickle())
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
        trickling.cancel()
        writer.close()


async def test_half_a_body_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_http, "PIECE_S", 0.05)
    async with serving() as (_, connect), asyncio.timeout(PATIENCE_S):
        assert await closed_by_the_server(connect, post(b"Content-Length: 30", body=b"abc")) == b""
        chunk = post(b"Transfer-Encoding: chunked", body=b"3\r\nabc\r\n")
        assert await closed_by_the_server(connect, chunk) == b""


async def test_a_wait_for_the_application_is_no_wait_for_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_http, "HEAD_S", 0.05)
    monkeypatch.setattr(bounded_http, "PIECE_S", 0.05)
    async with serving() as (echo, connect), asyncio.timeout(PATIENCE_S):
        echo.go_on.clear()
        reader, writer = await connect()
        # More than is taken unread.
        writer.write(post(b"Content-Length: 200000", body=b"a" * 150_000))
        await asyncio.sleep(0.3)
        echo.go_on.set()
        writer.write(b"a" * 50_000)
        assert await reader.readuntil(b"200000 bytes")
        writer.close()


async def test_words_for_a_second_request_do_not_get_into_the_answer_to_the_first() -> None:
    statuses, echo, answer = await told(post(b"Content-Length: 3", body=b"abc") + b"GARBAGE\r\n\r\n")
    assert b"Invalid HTTP" not in answer and statuses in ([], [200]) and len(echo.asked) == 1
