"""What stands behind a cached answer, and why a request got it. For any key of the workspace."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any, NamedTuple

import orjson
from django.http import HttpRequest
from django.utils.translation import gettext
from drf_spectacular.utils import OpenApiParameter, extend_schema
from psycopg import Error, sql
from psycopg.rows import dict_row
from psycopg_pool import PoolTimeout
from rest_framework import serializers

from analytics.events import HIT_EXACT, HITS
from gateway import admission, runtime
from gateway.api.cache_entries import EntrySerializer
from gateway.cache.holding import id_of
from gateway.cache.verify import GUARDS
from gateway.dialects.simple_chat import text_of
from gateway.errors import NotFound, Unavailable
from gateway.types import Reply
from gateway.views import DataPlaneView, json_reply
from tenants.authentication import KEY
from tenants.db import table
from tenants.principal import Principal

SHOWN_CHARACTERS = 2_000

_ENTRY = """
SELECT id, prompt, answer, meta, model, namespace, tags, pinned, scope, fingerprint, created_at, expires_at, hits,
       saved_usd, last_hit_at
FROM {entries} WHERE id = %s
"""
# Clients choose request ids, and may choose one twice.
_RECORD = """
SELECT request_id, at, outcome, similarity, entry_id, stale, coalesced FROM {records}
WHERE request_id = %(request_id)s ORDER BY (entry_id = %(entry_id)s) DESC NULLS LAST, at DESC LIMIT 1
"""


class Asked(NamedTuple):
    gateway: runtime.Gateway
    principal: Principal
    entry_id: uuid.UUID

    async def row(self, text: str, values: Any) -> dict[str, Any] | None:
        """Raises Unavailable."""
        try:
            async with self.gateway.pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
                await cursor.execute(self.query(text), values)
                return await cursor.fetchone()
        except (Error, PoolTimeout) as error:
            raise away() from error

    def query(self, text: str) -> sql.Composed:
        names = {"entries": "gateway_cacheentry", "records": "analytics_usagerecord", "verdicts": "gateway_verdict"}
        return sql.SQL(text).format(**{name: table(self.principal.schema, at) for name, at in names.items()})

    async def entry(self) -> dict[str, Any] | None:
        """None also for a key that may not use the model whose answer it is."""
        found = await self.row(_ENTRY, (self.entry_id,))
        allowed = self.principal.allowed_models
        return found if found is not None and (not allowed or found["model"] in allowed) else None

    async def record(self, request_id: str) -> dict[str, Any] | None:
        return await self.row(_RECORD, {"request_id": request_id, "entry_id": self.entry_id})


async def asked_of(headers: dict[bytes, bytes], text: str) -> Asked:
    gateway = await runtime.current()
    principal = await admission.authenticate(gateway, headers)
    entry_id = id_of(text)
    if entry_id is None:
        raise gone(text)
    return Asked(gateway, principal, entry_id)


def gone(text: str) -> NotFound:
    return NotFound(
        gettext("There is no cached answer “%(text)s” here; it may have expired or been replaced.") % {"text": text}
    )


def away() -> Unavailable:
    return Unavailable(gettext("The cache cannot be reached right now; try again in a moment."), retry_after_s=2)


class HitSerializer(serializers.Serializer[Any]):
    request_id = serializers.CharField()
    at = serializers.DateTimeField()
    outcome = serializers.CharField(help_text="As in X-Cache.")
    similarity = serializers.FloatField(allow_null=True, help_text="Of the two questions; null: it was the same one.")
    threshold = serializers.FloatField(help_text="As it is now for this model.")
    guards = serializers.ListField(child=serializers.CharField(), help_text="Which ones found no conflict.")
    reason = serializers.CharField()


class HitEntrySerializer(EntrySerializer):
    """An entry as in a list, with its answer in place of that one's size."""

    answer_bytes = None
    object = serializers.CharField()
    prompt = serializers.CharField(help_text="The last user text that the answer was given to.")
    answer = serializers.CharField(help_text=f"Its first {SHOWN_CHARACTERS:,} characters.")
    upstream_model = serializers.CharField()
    simulated = serializers.BooleanField()
    hit = HitSerializer(allow_null=True, help_text="Null: no `request_id` was sent, or it is not booked yet.")


class CacheHitView(DataPlaneView):
    """One cached answer, and with `request_id` why that request got it."""

    @extend_schema(
        operation_id="explain_cache_hit",
        auth=KEY,
        parameters=[OpenApiParameter("request_id", str, description="X-Request-Id of a request that it answered.")],
        responses=HitEntrySerializer,
    )
    async def get(self, request: HttpRequest, headers: dict[bytes, bytes], request_id: str) -> Reply:
        asked = await asked_of(headers, self.kwargs["id"])
        entry = await asked.entry()
        if entry is None:
            raise gone(self.kwargs["id"])
        hit = None
        if told := request.GET.get("request_id", "").replace("\0", ""):
            record = await asked.record(told)
            if record is not None and record["entry_id"] == asked.entry_id:
                setup = await asked.gateway.setups.of(asked.principal)
                hit = _hit(record, setup.rules_of(entry["model"]).threshold)
        return json_reply({**_shown(entry), "hit": hit}, request_id)


def _shown(entry: dict[str, Any]) -> dict[str, Any]:
    meta = entry["meta"]
    now = dt.datetime.now(dt.UTC)
    same = ("prompt", "model", "namespace", "tags", "pinned", "created_at", "hits", "last_hit_at")
    return {
        "object": "cache.entry",
        "id": entry["id"].hex,
        **{name: entry[name] for name in same},
        "answer": text_of(orjson.loads(entry["answer"]))[:SHOWN_CHARACTERS],
        **{name: meta[name] for name in ("provider", "upstream_model", "simulated")},
        "by_meaning": bool(entry["scope"]),
        "age_s": max(0, int((now - entry["created_at"]).total_seconds())),
        "expires_at": None if entry["pinned"] else entry["expires_at"],
        "saved_usd": float(entry["saved_usd"]),
    }


def _hit(record: dict[str, Any], threshold: float) -> dict[str, Any]:
    compared = record["outcome"] != HIT_EXACT and record["similarity"] is not None
    return {
        **{name: record[name] for name in ("request_id", "at", "outcome", "similarity")},
        "threshold": threshold,
        "guards": [name for name, _ in GUARDS] if compared else [],
        "reason": reason(record["outcome"], stale=record["stale"], coalesced=record["coalesced"]),
    }


def reason(outcome: str, *, stale: bool, coalesced: bool) -> str:
    """Why a request got a cached answer, or would have."""
    if outcome not in HITS:
        return gettext(
            "It was not served: in shadow mode the semantic tier only looks, and would have given this answer."
        )
    if outcome == HIT_EXACT:
        said = gettext("The request was the same in all that can change an answer.")
    else:
        said = gettext("The question was similar enough, in the same context, and no guard found a conflict.")
    if coalesced:
        said += " It came while an identical request was under way, and shared its answer."
    if stale:
        said += " The answer was past its time, and stood in for a provider that failed."
    return said
