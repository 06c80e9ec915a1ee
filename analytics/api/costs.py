"""Costs by what they can be asked for, and the few figures that clients of older gateways ask for."""

from __future__ import annotations

import datetime as dt
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from analytics import costs, queries
from analytics.api.base import OwnView, money, names_of_keys
from analytics.api.ranges import MAX_DAYS, RangeQuery, range_of
from analytics.costs import GROUPS, Question, Sums
from billing.models import Subscription
from tenants.management_views import read

MAX_DAYS_BY_HOUR = 31
MAX_GROUPS = 2


class CostsQuery(RangeQuery):
    group_by = serializers.CharField(
        max_length=40, default="day", help_text=f"One or two of {', '.join(GROUPS)}, with a comma between them."
    )

    def validate_group_by(self, text: str) -> tuple[str, ...]:
        groups = tuple(name.strip() for name in text.split(","))
        if len(groups) > MAX_GROUPS or len(set(groups)) < len(groups) or {"day", "hour"} <= set(groups):
            raise serializers.ValidationError("One group, or two different ones, and one of time at most.")
        for name in groups:
            if name not in GROUPS:
                raise serializers.ValidationError(f"There is no group “{name}”. There are: {', '.join(GROUPS)}.")
        return groups


class HitCountsSerializer(serializers.Serializer[Any]):
    exact = serializers.IntegerField()
    semantic = serializers.IntegerField()


class TokensSerializer(serializers.Serializer[Any]):
    input = serializers.IntegerField()
    output = serializers.IntegerField()
    cached = serializers.IntegerField(allow_null=True, help_text="Of the input: what the provider had in its cache.")
    reasoning = serializers.IntegerField(allow_null=True, help_text="Of the output: what the model thought.")


class SumsSerializer(serializers.Serializer[Any]):
    requests = serializers.IntegerField()
    hits = HitCountsSerializer()
    misses = serializers.IntegerField(help_text="Answered by a provider, asked to or not.")
    errors = serializers.IntegerField()
    tokens = TokensSerializer(help_text="Of the answers, of cached ones too.")
    cost_usd = serializers.CharField(help_text="Ten digits after the point.")
    saved_usd = serializers.CharField()
    hit_rate = serializers.FloatField(allow_null=True, help_text="Of answered requests, 0 to 1; null: there were none.")
    unpriced = serializers.IntegerField(help_text="Requests whose model has no known price: neither cost nor saving.")


class CostRowSerializer(SumsSerializer):
    """The groups that were asked for come first, each under its own name."""

    day = serializers.DateField(required=False)
    hour = serializers.DateTimeField(required=False)
    model = serializers.CharField(required=False)
    key = serializers.CharField(required=False, help_text="The key's id.")
    key_name = serializers.CharField(required=False)
    provider = serializers.CharField(required=False, help_text="Empty: nobody answered.")
    outcome = serializers.CharField(required=False, help_text="As in X-Cache.")
    tag = serializers.CharField(required=False, allow_null=True, help_text="Null: requests without a tag.")


class RecordsReachSerializer(serializers.Serializer[Any]):
    since = serializers.DateTimeField(allow_null=True, help_text="Older ones are gone; null: all are there.")
    retention_days = serializers.IntegerField()
    complete = serializers.BooleanField(help_text="Whether they reach back to `from`.")


class CostsSerializer(serializers.Serializer[Any]):
    object = serializers.CharField()
    start = serializers.DateTimeField(help_text="Included.")
    end = serializers.DateTimeField(help_text="Excluded.")
    tz = serializers.CharField()
    group_by = serializers.ListField(child=serializers.CharField())
    source = serializers.ChoiceField(["rollups", "records"], help_text="Hourly sums are kept for ever, records not.")
    records = RecordsReachSerializer()
    data = CostRowSerializer(many=True)
    totals = SumsSerializer(help_text="Each request once, also where it has several tags.")


def shown(sums: Sums) -> dict[str, Any]:
    return {
        "requests": sums.requests,
        "hits": {"exact": sums.exact_hits, "semantic": sums.semantic_hits},
        "misses": sums.misses,
        "errors": sums.errors,
        "tokens": {
            "input": sums.prompt_tokens,
            "output": sums.completion_tokens,
            "cached": sums.cached_tokens,
            "reasoning": sums.reasoning_tokens,
        },
        "cost_usd": money(sums.cost_usd),
        "saved_usd": money(sums.saved_usd),
        "hit_rate": sums.hit_rate,
        "unpriced": sums.unpriced,
    }


class CostsView(OwnView):
    """What requests cost and saved, by up to two groups."""

    @extend_schema(operation_id="usage_costs", parameters=[CostsQuery], responses=CostsSerializer)
    def get(self, request: Request) -> Response:
        query = read(CostsQuery(data=request.query_params.dict()))
        groups = query["group_by"]
        start, end, zone = range_of(query, max_days=MAX_DAYS_BY_HOUR if "hour" in groups else MAX_DAYS)
        try:
            found = costs.breakdown(self.key.tenant.schema_name, Question(start, end, zone, groups, self.own_key_id))
        except costs.TooManyRows:
            why = f"These are more than {costs.MAX_ROWS:,} rows. Ask for fewer days, or for one group."
            raise ValidationError({"group_by": why}) from None
        retention = Subscription.objects.select_related("plan", "tenant").get(tenant=self.key.tenant).retention_days
        keys = names_of_keys(group[groups.index("key")] for group, _ in found.rows) if "key" in groups else {}
        return Response(
            {
                "object": "usage.costs",
                "start": start.isoformat(),
                "end": end.isoformat(),
                "tz": query["tz"],
                "group_by": list(groups),
                "source": "records" if found.from_records else "rollups",
                "records": {
                    "since": found.records.since and found.records.since.isoformat(),
                    "retention_days": retention,
                    "complete": found.records.complete,
                },
                "data": [{**_labels(groups, group, zone, keys), **shown(sums)} for group, sums in found.rows],
                "totals": shown(found.totals),
            }
        )


def _labels(
    groups: tuple[str, ...], values: tuple[Any, ...], zone: dt.tzinfo, keys: dict[int | None, tuple[str, str]]
) -> dict[str, Any]:
    labels: dict[str, Any] = {}
    for name, value in zip(groups, values, strict=True):
        if name == "key":
            labels["key"], labels["key_name"] = keys[value]
        elif name == "day":
            labels["day"] = value.astimezone(zone).date().isoformat()
        elif name == "hour":
            labels["hour"] = value.astimezone(zone).isoformat()
        else:
            labels[name] = value
    return labels


class GatewayStatsSerializer(serializers.Serializer[Any]):
    requests = serializers.IntegerField()
    hits = serializers.IntegerField()
    misses = serializers.IntegerField()
    errors = serializers.IntegerField()
    hit_rate = serializers.FloatField(help_text="Of answered requests, 0 to 1; 0 without any.")
    saved = serializers.FloatField(help_text="USD.")
    saved_usd = serializers.CharField(help_text="The same to the last digit.")


class StatsView(OwnView):
    """The cache in a few figures, of all time; for clients of older gateways."""

    @extend_schema(operation_id="stats", responses=GatewayStatsSerializer)
    def get(self, request: Request) -> Response:
        with self.reading():
            totals = queries.totals(key_id=self.own_key_id)
        return Response(
            {
                "requests": totals.requests,
                "hits": totals.exact_hits + totals.semantic_hits,
                "misses": totals.misses,
                "errors": totals.errors,
                "hit_rate": totals.hit_rate or 0.0,
                "saved": float(totals.saved_usd),
                "saved_usd": money(totals.saved_usd),
            }
        )
