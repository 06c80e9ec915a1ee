"""What the workspace's cache holds, and what it is worth."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from asgiref.sync import async_to_sync
from django.db import connection
from django.db.models import Count, F, Max, Min, Q, QuerySet, Sum
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from analytics import queries
from analytics.events import HITS
from analytics.models import UsageRecord
from gateway import runtime
from gateway.api.cache_entries import SHOWN_CHARACTERS, EntrySerializer, listing, shown
from gateway.models import CacheEntry
from tenants.bodies import Body
from tenants.management_views import ManagementView, read
from tenants.roles import Action

MAX_DAYS, TOP, GROUPS = 90, 10, 50
_SIZE = (
    "SELECT pg_total_relation_size('gateway_cacheentry'::regclass)"
    " + pg_total_relation_size('gateway_cachevector'::regclass)"
)


class StatsQuery(Body):
    days = serializers.IntegerField(min_value=1, max_value=MAX_DAYS, default=7, help_text="Of `hits`.")


class HeldSerializer(serializers.Serializer[Any]):
    entries = serializers.IntegerField()
    by_meaning = serializers.IntegerField(help_text="Those that may answer other questions that mean the same.")
    waiting = serializers.IntegerField(help_text="Of those, without a vector of today's embedding model yet.")
    pinned = serializers.IntegerField()
    expired = serializers.IntegerField(help_text="Past their time, and deleted soon, or kept for a failing provider.")
    size_bytes = serializers.IntegerField(help_text="In Postgres, with indexes.")
    oldest_age_s = serializers.IntegerField(allow_null=True)
    newest_age_s = serializers.IntegerField(allow_null=True)
    hits = serializers.IntegerField(help_text="Of the entries that are there, in all their time.")
    saved_usd = serializers.FloatField()


class HitsSerializer(serializers.Serializer[Any]):
    days = serializers.IntegerField()
    requests = serializers.IntegerField()
    exact = serializers.IntegerField()
    semantic = serializers.IntegerField()
    hit_rate = serializers.FloatField(allow_null=True, help_text="Of answered requests; null: there were none.")
    saved_usd = serializers.FloatField()
    shadow = serializers.IntegerField(help_text="What the semantic tier would have answered in shadow mode.")
    shadow_saved_usd = serializers.FloatField()


class QuerySerializer(serializers.Serializer[Any]):
    prompt = serializers.CharField()
    hits = serializers.IntegerField()
    saved_usd = serializers.FloatField()
    entries = serializers.IntegerField(help_text="In how many contexts: models, system prompts, namespaces.")


class GroupSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    entries = serializers.IntegerField()
    hits = serializers.IntegerField()
    saved_usd = serializers.FloatField()


class StatsSerializer(serializers.Serializer[Any]):
    object = serializers.CharField()
    totals = HeldSerializer()
    hits = HitsSerializer()
    top_entries = EntrySerializer(many=True)
    top_queries = QuerySerializer(many=True)
    by_namespace = GroupSerializer(many=True, help_text=f"The {GROUPS} largest.")
    by_model = GroupSerializer(many=True, help_text=f"The {GROUPS} largest.")


class CacheStatsView(ManagementView):
    """What the cache holds, how often it answered, and what that saved."""

    action = Action.FIGURES

    @extend_schema(operation_id="cache_stats", parameters=[StatsQuery], responses=StatsSerializer)
    def get(self, request: Request) -> Response:
        days = read(StatsQuery(data=request.query_params.dict()))["days"]
        embedder = async_to_sync(_embedder)()
        now = timezone.now()
        with self.reading():
            asked = CacheEntry.objects.filter(hits__gt=0)
            body = {
                "object": "cache.stats",
                "totals": {**held(now), "waiting": waiting(now, embedder)},
                "hits": _hits(now, days),
                "top_entries": [shown(entry) for entry in listing(asked).order_by("-hits", "id")[:TOP]],
                "top_queries": _top_queries(asked),
                "by_namespace": _grouped("namespace"),
                "by_model": _grouped("model"),
            }
        return Response(StatsSerializer(body).data)


class AdminCacheStatsView(CacheStatsView):
    """The same, at the path where other gateways have it."""

    @extend_schema(operation_id="admin_cache_stats", parameters=[StatsQuery], responses=StatsSerializer)
    def get(self, request: Request) -> Response:
        return super().get(request)


async def _embedder() -> str:
    return (await runtime.current()).embedder.name


def waiting(now: dt.datetime, embedder: str) -> int:
    return CacheEntry.objects.filter(expires_at__gt=now).exclude(scope="").exclude(embedder=embedder).count()


def held(now: dt.datetime) -> dict[str, Any]:
    """As HeldSerializer has it, but for `waiting`. Within the tenant's schema."""
    lives = Q(expires_at__gt=now)
    sums: dict[str, Any] = CacheEntry.objects.aggregate(
        entries=Count("pk"),
        by_meaning=Count("pk", filter=~Q(scope="")),
        pinned=Count("pk", filter=Q(pinned=True)),
        expired=Count("pk", filter=~lives),
        oldest=Min("created_at"),
        newest=Max("created_at"),
        # Not called as the columns are: the next sum would be one of sums.
        hit=Sum("hits"),
        saved=Sum("saved_usd"),
    )
    with connection.cursor() as cursor:
        cursor.execute(_SIZE)
        (size_bytes,) = cursor.fetchone()
    return {
        **sums,
        "size_bytes": size_bytes,
        "oldest_age_s": _age_s(now, sums["oldest"]),
        "newest_age_s": _age_s(now, sums["newest"]),
        "hits": sums["hit"] or 0,
        "saved_usd": sums["saved"] or 0,
    }


def _age_s(now: dt.datetime, at: dt.datetime | None) -> int | None:
    return None if at is None else max(0, int((now - at).total_seconds()))


def _hits(now: dt.datetime, days: int) -> dict[str, Any]:
    since = now - dt.timedelta(days=days)
    totals = queries.totals(since)
    shadow = (
        UsageRecord.objects.filter(at__gte=since, entry_id__isnull=False)
        .exclude(outcome__in=HITS)
        .aggregate(count=Count("pk"), saved=Sum("shadow_saved_usd"))
    )
    return {
        "days": days,
        "requests": totals.requests,
        "exact": totals.exact_hits,
        "semantic": totals.semantic_hits,
        "hit_rate": totals.hit_rate,
        "saved_usd": totals.saved_usd,
        "shadow": shadow["count"],
        "shadow_saved_usd": shadow["saved"] or 0,
    }


def _top_queries(asked: QuerySet[CacheEntry]) -> list[dict[str, Any]]:
    rows = (
        asked.exclude(prompt="")
        .values("prompt")
        .annotate(hit=Sum("hits"), saved=Sum("saved_usd"), entries=Count("pk"))
        .order_by("-hit", "prompt")[:TOP]
    )
    return [{**_sums(row), "prompt": row["prompt"][:SHOWN_CHARACTERS]} for row in rows]


def _grouped(field: str) -> list[dict[str, Any]]:
    rows = (
        CacheEntry.objects.values(name=F(field))
        .annotate(entries=Count("pk"), hit=Sum("hits"), saved=Sum("saved_usd"))
        .order_by("-entries", "name")[:GROUPS]
    )
    return [{**_sums(row), "name": row["name"]} for row in rows]


def _sums(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"entries": row["entries"], "hits": row["hit"], "saved_usd": row["saved"]}
