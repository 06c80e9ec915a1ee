"""How often a minute a workspace may do what is dear, or what a stranger could do harm with."""

from __future__ import annotations

import logging

from redis.exceptions import RedisError

from gateway.errors import TooManyRequests
from tenants.cluster import AnyLane

logger = logging.getLogger(__name__)

WINDOW_S = 60


async def count(lane: AnyLane, key: str, per_minute: int, what: str) -> None:
    """Raises TooManyRequests. Without Redis it goes on, as all of the gateway does."""
    try:
        # The first one alone sets the minute.
        _, counted, ttl_s = await lane.transaction(("SET", key, 0, "EX", WINDOW_S, "NX"), ("INCR", key), ("TTL", key))
    except (RedisError, OSError) as error:
        logger.error("%s without a limit while Redis is away: %s", what, error)
        return
    if counted > per_minute:
        raise TooManyRequests(f"{what} {per_minute} times a minute. Try again in {ttl_s} s.", retry_after_s=ttl_s)
