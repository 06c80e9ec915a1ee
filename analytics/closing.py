"""Closes billing periods once nothing of theirs is on its way: no call in flight, no event in the streams.

Also those that ended while everything was down. What nobody can book (a dead letter) does not hold a period up.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Iterable

import orjson
import redis
from django.db import DatabaseError, connection

from analytics import books
from billing import closing
from billing.closing import Due
from tenants import keyspace

logger = logging.getLogger(__name__)

# Clocks differ, and an answer that took long is settled late.
AFTER = dt.timedelta(minutes=5)

Account = tuple[int, int]


def close_due(client: redis.Redis, now: dt.datetime) -> list[Due]:
    """What was closed just now. A tenant with several open periods closes them one after the other."""
    closed: list[Due] = []
    tried: set[Due] = set()
    while due := [one for one in closing.due(now, after=AFTER) if one not in tried]:
        tried.update(due)
        by_partition: dict[int, list[Due]] = defaultdict(list)
        for one in due:
            by_partition[keyspace.partition(one.tenant_id)].append(one)
        for partition, of_partition in by_partition.items():
            try:
                closed += _close(client, partition, of_partition)
            except redis.RedisError as error:
                logger.error("%d periods stay open: %s", len(of_partition), error)
    return closed


def _close(client: redis.Redis, partition: int, due: list[Due]) -> list[Due]:
    stream = keyspace.usage_stream(partition)
    # Calls first, then what they have written, then the ledger: what moves on meanwhile is seen at the next place.
    idle = [one for one, calls in zip(due, _calls_in_flight(client, due), strict=True) if not calls]
    if client.xlen(stream) > books.MOST_WAITING:
        logger.warning("%d periods stay open: too many events wait in %s", len(due), stream)
        return []
    waiting, dead = _accounts(client, stream), _accounts(client, keyspace.dead_letters_of(stream))
    closed = []
    for one in idle:
        account = (one.tenant_id, int(one.period.id))
        if waiting[account]:
            continue
        try:
            if closing.close(one):
                closed.append(one)
        except DatabaseError:
            if not connection.is_usable():
                raise
            logger.exception("the period of tenant %d from %s stays open", one.tenant_id, one.period.start)
            continue
        if dead[account]:
            logger.error("tenant %d: closed from %s without %d dead letters", *account, dead[account])
    return closed


def _calls_in_flight(client: redis.Redis, due: Iterable[Due]) -> list[int]:
    with client.pipeline(transaction=False) as pipe:
        for one in due:
            # Those whose process died count no more.
            pipe.zcount(keyspace.holds(one.tenant_id, one.period.id), time.time(), "+inf")
        counts: list[int] = pipe.execute()
        return counts


def _accounts(client: redis.Redis, stream: str) -> Counter[Account]:
    """How many events there are of each tenant and period."""
    found: Counter[Account] = Counter()
    for fields in books.entries_in(client, stream):
        try:
            event = orjson.loads(fields[b"e"])
            found[event["tenant_id"], event["period"]] += 1
        except (KeyError, TypeError, ValueError):
            # The drain has the reason to say.
            continue
    return found
