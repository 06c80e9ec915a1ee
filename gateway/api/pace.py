"""How often a minute a workspace may do what is dear, or what a stranger could do harm with."""

from __future__ import annotations

import logging

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.errors import TooManyRequests

logger = logging.getLogger(__name__)

WINDOW_S = 60


async def count(redis: Redis, key: str, per_minute: int, what: str) -> None:
    """Raises TooManyRequests. Without Redis it goes on, as all of the gateway does."""
    try:
        async with redis.pipeline(transaction=True) as pipe:
            # Sets the minute with the first one only.
            pipe.set(key, 0, ex=WINDOW_S, nx=True)
            pipe.incr(key)
            pipe.ttl(key)
            _, counted, ttl_s = await pipe.execute()
    except (RedisError, OSError) as error:
        logger.error("%s without a limit while Redis is away: %s", what, error)
        return
    if counted > per_minute:
        raise TooManyRequests(f"{what} {per_minute} times a minute. Try again in {ttl_s} s.", retry_after_s=ttl_s)
