"""What happens to money while Redis is away: settlements wait in a local file, limits fall back to this process.

Redis keeps its log up to a second behind, so what it was told just before it broke is told again; settlements are
idempotent and usage events are counted once by their id.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import fcntl
import itertools
import logging
import os
import time
import uuid
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import orjson

from billing.accounts import compact
from billing.quota import Quota, RedisAway, Settlement
from tenants import keyspace
from tenants.principal import Principal

logger = logging.getLogger(__name__)

# appendfsync everysec loses up to two seconds of writes; one more for the way there.
RECENT_S = 3.0
MAX_RECENT = 50_000
RETRY_S = 0.5
# Sent together: one by one, a busy process takes minutes for what it did in seconds.
AT_ONCE = 100


class Appended(NamedTuple):
    """An exact hit's usage event, as Redis wrote it."""

    stream: str
    event: bytes
    meta: bytes


class LocalBuckets:
    """Requests a minute of each tenant within this process, while the shared counters cannot be asked.

    Deliberately inexact: each process grants the whole rate. Answering is worth more than the difference.
    """

    MAX_TENANTS = 10_000

    def __init__(self) -> None:
        self._buckets: dict[int, tuple[float, float]] = {}

    def retry_after_s(self, principal: Principal) -> float:
        """0 when the request may pass."""
        rates = [
            rate
            for rate in (principal.limits.requests_per_minute, principal.key_limits.requests_per_minute)
            if rate is not None
        ]
        if not rates:
            return 0.0
        rate = min(rates)
        now = time.monotonic()
        if rate == 0:
            return 60.0
        if len(self._buckets) >= self.MAX_TENANTS:
            self._buckets.clear()
        tokens, at = self._buckets.get(principal.tenant_id, (float(rate), now))
        tokens = min(float(rate), tokens + (now - at) * rate / 60)
        if tokens < 1:
            return (1 - tokens) * 60 / rate
        self._buckets[principal.tenant_id] = (tokens - 1, now)
        return 0.0


class Spool:
    """Settlements in files of their own process, locked while it lives; who comes later takes over the dead's.

    One file a partition: of a Redis Cluster, each node comes back by itself.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, IO[bytes]] = {}

    def add(self, settlement: Settlement) -> None:
        tag = keyspace.tag_of(settlement.keys[0])
        file = self._files.get(tag)
        if file is None:
            file = self._files[tag] = self._begun(tag)
        args = [base64.b64encode(arg).decode() for arg in settlement.args]
        file.write(orjson.dumps({"keys": settlement.keys, "args": args, "at": settlement.at}) + b"\n")

    def _begun(self, tag: str) -> IO[bytes]:
        """A file of this process. It is locked before it has the name by which others find it: who takes over the
        dead's would remove it, empty as it is.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{tag}-{os.getpid()}-{uuid.uuid4().hex}.begun"
        # Unbuffered: a line is with the kernel, and so outlives this process, when `add` returns.
        file = open(path, "ab", buffering=0)  # noqa: SIM115  kept open while the outage lasts
        fcntl.flock(file, fcntl.LOCK_EX)
        path.rename(path.with_suffix(".jsonl"))
        return file

    def tags(self) -> list[str]:
        """The hash tags of what waits."""
        return sorted({path.name.partition("-")[0] for path in self._folder.glob("*.jsonl")})

    @contextlib.contextmanager
    def taken(self, tag: str) -> Iterator[list[Path]]:
        """All files of one partition that no living process writes to, held against others."""
        if (own := self._files.pop(tag, None)) is not None:
            own.close()
        with contextlib.ExitStack() as locks:
            paths = []
            for path in sorted(self._folder.glob(f"{tag}-*.jsonl")):
                try:
                    file = locks.enter_context(open(path, "rb"))
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    continue
                if path.exists():
                    paths.append(path)
            yield paths

    @staticmethod
    def read(path: Path) -> Iterator[Settlement]:
        for line in path.read_bytes().splitlines():
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError:
                # The process died in the middle of its last line.
                logger.error("spool file %s has an unreadable line", path.name)
                continue
            yield Settlement(row["keys"], [base64.b64decode(arg) for arg in row["args"]], row["at"])


class Settler:
    """Settles now, or later. `run` is its background task."""

    def __init__(self, quota: Quota, spool: Spool) -> None:
        self._quota = quota
        self._spool = spool
        self._recent: deque[tuple[float, Settlement | Appended]] = deque(maxlen=MAX_RECENT)
        self._doubtful: deque[Settlement | Appended] = deque()
        # For who watches: calls that hold something and are not settled yet, and settlements that went to the spool.
        self.holds = self.spooled = 0

    async def settle(self, settlement: Settlement) -> None:
        """Never raises for Redis' sake."""
        self.holds -= settlement.of_hold
        try:
            await self._quota.settle(settlement)
        except RedisAway as error:
            logger.warning("settlement waits in the spool: %s", error)
            self.spooled += 1
            self._spool.add(settlement.without_answer())
        else:
            self._remember(settlement.without_answer())

    def remember_hit(self, stream: str, event: bytes, meta: bytes) -> None:
        self._remember(Appended(stream, compact(event), compact(meta)))

    async def run(self) -> None:
        while True:
            await asyncio.sleep(RETRY_S)
            try:
                await self.catch_up()
            except Exception:
                logger.exception("waiting settlements could not be sent; trying again")

    async def catch_up(self) -> None:
        """Sends what is doubtful or spooled to where Redis answers; the rest goes on waiting."""
        if self._doubtful:
            await self._send_doubtful()
        for tag in self._spool.tags():
            if not await self._quota.is_up(tag):
                continue
            with self._spool.taken(tag) as paths, contextlib.suppress(RedisAway):
                for path in paths:
                    waiting = self._spool.read(path)
                    while some := list(itertools.islice(waiting, AT_ONCE)):
                        await asyncio.gather(*map(self._tell, some))
                    path.unlink()

    @property
    def doubtful(self) -> int:
        """How many settlements and exact hits this process alone knows, and Redis may have lost."""
        return len(self._doubtful)

    def doubt(self) -> None:
        """A connection broke: what was sent in the last seconds may be lost; what comes later is known to arrive."""
        self._doubtful.extend(item for _, item in self._recent)
        self._recent.clear()

    async def _send_doubtful(self) -> None:
        away: set[str] = set()
        left = len(self._doubtful)
        while left > 0:
            some = list(itertools.islice(self._doubtful, min(left, AT_ONCE)))
            sent = await asyncio.gather(*(self._is_sent(item, away) for item in some))
            for item, is_sent in zip(some, sent, strict=True):
                # Not before: who is cancelled meanwhile still has them.
                self._doubtful.popleft()
                if not is_sent:
                    self._doubtful.append(item)
            left -= len(some)
        if not self._doubtful:
            logger.info("Redis is back; the last seconds before it broke were sent again")

    async def _is_sent(self, item: Settlement | Appended, away: set[str]) -> bool:
        tag = keyspace.tag_of(item.stream if isinstance(item, Appended) else item.keys[0])
        if tag in away:
            return False
        try:
            await self._tell(item)
        except RedisAway:
            away.add(tag)
            return False
        return True

    async def _tell(self, item: Settlement | Appended) -> None:
        """Once more; and what is told now may be lost with Redis' next crash. Raises RedisAway."""
        if isinstance(item, Appended):
            await self._quota.append(item.stream, item.event, item.meta)
        else:
            await self._quota.settle(item)
        self._remember(item)

    def _remember(self, item: Settlement | Appended) -> None:
        now = time.monotonic()
        while self._recent and now - self._recent[0][0] > RECENT_S:
            self._recent.popleft()
        self._recent.append((now, item))
