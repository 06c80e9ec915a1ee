"""A closed loop of plain sockets: as little as possible between the clock and the target."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil


class WrongAnswer(Exception):
    """What came back is not what is being measured."""


class Request(NamedTuple):
    """What is sent, and what head and body of its answer must hold, all of it."""

    wire: bytes
    holds: tuple[bytes, ...] = ()


Requests = Iterator[Request]


@dataclasses.dataclass(slots=True)
class Sample:
    """One run: latencies to the last and to the first byte of the body in ms, and the target's CPU."""

    latency_ms: list[float] = dataclasses.field(default_factory=list)
    first_byte_ms: list[float] = dataclasses.field(default_factory=list)
    user_s: float = 0.0
    system_s: float = 0.0
    elapsed_s: float = 0.0

    @property
    def user_us(self) -> float:
        """Per request."""
        return self.user_s / max(1, len(self.latency_ms)) * 1e6

    @property
    def system_us(self) -> float:
        """Per request."""
        return self.system_s / max(1, len(self.latency_ms)) * 1e6

    @property
    def cpu_us(self) -> float:
        """Per request."""
        return self.user_us + self.system_us


def post(path: str, body: bytes, headers: dict[str, str], holds: tuple[bytes, ...] = ()) -> Request:
    lines = [f"POST {path} HTTP/1.1", "Host: bench", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return Request("\r\n".join([*lines, "", ""]).encode() + body, holds)


async def run(port: int, requests: Requests, *, connections: int, seconds: float, pid: int) -> Sample:
    """Raises WrongAnswer at the first answer that is not 200 or lacks what it must hold."""
    sample = Sample()
    process = psutil.Process(pid)
    before, began = process.cpu_times(), time.perf_counter()
    until = began + seconds
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(_client(port, requests, until, sample))
    except ExceptionGroup as failures:
        # The first one tells; the others are of the same kind or follow from it.
        raise failures.exceptions[0] from None
    sample.elapsed_s = time.perf_counter() - began
    after = process.cpu_times()
    sample.user_s, sample.system_s = after.user - before.user, after.system - before.system
    return sample


async def at_rate(port: int, requests: Requests, *, per_s: float, seconds: float, connections: int) -> list[float]:
    """When each answer was there, in order. As many requests as are due, unless all connections wait for answers."""
    answered: list[float] = []
    began = time.perf_counter()
    due = (began + number / per_s for number in range(int(per_s * seconds)))

    async def work() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
        try:
            for at in due:
                await asyncio.sleep(max(0.0, at - time.perf_counter()))
                await _ask(reader, writer, next(requests))
                answered.append(time.perf_counter())
        finally:
            writer.close()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(work())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return answered


async def fetch(port: int, request: Request) -> bytes:
    """One answer, head and body. Raises WrongAnswer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    try:
        _, answer = await _ask(reader, writer, request)
    finally:
        writer.close()
    return answer


async def _client(port: int, requests: Requests, until: float, sample: Sample) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    try:
        while (began := time.perf_counter()) < until:
            first, _ = await _ask(reader, writer, next(requests))
            sample.latency_ms.append((time.perf_counter() - began) * 1000)
            sample.first_byte_ms.append((first - began) * 1000)
    finally:
        writer.close()


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> tuple[float, bytes]:
    """When the body's first byte was there, and the whole answer."""
    writer.write(request.wire)
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        first, body = await read_body(reader, head)
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise WrongAnswer(f"The answer broke off: {error}.") from error
    answer = head + body
    if not answer.startswith(b"HTTP/1.1 200") or not all(part in answer for part in request.holds):
        wanted = ", ".join(part.decode(errors="replace") for part in request.holds)
        raise WrongAnswer(f"Expected 200 and {wanted or 'anything'}; got:\n{answer[:1500].decode(errors='replace')}")
    return first, answer


async def read_body(reader: asyncio.StreamReader, head: bytes) -> tuple[float, bytes]:
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


def others_busy_s() -> float:
    """CPU seconds since boot that are not of this process and what it started: grows while others use the machine."""
    machine = psutil.cpu_times()
    used = machine.user + machine.nice + machine.system + machine.irq + machine.softirq
    own = psutil.Process()
    for process in (own, *own.children(recursive=True)):
        # One that has ended since, such as a server's that does its work and leaves.
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            used -= times.user + times.system
    return float(used)
