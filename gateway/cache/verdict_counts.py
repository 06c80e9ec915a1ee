"""How many verdicts there were, of all tenants together. In Redis: workers judge, and web processes show /metrics."""

from __future__ import annotations

import functools
import logging

import redis
from django.conf import settings

from tenants import keyspace

logger = logging.getLogger(__name__)


@functools.cache
def _client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1, protocol=2)


def note(kind: str, *, right: bool, source: str) -> None:
    """Without Redis it is not counted, and nothing else stops."""
    try:
        _client().hincrby(keyspace.VERDICTS, f"{kind}:{'right' if right else 'wrong'}:{source}", 1)
    except redis.RedisError as error:
        logger.warning("a verdict is not counted for /metrics: %s", error)
