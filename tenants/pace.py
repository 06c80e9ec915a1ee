"""How often something may be done in a while, for sync views; gateway/api/pace.py asks the same on the data plane."""

from __future__ import annotations

import functools
import logging
from typing import Any

import redis
from django.utils.functional import Promise
from rest_framework.exceptions import APIException

from tenants.db import open_redis

logger = logging.getLogger(__name__)

WINDOW_S = 60
UNLIMITED = "%s is not counted while Redis is away: %s"


class TooOften(APIException):
    status_code = 429
    default_code = "rate_limit_exceeded"

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


@functools.cache
def _client() -> redis.Redis:
    return open_redis(timeout_s=1)


def commands(key: str, window_s: int) -> tuple[tuple[Any, ...], ...]:
    """One transaction: answers with (_, how often by now, seconds that are left). The first alone sets the time."""
    return ("SET", key, 0, "EX", window_s, "NX"), ("INCR", key), ("TTL", key)


def refusal(sentence: Promise, per_minute: int, retry_after_s: int) -> str:
    """`sentence` says how many `times` a minute it may be done, and to try again in how many `seconds`."""
    return str(sentence % {"times": per_minute, "seconds": retry_after_s})


def wait_s(key: str, limit: int, *, window_s: int = WINDOW_S) -> int | None:
    """Counts once more: seconds to wait when that is more often than `limit`, else None. Without Redis it goes on, as
    all of the gateway does.
    """
    try:
        with _client().pipeline(transaction=True) as pipe:
            for command in commands(key, window_s):
                pipe.execute_command(*command)
            _, counted, left_s = pipe.execute()
    except (redis.RedisError, OSError) as error:
        logger.error(UNLIMITED, key, error)
        return None
    return left_s if counted > limit else None


def count(key: str, per_minute: int, sentence: Promise) -> None:
    """Raises TooOften, with the sentence (`refusal`)."""
    retry_after_s = wait_s(key, per_minute)
    if retry_after_s is not None:
        raise TooOften(refusal(sentence, per_minute, retry_after_s), retry_after_s)
