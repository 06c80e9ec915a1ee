"""nexus.one_write: what is written when."""

from __future__ import annotations

import asyncio
from typing import Any

from nexus.one_write import MOST_BYTES, OneWrite


class Wire:
    """A transport that notes what was asked of it."""

    def __init__(self) -> None:
        self.said: list[Any] = []

    def write(self, block: bytes) -> None:
        self.said.append(block)

    @property
    def sent(self) -> bytes:
        return b"".join(block for block in self.said if block != "closed")

    def close(self) -> None:
        self.said.append("closed")

    def is_closing(self) -> bool:
        return "closed" in self.said


def joined() -> tuple[Wire, OneWrite]:
    wire = Wire()
    return wire, OneWrite(wire, asyncio.get_running_loop())  # type: ignore[arg-type]


async def test_head_and_body_are_one_write() -> None:
    wire, transport = joined()
    transport.write(b"HTTP/1.1 200 OK\r\n\r\n")
    transport.write(b"body")
    await asyncio.sleep(0)
    assert wire.said == [b"HTTP/1.1 200 OK\r\n\r\nbody"]


async def test_a_head_whose_body_is_not_there_yet_does_not_wait_for_it() -> None:
    wire, transport = joined()
    transport.write(b"HTTP/1.1 200 OK\r\n\r\n")
    await asyncio.sleep(0)
    assert wire.said == [b"HTTP/1.1 200 OK\r\n\r\n"]
    transport.write(b"piece")
    assert wire.said[1:] == [b"piece"]


async def test_the_next_answer_on_a_connection_is_joined_again() -> None:
    wire, transport = joined()
    for _ in range(2):
        transport.write(b"HTTP/1.1 200 OK\r\n\r\n")
        transport.write(b"body")
    assert wire.said == [b"HTTP/1.1 200 OK\r\n\r\nbody"] * 2


async def test_a_head_is_sent_before_the_connection_is_closed() -> None:
    wire, transport = joined()
    transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")
    transport.close()
    await asyncio.sleep(0)
    assert wire.said == [b"HTTP/1.1 204 No Content\r\n\r\n", "closed"]
    assert transport.is_closing()


async def test_a_body_that_looks_like_a_head_is_sent_all_the_same() -> None:
    wire, transport = joined()
    transport.write(b"HTTP/1.1 200 OK\r\n\r\n")
    transport.write(b"HTTP/1.1 is a protocol")
    transport.write(b"HTTP/2 is another")
    await asyncio.sleep(0)
    assert b"".join(wire.said) == b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 is a protocolHTTP/2 is another"


async def test_a_long_body_is_not_copied_behind_its_head() -> None:
    wire, transport = joined()
    body = b"x" * (MOST_BYTES + 1)
    transport.write(b"HTTP/1.1 200 OK\r\n\r\n")
    transport.write(body)
    await asyncio.sleep(0)
    assert wire.said == [b"HTTP/1.1 200 OK\r\n\r\n", body]


async def test_a_whole_answer_comes_after_what_waits_and_waits_for_nothing() -> None:
    wire, transport = joined()
    transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    transport.write_whole(b"HTTP/1.1 200 OK\r\n\r\n", b"body")
    assert wire.said == [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nbody"]
