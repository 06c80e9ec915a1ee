"""Idempotency-Key: the same key and body get the same answer, and are charged once; another body is a conflict.

A key belongs to the API key that sends it, and is remembered for a day. A request that failed gives its key back, so
that a retry is a new try. While Redis is away nobody remembers: requests are answered as if they had no key.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from redis.exceptions import RedisError

from gateway.errors import Conflict, InvalidRequest
from gateway.types import Call
from tenants import keyspace
from tenants.cluster import AnyLane
from tenants.lane import Script
from tenants.principal import Principal

logger = logging.getLogger(__name__)

KEEP_S = 86_400
POLL_S, MAX_POLL_S = 0.05, 0.5
_KEY = re.compile(rb"[\x21-\x7e]{1,255}")
_SCRIPT = Script((Path(__file__).parent / "lua" / "claim.lua").read_bytes())


class Replay(NamedTuple):
    """What the first request with this key was answered."""

    meta: bytes
    body: bytes
    outcome: str


def key_of(headers: dict[bytes, bytes], principal: Principal) -> str | None:
    """The Redis key, or None for a request without an Idempotency-Key. Raises InvalidRequest."""
    given = headers.get(b"idempotency-key")
    if given is None:
        return None
    if not _KEY.fullmatch(given):
        raise InvalidRequest(
            "Idempotency-Key must be 1 to 255 printable ASCII characters without spaces.", param="Idempotency-Key"
        )
    digest = hashlib.blake2b(b"%d:%s" % (principal.key_id, given), digest_size=16).hexdigest()
    return keyspace.idempotent(principal.tenant_id, digest)


class Claims:
    def __init__(self, lane: AnyLane) -> None:
        self._lane = lane

    async def claim(self, call: Call, dialect: str, body: bytes) -> Replay | None:
        """None: the call is the first with its key, and goes on. Waits for one under way. Raises Conflict."""
        digest = hashlib.blake2b(dialect.encode() + b"\n" + body, digest_size=16).hexdigest()
        poll_s = POLL_S
        while True:
            lives_ms = int(settings.CALL_DEADLINE_S * 1000) + 10_000
            reply = await self._run(call, "claim", digest, call.id, lives_ms, call.end_user)
            verdict = reply[0] if reply else b"new"
            if verdict == b"new":
                return None
            if verdict == b"done":
                return Replay(reply[1], reply[2], reply[3].decode())
            if verdict == b"other":
                raise Conflict(
                    "This Idempotency-Key was used for another request. Use a new one.", param="Idempotency-Key"
                )
            if call.elapsed_ms / 1000 + poll_s > settings.CALL_DEADLINE_S:
                raise Conflict(
                    "A request with this Idempotency-Key is still under way. Try again.",
                    code="idempotency_in_progress",
                    retry_after_s=1,
                )
            await asyncio.sleep(poll_s)
            poll_s = min(poll_s * 2, MAX_POLL_S)

    async def keep(self, call: Call, replay: Replay) -> None:
        await self._run(call, "keep", KEEP_S * 1000, *replay)

    async def release(self, call: Call) -> None:
        await self._run(call, "release", call.id)

    async def _run(self, call: Call, *words: Any) -> list[bytes]:
        assert call.idempotency_key is not None
        try:
            reply: list[bytes] = await self._lane.evaluate(_SCRIPT, [call.idempotency_key], words)
            return reply
        except (RedisError, OSError) as error:
            logger.warning("an Idempotency-Key is not kept: %s", error)
            return []
