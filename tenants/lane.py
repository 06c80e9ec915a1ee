"""One connection to Redis that all calls of a process share: written at once, answered in order.

The library's client gives each call a connection of its own from a pool, and costs three times as much CPU; on the
data plane that call is most of the work. Parsing is hiredis'. Refuses to repeat anything that Redis may have done:
that is the caller's choice. `tenants.cluster` has the same for a Redis Cluster.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import hiredis
from redis.asyncio.connection import parse_url
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from tenants import tracing

# Redis' silence is counted in so many parts, each with a look at the socket: however long this process was busy itself,
# it counts as one of them.
PARTS = 4
# A Redis that answers others is there; but nobody waits longer for it than so many times.
MOST_TIMES = 10
# Redis is left alone for this long after so many failures in a row, rather than making each call wait.
FAILURES_TO_OPEN, OPEN_S = 3, 1.0

# Nobody's waiting helps against these.
REFUSALS = (
    "NOAUTH",
    "WRONGPASS",
    "NOPERM",
    "ERR AUTH",
    "ERR invalid password",
    "ERR This instance has cluster support",
)

# Of each command in a trace: never its keys, nor what is in them.
_TOLD = {"db.system.name": "redis"}

Word = str | bytes | int | float


class Script:
    """Lua, and the name that Redis knows it by."""

    __slots__ = ("sha", "text")

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.sha = hashlib.sha1(text, usedforsecurity=False).hexdigest()


class Lane:
    """All of it raises redis' ResponseError, ConnectionError, or TimeoutError when Redis is silent for `timeout_s`."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self._address = parse_url(url)
        self._timeout_s = timeout_s
        self._connection: _Connection | None = None
        self._connecting = asyncio.Lock()
        self._failures = 0
        self._closed_until = 0.0
        # For who watches: connections that broke or could not be opened, and of these, those on which Redis was silent.
        self.breaks = self.silences = 0
        # Called when a connection breaks: what Redis was told last may be lost.
        self.on_break: Callable[[], None] = lambda: None

    @property
    def host(self) -> str:
        return str(self._address.get("host", "localhost"))

    @property
    def connected(self) -> bool:
        return self._connection is not None and not self._connection.closed

    @property
    def left_alone(self) -> bool:
        """Whether it failed so often just now that nobody is asked for a moment."""
        return not self.connected and time.monotonic() < self._closed_until

    async def call(self, *words: Word) -> Any:
        connection = self._connection
        if connection is None or connection.closed:
            connection = await self._connect()
        return await connection.call(words)

    async def evaluate(self, script: Script, keys: Sequence[str], args: Sequence[Word]) -> Any:
        """Runs the script, in full where Redis does not know it yet."""
        connection = self._connection
        if connection is None or connection.closed:
            connection = await self._connect()
        try:
            return await connection.call(("EVALSHA", script.sha, len(keys), *keys, *args))
        except ResponseError as error:
            if not str(error).startswith("NOSCRIPT"):
                raise
        return await self.call("EVAL", script.text, len(keys), *keys, *args)

    async def transaction(self, *commands: tuple[Word, ...]) -> list[Any]:
        """All of them or none, and nothing in between; their replies. Raises the first that is an error."""
        connection = self._connection
        if connection is None or connection.closed:
            connection = await self._connect()
        # Written without a pause: no other call's command comes between.
        waiting = [connection.call(words) for words in (("MULTI",), *commands, ("EXEC",))]
        replies = await asyncio.gather(*waiting, return_exceptions=True)
        for reply in replies if isinstance(replies[-1], BaseException) else replies[-1]:
            if isinstance(reply, BaseException):
                raise reply
        done: list[Any] = replies[-1]  # type: ignore[assignment]  # EXEC's
        return done

    async def ask_before(self) -> None:
        """What this task sends next may touch a slot that is on its way here (Redis Cluster)."""
        connection = self._connection
        if connection is None or connection.closed:
            connection = await self._connect()
        connection.call(("ASKING",)).add_done_callback(_take_note)

    async def refusal(self) -> str:
        """Why Redis, being there, will never do what we ask; empty when it will, or is away."""
        return await refusal_in(self.call("PING"))

    async def aclose(self) -> None:
        self.hang_up()

    def hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close(None)

    async def _connect(self) -> _Connection:
        async with self._connecting:
            if self._connection is not None and not self._connection.closed:
                return self._connection
            if time.monotonic() < self._closed_until:
                raise RedisConnectionError("left alone for a moment")
            try:
                self._connection = await self._opened()
            except TimeoutError:
                self.silences += 1
                self._failed()
                raise RedisTimeoutError("Redis does not accept connections in time") from None
            except OSError as error:
                self._failed()
                raise RedisConnectionError(str(error)) from error
            except (RedisConnectionError, RedisTimeoutError):
                # The latter where it accepts connections, and says nothing on them.
                self._failed()
                raise
            return self._connection

    async def _opened(self) -> _Connection:
        """Raises TimeoutError, of Redis' silence and not of this process' own business."""
        opening = asyncio.create_task(self._open())
        try:
            for _ in range(PARTS + 1):
                await asyncio.wait({opening}, timeout=self._timeout_s / PARTS)
                if opening.done():
                    return opening.result()
            raise TimeoutError
        finally:
            if not opening.done():
                opening.cancel()
                await asyncio.wait({opening})

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
        try:
            if password := address.get("password"):
                await protocol.call(("AUTH", *([address["username"]] if address.get("username") else []), password))
            if database := address.get("db"):
                await protocol.call(("SELECT", str(database)))
            # A process that hangs still accepts connections. Whatever else is wrong, the caller's own command says.
            with contextlib.suppress(ResponseError):
                await protocol.call(("PING",))
        except BaseException:
            protocol.close(None)
            raise
        protocol.on_lost, protocol.answered = self._lost, False
        return protocol

    def _protocol(self) -> _Connection:
        return _Connection(self._timeout_s)

    def _lost(self, error: Exception, answered: bool) -> None:
        if answered:
            self._failures = 0
        self._failed()
        if isinstance(error, RedisTimeoutError):
            self.silences += 1
        else:
            self.on_break()

    def _failed(self) -> None:
        self._failures += 1
        self.breaks += 1
        if self._failures >= FAILURES_TO_OPEN:
            self._closed_until = time.monotonic() + OPEN_S


async def refusal_in(asking: Awaitable[Any]) -> str:
    """Why Redis, being there, will never do what we ask; empty when it will, or is away."""
    try:
        await asking
    except ResponseError as error:
        return str(error) if str(error).startswith(REFUSALS) else ""
    except (RedisConnectionError, RedisTimeoutError):
        pass
    return ""


def _take_note(future: asyncio.Future[Any]) -> None:
    """An answer that nobody needs, nor its error: the command behind it fails as well."""
    if not future.cancelled():
        future.exception()


class _Connection(asyncio.Protocol):
    def __init__(self, timeout_s: float) -> None:
        self.closed = False
        self.on_lost: Callable[[Exception, bool], None] = lambda error, answered: None
        self.answered = False
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(replyError=ResponseError)
        # Each with the part in which it began to wait.
        self._waiting: deque[tuple[asyncio.Future[Any], int]] = deque()
        self._part = self._heard = 0
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.WriteTransport | None = None

    def call(self, words: tuple[Word, ...]) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = self._loop.create_future()
        if self.closed or self._transport is None:
            future.set_exception(RedisConnectionError("the connection is closed"))
            return future
        if tracing.SPAN.get() is not None:
            tracing.note(f"redis {words[0]!s}", {**_TOLD, "db.operation.name": str(words[0])}, future)
        self._waiting.append((future, self._part))
        self._transport.write(hiredis.pack_command(words))  # type: ignore[arg-type]  # its stub means one word
        if self._timer is None:
            self._timer = self._loop.call_later(self._timeout_s / PARTS, self._listen)
        return future

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self.answered, self._heard = True, self._part
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

    def close(self, error: Exception | None) -> None:
        """All who wait are told; the order of answers could not be trusted any more. None: on purpose."""
        if self.closed:
            return
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, deque()
        for future, _ in waiting:
            if not future.done():
                future.set_exception(error or RedisConnectionError("closed"))
        if self._transport is not None:
            self._transport.abort()
        if error is not None:
            self.on_lost(error, self.answered)

    def _listen(self) -> None:
        """A part is over: what lay in the socket has been read in it."""
        self._timer = None
        if not self._waiting:
            return
        self._part += 1
        _, since = self._waiting[0]
        # Not counted is the part in which it began: nobody knows how much of it was left.
        waited, silent = self._part - since - 1, self._part - max(since, self._heard) - 1
        if silent >= PARTS or waited >= PARTS * MOST_TIMES:
            times = 1 if silent >= PARTS else MOST_TIMES
            self.close(RedisTimeoutError(f"Redis did not answer within {times * self._timeout_s:g} s"))
        else:
            self._timer = self._loop.call_later(self._timeout_s / PARTS, self._listen)
