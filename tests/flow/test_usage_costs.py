"""What requests cost and saved, grouped as finance asks; and that it is the ledger's sum."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import Sum

from analytics import costs
from analytics.models import UsageRecord
from billing.models import LedgerEntry
from tenants import apikeys
from tenants.db import schema_of
from tests.booked import NOON, at, book, week
from tests.conftest import Workspace
from tests.management import call, manages, refused
from tests.usage import COST_USD, miss

DAY = NOON.date()
FROM_TO = f"from={DAY}&to={DAY + dt.timedelta(days=1)}"


def asked(workspace: Workspace, query: str) -> dict[str, Any]:
    answer = call(workspace, "GET", f"/v1/usage/costs?{query}")
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


@pytest.fixture
def used(admin: Workspace) -> Workspace:
    week(admin)
    return admin


def test_days_add_up_to_the_ledger(used: Workspace) -> None:
    answer = asked(used, FROM_TO)
    first, second = answer["data"]
    assert (first["day"], second["day"]) == (str(DAY), str(DAY + dt.timedelta(days=1)))
    assert first["hits"] == {"exact": 1, "semantic": 0} and second["hits"] == {"exact": 0, "semantic": 1}
    assert (first["requests"], first["misses"], first["errors"], first["unpriced"]) == (3, 2, 0, 0)
    assert (second["requests"], second["misses"], second["errors"], second["unpriced"]) == (3, 1, 1, 1)
    assert first["cost_usd"] == f"{COST_USD + Decimal('1e-10'):.10f}"
    assert second["hit_rate"] == 0.5
    assert first["tokens"] == {"input": 30, "output": 60, "cached": 4, "reasoning": 7}
    sums = LedgerEntry.objects.filter(tenant=used.tenant).aggregate(c=Sum("cost_usd"), s=Sum("saved_usd"))
    totals = answer["totals"]
    assert (Decimal(totals["cost_usd"]), Decimal(totals["saved_usd"])) == (sums["c"], sums["s"])
    assert answer["source"] == "rollups" and answer["records"] == {
        "since": None,
        "retention_days": 365,
        "complete": True,
    }


@pytest.mark.parametrize("group", ["day", "hour", "model", "key", "provider", "outcome", "model,outcome", "day,key"])
def test_every_group_adds_up_to_the_same(used: Workspace, group: str) -> None:
    answer = asked(used, f"{FROM_TO}&group_by={group}")
    assert answer["totals"] == asked(used, FROM_TO)["totals"]
    for name in ("requests", "misses", "errors", "unpriced"):
        assert sum(row[name] for row in answer["data"]) == answer["totals"][name]
    for name in ("cost_usd", "saved_usd"):
        assert sum(Decimal(row[name]) for row in answer["data"]) == Decimal(answer["totals"][name])
    for name in ("input", "output", "cached", "reasoning"):
        assert sum(row["tokens"][name] for row in answer["data"]) == answer["totals"]["tokens"][name]
    assert all(set(group.split(",")) <= set(row) for row in answer["data"])


def test_a_tag_counts_each_request_that_has_it_and_the_totals_each_once(used: Workspace) -> None:
    answer = asked(used, f"{FROM_TO}&group_by=tag")
    by_tag = {row["tag"]: row["requests"] for row in answer["data"]}
    assert by_tag == {"blue": 2, "red": 1, None: 4}
    assert answer["totals"]["requests"] == 6 and answer["source"] == "records"


def test_records_say_the_same_as_the_sums_of_them(used: Workspace) -> None:
    """Where days begin within an hour, records are asked."""
    from_rollups = asked(used, f"{FROM_TO}&group_by=model")
    half = f"from={DAY}T00:00:00Z&to={DAY + dt.timedelta(days=1)}T23:30:00Z"
    from_records = asked(used, f"{half}&group_by=model")
    assert (from_rollups["source"], from_records["source"]) == ("rollups", "records")
    assert from_rollups["data"] == from_records["data"] and from_rollups["totals"] == from_records["totals"]


def test_what_the_records_do_not_reach_is_said(used: Workspace) -> None:
    with schema_of(used.tenant):
        UsageRecord.objects.filter(at__lt=NOON + dt.timedelta(hours=12)).delete()
    answer = asked(used, FROM_TO)
    assert answer["totals"]["requests"] == 6
    assert answer["totals"]["tokens"]["cached"] is None and answer["data"][0]["tokens"]["reasoning"] is None
    assert not answer["records"]["complete"] and answer["records"]["since"].startswith(str(DAY + dt.timedelta(days=1)))
    later = asked(used, f"from={DAY + dt.timedelta(days=2)}")
    assert later["records"]["complete"]


def test_without_any_request_there_are_empty_days(admin: Workspace) -> None:
    answer = asked(admin, "")
    assert len(answer["data"]) == 30 and answer["data"][-1]["day"] == str(dt.datetime.now(dt.UTC).date())
    assert {row["requests"] for row in answer["data"]} == {0}
    assert answer["totals"]["cost_usd"] == "0.0000000000" and answer["totals"]["hit_rate"] is None


def test_a_day_is_that_of_the_time_zone(admin: Workspace) -> None:
    # 23 o'clock UTC is the next day in Berlin; and half past five later in Kolkata.
    book(admin, miss(admin, at=at(hours=11)))
    days = {
        zone: [row["day"] for row in asked(admin, f"{FROM_TO}&tz={zone}")["data"] if row["requests"]]
        for zone in ("UTC", "Europe/Berlin", "Asia/Kolkata", "America/New_York")
    }
    first, second = str(DAY), str(DAY + dt.timedelta(days=1))
    assert days == {
        "UTC": [first],
        "Europe/Berlin": [second],
        "Asia/Kolkata": [second],
        "America/New_York": [first],
    }


def test_a_day_of_25_hours_is_one_day(admin: Workspace) -> None:
    answer = asked(admin, "from=2026-10-24&to=2026-10-26&tz=Europe/Berlin")
    assert [row["day"] for row in answer["data"]] == ["2026-10-24", "2026-10-25", "2026-10-26"]
    hours = asked(admin, "from=2026-10-25&to=2026-10-25&tz=Europe/Berlin&group_by=hour")
    assert len(hours["data"]) == 25


def test_a_key_without_the_scope_sees_only_its_own(used: Workspace) -> None:
    app = apikeys.issue(used.tenant, name="app")
    book(used, miss(used, at=at(), key_id=app.key.pk))
    of_app = used._replace(api_key=app.key, key=app.text)
    assert asked(of_app, FROM_TO)["totals"]["requests"] == 1
    rows = {row["key"]: (row["key_name"], row["requests"]) for row in asked(used, f"{FROM_TO}&group_by=key")["data"]}
    assert rows == {used.api_key.public_id: ("default", 6), app.key.public_id: ("app", 1)}


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("from=yesterday", "from"),
        ("from=2026-02-30", "from"),
        ("from=0001-01-01", "from"),
        ("to=9999-12-31", "to"),
        ("from=2026-11-02&to=2026-11-01", "to"),
        ("from=2025-01-01&to=2026-11-01", "from"),
        ("from=2026-09-01&to=2026-11-01&group_by=hour", "from"),
        ("tz=Mars/Olympus", "tz"),
        ("tz=../../etc/passwd", "tz"),
        ("tz=America", "tz"),
        ("group_by=", "group_by"),
        ("group_by=colour", "group_by"),
        ("group_by=day,hour", "group_by"),
        ("group_by=day,day", "group_by"),
        ("group_by=day,model,key", "group_by"),
        ("groupby=day", "groupby"),
        ("from=%00", "from"),
    ],
)
def test_a_bad_parameter_is_named(admin: Workspace, query: str, param: str) -> None:
    refused(call(admin, "GET", f"/v1/usage/costs?{query}"), 400, param)


def test_more_rows_than_an_answer_holds_are_refused(used: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "MAX_ROWS", 2)
    refused(call(used, "GET", f"/v1/usage/costs?{FROM_TO}&group_by=model,outcome"), 400, "group_by")


def test_old_clients_find_their_stats(used: Workspace) -> None:
    answer = call(used, "GET", "/stats").json()
    saved = f"{2 * COST_USD:.10f}"
    assert answer == {
        "requests": 6,
        "hits": 2,
        "misses": 3,
        "errors": 1,
        "hit_rate": 0.4,
        "saved": float(saved),
        "saved_usd": saved,
    }


def test_the_stats_of_a_key_without_the_scope_are_its_own(used: Workspace) -> None:
    app = apikeys.issue(used.tenant, name="app")
    viewer = apikeys.issue(used.tenant, name="viewer", scopes=["figures"])
    book(used, miss(used, at=at(), key_id=app.key.pk))
    counted = {
        key.key.name: call(used._replace(api_key=key.key, key=key.text), "GET", "/stats").json()["requests"]
        for key in (app, viewer)
    }
    assert counted == {"app": 1, "viewer": 7}


def test_the_workspaces_metrics(used: Workspace) -> None:
    answer = call(used, "GET", f"/v1/admin/metrics?{FROM_TO}").json()
    assert (answer["total_requests"], answer["cache_hit_rate"]) == (6, 0.4)
    assert answer["success_rate"] == pytest.approx(5 / 6)
    assert answer["avg_response_time_ms"] == pytest.approx((5 * 420.5 + 0.6) / 6, abs=0.001)
    assert answer["top_endpoints"][0]["requests"] == 6
    assert answer["cost_usd"] == asked(used, FROM_TO)["totals"]["cost_usd"]


def test_metrics_need_the_scope(alice: Workspace) -> None:
    assert call(alice, "GET", "/v1/admin/metrics").status_code == 403
    assert call(None, "GET", "/v1/usage/costs").status_code == 401
    assert call(None, "GET", "/stats").status_code == 401
    assert call(manages(alice), "GET", "/v1/admin/metrics").json()["total_requests"] == 0
