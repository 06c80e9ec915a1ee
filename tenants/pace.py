"""How often a minute a workspace may do what is dear, for sync views; gateway/api/pace.py has the data plane's."""

from __future__ import annotations

import functools
import logging

import redis
from rest_framework.exceptions import APIException

from tenants.db import open_redis

logger = logging.getLogger(__name__)

WINDOW_S = 60


class TooOften(APIException):
    status_code = 429
    default_code = "rate_limit_exceeded"

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


@functools.cache
def _client() -> redis.Redis:
    return open_redis(timeout_s=1)


def count(key: str, per_minute: int, what: str) -> None:
    """Raises TooOften. Without Redis it goes on, as all of the gateway does."""
    try:
        with _client().pipeline(transaction=True) as pipe:
            # Sets the minute with the first one only.
            pipe.set(key, 0, ex=WINDOW_S, nx=True)
            pipe.incr(key)
            pipe.ttl(key)
            _, counted, ttl_s = pipe.execute()
    except (redis.RedisError, OSError) as error:
        logger.error("%s without a limit while Redis is away: %s", what, error)
        return
    if counted > per_minute:
        raise TooOften(f"{what} {per_minute} times a minute. Try again in {ttl_s} s.", ttl_s)
