"""The exact tier as who manages it sees it: answers in Redis written, pinned, taken away. Sync.

A row comes before its answer here, and goes after it: as long as Redis may answer, the answer can be found and taken
away. Requests themselves read and write through billing's scripts. All of these raise redis.RedisError.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import redis

from tenants import keyspace
from tenants.db import find_keys, open_redis

BATCH = 500
# What settle.lua looks for, so that a newer answer does not take a pinned one's place.
_PINNED = "p"


class Kept(NamedTuple):
    """An answer with its description (gateway.types.Meta). `ttl_s` of None: pinned."""

    fingerprint: str
    meta: bytes
    body: bytes
    ttl_s: int | None


@functools.cache
def _client() -> redis.Redis:
    return open_redis(timeout_s=5)


def write(tenant_id: int, answers: Iterable[Kept]) -> None:
    """Each whole or not at all, and never without its end."""
    for kept in answers:
        key = keyspace.answer(tenant_id, kept.fingerprint)
        with _client().pipeline(transaction=True) as pipe:
            pipe.delete(key)
            pipe.hset(key, mapping={"m": kept.meta, "b": kept.body})
            if kept.ttl_s is None:
                pipe.hset(key, _PINNED, "1")
            else:
                pipe.expire(key, kept.ttl_s)
            pipe.execute()


def unpin(tenant_id: int, fingerprint: str, ttl_s: int) -> None:
    key = keyspace.answer(tenant_id, fingerprint)
    with _client().pipeline(transaction=True) as pipe:
        pipe.hdel(key, _PINNED)
        pipe.expire(key, ttl_s)
        pipe.execute()


def forget(tenant_id: int, fingerprints: Sequence[str]) -> None:
    keys = [keyspace.answer(tenant_id, fingerprint) for fingerprint in fingerprints]
    for at in range(0, len(keys), BATCH):
        _unlink(keys[at : at + BATCH])


def forget_all(tenant_id: int, *, pinned: bool) -> None:
    """Also those that have no row, because Postgres was away when they came."""
    keys: list[bytes] = []
    for key in find_keys(_client(), keyspace.answer(tenant_id, "*")):
        keys.append(key)
        if len(keys) == BATCH:
            _forget(keys, pinned=pinned)
            keys = []
    if keys:
        _forget(keys, pinned=pinned)


def _forget(keys: list[bytes], *, pinned: bool) -> None:
    if not pinned:
        with _client().pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hexists(key, _PINNED)
            keys = [key for key, is_pinned in zip(keys, pipe.execute(), strict=True) if not is_pinned]
    if keys:
        _unlink(keys)


def _unlink(keys: Sequence[str | bytes]) -> None:
    with _client().pipeline(transaction=False) as pipe:
        # One by one: in a Redis Cluster some may be on their way to another node.
        for key in keys:
            pipe.unlink(key)
        pipe.execute()
