"""Requests that are sent when they are due, whether or not earlier ones were answered: what waits in a line counts as
latency. Says of each how it went; raises nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import random
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from nexus.bench.load import read_body
from nexus.bench.marked import ABOUTS, MARKS
from nexus.bench.traffic import Asked
from nexus.ports import HOST

PATIENCE_S = 30.0
# More at once, and it is this program that is measured.
MOST_AT_ONCE = 2000
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")
_OUTCOME, _COST = re.compile(rb"\r\nx-cache: ([A-Z-]+)", re.I), re.compile(rb"\r\nx-nexus-cost-usd: ([\d.]+)", re.I)
# How streams end, by dialect. One without its end was cut short.
_ENDS = (b"data: [DONE]", b"event: message_stop", b"event: response.completed")
_ERRORS = (b"event: error", b'"error":')
NO_CONNECTION, BROKE_OFF, NO_ANSWER = "no connection", "broke off", "no answer"


@dataclasses.dataclass(slots=True)
class Seen:
    """How one request went, by this process' clock. `status` of 0 is none, and `fault` says why. `foreign` is what it
    was given of others'."""

    asked: Asked
    port: int
    due: float
    sent: float = 0.0
    first: float = 0.0
    ended: float = 0.0
    status: int = 0
    fault: str = ""
    outcome: str = ""
    cost_usd: str = ""
    foreign: str = ""

    @property
    def answered(self) -> bool:
        """Whole, and with what was asked for."""
        return self.status == 200 and not self.fault

    @property
    def tier(self) -> str:
        if self.asked.streams:
            return "stream"
        return {"HIT-EXACT": "exact", "HIT-SEMANTIC": "semantic"}.get(self.outcome, "miss")

    @property
    def latency_ms(self) -> float:
        """From when it was due: to the last byte, of a stream to the first."""
        return ((self.first if self.asked.streams else self.ended) - self.due) * 1000


class Clients:
    """Connections to some ports, kept open; as many as are needed at once. Ports take turns."""

    def __init__(self, ports: Sequence[int], *, patience_s: float = PATIENCE_S) -> None:
        self._ports, self._patience_s, self._turn = ports, patience_s, 0
        self._idle: dict[int, deque[tuple[asyncio.StreamReader, asyncio.StreamWriter]]] = {
            port: deque() for port in ports
        }

    async def ask(self, asked: Asked, due: float) -> Seen:
        self._turn += 1
        seen = Seen(asked, self._ports[self._turn % len(self._ports)], due, time.perf_counter())
        try:
            async with asyncio.timeout(self._patience_s):
                await self._answered(seen)
        except TimeoutError:
            seen.fault = NO_ANSWER
        seen.ended = time.perf_counter()
        seen.first = seen.first or seen.ended
        return seen

    async def _answered(self, seen: Seen) -> None:
        """Once more on a new connection, where an idle one had been closed by the other side: as clients do."""
        idle = self._idle[seen.port]
        while idle:
            reader, writer = idle.pop()
            if reader.at_eof() or writer.is_closing():
                writer.close()
                continue
            break
        else:
            try:
                reader, writer = await asyncio.open_connection(HOST, seen.port, limit=2**20)
            except OSError:
                seen.fault = NO_CONNECTION
                return
        kept = False
        try:
            writer.write(seen.asked.wire)
            head = await reader.readuntil(b"\r\n\r\n")
            seen.first, body = await read_body(reader, head)
            judge(seen, head, body)
            kept = b"connection: close" not in head.lower()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, ValueError):
            seen.fault = BROKE_OFF
        finally:
            if kept:
                idle.append((reader, writer))
            else:
                writer.close()

    def close(self) -> None:
        for idle in self._idle.values():
            while idle:
                idle.pop()[1].close()


def judge(seen: Seen, head: bytes, body: bytes) -> None:
    """Fills in what the answer says, and whether all of it is this caller's."""
    status = _STATUS.match(head)
    seen.status = int(status[1]) if status else 0
    for pattern, name in ((_OUTCOME, "outcome"), (_COST, "cost_usd")):
        if found := pattern.search(head):
            setattr(seen, name, found[1].decode())
    marks, abouts = set(MARKS.findall(body)), set(ABOUTS.findall(body))
    if others := marks - {seen.asked.workspace.mark.encode()}:
        seen.foreign = f"mark {others}"
    elif others := abouts - seen.asked.abouts:
        seen.foreign = f"about {others}"
    if seen.status == 200 and not seen.fault:
        if seen.asked.streams and not any(end in body for end in _ENDS):
            # Its status was sent before the provider failed.
            seen.fault = "ended in an error" if any(error in body for error in _ERRORS) else BROKE_OFF
        elif not marks and seen.asked.abouts:
            seen.fault = "said nothing"


async def open_loop(
    clients: Clients,
    requests: Iterator[Asked],
    *,
    per_s: float,
    until: Callable[[float], bool],
    seen: Callable[[Seen], None],
    rng: random.Random,
) -> int:
    """Arrivals at random (Poisson), until `until`(seconds since the beginning); each result goes to `seen`. How many
    were not sent, since too many were under way: where there are any, the load was less than it says.
    """
    under_way: set[asyncio.Task[None]] = set()
    dropped, began = 0, time.perf_counter()
    due = began

    async def one(asked: Asked, at: float) -> None:
        seen(await clients.ask(asked, at))

    while not until(due - began):
        if (wait_s := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait_s)
        elif len(under_way) % 50 == 0:
            # Late: those under way get their turn, too.
            await asyncio.sleep(0)
        if len(under_way) < MOST_AT_ONCE:
            task = asyncio.create_task(one(next(requests), due))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        else:
            dropped += 1
        due += rng.expovariate(per_s)
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*under_way)
    return dropped


async def closed_loop(clients: Clients, requests: Iterator[Asked], *, at_once: int, seconds: float) -> list[Seen]:
    """As many at once as said, each sent when the one before is answered: for filling, and to find how much is too
    much. Ends early with `requests`."""
    results: list[Seen] = []
    until = time.perf_counter() + seconds

    async def work() -> None:
        while (now := time.perf_counter()) < until and (asked := next(requests, None)) is not None:
            results.append(await clients.ask(asked, now))

    await asyncio.gather(*(work() for _ in range(at_once)))
    return results
