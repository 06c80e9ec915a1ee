"""Target and floor in turns, so that both meet the same moods of the machine; memory over many requests."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import NamedTuple

from gateway.cache.embedding.minilm import MiniLM
from nexus.bench import load
from nexus.bench.report import Row
from nexus.bench.servers import Server
from nexus.bench.workload import Mode, Workload
from nexus.preflight import say

SOAK_SLICE_S = 5.0
SOAK_AT_ONCE = 16


class Embedding:
    """The model alone, on the core of what is measured while that is idle."""

    def __init__(self, file: Path, on: set[int]) -> None:
        self._model = MiniLM.load(file)
        self._on = on

    async def cpu_us(self, texts: tuple[str, ...]) -> float:
        """Of one text."""
        return await asyncio.to_thread(self._run, texts)

    def _run(self, texts: tuple[str, ...]) -> float:
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, self._on)  # this thread's
        try:
            self._model.encode(texts[:1])
            began = time.thread_time()
            for text in texts:
                self._model.encode([text])
            return (time.thread_time() - began) / len(texts) * 1e6
        finally:
            os.sched_setaffinity(0, before)


class Bench(NamedTuple):
    servers: dict[str, Server]
    embedding: Embedding
    rounds: int
    seconds: float

    async def compare(self, mode: Mode, connections: int) -> Row:
        row = Row(mode.name, connections)
        for _ in range(self.rounds):
            row.floor.append(await self._run(mode.floor, mode.floor_requests, connections))
            row.target.append(await self._run("gateway", mode.requests, connections))
            if mode.name == "stream, miss":
                row.direct.append(await self._run("provider", mode.floor_requests, connections))
            if mode.embedded:
                row.embedding_us.append(await self.embedding.cpu_us(mode.embedded))
        return row

    async def _run(self, name: str, requests: load.Requests, connections: int) -> load.Sample:
        server = self.servers[name]
        return await load.run(server.port, requests, connections=connections, seconds=self.seconds, pid=server.pid)


async def soak(count: int, gateway: Server, workload: Workload) -> list[float]:
    """The gateway's memory in MB: before, after every five seconds' worth of requests, and after all of them."""
    requests, done = workload.mixed(), 0
    seen_mb = [load.resident_mb(gateway.pid)]
    while done < count:
        sample = await load.run(gateway.port, requests, connections=SOAK_AT_ONCE, seconds=SOAK_SLICE_S, pid=gateway.pid)
        done += len(sample.latency_ms)
        seen_mb.append(load.resident_mb(gateway.pid))
        say(f"  {done:,} requests … {seen_mb[-1]:.0f} MB")
    return seen_mb
