"""Kept answers one by one: found, taken away, pinned."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.core import signing
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Length
from django.utils import timezone
from django.utils.translation import gettext
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from gateway.cache import holding
from gateway.models import CacheEntry
from tenants.bodies import Body
from tenants.management_views import ManagementView, missing, read
from tenants.paging import Page
from tenants.roles import Action

SHOWN_CHARACTERS = 500
_CURSOR_SALT = "gateway.cache.entries"
# By name: the field, and whether the largest comes first.
_ORDERS = {"newest": ("created_at", True), "oldest": ("created_at", False), "hits": ("hits", True)}


class EntriesQuery(Body):
    tag = serializers.CharField(max_length=64, required=False)
    namespace = serializers.CharField(max_length=64, allow_blank=True, required=False, help_text="Empty: of none.")
    model = serializers.CharField(max_length=120, required=False, help_text="As apps ask for it.")
    q = serializers.CharField(max_length=200, required=False, help_text="A part of the question.")
    pinned = serializers.BooleanField(required=False)
    by_meaning = serializers.BooleanField(
        required=False, help_text="Whether it may answer other questions that mean the same."
    )
    expired = serializers.BooleanField(required=False, help_text="Past its time.")
    order = serializers.ChoiceField(sorted(_ORDERS), default="newest")
    limit = serializers.IntegerField(min_value=1, max_value=500, default=50)
    cursor = serializers.CharField(max_length=400, required=False, help_text="`next` of the page before.")


class EntrySerializer(serializers.Serializer[Any]):
    id = serializers.CharField(help_text="As in X-Nexus-Cache-Id.")
    prompt = serializers.CharField(help_text="The beginning of the last user text; empty where it is no plain text.")
    model = serializers.CharField()
    provider = serializers.CharField()
    namespace = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField())
    pinned = serializers.BooleanField()
    by_meaning = serializers.BooleanField(help_text="Whether it may answer other questions that mean the same.")
    created_at = serializers.DateTimeField()
    age_s = serializers.IntegerField()
    expires_at = serializers.DateTimeField(allow_null=True, help_text="Null: it is pinned.")
    hits = serializers.IntegerField(help_text="Counted within seconds.")
    saved_usd = serializers.FloatField()
    last_hit_at = serializers.DateTimeField(allow_null=True)
    answer_bytes = serializers.IntegerField()


class EntriesSerializer(serializers.Serializer[Any]):
    object = serializers.CharField()
    data = EntrySerializer(many=True)
    next = serializers.CharField(allow_null=True, help_text="The next page's `cursor`; null: this is the last.")


def shown(entry: CacheEntry) -> dict[str, Any]:
    return {
        "id": entry.id.hex,
        "prompt": entry.prompt[:SHOWN_CHARACTERS],
        "model": entry.model,
        "provider": entry.meta["provider"],
        "namespace": entry.namespace,
        "tags": entry.tags,
        "pinned": entry.pinned,
        "by_meaning": bool(entry.scope),
        "created_at": entry.created_at,
        "age_s": max(0, int((timezone.now() - entry.created_at).total_seconds())),
        "expires_at": None if entry.pinned else entry.expires_at,
        "hits": entry.hits,
        "saved_usd": float(entry.saved_usd),
        "last_hit_at": entry.last_hit_at,
        "answer_bytes": entry.answer_bytes,  # type: ignore[attr-defined]
    }


def listing(found: QuerySet[CacheEntry]) -> QuerySet[CacheEntry]:
    """As `shown` wants them: without their answers, which may be large."""
    return found.defer("answer").annotate(answer_bytes=Length("answer"))


def chosen(query: dict[str, Any]) -> Q:
    """Of EntriesQuery's filters what is there."""
    fields = {"tag": "tags__contains", "namespace": "namespace", "model": "model", "q": "prompt__icontains"}
    fields["pinned"] = "pinned"
    found = Q()
    for name, field in fields.items():
        if name in query:
            found &= Q(**{field: [query[name]] if name == "tag" else query[name]})
    if "by_meaning" in query:
        found &= ~Q(scope="") if query["by_meaning"] else Q(scope="")
    if "expired" in query:
        now = timezone.now()
        found &= Q(expires_at__lte=now) if query["expired"] else Q(expires_at__gt=now)
    return found


class EntriesView(ManagementView):
    """The kept answers, a page at a time."""

    action = Action.CACHE
    to_read = Action.CONTENT

    @extend_schema(operation_id="list_cache_entries", parameters=[EntriesQuery], responses=EntriesSerializer)
    def get(self, request: Request) -> Response:
        query = read(EntriesQuery(data=request.query_params.dict()))
        with self.reading():
            page = page_of(CacheEntry.objects.filter(chosen(query)), query)
            rows = [shown(entry) for entry in page.rows]
        return Response({"object": "list", "data": rows, "next": page.next})


def page_of(found: QuerySet[CacheEntry], query: dict[str, Any]) -> Page:
    """`order`, `limit` and `cursor` of EntriesQuery; rows as `listing` has them. Raises ValidationError."""
    found = listing(found)
    field, descending = _ORDERS[query["order"]]
    if "cursor" in query:
        value, entry_id = _read_cursor(query["cursor"], query["order"])
        beyond = "lt" if descending else "gt"
        found = found.filter(Q(**{f"{field}__{beyond}": value}) | Q(**{field: value, f"id__{beyond}": entry_id}))
    order = (F(field).desc(), F("id").desc()) if descending else (F(field).asc(), F("id").asc())
    rows = list(found.order_by(*order)[: query["limit"] + 1])
    more, rows = len(rows) > query["limit"], rows[: query["limit"]]
    cursor = _write_cursor(rows[-1], query["order"]) if more else None
    return Page(rows, cursor)


def _write_cursor(entry: CacheEntry, order: str) -> str:
    value = getattr(entry, _ORDERS[order][0])
    place = value.isoformat() if isinstance(value, dt.datetime) else value
    return signing.dumps([order, place, entry.id.hex], salt=_CURSOR_SALT)


def _read_cursor(text: str, order: str) -> tuple[Any, uuid.UUID]:
    try:
        ordered_by, place, entry_id = signing.loads(text, salt=_CURSOR_SALT)
    except signing.BadSignature:
        ordered_by = None
    if ordered_by != order:
        raise ValidationError({"cursor": gettext("This is no `next` of a page in this order.")})
    return (dt.datetime.fromisoformat(place) if isinstance(place, str) else place), uuid.UUID(entry_id)


class EntryView(ManagementView):
    """One kept answer. GET /v1/cache/{id} shows it."""

    action = Action.CACHE
    to_read = Action.CONTENT

    @extend_schema(operation_id="delete_cache_entry", request=None, responses={204: None})
    def delete(self, request: Request, id: str) -> Response:
        """Also one that is pinned."""
        holding.drop(self.key.tenant, id, self.by())
        return Response(status=204)


class PinView(ManagementView):
    """A pinned answer never expires, and is not replaced by a newer one."""

    action = Action.CACHE

    @extend_schema(operation_id="pin_cache_entry", request=None, responses=EntrySerializer)
    def post(self, request: Request, id: str) -> Response:
        entry_id = holding.pin(self.key.tenant, id, self.by())
        with self.reading():
            return Response(shown(_one(entry_id, id)))


class UnpinView(ManagementView):
    """The answer gets an end again, as if it came now."""

    action = Action.CACHE

    @extend_schema(operation_id="unpin_cache_entry", request=None, responses=EntrySerializer)
    def post(self, request: Request, id: str) -> Response:
        entry_id = holding.unpin(self.key.tenant, id, self.by())
        with self.reading():
            return Response(shown(_one(entry_id, id)))


def _one(entry_id: uuid.UUID, text: str) -> CacheEntry:
    """Raises NotFound: somebody has dropped it in this moment."""
    entry = listing(CacheEntry.objects.filter(pk=entry_id)).first()
    if entry is None:
        raise missing("cache entry", text)
    return entry
