"""The wrong-answer budget: what the verdicts say, what has followed from it, and what it costs to know."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Any

from django.db.models import Count, Q, Sum
from django.utils import timezone
from django.utils.translation import gettext
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from analytics.events import HITS
from analytics.models import UsageRecord
from gateway.cache import judging, learning, tuning
from gateway.models import CacheSettings, CacheTuning, Verdict
from tenants import audit
from tenants.audit import By
from tenants.bodies import Body
from tenants.management_views import ManagementView, changing, read
from tenants.models import Tenant
from tenants.roles import Action

SHADOW_DAYS = 30


class ThresholdSerializer(serializers.Serializer[Any]):
    own = serializers.FloatField(help_text="As the workspace has set it.")
    now = serializers.FloatField(help_text="What holds now.")
    learned = serializers.BooleanField(help_text="Whether the verdicts have moved it.")


class CountsSerializer(serializers.Serializer[Any]):
    right = serializers.IntegerField()
    wrong = serializers.IntegerField()
    waiting = serializers.IntegerField(help_text="Yet to be judged.")


class SaidSerializer(serializers.Serializer[Any]):
    right = serializers.IntegerField()
    wrong = serializers.IntegerField()


class VerdictsSerializer(serializers.Serializer[Any]):
    hits = CountsSerializer(help_text="By the judge: of answers that were given.")
    near_misses = CountsSerializer(help_text="Of answers to questions that were similar, but not enough.")
    shadow = CountsSerializer(help_text="Of answers that would have been given.")
    people = SaidSerializer(help_text="By people.")


class RateSerializer(serializers.Serializer[Any]):
    estimate = serializers.FloatField(allow_null=True, help_text="0 to 1; null: nobody knows.")
    low = serializers.FloatField(help_text="Low to high: the 90 % interval. High must keep the budget.")
    high = serializers.FloatField()


class PointSerializer(serializers.Serializer[Any]):
    threshold = serializers.FloatField()
    verdicts = serializers.IntegerField(help_text="Of the judge, at this similarity and above.")
    wrong_rate = serializers.FloatField(allow_null=True)
    low = serializers.FloatField()
    high = serializers.FloatField()
    projected_hits_per_day = serializers.FloatField(help_text="As the samples so far let expect.")


class JudgeSerializer(serializers.Serializer[Any]):
    model = serializers.CharField(help_text="Empty: nobody judges.")
    spent_usd = serializers.DecimalField(20, 10, help_text="In this calendar month, UTC.")
    budget_usd = serializers.DecimalField(10, 2)
    unpriced = serializers.IntegerField(help_text="Verdicts of this month whose price nobody knows.")
    waiting = serializers.IntegerField()
    unreadable = serializers.IntegerField(help_text="Replies that were no verdict.")
    problem = serializers.CharField(allow_null=True, help_text="Why samples wait; null: they do not for long.")


class ShadowSerializer(serializers.Serializer[Any]):
    since = serializers.DateTimeField()
    hits = serializers.IntegerField(help_text="Answers that would have been given.")
    saved_usd = serializers.DecimalField(20, 10, help_text="What they would have saved.")


class PolicySerializer(serializers.Serializer[Any]):
    threshold = ThresholdSerializer()
    semantic = serializers.ChoiceField(("on", "shadow", "off"), help_text="Whether the tier answers.")
    reason = serializers.CharField(help_text="Why the threshold is what it is, or why the tier is off.")
    budget = serializers.FloatField(help_text="Wrong answers among semantic hits, at most.")
    verdicts = VerdictsSerializer()
    wrong_rate = RateSerializer(help_text="Of answers at the threshold of now and above.")
    curve = PointSerializer(many=True)
    judge = JudgeSerializer()
    shadow = ShadowSerializer(help_text=f"The last {SHADOW_DAYS} days.")
    updated_at = serializers.DateTimeField(allow_null=True)


class PolicyView(ManagementView):
    action = Action.CACHE

    @extend_schema(operation_id="read_cache_policy", responses=PolicySerializer)
    def get(self, request: Request) -> Response:
        """What the verdicts on cached answers say, and what has followed from it."""
        with self.reading():
            return Response(PolicySerializer(_policy(self.key.tenant)).data)


class PolicyResetView(ManagementView):
    action = Action.CACHE

    @extend_schema(operation_id="reset_cache_policy", request=None, responses=PolicySerializer)
    def post(self, request: Request) -> Response:
        """Verdicts until now do not count any more; the workspace's own threshold holds."""
        read(Body(data=request.data))
        reset(self.key.tenant, self.by())
        with self.reading():
            return Response(PolicySerializer(_policy(self.key.tenant)).data)


def reset(tenant: Tenant, by: By) -> None:
    """Raises Conflict."""
    with changing(tenant):
        before = _told(standing(tenant))
        tuning.forget(tenant)
        after = _told(standing(tenant))
        audit.record_change(
            "cache_policy.reset", tenant=tenant, target="semantic tier", before=before, after=after, **by
        )


def _told(policy: dict[str, Any]) -> dict[str, Any]:
    verdicts = {
        kind: {name: counts[name] for name in ("right", "wrong")} for kind, counts in policy["verdicts"].items()
    }
    return {"threshold": policy["threshold"]["now"], "semantic": policy["semantic"], "verdicts": verdicts}


def _policy(tenant: Tenant) -> dict[str, Any]:
    return {**standing(tenant), "shadow": _shadow()}


def standing(tenant: Tenant) -> dict[str, Any]:
    """All of PolicySerializer but `shadow`, which looks at each request of a month. Within the tenant's schema."""
    row = CacheSettings.objects.first() or CacheSettings()
    tuned = CacheTuning.objects.first()
    state = tuned or CacheTuning()
    holds = tuning.effect(row, state)
    known = state.figures or learning.figures((), {}, row.threshold)
    return {
        "threshold": {"own": row.threshold, "now": holds["threshold"], "learned": holds["threshold"] != row.threshold},
        "semantic": holds["semantic"],
        "reason": state.reason if row.semantic else gettext("The workspace has switched the semantic tier off."),
        "budget": row.wrong_budget,
        "verdicts": _verdicts(state.since),
        "wrong_rate": {name: known["now"][field] for name, field in _RATE},
        "curve": known["curve"],
        "judge": _judge(tenant, row),
        "updated_at": tuned and tuned.updated_at,
    }


_RATE = (("estimate", "wrong_rate"), ("low", "low"), ("high", "high"))
_NAMES = {Verdict.Kind.HIT: "hits", Verdict.Kind.NEAR_MISS: "near_misses", Verdict.Kind.SHADOW: "shadow"}


def _verdicts(since: dt.datetime | None) -> dict[str, Any]:
    counting = Verdict.objects.all() if since is None else Verdict.objects.filter(at__gt=since)
    rows: Any = counting.order_by().values("kind", "source", "right", waits=Q(right=None, judged_at=None))
    counts: dict[str, Counter[str]] = {name: Counter() for name in (*_NAMES.values(), "people")}
    for row in rows.annotate(number=Count("id")):
        name = "people" if row["source"] == Verdict.Source.PERSON else _NAMES[row["kind"]]
        said = {True: "right", False: "wrong", None: "waiting" if row["waits"] else "unreadable"}[row["right"]]
        counts[name][said] += row["number"]
    fields = ("right", "wrong", "waiting")
    return {name: {field: found[field] for field in fields} for name, found in counts.items()}


def _judge(tenant: Tenant, row: CacheSettings) -> dict[str, Any]:
    spent = judging.spent(timezone.now())
    return {
        "model": row.judge_model,
        "spent_usd": spent.usd,
        "budget_usd": row.judge_budget_usd,
        "unpriced": spent.unpriced,
        "waiting": judging.waiting().count(),
        "unreadable": Verdict.objects.filter(right=None, judged_at__isnull=False).count(),
        "problem": judging.problem(tenant, row),
    }


def _shadow() -> dict[str, Any]:
    since = timezone.now() - dt.timedelta(days=SHADOW_DAYS)
    seen = UsageRecord.objects.filter(at__gte=since, entry_id__isnull=False).exclude(outcome__in=HITS)
    found = seen.aggregate(hits=Count("id"), saved_usd=Sum("shadow_saved_usd"))
    return {"since": since, "hits": found["hits"], "saved_usd": found["saved_usd"] or 0}
