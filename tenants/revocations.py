"""Tells every process what its snapshots must forget (tenants.principal, gateway.routing)."""

from __future__ import annotations

import functools
import logging

import redis
from django.conf import settings
from django.db import transaction

from tenants import keyspace

logger = logging.getLogger(__name__)


@functools.cache
def _client() -> redis.Redis:
    # Where the processes listen (tenants.db.make_bus).
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)


def publish(message: str) -> None:
    """`key:<public id>`, `tenant:<id>`, `prices`, `platform`, or `*`; sent once what it is about has been committed."""
    transaction.on_commit(functools.partial(_send, message), robust=True)


def _send(message: str) -> None:
    try:
        _client().publish(keyspace.REVOCATIONS, message)
    except redis.RedisError as error:
        # Snapshots expire within 30 s without it.
        logger.error("revocation %s was not published: %s", message, error)
