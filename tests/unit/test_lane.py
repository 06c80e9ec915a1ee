"""The shared connection to Redis: answers reach who asked, and a break is told to all."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from tenants.lane import Lane


@pytest.fixture
async def lane() -> AsyncIterator[Lane]:
    lane = Lane(os.environ["REDIS_URL"], timeout_s=5)
    yield lane
    await lane.aclose()


async def test_each_caller_gets_its_own_answer(lane: Lane) -> None:
    answers = await asyncio.gather(*(lane.call("ECHO", str(number)) for number in range(1_000)))
    assert answers == [str(number).encode() for number in range(1_000)]


async def test_an_error_is_only_the_askers(lane: Lane) -> None:
    answers = await asyncio.gather(
        lane.call("ECHO", "a"), lane.call("NO-SUCH-COMMAND"), lane.call("ECHO", "b"), return_exceptions=True
    )
    assert answers[0] == b"a" and answers[2] == b"b"
    assert isinstance(answers[1], ResponseError)


async def test_a_caller_that_is_cancelled_does_not_disturb_the_order(lane: Lane) -> None:
    await lane.call("PING")
    slow = asyncio.create_task(lane.call("ECHO", "left"))
    await asyncio.sleep(0)
    slow.cancel()
    assert await lane.call("ECHO", "right") == b"right"


async def test_a_cut_connection_is_told_to_all_and_opened_again(lane: Lane) -> None:
    number = await lane.call("CLIENT", "ID")
    waiting = asyncio.create_task(lane.call("BLPOP", "no-such-list", "0"))
    await asyncio.sleep(0)
    other = Lane(os.environ["REDIS_URL"], timeout_s=5)
    await other.call("CLIENT", "KILL", "ID", str(number))
    await other.aclose()
    with pytest.raises(RedisConnectionError):
        await waiting
    assert await lane.call("PING") == b"PONG"


async def test_silence_is_a_timeout_and_the_connection_is_given_up() -> None:
    lane = Lane(os.environ["REDIS_URL"], timeout_s=0.05)
    number = await lane.call("CLIENT", "ID")
    with pytest.raises(RedisTimeoutError):
        await lane.call("BLPOP", "no-such-list", "0")
    assert await lane.call("CLIENT", "ID") != number
    await lane.aclose()


async def test_nobody_at_the_address_is_a_connection_error() -> None:
    with pytest.raises(RedisConnectionError):
        await Lane("unix:///no/such/socket?db=0", timeout_s=1).call("PING")
    with pytest.raises(RedisConnectionError):
        await Lane("redis://127.0.0.1:1/0", timeout_s=1).call("PING")


async def test_bytes_pass_as_they_are(lane: Lane) -> None:
    blob = bytes(range(256)) * 4_000
    assert await lane.call("ECHO", blob) == blob
