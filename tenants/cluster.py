"""Redis Cluster: which node has a key, and a lane to each. Refuses to repeat anything that a node may have done.

What no node has run, because the key has moved or is on its way, is sent again. A node that is away fails the calls
for its own keys, as one Redis would; who took over from it is found by asking the others.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
import urllib.parse
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from tenants.lane import OPEN_S, Lane, Script, Word, refusal_in

logger = logging.getLogger(__name__)

# A command is sent at most so often before its caller is told.
MAX_SENDINGS = 6
# Keys that a script needs together are apart while their slot moves: an empty one is whole again in no time.
TRY_AGAIN_S = 0.02
# Who owns what is asked at most this often, however many calls fail.
LOOK_EVERY_S = 0.5


class Address(NamedTuple):
    """One cluster: nodes to begin with, and what all of its nodes ask for."""

    nodes: tuple[tuple[str, int], ...]
    username: str | None
    password: str | None
    tls: bool

    def url(self, node: tuple[str, int]) -> str:
        host, port = node
        secret = ""
        if self.password:
            secret = f"{urllib.parse.quote(self.username or '', safe='')}:{urllib.parse.quote(self.password, safe='')}@"
        return f"{'rediss' if self.tls else 'redis'}://{secret}{f'[{host}]' if ':' in host else host}:{port}"


def parse(urls: Sequence[str]) -> Address | None:
    """None for none. Raises ValueError with a sentence."""
    if not urls:
        return None
    parts = [_split(url) for url in urls]
    nodes = tuple((str(part.hostname), part.port or 6379) for part in parts)
    secrets = {(part.username or None, part.password) for part in parts if part.password is not None}
    if len(secrets) > 1:
        raise ValueError("all nodes of a cluster have one user and password: give the same to each, or to the first.")
    if len({part.scheme for part in parts}) > 1:
        raise ValueError("the nodes of a cluster all speak TLS (rediss://), or none does (redis://).")
    username, password = secrets.pop() if secrets else (None, None)
    return Address(nodes, _unquoted(username), _unquoted(password), parts[0].scheme == "rediss")


def _split(url: str) -> urllib.parse.SplitResult:
    # The address without what must not be in a log.
    shown = url.rpartition("@")[2]
    try:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in {"redis", "rediss"} or not parts.hostname or parts.port == 0:
            raise ValueError(url)
    except ValueError:
        raise ValueError(f"{shown} is not redis://host:port or rediss://host:port.") from None
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(f"{shown} must end after the port: a cluster has one database, and no options here.")
    if parts.username and parts.password is None:
        raise ValueError(f"{shown} has a user without a password; write redis://user:password@host:port.")
    return parts


def _unquoted(text: str | None) -> str | None:
    return None if text is None else urllib.parse.unquote(text)


# A method of Lane, with the lane to call it on.
_Ask = Callable[..., Awaitable[Any]]


class ClusterLane:
    """As a Lane. A command's second word is its key; a script's and a transaction's keys share their slot."""

    def __init__(self, address: Address, *, timeout_s: float) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._lanes: dict[tuple[str, int], Lane] = {}
        self._owners: list[Lane | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        self._looking: asyncio.Task[None] | None = None
        self._looked_at = 0.0
        # Slots on their way between two nodes, and until when nobody tries to use several of their keys at once.
        self._moving: dict[int, float] = {}
        # Breaks and silences of lanes to nodes that are gone.
        self._past = (0, 0)
        self.on_break: Callable[[], None] = lambda: None

    @property
    def breaks(self) -> int:
        return self._past[0] + sum(lane.breaks for lane in list(self._lanes.values()))

    @property
    def silences(self) -> int:
        return self._past[1] + sum(lane.silences for lane in list(self._lanes.values()))

    @property
    def left_alone(self) -> bool:
        """Whether any node is."""
        return any(lane.left_alone for lane in list(self._lanes.values()))

    async def call(self, *words: Word) -> Any:
        return await self._send(_slot(words[1]), Lane.call, words)

    async def evaluate(self, script: Script, keys: Sequence[str], args: Sequence[Word]) -> Any:
        slot = key_slot(keys[0].encode())
        if self._moving and len(keys) > 1 and self._moving.get(slot, 0.0) > time.monotonic():
            raise ResponseError("TRYAGAIN the keys are on their way to another node")
        # Both by `call`: to a slot that is on its way, each command has to be announced.
        rest = len(keys), *keys, *args
        try:
            return await self._send(slot, Lane.call, ("EVALSHA", script.sha, *rest))
        except ResponseError as error:
            if not str(error).startswith("NOSCRIPT"):
                raise
        return await self._send(slot, Lane.call, ("EVAL", script.text, *rest))

    async def transaction(self, *commands: tuple[Word, ...]) -> list[Any]:
        done: list[Any] = await self._send(_slot(commands[0][1]), Lane.transaction, commands)
        return done

    async def refusal(self) -> str:
        """Why the cluster, being there, will never do what we ask; empty when it will, or is away."""
        refusals = [await self._lane_to(node).refusal() for node in self._address.nodes]
        if any(refusals):
            return next(filter(None, refusals))
        return await refusal_in(self._look())

    async def aclose(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
        for lane in self._lanes.values():
            await lane.aclose()

    async def _send(self, slot: int, ask: _Ask, words: Sequence[Any]) -> Any:
        lane = self._owners[slot] or await self._owner(slot)
        try:
            return await ask(lane, *words)
        except (RedisConnectionError, RedisTimeoutError):
            self._look_soon()
            raise
        except ResponseError as error:
            refused = error
        return await self._send_again(slot, ask, words, lane, refused)

    async def _send_again(self, slot: int, ask: _Ask, words: Sequence[Any], lane: Lane, refused: ResponseError) -> Any:
        """As long as the answer is that nothing was run. Raises the last."""
        for _ in range(MAX_SENDINGS - 1):
            kind, _, rest = str(refused).partition(" ")
            if kind == "ASK":
                lane = self._lane_named(rest, lane)
                await lane.ask_before()
            elif kind == "MOVED":
                lane = self._owners[slot] = self._lane_named(rest, lane)
                self._look_soon()
            elif kind == "TRYAGAIN":
                await asyncio.sleep(TRY_AGAIN_S)
                lane = self._owners[slot] or lane
            elif kind in {"CLUSTERDOWN", "READONLY"}:
                owner = await self._owner(slot)
                if owner is lane:
                    break
                lane = owner
            else:
                break
            try:
                return await ask(lane, *words)
            except ResponseError as error:
                refused = error
        if str(refused).startswith("TRYAGAIN"):
            self._moving[slot] = time.monotonic() + OPEN_S
        raise refused

    def _lane_named(self, redirection: str, asked: Lane) -> Lane:
        """Of `<slot> <host>:<port>`; without a host it is the one that said so."""
        host, _, port = redirection.rpartition(" ")[2].rpartition(":")
        return self._lane_to((host or asked.host, int(port)))

    def _lane_to(self, node: tuple[str, int]) -> Lane:
        lane = self._lanes.get(node)
        if lane is None:
            lane = self._lanes[node] = Lane(self._address.url(node), timeout_s=self._timeout_s)
            lane.on_break = self._break
        return lane

    def _break(self) -> None:
        self.on_break()

    async def _owner(self, slot: int) -> Lane:
        """Raises ConnectionError where no node has the slot."""
        if self._looking is not None or time.monotonic() - self._looked_at > LOOK_EVERY_S:
            await self._look()
        lane = self._owners[slot]
        if lane is None:
            raise RedisConnectionError(f"no node of the cluster has slot {slot}")
        return lane

    def _look_soon(self) -> None:
        """In the background: who waits for an answer need not wait for this."""
        if self._looking is None and time.monotonic() - self._looked_at > LOOK_EVERY_S:
            self._start_looking()

    async def _look(self) -> None:
        await asyncio.shield(self._looking or self._start_looking())

    def _start_looking(self) -> asyncio.Task[None]:
        self._looking = asyncio.create_task(self._read_map())
        self._looking.add_done_callback(self._looked)
        return self._looking

    def _looked(self, task: asyncio.Task[None]) -> None:
        self._looking, self._looked_at = None, time.monotonic()
        if not task.cancelled() and (error := task.exception()):
            logger.warning("nobody says which node of the Redis Cluster has what: %s", error)

    async def _read_map(self) -> None:
        """Asks one node after the other, connected ones first, until one knows of all slots; takes the fullest map.

        Raises the last one's error where none knows of any.
        """
        known = [*self._lanes, *(node for node in self._address.nodes if node not in self._lanes)]
        random.shuffle(known)
        problem: Exception = RedisConnectionError("no node knows of slots")
        fullest, known_to, most = [], "", 0
        for node in sorted(known, key=lambda node: node not in self._lanes or not self._lanes[node].connected):
            try:
                ranges = await self._lane_to(node).call("CLUSTER", "SLOTS")
            except (RedisError, OSError) as error:
                problem = error
                continue
            covered = sum(last + 1 - first for first, last, *_ in ranges)
            if covered > most:
                fullest, known_to, most = ranges, node[0], covered
            if covered == REDIS_CLUSTER_HASH_SLOTS:
                break
        if not most:
            raise problem
        self._learn(fullest, asked=known_to)

    def _learn(self, ranges: list[Any], *, asked: str) -> None:
        """Of `[first slot, last slot, [host, port, …], replicas…]`."""
        owners: list[Lane | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        for first, last, (host, port, *_), *_ in ranges:
            named = host.decode() if host and host != b"?" else asked
            owners[first : last + 1] = [self._lane_to((named, int(port)))] * (last + 1 - first)
        self._owners, self._moving = owners, {}
        serving = set(owners)
        for node in [node for node, lane in self._lanes.items() if lane not in serving]:
            # It may still be answering somebody.
            gone = self._lanes.pop(node)
            self._past = self._past[0] + gone.breaks, self._past[1] + gone.silences
            asyncio.get_running_loop().call_later(2 * self._timeout_s, gone.hang_up)


AnyLane = Lane | ClusterLane


def _slot(key: Word) -> int:
    return key_slot(key if isinstance(key, bytes) else str(key).encode())
