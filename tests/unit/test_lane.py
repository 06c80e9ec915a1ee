"""The shared connection to Redis: answers reach who asked, and a break is told to all."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from tenants.lane import FAILURES_TO_OPEN, Lane, _Connection


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


async def test_a_redis_that_accepts_and_says_nothing_is_left_alone_after_a_few_tries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    accepted: list[asyncio.StreamWriter] = []

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(writer)

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        lane = Lane(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout_s=5)
        # Its first question goes unanswered before all the time for a connection is over.
        monkeypatch.setattr(lane, "_protocol", lambda: _Connection(0.02))
        answers = await asyncio.gather(*(lane.call("PING") for _ in range(20)), return_exceptions=True)
        assert all(isinstance(answer, RedisConnectionError | RedisTimeoutError) for answer in answers)
        assert len(accepted) == FAILURES_TO_OPEN
        for writer in accepted:
            writer.close()


async def test_silence_is_a_timeout_and_the_connection_is_given_up() -> None:
    lane = Lane(os.environ["REDIS_URL"], timeout_s=0.05)
    number = await lane.call("CLIENT", "ID")
    with pytest.raises(RedisTimeoutError):
        await lane.call("BLPOP", "no-such-list", "0")
    assert await lane.call("CLIENT", "ID") != number
    await lane.aclose()


@contextlib.asynccontextmanager
async def slow_redis(each_s: float) -> AsyncIterator[str]:
    """The URL of one that takes so long for each command, one after the other."""

    serving: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.append(task)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await reader.readuntil(b"PING\r\n"):
                await asyncio.sleep(each_s)
                writer.write(b"+PONG\r\n")
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
        await asyncio.wait(serving)


async def test_who_stands_in_line_at_a_redis_that_answers_waits_longer_than_for_a_silent_one() -> None:
    async with slow_redis(each_s=0.02) as url:
        lane = Lane(url, timeout_s=0.2)
        assert set(await asyncio.gather(*(lane.call("PING") for _ in range(30)))) == {b"PONG"}
        await lane.aclose()


async def test_nobody_stands_in_line_for_ever() -> None:
    async with slow_redis(each_s=0.03) as url:
        lane = Lane(url, timeout_s=0.05)
        answers = await asyncio.gather(*(lane.call("PING") for _ in range(100)), return_exceptions=True)
        assert answers[0] == b"PONG"
        assert isinstance(answers[-1], RedisTimeoutError)
        await lane.aclose()


async def test_what_this_process_could_not_hear_is_not_redis_silence() -> None:
    lane = Lane(os.environ["REDIS_URL"], timeout_s=0.2)
    connecting = asyncio.create_task(lane.call("PING"))
    await asyncio.sleep(0)
    time.sleep(0.5)  # noqa: ASYNC251  all of the process is busy
    assert await connecting == b"PONG"
    asking = asyncio.create_task(lane.call("PING"))
    await asyncio.sleep(0)
    time.sleep(0.5)  # noqa: ASYNC251  all of the process is busy
    assert await asking == b"PONG"
    await lane.aclose()


async def test_nobody_at_the_address_is_a_connection_error() -> None:
    with pytest.raises(RedisConnectionError):
        await Lane("unix:///no/such/socket?db=0", timeout_s=1).call("PING")
    with pytest.raises(RedisConnectionError):
        await Lane("redis://127.0.0.1:1/0", timeout_s=1).call("PING")


async def test_bytes_pass_as_they_are(lane: Lane) -> None:
    blob = bytes(range(256)) * 4_000
    assert await lane.call("ECHO", blob) == blob
