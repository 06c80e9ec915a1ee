"""Places at a provider: by priority, then by arrival, over all processes; without Redis in each alone."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest
from django.conf import settings

from gateway.slots import Slots
from gateway.types import ProviderConfig
from tenants.lane import Lane


@pytest.fixture(params=["redis", "alone"])
async def slots(request: pytest.FixtureRequest) -> AsyncIterator[Slots]:
    """With Redis, and with one that nobody answers for."""
    url = settings.REDIS_URL if request.param == "redis" else "redis://127.0.0.1:1/0"
    lane = Lane(url, timeout_s=1)
    yield Slots(lane)
    await lane.aclose()


def provider(places: int) -> ProviderConfig:
    return ProviderConfig(f"p{uuid.uuid4().hex[:8]}", "simulated", owner="t1", max_concurrency=places)


async def test_no_more_are_in_than_there_are_places(slots: Slots) -> None:
    two = provider(2)
    assert [await slots.enter(two, f"c{number}", "default", wait=False) for number in range(3)] == [True, True, False]
    await slots.leave(two, "c0")
    assert await slots.enter(two, "c3", "default", wait=False)


async def test_who_asks_twice_has_one_place(slots: Slots) -> None:
    two = provider(2)
    assert await slots.enter(two, "a", "default", wait=False)
    assert await slots.enter(two, "a", "default", wait=False)
    assert await slots.enter(two, "b", "default", wait=False)


async def test_high_comes_before_default_and_default_before_low(slots: Slots) -> None:
    one = provider(1)
    await slots.enter(one, "first", "default", wait=True)
    order: list[str] = []

    async def wait(name: str, priority: str) -> None:
        await slots.enter(one, name, priority, wait=True)
        order.append(name)
        await slots.leave(one, name)

    tasks = []
    for name, priority in (("low", "low"), ("d1", "default"), ("high", "high"), ("d2", "default")):
        tasks.append(asyncio.create_task(wait(name, priority)))
        # In line before the next comes; whoever does not wait is refused once anybody does.
        await asyncio.sleep(0.01)
    await slots.leave(one, "first")
    await asyncio.gather(*tasks)
    assert order == ["high", "d1", "d2", "low"]


async def test_who_waits_is_not_overtaken_by_who_does_not(slots: Slots) -> None:
    one = provider(1)
    await slots.enter(one, "first", "default", wait=True)
    waiting = asyncio.create_task(slots.enter(one, "second", "low", wait=True))
    await asyncio.sleep(0.01)
    await slots.leave(one, "first")
    assert not await slots.enter(one, "third", "high", wait=False)
    assert await waiting


async def test_who_gives_up_leaves_the_line(slots: Slots) -> None:
    one = provider(1)
    await slots.enter(one, "first", "default", wait=True)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await slots.enter(one, "second", "high", wait=True)
    await slots.leave(one, "first")
    assert await slots.enter(one, "third", "low", wait=False)


async def test_two_processes_share_the_places() -> None:
    lanes = [Lane(settings.REDIS_URL, timeout_s=1) for _ in range(2)]
    ours, theirs = (Slots(lane) for lane in lanes)
    one = provider(1)
    assert await ours.enter(one, "a", "default", wait=False)
    assert not await theirs.enter(one, "b", "default", wait=False)
    waiting = asyncio.create_task(theirs.enter(one, "b", "default", wait=True))
    await ours.leave(one, "a")
    assert await waiting
    for lane in lanes:
        await lane.aclose()
