"""What workers tell in Redis, for the operators' pages: the last failures, when each task succeeded, who is alive.

Of a failure the kind and the place are kept, not the message: that may hold what a workspace's people wrote. The log
has it. Without Redis nothing is told, and nothing else stops.
"""

from __future__ import annotations

import datetime as dt
import functools
import logging
import time
import traceback
from types import TracebackType
from typing import Any, NamedTuple, cast

import orjson
import redis
from celery.signals import heartbeat_sent, task_failure, task_postrun
from django.conf import settings

from tenants import keyspace

logger = logging.getLogger(__name__)

KEPT = 200
TELL_EVERY_S = 5.0
ALIVE_S = 60.0
_OURS = ("nexus", "gateway", "analytics", "billing", "tenants")
_told_at: dict[str, float] = {}


class Failure(NamedTuple):
    id: str
    task: str
    at: float
    error: str
    place: str

    @property
    def moment(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self.at, dt.UTC)


class Workers(NamedTuple):
    """Names with seconds since 1970: of those alive, and of tasks when they last succeeded."""

    alive: dict[str, float]
    done: dict[str, float]


@functools.cache
def _client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1, protocol=2)


def note_failure(
    sender: Any, task_id: str, exception: BaseException, traceback: TracebackType | None = None, **_: Any
) -> None:
    failure = Failure(task_id, sender.name, time.time(), type(exception).__name__, place_of(traceback))
    try:
        with _client().pipeline(transaction=True) as pipe:
            pipe.lpush(keyspace.TASKS_FAILED, orjson.dumps(failure._asdict()))
            pipe.ltrim(keyspace.TASKS_FAILED, 0, KEPT - 1)
            pipe.execute()
    except redis.RedisError as error:
        logger.warning("the failure of %s is in the log only: %s", sender.name, error)


def place_of(trace: TracebackType | None) -> str:
    """The innermost line of our own code, as “analytics/tasks.py:35 in drain_usage”."""
    for frame in reversed(traceback.extract_tb(trace)):
        parts = frame.filename.split("/")
        at = next((at for at, part in enumerate(parts) if part in _OURS), None)
        if at is not None and "site-packages" not in parts:
            return f"{'/'.join(parts[at:])}:{frame.lineno} in {frame.name}"
    return ""


def note_done(sender: Any, state: str | None = None, **_: Any) -> None:
    if state == "SUCCESS":
        _tell(keyspace.TASKS_DONE, sender.name)


def note_alive(sender: Any, **_: Any) -> None:
    _tell(keyspace.WORKERS, sender.eventer.hostname)


def _tell(where: str, name: str) -> None:
    """Every few seconds is enough."""
    now = time.monotonic()
    if now - _told_at.get(f"{where}/{name}", -TELL_EVERY_S) < TELL_EVERY_S:
        return
    _told_at[f"{where}/{name}"] = now
    try:
        _client().hset(where, name, str(time.time()))
    except redis.RedisError as error:
        logger.warning("that %s goes on is not told: %s", name, error)


def failures() -> list[Failure]:
    """The newest first. Raises RedisError."""
    found = cast(list[bytes], _client().lrange(keyspace.TASKS_FAILED, 0, KEPT - 1))
    return [Failure(**orjson.loads(each)) for each in found]


def forget(failure: Failure) -> None:
    """One that was tried again. Raises RedisError."""
    _client().lrem(keyspace.TASKS_FAILED, 1, orjson.dumps(failure._asdict()).decode())


def workers() -> Workers:
    """Raises RedisError."""
    alive, done = (_times(where) for where in (keyspace.WORKERS, keyspace.TASKS_DONE))
    return Workers({name: at for name, at in alive.items() if time.time() - at < ALIVE_S}, done)


def _times(where: str) -> dict[str, float]:
    found = cast(dict[bytes, bytes], _client().hgetall(where))
    return {name.decode(): float(at) for name, at in found.items()}


task_failure.connect(note_failure)
task_postrun.connect(note_done)
heartbeat_sent.connect(note_alive)
