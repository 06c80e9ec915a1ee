"""Vectors over gRPC from services that are right, slow, wrong, gone and back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from gateway.cache.embedding.base import (
    EmbeddingGarbage,
    EmbeddingLate,
    EmbeddingRejected,
    EmbeddingUnavailable,
    TextTooLong,
    TextUnreadable,
)
from gateway.cache.embedding.batches import QUEUE_LIMIT, TEXTS_A_CALL
from gateway.cache.embedding.embedding_pb2 import FAILED, TOO_LONG, UNREADABLE, EmbedRequest, EmbedResponse, Result
from gateway.cache.embedding.pause import FAILURES_IN_A_ROW, FIRST_S, LONGEST_S, Pause
from gateway.cache.embedding.remote import RemoteEmbedder
from tests.fakes.embedder import DIMENSIONS, FakeService, right, vector_of

PATIENCE_S = 30


@pytest.fixture
def make_service() -> Iterator[Callable[..., FakeService]]:
    made: list[FakeService] = []

    def make(*arguments: str) -> FakeService:
        made.append(FakeService(*arguments))
        return made[-1]

    yield make
    for service in made:
        service.stop()


@pytest.fixture
def service(make_service: Callable[..., FakeService]) -> FakeService:
    return make_service()


@asynccontextmanager
async def running(*addresses: str, deadline_s: float = PATIENCE_S) -> AsyncIterator[RemoteEmbedder]:
    embedder = RemoteEmbedder(addresses, deadline_s=deadline_s)
    try:
        await embedder.start()
        yield embedder
    finally:
        await embedder.close()


async def until_embedded(embedder: RemoteEmbedder, text: str = "tea") -> None:
    """As requests would ask, again and again."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await embedder.embed(text)
            except EmbeddingUnavailable:
                await asyncio.sleep(0.02)
            else:
                return


# --- right ------------------------------------------------------------------------------------------------


async def test_the_name_and_the_dimensions_are_the_services(service: FakeService) -> None:
    async with running(service.address) as embedder:
        assert (embedder.name, embedder.dimensions) == ("fake-model", DIMENSIONS)
        assert np.array_equal(await embedder.embed("tea"), vector_of("tea"))


async def test_texts_that_come_together_go_together(service: FakeService) -> None:
    texts = [f"text {number}" for number in range(50)]
    async with running(service.address) as embedder:
        vectors = await asyncio.gather(*(embedder.embed(text) for text in texts))
    assert np.array_equal(np.stack(vectors), np.stack([vector_of(text) for text in texts]))
    assert max(len(call) for call in service.asked) == TEXTS_A_CALL
    assert len(service.asked) <= 5


async def test_texts_that_come_while_a_call_is_under_way_go_together(service: FakeService) -> None:
    async with running(service.address) as embedder:
        service.hold()
        first = asyncio.create_task(embedder.embed("first"))
        assert await asyncio.to_thread(service.reached.wait, PATIENCE_S)
        others = [asyncio.create_task(embedder.embed(text)) for text in ("second", "third")]
        service.go.set()
        await asyncio.gather(first, *others)
    assert service.asked == [["first"], ["second", "third"]]


async def test_a_refused_text_does_not_fail_those_beside_it(service: FakeService) -> None:
    def refuse(request: EmbedRequest) -> EmbedResponse:
        response = right(request)
        for result, refusal in zip(response.results, (TOO_LONG, UNREADABLE, FAILED), strict=False):
            result.refusal = refusal
        return response

    async with running(service.address) as embedder:
        service.behave = refuse
        outcomes = await asyncio.gather(*(embedder.embed(text) for text in "abcd"), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes[:3]] == [TextTooLong, TextUnreadable, EmbeddingUnavailable]
        assert np.array_equal(outcomes[3], vector_of("d"))  # type: ignore[arg-type]


@pytest.mark.parametrize(("text", "error"), [("\ud800", TextUnreadable), ("ä" * 20_000, TextTooLong)])
async def test_what_the_protocol_cannot_carry_is_not_sent(
    service: FakeService, text: str, error: type[Exception]
) -> None:
    async with running(service.address) as embedder:
        with pytest.raises(error):
            await embedder.embed(text)
    assert service.asked == []


# --- slow -------------------------------------------------------------------------------------------------


async def test_a_slow_service_is_waited_for_until_the_deadline_and_then_left_alone(service: FakeService) -> None:
    async with running(service.address, deadline_s=0.2) as embedder:
        service.hold()
        for _ in range(FAILURES_IN_A_ROW):
            with pytest.raises(EmbeddingLate, match="within 200 ms"):
                await embedder.embed("tea")
        # The one who waits learns of the third failure a moment before the pause begins.
        async with asyncio.timeout(PATIENCE_S):
            while True:
                asked = len(service.asked)
                with pytest.raises(EmbeddingUnavailable) as raised:
                    await embedder.embed("tea")
                if isinstance(raised.value, EmbeddingRejected):
                    break
        assert len(service.asked) == asked
        service.go.set()
        await until_embedded(embedder)


async def test_a_queue_that_is_full_rejects(service: FakeService) -> None:
    async with running(service.address) as embedder:
        service.hold()
        calls = []
        for number in range(8):
            service.reached.clear()
            calls.append(asyncio.create_task(embedder.embed(f"under way {number}")))
            assert await asyncio.to_thread(service.reached.wait, PATIENCE_S)
        calls += [asyncio.create_task(embedder.embed(f"waits {number}")) for number in range(QUEUE_LIMIT)]
        await asyncio.sleep(0)
        with pytest.raises(EmbeddingRejected, match="waiting to be embedded"):
            await embedder.embed("one too many")
        calls[-1].cancel()
        await asyncio.wait([calls[-1]])
        calls[-1] = asyncio.create_task(embedder.embed("takes the place"))
        service.go.set()
        await asyncio.gather(*calls)


async def test_closing_tells_those_who_wait(service: FakeService) -> None:
    async with running(service.address) as embedder:
        service.hold()
        waiting = asyncio.create_task(embedder.embed("tea"))
        assert await asyncio.to_thread(service.reached.wait, PATIENCE_S)
        await embedder.close()
        for _ in range(2):
            with pytest.raises(EmbeddingUnavailable, match="closed"):
                await waiting
            waiting = asyncio.create_task(embedder.embed("too late"))
        waiting.cancel()
        service.go.set()


# --- wrong ------------------------------------------------------------------------------------------------


def answer(vector: np.ndarray, **fields: object) -> EmbedResponse:
    values = {"model": "fake-model", "dimensions": DIMENSIONS, **fields}
    return EmbedResponse(results=[Result(vector=vector.astype("<f4").tobytes())], **values)  # type: ignore[arg-type]


UNIT = vector_of("tea")
GARBAGE = {
    "another length": answer(UNIT[:5]),
    "another length, and says so": answer(UNIT[:5] / np.linalg.norm(UNIT[:5]), dimensions=5),
    "no vector at all": EmbedResponse(model="fake-model", dimensions=DIMENSIONS, results=[Result()]),
    "too few vectors": EmbedResponse(model="fake-model", dimensions=DIMENSIONS),
    "not a number": answer(UNIT * np.nan),
    "infinite": answer(UNIT * np.inf),
    "zeros": answer(UNIT * 0),
    "twice as long": answer(UNIT * 2),
    "no name": answer(UNIT, model=""),
    "a name of a million letters": answer(UNIT, model="m" * 1_000_000),
    "a name with a line in it": answer(UNIT, model="fake\nmodel"),
    "no dimensions": answer(UNIT, dimensions=0),
    "dimensions that no index takes": answer(np.ones(5000) / 5000**0.5, dimensions=5000),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
async def test_garbage_is_no_vector(service: FakeService, garbage: EmbedResponse) -> None:
    async with running(service.address) as embedder:
        service.behave = lambda request: garbage
        with pytest.raises(EmbeddingGarbage):
            await embedder.embed("tea")
        assert (embedder.name, embedder.dimensions) == ("fake-model", DIMENSIONS)
        service.behave = right
        await until_embedded(embedder)


async def test_a_service_that_fails_is_unavailable(service: FakeService) -> None:
    def fail(request: EmbedRequest) -> EmbedResponse:
        raise RuntimeError

    async with running(service.address) as embedder:
        service.behave = fail
        with pytest.raises(EmbeddingUnavailable, match=r"127\.0\.0\.1:\d+ does not embed: UNKNOWN"):
            await embedder.embed("tea")


# --- gone and back ----------------------------------------------------------------------------------------


async def test_a_service_that_comes_later_is_found(make_service: Callable[..., FakeService]) -> None:
    first = make_service()
    first.stop()
    embedder = RemoteEmbedder([first.address], deadline_s=0.5)
    with pytest.raises(EmbeddingUnavailable, match="does not embed: UNAVAILABLE"):
        await embedder.start()
    with pytest.raises(EmbeddingUnavailable):
        await embedder.embed("tea")
    assert embedder.name == ""
    make_service(first.address)
    await until_embedded(embedder)
    assert embedder.name == "fake-model"
    await embedder.close()


async def test_a_service_that_was_killed_and_restarted_is_found_again(make_service: Callable[..., FakeService]) -> None:
    service = make_service()
    async with running(service.address, deadline_s=0.5) as embedder:
        await embedder.embed("tea")
        service.stop()
        for _ in range(10):
            with pytest.raises(EmbeddingUnavailable):
                await embedder.embed("tea")
        make_service(service.address)
        await until_embedded(embedder)


async def test_another_model_is_unavailable_once_and_then_another_name(service: FakeService) -> None:
    async with running(service.address) as embedder:
        service.behave = lambda request: right(request, model="newer-model")
        with pytest.raises(EmbeddingUnavailable, match="is newer-model now; it was fake-model"):
            await embedder.embed("tea")
        assert embedder.name == "newer-model"
        assert np.array_equal(await embedder.embed("tea"), vector_of("tea"))


async def test_before_the_start_nothing_is_available() -> None:
    embedder = RemoteEmbedder(["127.0.0.1:1"], deadline_s=1)
    with pytest.raises(EmbeddingUnavailable, match="not started"):
        await embedder.embed("tea")
    await embedder.close()


async def test_of_two_services_the_one_that_is_left_answers(make_service: Callable[..., FakeService]) -> None:
    services = [make_service(), make_service()]
    async with running(*(service.address for service in services)) as embedder:
        for number in range(10):
            await embedder.embed(f"both {number}")
        assert all(service.asked for service in services)
        services[0].stop()
        for number in range(10):
            await embedder.embed(f"one {number}")


async def test_the_odd_one_out_of_three_is_left_alone(make_service: Callable[..., FakeService]) -> None:
    services = [make_service() for _ in range(3)]
    async with running(*(service.address for service in services)) as embedder:
        for number in range(6):
            await embedder.embed(f"before {number}")
        services[1].behave = lambda request: right(request, model="newer-model")
        for number in range(20):
            await embedder.embed(f"after {number}")
        assert embedder.name == "fake-model"
        for service in services:
            service.behave = lambda request: right(request, model="newer-model")
        await until_embedded(embedder)
        assert embedder.name == "newer-model"


# --- how long it is left alone ----------------------------------------------------------------------------


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def paused() -> tuple[Pause, Clock]:
    clock = Clock()
    pause = Pause(clock)
    for _ in range(FAILURES_IN_A_ROW):
        assert pause.may_try()
        pause.fail()
    return pause, clock


def test_after_a_pause_one_tries_for_all() -> None:
    pause, clock = paused()
    assert not pause.may_try()
    clock.now += FIRST_S
    assert [pause.may_try() for _ in range(3)] == [True, False, False]
    pause.succeed()
    assert [pause.may_try() for _ in range(3)] == [True, True, True]


def test_a_pause_doubles_with_every_failed_try_up_to_two_seconds() -> None:
    pause, clock = paused()
    lengths = []
    for _ in range(7):
        began = clock.now
        while not pause.may_try():
            clock.now += 0.05
        lengths.append(clock.now - began)
        pause.fail()
    assert lengths == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, LONGEST_S, LONGEST_S], abs=0.06)


def test_calls_that_fail_together_lengthen_a_pause_once() -> None:
    pause, clock = paused()
    for _ in range(5):
        pause.fail()
    clock.now += FIRST_S
    assert pause.may_try()


def test_one_who_tries_and_is_never_heard_of_does_not_block_the_others() -> None:
    pause, clock = paused()
    clock.now += FIRST_S
    assert pause.may_try() and not pause.may_try()
    clock.now += FIRST_S
    assert pause.may_try()
