"""Forgets an end user of a workspace's app: kept answers, samples, what repeated keys get, names in records. Sync.

In the order in which somebody could still be shown it: Redis first, rows after. Whatever is cut off in between is done
again by who asks again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import redis
from django.db.models import Q

from analytics import forgetting
from gateway.cache import removal, samples
from gateway.cache.fingerprint import end_user_digest
from gateway.models import CacheEntry
from tenants import audit, keyspace
from tenants.audit import By
from tenants.db import find_keys, open_redis, schema_of
from tenants.models import Tenant

BATCH = 500


@dataclasses.dataclass
class Erased:
    """How many of each. `records`: the name, or the request id beside it, was taken out; their sums stay."""

    cache_entries: int = 0
    samples: int = 0
    replays: int = 0
    records: int = 0


def erase(tenant: Tenant, end_user: str, by: By) -> Erased:
    """As the app names it in its requests. Raises redis.RedisError; what was done by then is in the audit log."""
    digest, done = end_user_digest(end_user), Erased()
    with schema_of(tenant):
        try:
            _forget_replays(tenant, digest, done)
            _forget_entries(tenant, digest, done)
            _forget_samples(digest, done)
            for count in forgetting.forget_name(end_user):
                done.records += count
        finally:
            # From this log nothing is ever deleted: it has the digest, never the name.
            audit.record("end_user.erased", tenant=tenant, target=digest, after=dataclasses.asdict(done), **by)
    return done


def found(tenant: Tenant, end_user: str) -> Erased:
    """What `erase` would take away, without what a look at each record would tell."""
    digest = end_user_digest(end_user)
    with schema_of(tenant):
        entries = CacheEntry.objects.filter(end_user=digest)
        return Erased(
            cache_entries=entries.count(),
            samples=samples.with_texts(_samples_of(digest)).count(),
            replays=sum(len(keys) for keys in _replays(tenant, digest)),
            records=entries.count(),
        )


def _forget_entries(tenant: Tenant, digest: str, done: Erased) -> None:
    """Pinned ones, too. An answer has the id of the call that it was first given to: that call's record goes by it."""
    theirs = CacheEntry.objects.filter(end_user=digest)
    while ids := list(theirs.values_list("id", flat=True)[:BATCH]):
        done.samples += samples.with_texts(samples.of_entries(ids)).count()
        done.records += forgetting.rename(ids)
        done.cache_entries += sum(removal.remove(tenant, CacheEntry.objects.filter(id__in=ids)))


def _forget_samples(digest: str, done: Erased) -> None:
    theirs = _samples_of(digest)
    done.samples += samples.with_texts(theirs).count()
    samples.forget(theirs)


def _samples_of(digest: str) -> Q:
    return Q(end_user=digest)


def _forget_replays(tenant: Tenant, digest: str, done: Erased) -> None:
    client = open_redis(timeout_s=5)
    for keys in _replays(tenant, digest):
        with client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.unlink(key)
            done.replays += sum(pipe.execute())


def _replays(tenant: Tenant, digest: str) -> Sequence[list[bytes]]:
    """Keys of answers to repeated requests, of this end user's. One under way is its request's, and stays."""
    client = open_redis(timeout_s=5)
    batches: list[list[bytes]] = []
    waiting: list[bytes] = []
    for key in find_keys(client, keyspace.idempotent(tenant.pk, "*")):
        waiting.append(key)
        if len(waiting) == BATCH:
            batches.append(_of(client, waiting, digest))
            waiting = []
    batches.append(_of(client, waiting, digest) if waiting else [])
    return [batch for batch in batches if batch]


def _of(client: redis.Redis, keys: list[bytes], digest: str) -> list[bytes]:
    with client.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.hmget(key, ["u", "b"])
        return [
            key for key, (whose, body) in zip(keys, pipe.execute(), strict=True) if whose == digest.encode() and body
        ]
