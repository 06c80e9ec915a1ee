"""How often a minute a workspace may do what is dear, on the data plane: as tenants.pace has it for sync views."""

from __future__ import annotations

import logging

from django.utils.functional import Promise
from redis.exceptions import RedisError

from gateway.errors import TooManyRequests
from tenants import pace
from tenants.cluster import AnyLane

logger = logging.getLogger(__name__)


async def count(lane: AnyLane, key: str, per_minute: int, sentence: Promise) -> None:
    """Raises TooManyRequests. Without Redis it goes on, as all of the gateway does."""
    try:
        _, counted, left_s = await lane.transaction(*pace.commands(key, pace.WINDOW_S))
    except (RedisError, OSError) as error:
        logger.error(pace.UNLIMITED, key, error)
        return
    if counted > per_minute:
        raise TooManyRequests(pace.refusal(sentence, per_minute, left_s), retry_after_s=left_s)
