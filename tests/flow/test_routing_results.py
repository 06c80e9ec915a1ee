"""`/api/routing/results` says what became of a route's traffic, variant by variant."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from django.utils import timezone

from analytics.models import UsageRecord
from tenants.db import schema_of
from tests.conftest import Workspace
from tests.management import call, refused


def record(at: dt.datetime, **fields: Any) -> UsageRecord:
    values = {
        "id": uuid.uuid4(), "request_id": "r", "key_id": 1, "at": at, "period_start": at, "dialect": "openai-chat",
        "stream": False, "outcome": "MISS", "status": 200, "provider": "fake", "model": "house",
        "upstream_model": "ok", "prompt_tokens": 10, "completion_tokens": 5, "billed_tokens": 15,
        "cost_usd": "0.01", "saved_usd": "0", "latency_ms": 100.0,
    }  # fmt: skip
    return UsageRecord(**{**values, **fields})


def test_results_say_how_each_variant_did(admin: Workspace) -> None:
    now = timezone.now()
    a, b = {"variant": "fake/a", "upstream_model": "a"}, {"variant": "fake/b", "upstream_model": "b"}
    with schema_of(admin.tenant):
        UsageRecord.objects.bulk_create(
            [
                *(record(now, **a, latency_ms=float(ms)) for ms in range(100, 1101, 100)),
                record(now, **a, outcome="HIT-EXACT", latency_ms=1.0, cost_usd="0"),
                record(now, **{**a, "provider": "other", "upstream_model": "c"}, latency_ms=600.0),
                record(now, **b, cost_usd=None),
                record(now, variant="fake/b", status=502, error="provider_failed", cost_usd="0", latency_ms=9.0),
                record(now, model="ok"),
                record(now - dt.timedelta(days=8), **a),
            ]
        )
    body = call(admin, "GET", "/api/routing/results?model=house").json()
    first, second = body["variants"]
    assert (body["model"], body["days"]) == ("house", 7)
    assert (first["variant"], first["provider"], first["upstream_model"]) == ("fake/a", None, None)
    assert (first["requests"], first["errors"], first["hits"], first["misses"]) == (13, 0, 1, 12)
    assert (first["mean_latency_ms"], first["p50_latency_ms"]) == (600, 600)
    assert first["p95_latency_ms"] == pytest.approx(1045)
    assert (first["prompt_tokens"], first["completion_tokens"], first["unpriced"]) == (130, 65, 0)
    assert first["cost_usd"] == pytest.approx(0.12) and first["cost_per_request_usd"] == pytest.approx(0.12 / 13)
    assert (second["variant"], second["requests"], second["errors"], second["unpriced"]) == ("fake/b", 2, 1, 1)
    assert (second["cost_usd"], second["cost_per_request_usd"], second["mean_latency_ms"]) == (0, 0, 100)
    (plain,) = call(admin, "GET", "/api/routing/results?model=ok&days=1").json()["variants"]
    assert (plain["variant"], plain["provider"], plain["upstream_model"]) == (None, "fake", "ok")
    assert call(admin, "GET", "/api/routing/results?model=nothing").json()["variants"] == []


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("", "model"),
        ("model=", "model"),
        ("model=a%00", "model"),
        ("model=house&days=0", "days"),
        ("model=house&days=91", "days"),
        ("model=house&days=x", "days"),
        ("model=house&day=7", "day"),
    ],
)
def test_a_bad_question_about_results_is_refused(admin: Workspace, query: str, param: str) -> None:
    refused(call(admin, "GET", f"/api/routing/results?{query}"), 400, param)
