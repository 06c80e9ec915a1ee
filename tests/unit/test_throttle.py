"""What all workspaces together may ask for, shared by several processes: never more than the limit, by small leases."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator

import pytest

from billing.throttle import PlatformLimits, Throttle
from tenants import keyspace
from tenants.lane import Lane


@pytest.fixture
async def processes(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[Throttle]]:
    """Three of them, on counters of this test's own."""
    own = uuid.uuid4().hex
    monkeypatch.setattr(keyspace, "throttle", lambda what: f"nexus:throttle:{own}:{what}")
    lanes = [Lane(os.environ["REDIS_URL"], timeout_s=5) for _ in range(3)]
    yield [Throttle(lane) for lane in lanes]
    for lane in lanes:
        await lane.aclose()


def limit(processes: list[Throttle], limits: PlatformLimits) -> None:
    for throttle in processes:
        throttle.limits = limits


async def test_without_a_limit_nobody_asks(processes: list[Throttle]) -> None:
    assert not processes[0].is_on
    limit(processes, PlatformLimits(requests_per_minute=5))
    assert processes[0].is_on


async def test_processes_together_never_admit_more_than_the_limit(processes: list[Throttle]) -> None:
    limit(processes, PlatformLimits(requests_per_minute=100))
    waits = await asyncio.gather(*(throttle.take(0) for throttle in processes for _ in range(60)))
    admitted = sum(wait_s == 0 for wait_s in waits)
    # What is leased and not handed out is lost: a second's worth for each process at most.
    assert 97 <= admitted <= 100
    assert all(0 < wait_s <= 65 for wait_s in waits if wait_s)


async def test_tokens_are_limited_as_well_and_a_refusal_takes_no_request(processes: list[Throttle]) -> None:
    first = processes[0]
    first.limits = PlatformLimits(requests_per_minute=60, tokens_per_minute=1_000)
    assert await first.take(900) == 0
    assert await first.take(900) > 0
    assert await first.take(50) == 0


async def test_a_request_larger_than_the_limit_passes_when_it_is_alone(processes: list[Throttle]) -> None:
    limit(processes, PlatformLimits(tokens_per_minute=100))
    assert await processes[0].take(5_000) == 0
    assert await processes[1].take(1) > 0


async def test_nothing_passes_a_limit_of_zero(processes: list[Throttle]) -> None:
    limit(processes, PlatformLimits(requests_per_minute=0))
    assert await processes[0].take(0) > 0


async def test_while_redis_is_away_answering_goes_on() -> None:
    throttle = Throttle(Lane("redis://127.0.0.1:1/0", timeout_s=0.2))
    throttle.limits = PlatformLimits(requests_per_minute=1)
    assert [await throttle.take(0) for _ in range(3)] == [0.0] * 3
