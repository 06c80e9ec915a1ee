"""Django's cache in Redis, which is empty while Redis is away: what is kept in it may be lost, a page may not.

Limits that are counted in it do not hold then (allauth's, on logins), and the log says so.
"""

from __future__ import annotations

import logging
from typing import Any

import redis
from django.core.cache.backends.redis import RedisCache, RedisCacheClient

logger = logging.getLogger(__name__)

AWAY = (redis.RedisError, OSError)


class ForgivingClient(RedisCacheClient):
    def add(self, key: Any, value: Any, timeout: Any) -> bool:
        """Also when nobody can know: what locks by `add` goes on."""
        try:
            return bool(super().add(key, value, timeout))
        except AWAY as error:
            _warn(error)
            return True

    def get(self, key: Any, default: Any) -> Any:
        try:
            return super().get(key, default)
        except AWAY as error:
            _warn(error)
            return default

    def set(self, key: Any, value: Any, timeout: Any) -> None:
        try:
            super().set(key, value, timeout)
        except AWAY as error:
            _warn(error)

    def delete(self, key: Any) -> bool:
        try:
            return bool(super().delete(key))
        except AWAY as error:
            _warn(error)
            return False


class ForgivingCache(RedisCache):
    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = ForgivingClient


def _warn(error: Exception) -> None:
    logger.error("nothing is kept, and logins are not limited, while Redis is away: %s", error)
