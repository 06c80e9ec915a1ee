"""A real Redis Cluster on loopback, of nodes that may be killed, started again and handed each other's slots."""

from __future__ import annotations

import contextlib
import itertools
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from nexus.ports import free_port
from nexus.preflight import installed_redis, redis_version
from tests.own_redis import until

PASSWORD = "a pass:word/@"
_QUOTED = "a%20pass%3Aword%2F%40"


def missing() -> str:
    """Why there can be no cluster here; empty when there can."""
    binary = installed_redis()
    if binary is None:
        return "there is no redis-server on this machine"
    return "" if redis_version(binary) >= (7,) else "redis-server is older than 7: it has no ADDSLOTSRANGE"


class Node:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True)
        self.port = free_port()
        self.client = redis.Redis(port=self.port, password=PASSWORD, socket_timeout=5, protocol=2)
        self.start()
        self.id = self.do("CLUSTER MYID").decode()

    def start(self) -> None:
        command = [str(installed_redis()), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder)]
        command += ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"]
        # So that the slots of a node that is gone are missing, and not all others.
        command += ["--cluster-require-full-coverage", "no"]
        command += ["--requirepass", PASSWORD, "--masterauth", PASSWORD, "--repl-diskless-sync-delay", "0"]
        command += ["--appendonly", "yes", "--save", ""]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until(lambda: answers(self.client))

    def do(self, *words: str | bytes | int) -> Any:
        return self.client.execute_command(*words)  # type: ignore[no-untyped-call]

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def hang(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def is_ok(self, nodes: int) -> bool:
        info = self.do("CLUSTER INFO")
        known = info["cluster_known_nodes"] == str(nodes) and info["cluster_slots_ok"] == str(REDIS_CLUSTER_HASH_SLOTS)
        return bool(info["cluster_state"] == "ok" and known)


class Cluster:
    def __init__(self, folder: Path, *, masters: int, replicas: int = 0) -> None:
        """Masters have equal parts of the slots; replicas are all of the first."""
        self.nodes: list[Node] = []
        try:
            self._start(folder, masters, replicas)
        except BaseException:
            self.stop()
            raise

    def _start(self, folder: Path, masters: int, replicas: int) -> None:
        for number in range(masters + replicas):
            self.nodes.append(Node(folder / str(number)))
        self.masters = self.nodes[:masters]
        bounds = [REDIS_CLUSTER_HASH_SLOTS * number // masters for number in range(masters + 1)]
        for epoch, (node, (first, end)) in enumerate(zip(self.masters, itertools.pairwise(bounds), strict=True), 1):
            node.do("CLUSTER SET-CONFIG-EPOCH", epoch)
            node.do("CLUSTER ADDSLOTSRANGE", first, end - 1)
            node.do("CLUSTER MEET", "127.0.0.1", self.nodes[0].port)
        for node in self.nodes[masters:]:
            node.do("CLUSTER MEET", "127.0.0.1", self.nodes[0].port)
        self.wait()
        for node in self.nodes[masters:]:
            node.do("CLUSTER REPLICATE", self.nodes[0].id)

    @property
    def setting(self) -> str:
        """NEXUS_REDIS_CLUSTER; the third and later nodes are left to be found."""
        first, *others = (f"127.0.0.1:{node.port}" for node in self.nodes[:2])
        return ",".join([f"redis://:{_QUOTED}@{first}", *(f"redis://{other}" for other in others)])

    def wait(self) -> None:
        """Until every node knows all of them, and serves."""
        until(lambda: all(node.is_ok(len(self.nodes)) for node in self.nodes))

    def node_of(self, key: str) -> Node:
        slot = key_slot(key.encode())
        ranges = self.nodes[-1].do("CLUSTER SLOTS")
        port = next(port for first, last, (_, port, *_), *_ in ranges if first <= slot <= last)
        return next(node for node in self.nodes if node.port == port)

    def move(self, key: str, to: Node, *, keys_at_once: int = 1) -> Iterator[int]:
        """The slot of a key to another node, a few keys at a time; how many have gone."""
        slot, source = key_slot(key.encode()), self.node_of(key)
        to.do("CLUSTER SETSLOT", slot, "IMPORTING", source.id)
        source.do("CLUSTER SETSLOT", slot, "MIGRATING", to.id)
        gone = 0
        while keys := source.do("CLUSTER GETKEYSINSLOT", slot, keys_at_once):
            words = ["", 0, 5000, "AUTH", PASSWORD, "KEYS", *keys]
            source.do("MIGRATE", "127.0.0.1", to.port, *words)
            gone += len(keys)
            yield gone
        for node in (to, source, *self.masters):
            node.do("CLUSTER SETSLOT", slot, "NODE", to.id)

    def stop(self) -> None:
        for node in self.nodes:
            with contextlib.suppress(ProcessLookupError):
                node.wake()
            node.kill()
            node.client.close()


class Alone:
    """A Redis that is no cluster."""

    def __init__(self) -> None:
        port = free_port()
        command = [str(installed_redis()), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self.url = f"redis://127.0.0.1:{port}"
        with redis.Redis(port=port) as client:
            until(lambda: answers(client))

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


def answers(client: redis.Redis) -> bool:
    with contextlib.suppress(redis.RedisError):
        return bool(client.ping())
    return False
