"""What people say of a cached answer. For any key of the workspace.

A wrong answer is taken away at once, from Redis first (gateway.cache.removal says why), unless people have pinned it.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from typing import Any

import orjson
from celery import current_app
from django.http import HttpRequest
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import extend_schema
from kombu.exceptions import OperationalError
from psycopg import Error, sql
from psycopg_pool import PoolTimeout
from redis.exceptions import RedisError
from rest_framework import serializers

from analytics.events import HIT_EXACT, HITS
from gateway.api import pace
from gateway.api.base import checked
from gateway.api.cache_hits import Asked, asked_of, away, gone
from gateway.cache import entries, privacy
from gateway.cache.sampling import KEPT_CHARACTERS
from gateway.dialects import openai_chat
from gateway.dialects.simple_chat import text_of
from gateway.errors import InvalidRequest, PayloadTooLarge
from gateway.metrics import FEEDBACK
from gateway.types import Reply
from gateway.views import DataPlaneView, json_reply
from tenants import keyspace
from tenants.authentication import KEY
from tenants.bodies import MAX_BYTES, Body
from tenants.principal import Principal

logger = logging.getLogger(__name__)

# Whoever an app lets tell, could take away what is right.
PER_MINUTE = 60
NOTE_CHARACTERS = 400
GIVEN = gettext_lazy("Feedback can be given %(times)s times a minute. Try again in %(seconds)s s.")
TUNE = "gateway.tasks.tune_cache"

# Who says the same again changes nothing; who says otherwise later is believed.
_VERDICT = """
INSERT INTO {verdicts} AS known (id, at, kind, similarity, weight, entry_id, question, prompt, cached_answer,
                                 fresh_answer, "right", source, note, judged_at)
VALUES (%(id)s, now(), %(kind)s, %(similarity)s, 1, %(entry_id)s, %(question)s, %(prompt)s, %(cached_answer)s,
        '', %(right)s, 'person', %(note)s, now())
ON CONFLICT (id) DO UPDATE SET "right" = excluded."right", note = excluded.note, judged_at = excluded.judged_at
    WHERE known."right" IS DISTINCT FROM excluded."right"
RETURNING id
"""
_KNOWN = 'SELECT "right" FROM {verdicts} WHERE id = %s'


class FeedbackBody(Body):
    right = serializers.BooleanField(help_text="Whether the answer was right for the question.")
    request_id = serializers.CharField(
        max_length=128, required=False, help_text="X-Request-Id of the request that got it: only so does it count"
        " against a similarity."
    )  # fmt: skip
    question = serializers.CharField(max_length=KEPT_CHARACTERS, required=False, help_text="What was asked.")
    note = serializers.CharField(max_length=NOTE_CHARACTERS, required=False, allow_blank=True)


class FeedbackSerializer(serializers.Serializer[Any]):
    object = serializers.CharField()
    id = serializers.CharField()
    right = serializers.BooleanField()
    counted = serializers.BooleanField(help_text="False: the same was said before.")
    evicted = serializers.BooleanField(help_text="Whether the answer is gone from the cache.")
    pinned = serializers.BooleanField(help_text="Pinned answers are not evicted: people unpin or delete them.")


class CacheFeedbackView(DataPlaneView):
    """Whether a cached answer was right. A wrong one is evicted, and counts when the threshold is tuned."""

    @extend_schema(operation_id="report_cache_hit", auth=KEY, request=FeedbackBody, responses=FeedbackSerializer)
    async def post(self, request: HttpRequest, headers: dict[bytes, bytes], request_id: str) -> Reply:
        asked = await asked_of(headers, self.kwargs["id"])
        data = request.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise PayloadTooLarge(f"The body may have up to {MAX_BYTES:,} bytes.")
        body = checked(FeedbackBody(data=openai_chat.parse_object(data)))
        limit = keyspace.cache_feedback(asked.principal.tenant_id)
        await pace.count(asked.gateway.lane, limit, PER_MINUTE, GIVEN)
        entry = await asked.entry()
        if entry is None:
            return await self._again(asked, body, request_id)
        counted, evicted = await _take(asked, entry, body)
        if counted:
            FEEDBACK.add(("right" if body["right"] else "wrong",))
            await _tune(asked.principal)
        return json_reply(_answer(asked, body, counted, evicted, entry["pinned"]), request_id)

    async def _again(self, asked: Asked, body: dict[str, Any], request_id: str) -> Reply:
        """Who says it twice hears the same again, although the entry is gone."""
        known = await asked.row(_KNOWN, (_verdict_id(asked, body),))
        if known is None or known["right"] != body["right"]:
            raise gone(self.kwargs["id"])
        return json_reply(_answer(asked, body, counted=False, evicted=True, pinned=False), request_id)


def _answer(asked: Asked, body: dict[str, Any], counted: bool, evicted: bool, pinned: bool) -> dict[str, Any]:
    said = {"counted": counted, "evicted": evicted, "pinned": pinned}
    return {"object": "cache.feedback", "id": asked.entry_id.hex, "right": body["right"], **said}


def _verdict_id(asked: Asked, body: dict[str, Any]) -> uuid.UUID:
    """The same for what is said of the same hit."""
    of_hit = orjson.dumps([body.get("request_id"), None if "request_id" in body else body.get("question")])
    return uuid.uuid5(asked.entry_id, of_hit.decode())


async def _take(asked: Asked, entry: dict[str, Any], body: dict[str, Any]) -> tuple[bool, bool]:
    """Whether it counted, and whether the entry is gone. Raises InvalidRequest, Unavailable."""
    record = await asked.record(body["request_id"]) if "request_id" in body else None
    if record is not None and record["entry_id"] not in (None, asked.entry_id):
        raise InvalidRequest("This request was answered by another cache entry.", param="request_id")
    # A fresh answer, or one to the same request, says nothing of similar questions.
    rules = (await asked.gateway.setups.of(asked.principal)).rules
    compared = record is not None and record["entry_id"] is not None and record["outcome"] != HIT_EXACT
    values = {
        "id": _verdict_id(asked, body),
        "kind": "shadow" if record and compared and record["outcome"] not in HITS else "hit",
        "similarity": record["similarity"] if record and compared else None,
        "entry_id": asked.entry_id,
        "question": privacy.kept_text(body.get("question", ""), rules)[:KEPT_CHARACTERS],
        "prompt": privacy.kept_text(entry["prompt"], rules)[:KEPT_CHARACTERS],
        "cached_answer": privacy.kept_text(text_of(orjson.loads(entry["answer"])), rules)[:KEPT_CHARACTERS].replace(
            "\0", ""
        ),
        "right": body["right"],
        "note": privacy.kept_text(body.get("note", ""), rules)[:NOTE_CHARACTERS],
    }
    evicts = not body["right"] and not entry["pinned"]
    try:
        if evicts:
            await asked.gateway.lane.call("UNLINK", keyspace.answer(asked.principal.tenant_id, entry["fingerprint"]))
        async with asked.gateway.pool.connection() as connection, connection.transaction():
            cursor = await connection.execute(asked.query(_VERDICT), values)
            counted = await cursor.fetchone() is not None
            if evicts:
                condition = sql.SQL("entry.id = %s")
                await connection.execute(entries.delete_query(asked.principal.schema, condition), (asked.entry_id,))
    except (Error, PoolTimeout, RedisError, OSError) as error:
        raise away() from error
    return counted, evicts


async def _tune(principal: Principal) -> None:
    """Its next regular run would do; nobody is told when it cannot be asked for now."""
    try:
        await asyncio.to_thread(current_app.send_task, TUNE, [principal.tenant_id], retry=False)
    except OperationalError as error:
        logger.warning("the cache of tenant %s is not tuned at once: %s", principal.tenant_id, error)
