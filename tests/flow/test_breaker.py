"""Circuit breakers: when they open, who tries again, and what processes tell each other."""

from __future__ import annotations

import asyncio
import dataclasses
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from django.conf import settings

from gateway import breaker, setups
from gateway.breaker import FAILURES_TO_OPEN, Breakers
from gateway.types import Candidate, ProviderConfig
from tenants import secretbox
from tenants.lane import Lane

Make = Callable[[], Breakers]


class Processes:
    """Breakers of several processes, which hear each other's announcements."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self.all: list[Breakers] = []

    def start(self) -> Breakers:
        self.all.append(Breakers(self._lane, self._announce))
        return self.all[-1]

    async def _announce(self, message: str) -> None:
        for breakers in self.all:
            breakers.learn(message)


@pytest.fixture(params=["redis", "alone"])
async def processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Processes]:
    monkeypatch.setattr(breaker, "COOLDOWN_S", 0.1)
    url = settings.REDIS_URL if request.param == "redis" else "redis://127.0.0.1:1/0"
    lane = Lane(url, timeout_s=1)
    yield Processes(lane)
    await lane.aclose()


@pytest.fixture
def candidate() -> Candidate:
    return Candidate(ProviderConfig(uuid.uuid4().hex[:8], "simulated", owner="t1"), "m")


async def fail(breakers: Breakers, candidate: Candidate, times: int = FAILURES_TO_OPEN) -> None:
    for _ in range(times):
        await breakers.failed(candidate)


async def half_open(breakers: Breakers, candidate: Candidate) -> None:
    while breakers.state_of(candidate) == "open":
        await asyncio.sleep(0.01)


async def test_it_opens_after_enough_failures_and_not_before(processes: Processes, candidate: Candidate) -> None:
    breakers = processes.start()
    await fail(breakers, candidate, FAILURES_TO_OPEN - 1)
    assert breakers.state_of(candidate) == "closed" and await breakers.lets_through(candidate)
    await breakers.failed(candidate)
    assert breakers.state_of(candidate) == "open" and not await breakers.lets_through(candidate)
    assert 0 < breakers.opens_in_s(candidate) <= breaker.COOLDOWN_S


async def test_failures_among_many_successes_do_not_open_it(processes: Processes, candidate: Candidate) -> None:
    breakers = processes.start()
    for _ in range(FAILURES_TO_OPEN * 2):
        breakers.succeeded(candidate)
        breakers.succeeded(candidate)
        await breakers.failed(candidate)
    assert breakers.state_of(candidate) == "closed"


async def test_one_call_tries_and_its_success_closes_it(processes: Processes, candidate: Candidate) -> None:
    breakers = processes.start()
    await fail(breakers, candidate)
    await half_open(breakers, candidate)
    assert await breakers.lets_through(candidate)
    assert not await breakers.lets_through(candidate)
    breakers.succeeded(candidate)
    assert await breakers.lets_through(candidate) and breakers.state_of(candidate) == "closed"


async def test_a_failed_try_opens_it_for_longer(processes: Processes, candidate: Candidate) -> None:
    breakers = processes.start()
    await fail(breakers, candidate)
    await half_open(breakers, candidate)
    assert await breakers.lets_through(candidate)
    await breakers.failed(candidate)
    assert breakers.opens_in_s(candidate) > breaker.COOLDOWN_S


async def test_another_model_of_the_provider_goes_on(processes: Processes, candidate: Candidate) -> None:
    breakers = processes.start()
    await fail(breakers, candidate)
    assert await breakers.lets_through(candidate._replace(model="other"))


async def test_a_change_of_the_tenants_setup_forgets_it(processes: Processes, candidate: Candidate) -> None:
    breakers = processes.start()
    await fail(breakers, candidate)
    breakers.forget("t1")
    assert await breakers.lets_through(candidate)


async def test_another_address_or_credential_begins_with_a_closed_one(
    processes: Processes, candidate: Candidate
) -> None:
    breakers = processes.start()
    await fail(breakers, candidate, FAILURES_TO_OPEN * 2)
    breakers.forget("t1")
    changed = candidate._replace(provider=dataclasses.replace(candidate.provider, version="another"))
    await breakers.failed(changed)
    assert breakers.state_of(changed) == "closed" and await breakers.lets_through(changed)


def test_a_provider_that_is_called_in_another_way_has_another_version() -> None:
    row: dict[str, Any] = {
        "name": "own", "kind": "openai", "base_url": "https://a.example.com/v1", "credential": secretbox.seal("sk-a"),
        "catalog": "", "settings": {}, "max_concurrency": None,
    }  # fmt: skip
    changes: list[dict[str, Any]] = [
        {"kind": "groq"},
        {"base_url": "https://b.example.com/v1"},
        {"credential": secretbox.seal("sk-b")},
        {"settings": {"first_byte_timeout_s": 9}},
    ]
    versions = {setups.provider_of({**row, **change}, "t1").version for change in changes}
    same = setups.provider_of({**row, "name": "renamed", "catalog": "azure", "max_concurrency": 3}, "t1").version
    assert len(versions) == 4 and same == setups.provider_of(row, "t1").version and same not in versions


@pytest.mark.parametrize("processes", ["redis"], indirect=True)
async def test_processes_count_together_and_one_of_all_tries(processes: Processes, candidate: Candidate) -> None:
    ours, theirs = processes.start(), processes.start()
    await fail(ours, candidate, FAILURES_TO_OPEN - 1)
    await theirs.failed(candidate)
    await asyncio.sleep(0)
    assert ours.state_of(candidate) == theirs.state_of(candidate) == "open"
    await half_open(ours, candidate)
    await half_open(theirs, candidate)
    assert sorted([await ours.lets_through(candidate), await theirs.lets_through(candidate)]) == [False, True]


@pytest.mark.parametrize("processes", ["redis"], indirect=True)
async def test_a_new_process_learns_with_its_first_failure(processes: Processes, candidate: Candidate) -> None:
    await fail(processes.start(), candidate)
    late = processes.start()
    assert await late.lets_through(candidate)
    await late.failed(candidate)
    assert late.state_of(candidate) == "open"
