"""What one workspace did, and what is used of its plan, for the platform's operators."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db.models import Sum
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from analytics import costs
from analytics.api import metrics
from analytics.api.base import budget, money, share
from analytics.api.metrics import MetricsSerializer
from analytics.api.ranges import RangeQuery, range_of
from analytics.api.tenants import OperatorView
from analytics.costs import Question, Sums
from billing.models import LedgerEntry, Plan, Subscription
from billing.periods import period_at
from billing.plans import tenant_limits
from tenants.limits import BUDGET_FIELDS, LIMIT_FIELDS, Limits
from tenants.management_views import read


class DaySerializer(serializers.Serializer[Any]):
    day = serializers.DateField()
    requests = serializers.IntegerField()
    errors = serializers.IntegerField()
    hit_rate = serializers.FloatField(allow_null=True)
    cost_usd = serializers.CharField()
    saved_usd = serializers.CharField()


class TenantAnalyticsSerializer(MetricsSerializer):
    tenant = serializers.IntegerField()
    by_day = DaySerializer(many=True, help_text="Days without a request, too.")


class ShareSerializer(serializers.Serializer[Any]):
    used = serializers.IntegerField()
    limit = serializers.IntegerField(allow_null=True)
    remaining = serializers.IntegerField(allow_null=True)
    percent = serializers.FloatField(allow_null=True)


class BudgetSerializer(serializers.Serializer[Any]):
    used = serializers.CharField()
    limit = serializers.CharField(allow_null=True)
    remaining = serializers.CharField(allow_null=True)
    percent = serializers.FloatField(allow_null=True)


class BudgetsSerializer(serializers.Serializer[Any]):
    daily = BudgetSerializer(help_text="By the UTC day.")
    monthly = BudgetSerializer(help_text="By the billing period.")


class PeriodSerializer(serializers.Serializer[Any]):
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()


class TenantUsageSerializer(serializers.Serializer[Any]):
    object = serializers.CharField()
    tenant = serializers.IntegerField()
    plan = serializers.CharField(help_text="Whose limits apply: Free's, once the grace of a failed payment is over.")
    period = PeriodSerializer()
    requests = ShareSerializer()
    tokens = ShareSerializer()
    budget = BudgetsSerializer()
    saved_usd = serializers.CharField()
    unpriced = serializers.IntegerField(help_text="Requests whose model has no known price.")
    limits = serializers.DictField(help_text="The plan's, with the workspace's exceptions; null: no limit.")


class TenantAnalyticsView(OperatorView):
    """How a workspace's gateway did, and day by day."""

    @extend_schema(operation_id="tenant_analytics", parameters=[RangeQuery], responses=TenantAnalyticsSerializer)
    def get(self, request: Request, id: int) -> Response:
        asked = range_of(read(RangeQuery(data=request.query_params.dict())))
        schema = self.find(id).schema_name
        days = costs.breakdown(schema, Question(*asked, groups=("day",))).rows
        by_day = [_day(at.astimezone(asked.zone).date().isoformat(), sums) for (at,), sums in days]
        figures = metrics.shown(schema, asked)
        return Response({"object": "tenant.analytics", "tenant": id, **figures, "by_day": by_day})


class TenantUsageView(OperatorView):
    """What is used of a workspace's plan, by the ledger, which is seconds behind."""

    @extend_schema(operation_id="tenant_usage", responses=TenantUsageSerializer)
    def get(self, request: Request, id: int) -> Response:
        tenant = self.find(id)
        now = timezone.now()
        subscription = Subscription.objects.select_related("plan").get(tenant=tenant)
        period, plan = period_at(subscription.anchor_at, now), subscription.effective_plan(now)
        limits = _limits(subscription, plan)
        booked = LedgerEntry.objects.filter(tenant=tenant, period_start=period.start)
        sums = _summed(booked, "requests", "tokens", "cost_usd", "saved_usd", "unpriced")
        today = _summed(booked.filter(day=now.date()), "cost_usd")
        return Response(
            {
                "object": "tenant.usage",
                "tenant": tenant.pk,
                "plan": plan.code,
                "period": {"start": period.start.isoformat(), "end": period.end.isoformat()},
                "requests": share(sums["requests"], limits.monthly_requests),
                "tokens": share(sums["tokens"], limits.monthly_tokens),
                "budget": {
                    "daily": budget(Decimal(today["cost_usd"]), limits.daily_budget_usd),
                    "monthly": budget(Decimal(sums["cost_usd"]), limits.monthly_budget_usd),
                },
                "saved_usd": money(Decimal(sums["saved_usd"])),
                "unpriced": sums["unpriced"],
                "limits": shown_limits(limits),
            }
        )


def shown_limits(limits: Limits) -> dict[str, int | str | None]:
    values = {name: getattr(limits, name) for name in LIMIT_FIELDS}
    return {name: str(value) if isinstance(value, Decimal) else value for name, value in values.items()}


def _day(day: str, sums: Sums) -> dict[str, Any]:
    return {
        "day": day,
        "requests": sums.requests,
        "errors": sums.errors,
        "hit_rate": sums.hit_rate,
        "cost_usd": money(sums.cost_usd),
        "saved_usd": money(sums.saved_usd),
    }


def _limits(subscription: Subscription, plan: Plan) -> Limits:
    row = {name: getattr(plan, name) for name in (*LIMIT_FIELDS, "budget_mode")}
    row |= {f"own_{name}": getattr(subscription, name) for name in (*BUDGET_FIELDS, "budget_mode")}
    return tenant_limits(row, subscription.overrides)


def _summed(rows: Any, *names: str) -> dict[str, Any]:
    sums = rows.aggregate(**{f"all_{name}": Sum(name) for name in names})
    return {name: sums[f"all_{name}"] or 0 for name in names}
