"""Applies what the verdicts say (gateway.cache.learning) to one tenant's semantic tier, and tells who is to know."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import Count, F, IntegerField, Q, QuerySet
from django.db.models.functions import Cast, Floor
from django.utils import timezone
from django.utils.translation import gettext_noop
from psycopg import sql

from analytics import alerts
from analytics.events import HIT_SEMANTIC
from analytics.models import UsageRecord
from gateway.cache import learning
from gateway.cache.learning import Decision, Fact, Standing
from gateway.models import CacheSettings, CacheTuning, Verdict
from tenants import audit, kept, revocations
from tenants.db import schema_of, table
from tenants.models import Tenant

ACTOR = "cache policy"
DAY_S = 86_400
NOT_LEARNING = gettext_noop("Verdicts do not move the threshold here: “learn” is off.")
kept.keep(*learning.REASONS, NOT_LEARNING)


class Evidence(NamedTuple):
    """As of `at`, of verdicts since `since`; `served`: see gateway.cache.learning.decide."""

    at: dt.datetime
    since: dt.datetime | None
    facts: Sequence[Fact]
    served: dict[int, int]


class Due(NamedTuple):
    judge: bool
    tune: bool


# What settings the last tuning was made for is in its figures: whoever changes them, by whatever way, it is done again.
_DUE = """
SELECT
    coalesce(setting.judge_model, '') <> '' AND EXISTS (
        SELECT FROM {verdicts} WHERE "right" IS NULL AND judged_at IS NULL
    ),
    EXISTS (SELECT FROM {verdicts} WHERE judged_at > coalesce(tuning.updated_at, '-infinity'::timestamptz))
    OR tuning.updated_at < now() - interval '1 day'
    OR tuning.figures->'of' <> jsonb_build_array(setting.threshold, setting.wrong_budget, setting.learn)
FROM (SELECT) one LEFT JOIN {settings} setting ON true LEFT JOIN {tuning} tuning ON true
"""


def due(schema: str) -> Due:
    names = {"verdicts": "gateway_verdict", "settings": "gateway_cachesettings", "tuning": "gateway_cachetuning"}
    query = sql.SQL(_DUE).format(**{name: table(schema, full) for name, full in names.items()})
    with connection.cursor() as cursor:
        cursor.execute(query)
        judge, tune = cursor.fetchone()
        return Due(bool(judge), bool(tune))


def tune(tenant: Tenant) -> None:
    with schema_of(tenant):
        # Before anything is locked: it may take a while.
        evidence = _evidence(timezone.now())
        with transaction.atomic():
            # As the management API does: settings do not change under our hands.
            Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
            tuning = CacheTuning.objects.first() or CacheTuning()
            # Otherwise verdicts were forgotten meanwhile.
            if tuning.since == evidence.since:
                _apply(tenant, tuning, evidence)


def forget(tenant: Tenant) -> None:
    """Verdicts until now do not count any more. Within the tenant's schema, in a transaction that has its lock."""
    tuning = CacheTuning.objects.first() or CacheTuning()
    tuning.since = timezone.now()
    _apply(tenant, tuning, Evidence(tuning.since, tuning.since, (), {}))


def _apply(tenant: Tenant, tuning: CacheTuning, evidence: Evidence) -> None:
    # Also where there was none: the data plane reads the one joined to the other.
    row, _ = CacheSettings.objects.get_or_create(id=1)
    before = effect(row, tuning)
    decision = _decide(row, tuning, evidence)
    tuning.threshold, tuning.off, tuning.reason = decision.threshold, decision.off, decision.reason
    tuning.figures = {**decision.figures, "of": [row.threshold, row.wrong_budget, row.learn]}
    tuning.updated_at = evidence.at
    tuning.save()
    after = effect(row, tuning)
    if before != after:
        said = {**after, "reason": tuning.reason}
        audit.record(
            "cache_policy.changed", tenant=tenant, actor_label=ACTOR, target="semantic tier", before=before, after=said
        )
        revocations.publish(f"tenant:{tenant.pk}")
        if before["semantic"] != "off" and (after["semantic"] == "off" or after["threshold"] > before["threshold"]):
            facts = {**said, "budget": row.wrong_budget, "threshold_before": before["threshold"]}
            key = f"cache_budget_exceeded:{evidence.at.isoformat()}"
            alerts.raise_alert(tenant, "cache_budget_exceeded", "semantic tier", facts, key)


def _decide(row: CacheSettings, tuning: CacheTuning, evidence: Evidence) -> Decision:
    if not row.learn:
        figures = learning.figures(evidence.facts, evidence.served, row.threshold)
        return Decision(None, False, NOT_LEARNING, figures)
    standing = Standing(row.threshold, tuning.threshold, tuning.off)
    return learning.decide(evidence.facts, evidence.served, standing, row.wrong_budget)


def effect(row: CacheSettings, tuning: CacheTuning) -> dict[str, Any]:
    """What holds now, as people are told."""
    learned = tuning.threshold if row.learn else None
    off = not row.semantic or (row.learn and tuning.off)
    return {
        "threshold": row.threshold if learned is None else learned,
        "semantic": "off" if off else "shadow" if row.shadow else "on",
    }


def _evidence(now: dt.datetime) -> Evidence:
    tuning = CacheTuning.objects.first()
    since = tuning.since if tuning else None
    first = max(filter(None, (since, now - dt.timedelta(days=learning.REPORT_DAYS))))
    reports = (
        _counting(since)
        .filter(source=Verdict.Source.PERSON, reviewer_id=None, kind=Verdict.Kind.HIT, right=False, judged_at__gt=first)
        .order_by("-judged_at")[: learning.KEPT_VERDICTS]
    )
    facts = [*sampled(now, since), *(_fact(row, now) for row in reports.values(*_COLUMNS))]
    enough = sum(fact.source == learning.PERSON for fact in facts) >= learning.REPORTS_AT_LEAST
    return Evidence(now, since, facts, _served(first) if enough else {})


def sampled(now: dt.datetime, since: dt.datetime | None) -> list[Fact]:
    """Verdicts on what was drawn by lot, the newest first. Within the tenant's schema."""
    found = (
        _counting(since)
        .filter(
            Q(source=Verdict.Source.MODEL) | Q(reviewer_id__isnull=False),
            judged_at__gt=now - dt.timedelta(days=learning.KEPT_DAYS),
        )
        .order_by("-judged_at")[: learning.KEPT_VERDICTS]
    )
    return [_fact(row, now) for row in found.values(*_COLUMNS)]


def _counting(since: dt.datetime | None) -> QuerySet[Verdict]:
    counting = Verdict.objects.exclude(right=None).exclude(similarity=None)
    return counting if since is None else counting.filter(at__gt=since)


_COLUMNS = ("kind", "similarity", "weight", "right", "source", "at", "reviewer_id")


def _fact(row: dict[str, Any], now: dt.datetime) -> Fact:
    age_days = max(0.0, (now - row.pop("at")).total_seconds() / DAY_S)
    if row.pop("reviewer_id") is not None:
        # Drawn by lot, as the judge's are.
        row["source"] = learning.MODEL
    return Fact(**row, age_days=age_days)


def _served(since: dt.datetime) -> dict[int, int]:
    """Semantic hits by hundredths of similarity."""
    hits = UsageRecord.objects.filter(at__gt=since, outcome=HIT_SEMANTIC, similarity__isnull=False)
    hundredths = Cast(Floor(F("similarity") * 100 + 1e-9), IntegerField())
    counted = hits.annotate(hundredths=hundredths).values("hundredths").annotate(number=Count("id"))
    return dict(counted.values_list("hundredths", "number"))
