"""A closed loop of plain sockets: as little as possible between the clock and the target."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil


class WrongAnswer(Exception):
    """What came back is not what is being measured."""


@dataclasses.dataclass(slots=True)
class Sample:
    """One run: latencies to the last and to the first byte of the body in ms, and the target's CPU."""

    latency_ms: list[float]
    first_byte_ms: list[float]
    cpu_s: float
    elapsed_s: float

    @property
    def cpu_us(self) -> float:
        """Per request."""
        return self.cpu_s / max(1, len(self.latency_ms)) * 1e6


Request = bytes
Check = Callable[[bytes], bool]


def request(path: str, body: bytes, headers: dict[str, str]) -> Request:
    lines = [f"POST {path} HTTP/1.1", "Host: bench", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def run(
    port: int, requests: Iterator[Request], *, connections: int, seconds: float, check: Check, pid: int
) -> Sample:
    """Raises WrongAnswer at the first answer that `check` (given headers and body) does not accept."""
    sample = Sample([], [], 0.0, 0.0)
    process = psutil.Process(pid)
    before, began = _cpu_s(process), time.perf_counter()
    until = began + seconds
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(_client(port, requests, until, check, sample))
    sample.elapsed_s = time.perf_counter() - began
    sample.cpu_s = _cpu_s(process) - before
    return sample


async def fetch(port: int, request: Request) -> bytes:
    """One answer, head and body. Raises WrongAnswer when it is not 200."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    _, body = await _body(reader, head)
    writer.close()
    if not head.startswith(b"HTTP/1.1 200"):
        raise WrongAnswer((head + body)[:1500].decode(errors="replace"))
    return head + body


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def _client(port: int, requests: Iterator[Request], until: float, check: Check, sample: Sample) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    try:
        while (began := time.perf_counter()) < until:
            writer.write(next(requests))
            head = await reader.readuntil(b"\r\n\r\n")
            first, body = await _body(reader, head)
            ended = time.perf_counter()
            if not check(head + body):
                raise WrongAnswer((head + body)[:1500].decode(errors="replace"))
            sample.latency_ms.append((ended - began) * 1000)
            sample.first_byte_ms.append((first - began) * 1000)
    finally:
        writer.close()


async def _body(reader: asyncio.StreamReader, head: bytes) -> tuple[float, bytes]:
    """When its first byte was there, and all of it."""
    lower = head.lower()
    if b"transfer-encoding: chunked" not in lower:
        length = int(lower.split(b"content-length: ")[1].split(b"\r\n")[0])
        return time.perf_counter(), await reader.readexactly(length)
    blocks: list[bytes] = []
    first = 0.0
    while True:
        size = int(await reader.readuntil(b"\r\n"), 16)
        first = first or time.perf_counter()
        block = await reader.readexactly(size + 2)
        if size == 0:
            return first, b"".join(blocks)
        blocks.append(block[:-2])


def resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0
