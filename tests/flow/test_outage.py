"""Redis dies and comes back: answers go on, and nothing is lost or counted twice."""

from __future__ import annotations

import fcntl
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis

from analytics.drain import Drain
from analytics.models import UsageRecord
from billing.outage import Spool
from billing.quota import Settlement
from tenants.db import schema_of
from tests import servers
from tests.conftest import Workspace
from tests.own_redis import OwnRedis, until


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[OwnRedis]:
    own = OwnRedis(tmp_path / "var")
    yield own
    own.close()


def ask(url: str, workspace: Workspace, content: str, **more: str) -> httpx2.Response:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": content}]}
    headers = {"Authorization": f"Bearer {workspace.key}", **more}
    return httpx2.post(f"{url}/v1/chat/completions", json=body, headers=headers, timeout=30)


def records(own_redis: OwnRedis, workspace: Workspace) -> list[UsageRecord]:
    with redis.Redis.from_url(own_redis.url, protocol=2) as client:
        Drain(client).run()
    with schema_of(workspace.tenant):
        return list(UsageRecord.objects.all())


def test_answers_go_on_without_redis_and_are_booked_when_it_is_back(
    own_redis: OwnRedis, alice: Workspace, tmp_path: Path
) -> None:
    spool = tmp_path / "spool"
    with servers.gateway(REDIS_URL=own_redis.url, NEXUS_SPOOL_DIR=str(spool), NEXUS_REDIS_TIMEOUT_MS="200") as gateway:
        answers = [ask(gateway.url, alice, "before") for _ in range(3)]
        own_redis.kill()
        answers += [ask(gateway.url, alice, f"without {number}") for number in range(5)]
        assert {answer.status_code for answer in answers} == {200}
        assert answers[-1].headers["x-cache"] == "MISS"
        assert list(spool.iterdir())
        own_redis.start()
        until(lambda: not list(spool.iterdir()))
        until(lambda: ask(gateway.url, alice, "before").headers["x-cache"] == "HIT-EXACT")
        asked = len(answers)
        until(lambda: len(records(own_redis, alice)) > asked)
        booked = records(own_redis, alice)
        assert len({record.request_id for record in booked}) == len(booked)
        answered = {answer.headers["x-request-id"] for answer in answers}
        assert answered <= {record.request_id for record in booked}


def test_a_spool_of_a_gateway_that_died_is_taken_over(own_redis: OwnRedis, alice: Workspace, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    settings = {"REDIS_URL": own_redis.url, "NEXUS_SPOOL_DIR": str(spool), "NEXUS_REDIS_TIMEOUT_MS": "200"}
    with servers.gateway(**settings) as gateway:
        assert ask(gateway.url, alice, "known key").status_code == 200
        own_redis.kill()
        answer = ask(gateway.url, alice, uuid.uuid4().hex)
        assert answer.status_code == 200
        gateway.process.kill()
    own_redis.start()
    with servers.gateway(**settings):
        until(lambda: not list(spool.iterdir()))
    assert answer.headers["x-request-id"] in {record.request_id for record in records(own_redis, alice)}


def test_what_was_answered_while_redis_was_late_is_booked_beside_the_hit_that_redis_counted(
    own_redis: OwnRedis, alice: Workspace, tmp_path: Path
) -> None:
    settings = {"REDIS_URL": own_redis.url, "NEXUS_SPOOL_DIR": str(tmp_path / "spool"), "NEXUS_REDIS_TIMEOUT_MS": "200"}
    with servers.gateway(**settings) as gateway:

        def say() -> httpx2.Response:
            return ask(gateway.url, alice, "the same", **{"X-Nexus-Cache": "exact"})

        until(lambda: say().headers["x-cache"] == "HIT-EXACT")
        own_redis.send(signal.SIGSTOP)
        late = say()
        own_redis.send(signal.SIGCONT)
        assert late.headers["x-cache"] == "MISS"

        def booked() -> dict[str, int]:
            found = records(own_redis, alice)
            id_ = late.headers["x-request-id"]
            return {record.outcome: record.billed_tokens for record in found if record.request_id == id_}

        until(lambda: len(booked()) == 2)
        assert booked()["HIT-EXACT"] == 0
        assert booked()["MISS"] > 0


WAITING = Settlement(["{p5}:t5:q:1"], [b"{}", b'{"id": "a"}', b"event"], 1_750_000_000.5)


def read_all(spool: Spool) -> list[Settlement]:
    with spool.taken("p5") as paths:
        return [settlement for path in paths for settlement in spool.read(path)]


def test_what_waits_keeps_the_time_since_when_redis_may_have_been_told(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.add(WAITING)
    assert read_all(spool) == [WAITING]


def test_a_file_that_has_just_been_begun_is_not_taken_for_a_dead_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process looks for files of the dead between the making of this one and its lock."""
    spool, other = Spool(tmp_path), Spool(tmp_path)
    lock = fcntl.flock
    looked: list[Path] = []

    def late(file: Any, how: int) -> None:
        if how == fcntl.LOCK_EX:
            with other.taken("p5") as paths:
                looked.append(tmp_path)
                for path in paths:
                    path.unlink()
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    spool.add(WAITING)
    assert looked
    # While its process lives, it is nobody else's.
    assert read_all(other) == [] and other.tags() == ["p5"]
    assert read_all(spool) == [WAITING]
