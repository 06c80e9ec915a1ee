"""Ports for servers that are started a little later, in benches and tests."""

from __future__ import annotations

import collections
import contextlib
import os
import random
import socket

HOST = "127.0.0.1"
# Below those that systems take for outgoing connections (Linux from 32,768, others from 49,152), so that no connection
# of another program has it when its server starts; a Redis Cluster's bus, 10,000 above its node, meets neither.
PORTS = range(12_000, 22_000)

KEPT = 200
_given: collections.deque[int] = collections.deque()


def free_port() -> int:
    """A TCP port on which nothing listens, and which no other process is given either while this one lives.

    It is spoken for by holding the UDP port of the same number; those of the last 200 ports are held.
    """
    for port in random.sample(PORTS, len(PORTS)):
        held = socket.socket(type=socket.SOCK_DGRAM)
        with contextlib.suppress(OSError), socket.socket() as probe:
            held.bind((HOST, port))
            probe.bind((HOST, port))
            _given.append(held.detach())
            if len(_given) > KEPT:
                os.close(_given.popleft())
            return port
        held.close()
    raise OSError(f"no free port between {PORTS.start} and {PORTS.stop}")
