"""What became of a route's traffic, variant by variant."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from analytics import variants
from tenants.bodies import Body
from tenants.management_views import ManagementView, printable, read
from tenants.roles import Action

MAX_DAYS = 90


class ResultsQuery(Body):
    model = serializers.CharField(max_length=120, validators=[printable], help_text="As apps ask for it.")
    days = serializers.IntegerField(min_value=1, max_value=MAX_DAYS, default=7)


class VariantSerializer(serializers.Serializer[Any]):
    variant = serializers.CharField(allow_null=True, help_text="What an A/B route chose; null: it was no such route.")
    provider = serializers.CharField(allow_null=True, help_text="Without a variant: who answered; null: nobody.")
    upstream_model = serializers.CharField(allow_null=True)
    requests = serializers.IntegerField()
    errors = serializers.IntegerField()
    hits = serializers.IntegerField()
    misses = serializers.IntegerField(help_text="Answered by a provider.")
    mean_latency_ms = serializers.FloatField(allow_null=True, help_text="Of misses, up to the last byte; p50, p95 too.")
    p50_latency_ms = serializers.FloatField(allow_null=True)
    p95_latency_ms = serializers.FloatField(allow_null=True)
    prompt_tokens = serializers.IntegerField()
    completion_tokens = serializers.IntegerField()
    cost_usd = serializers.FloatField()
    cost_per_request_usd = serializers.FloatField(allow_null=True, help_text="Over requests with a known price.")
    unpriced = serializers.IntegerField(help_text="Requests whose model has no known price.")


class ResultsSerializer(serializers.Serializer[Any]):
    model = serializers.CharField()
    days = serializers.IntegerField()
    since = serializers.DateTimeField()
    variants = VariantSerializer(many=True)


class ResultsView(ManagementView):
    """Requests, errors, speed and cost of a model by A/B variant, or by who answered where there is none."""

    action = Action.FIGURES

    @extend_schema(operation_id="routing_results", parameters=[ResultsQuery], responses=ResultsSerializer)
    def get(self, request: Request) -> Response:
        query = read(ResultsQuery(data=request.query_params.dict()))
        since = timezone.now() - dt.timedelta(days=query["days"])
        with self.reading():
            found = variants.outcomes(query["model"], since)
        body = {**query, "since": since, "variants": [_plain(outcome) for outcome in found]}
        return Response(ResultsSerializer(body).data)


def _plain(outcome: variants.Outcome) -> dict[str, Any]:
    return {**outcome._asdict(), "cost_per_request_usd": outcome.cost_per_request_usd}
