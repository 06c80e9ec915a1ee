"""A TCP proxy in front of a part, which lets its traffic pass, slows it down, holds it back, or cuts it off.

One process for all parts: `python -m nexus.bench.proxy CONTROL ROUTES`. CONTROL is a unix socket that takes lines such
as `redis slow`; ROUTES are JSON: name → [port to listen on, where it leads: a port, or a unix socket's path].
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import struct
import sys
from pathlib import Path

HOST = "127.0.0.1"
PASS, SLOW, FREEZE, CUT = "pass", "slow", "freeze", "cut"
WAYS = (PASS, SLOW, FREEZE, CUT)
# One way.
SLOW_DELAY_S, SLOW_BYTES_PER_S = 0.25, 64 * 1024
BLOCK = 64 * 1024
# With it, closing a socket sends a reset instead of an end.
_RESET = struct.pack("ii", 1, 0)


class Route:
    """All connections through one port. Changes of way meet those that are open, too."""

    def __init__(self, port: int, target: int | str) -> None:
        self._port, self._target = port, target
        self._server: asyncio.Server | None = None
        self._way = PASS
        self._moving = asyncio.Event()
        self._moving.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def go(self, way: str) -> None:
        """Raises ValueError for a way that there is not."""
        if way not in WAYS:
            raise ValueError(f"“{way}” is none of {', '.join(WAYS)}.")
        self._way = way
        if way == FREEZE:
            self._moving.clear()
        else:
            self._moving.set()
        if way == CUT:
            await self._stop()
        elif self._server is None:
            self._server = await asyncio.start_server(self._accept, HOST, self._port, limit=BLOCK, backlog=512)

    async def _stop(self) -> None:
        """Nobody listens any more, and what is open is reset."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            reset(writer)
        for task in list(self._tasks):
            task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        far: asyncio.StreamWriter | None = None
        try:
            await self._moving.wait()
            far_reader, far = await self._connected()
            self._writers.add(far)
            pumps = [asyncio.create_task(self._pump(reader, far)), asyncio.create_task(self._pump(far_reader, writer))]
            try:
                # A reset on one side ends both directions; an end, one.
                await asyncio.gather(*pumps)
            finally:
                for pump in pumps:
                    pump.cancel()
        except (OSError, asyncio.CancelledError):
            # Whoever asks is told as if the part itself had: its connection is reset.
            reset(writer)
        finally:
            self._tasks.discard(task)
            for one in (writer, far):
                if one is not None:
                    self._writers.discard(one)
                    one.close()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._target, int):
            return await asyncio.open_connection(HOST, self._target, limit=BLOCK)
        return await asyncio.open_unix_connection(self._target, limit=BLOCK)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction; its end is passed on as an end. A reset is raised, and ends the other direction."""
        while block := await reader.read(BLOCK):
            if self._way == SLOW:
                await asyncio.sleep(SLOW_DELAY_S + len(block) / SLOW_BYTES_PER_S)
            await self._moving.wait()
            writer.write(block)
            await writer.drain()
        await self._moving.wait()
        if writer.can_write_eof():
            writer.write_eof()


def reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.family in {socket.AF_INET, socket.AF_INET6}:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


async def tell(control: Path, route: str, way: str) -> None:
    """Sets how a route goes, from another process; when it returns, it goes so. Raises OSError, ValueError."""
    reader, writer = await asyncio.open_unix_connection(str(control))
    try:
        writer.write(f"{route} {way}\n".encode())
        answer = (await reader.readline()).decode().strip()
    finally:
        writer.close()
    if answer != "ok":
        raise ValueError(answer or "The proxy left.")


class Control:
    def __init__(self, routes: dict[str, Route]) -> None:
        self._routes = routes

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        route, _, way = (await reader.readline()).decode().strip().partition(" ")
        try:
            await self._routes[route].go(way)
            writer.write(b"ok\n")
        except (KeyError, ValueError, OSError) as error:
            writer.write(f"{type(error).__name__}: {error}\n".encode())
        writer.close()


async def serve(control: Path, routes: dict[str, tuple[int, int | str]]) -> None:
    """Until SIGTERM."""
    made = {name: Route(port, target) for name, (port, target) in routes.items()}
    for route in made.values():
        await route.go(PASS)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    control.unlink(missing_ok=True)
    async with await asyncio.start_unix_server(Control(made).serve, str(control)):
        await stop.wait()
        for route in made.values():
            await route.go(CUT)


def main(arguments: list[str]) -> None:
    control, routes = arguments
    asyncio.run(serve(Path(control), {name: (port, target) for name, (port, target) in json.loads(routes).items()}))


if __name__ == "__main__":
    main(sys.argv[1:])
