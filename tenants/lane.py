"""One connection to Redis that all calls of a process share: written at once, answered in order.

The library's client gives each call a connection of its own from a pool, and costs three times as much CPU; on the
data plane that call is most of the work. Parsing is hiredis'. Refuses to repeat anything: that is the caller's choice.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from typing import Any

import hiredis
from redis.asyncio.connection import parse_url
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

# When a timeout comes, an answer may be in the socket already, and this process too busy to have read it.
GRACE_S = 0.02


class Lane:
    def __init__(self, url: str, *, timeout_s: float) -> None:
        self._address = parse_url(url)
        self._timeout_s = timeout_s
        self._connection: _Connection | None = None
        self._connecting = asyncio.Lock()

    async def call(self, *words: str | bytes | int) -> Any:
        """The reply. Raises redis' ResponseError, ConnectionError, or TimeoutError after `timeout_s`."""
        connection = self._connection
        if connection is None or connection.closed:
            connection = await self._connect()
        return await connection.call(words)

    async def aclose(self) -> None:
        if self._connection is not None:
            self._connection.close(RedisConnectionError("closed"))

    async def _connect(self) -> _Connection:
        async with self._connecting:
            if self._connection is not None and not self._connection.closed:
                return self._connection
            try:
                async with asyncio.timeout(self._timeout_s):
                    self._connection = await self._open()
            except TimeoutError:
                raise RedisTimeoutError("Redis does not accept connections in time") from None
            except OSError as error:
                raise RedisConnectionError(str(error)) from error
            return self._connection

    async def _open(self) -> _Connection:
        loop, address = asyncio.get_running_loop(), self._address
        if "path" in address:
            _, protocol = await loop.create_unix_connection(self._protocol, address["path"])
        else:
            # `rediss://` names the library's TLS connection class.
            tls = (
                ssl.create_default_context()
                if "SSL" in getattr(address.get("connection_class"), "__name__", "")
                else None
            )
            _, protocol = await loop.create_connection(
                self._protocol, address.get("host", "localhost"), address.get("port", 6379), ssl=tls
            )
        if password := address.get("password"):
            await protocol.call(("AUTH", *([address["username"]] if address.get("username") else []), password))
        if database := address.get("db"):
            await protocol.call(("SELECT", str(database)))
        return protocol

    def _protocol(self) -> _Connection:
        return _Connection(self._timeout_s)


class _Connection(asyncio.Protocol):
    def __init__(self, timeout_s: float) -> None:
        self.closed = False
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(replyError=ResponseError)
        self._waiting: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.WriteTransport | None = None

    def call(self, words: tuple[str | bytes | int, ...]) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = self._loop.create_future()
        if self.closed or self._transport is None:
            future.set_exception(RedisConnectionError("the connection is closed"))
            return future
        self._waiting.append((future, self._loop.time() + self._timeout_s))
        self._transport.write(hiredis.pack_command(words))  # type: ignore[arg-type]  # its stub means one word
        if self._timer is None:
            self._timer = self._loop.call_later(self._timeout_s, self._expire)
        return future

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                self._answer(reply)
        except hiredis.ProtocolError as error:
            self.close(RedisConnectionError(f"Redis does not speak its protocol: {error}"))

    def _answer(self, reply: Any) -> None:
        if not self._waiting:
            self.close(RedisConnectionError("an answer that nobody waits for"))
            return
        future, _ = self._waiting.popleft()
        if future.done():
            # Whoever asked was cancelled.
            return
        if isinstance(reply, Exception):
            future.set_exception(reply)
        else:
            future.set_result(reply)

    def connection_lost(self, error: Exception | None) -> None:
        self.close(RedisConnectionError(str(error or "Redis closed the connection")))

    def close(self, error: Exception) -> None:
        """All who wait are told; the order of answers could not be trusted any more."""
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, deque()
        for future, _ in waiting:
            if not future.done():
                future.set_exception(error)
        if self._transport is not None:
            self._transport.abort()

    def _expire(self) -> None:
        """The oldest call's time may be over; look once more after what lies in the socket has been read."""
        self._timer = self._loop.call_later(GRACE_S, self._give_up)

    def _give_up(self) -> None:
        self._timer = None
        now = self._loop.time()
        if not self._waiting:
            return
        _, until = self._waiting[0]
        if until <= now:
            self.close(RedisTimeoutError(f"Redis did not answer within {self._timeout_s:g} s"))
        else:
            self._timer = self._loop.call_later(until - now, self._expire)
