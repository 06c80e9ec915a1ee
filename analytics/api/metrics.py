"""The figures that a workspace's operators ask for first."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from analytics import overview
from analytics.api.base import money
from analytics.api.ranges import Range, RangeQuery, range_of
from tenants.management_views import ManagementView, read
from tenants.roles import Action


class EndpointSerializer(serializers.Serializer[Any]):
    endpoint = serializers.CharField()
    requests = serializers.IntegerField()
    errors = serializers.IntegerField()
    avg_response_time_ms = serializers.FloatField()


class PlainTokensSerializer(serializers.Serializer[Any]):
    input = serializers.IntegerField()
    output = serializers.IntegerField()


class MetricsSerializer(serializers.Serializer[Any]):
    object = serializers.CharField()
    start = serializers.DateTimeField(help_text="Included.")
    end = serializers.DateTimeField(help_text="Excluded.")
    total_requests = serializers.IntegerField()
    avg_response_time_ms = serializers.FloatField(allow_null=True, help_text="Up to the last byte, hits included.")
    success_rate = serializers.FloatField(allow_null=True, help_text="0 to 1; null without any request.")
    cache_hit_rate = serializers.FloatField(allow_null=True, help_text="Of answered requests, 0 to 1.")
    top_endpoints = EndpointSerializer(many=True, help_text="From the records.")
    records_complete = serializers.BooleanField(help_text="Whether the records reach back to `from`.")
    tokens = PlainTokensSerializer()
    cost_usd = serializers.CharField()
    saved_usd = serializers.CharField()


def shown(schema: str, asked: Range) -> dict[str, Any]:
    found = overview.overview(schema, *asked)
    return {
        "start": asked.start.isoformat(),
        "end": asked.end.isoformat(),
        "total_requests": found.sums.requests,
        "avg_response_time_ms": _rounded(found.avg_response_time_ms),
        "success_rate": found.success_rate,
        "cache_hit_rate": found.sums.hit_rate,
        "top_endpoints": [
            {**each._asdict(), "avg_response_time_ms": _rounded(each.avg_response_time_ms)} for each in found.endpoints
        ],
        "records_complete": found.records.complete,
        "tokens": {"input": found.sums.prompt_tokens, "output": found.sums.completion_tokens},
        "cost_usd": money(found.sums.cost_usd),
        "saved_usd": money(found.sums.saved_usd),
    }


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 3)


class MetricsView(ManagementView):
    """How the workspace's gateway did."""

    action = Action.FIGURES

    @extend_schema(operation_id="workspace_metrics", parameters=[RangeQuery], responses=MetricsSerializer)
    def get(self, request: Request) -> Response:
        asked = range_of(read(RangeQuery(data=request.query_params.dict())))
        return Response({"object": "metrics", **shown(self.key.tenant.schema_name, asked)})
