"""What a workspace's cache holds, and what it is worth."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from gateway.models import CacheEntry, CacheSettings
from tenants import revocations
from tenants.db import schema_of
from tests.cached import ask, get, keep, until
from tests.calls import records
from tests.conftest import Workspace
from tests.management import call


def test_an_empty_cache_has_nothing_to_tell(server: str, admin: Workspace) -> None:
    stats = get(server, admin, "/api/admin/cache/stats").json()
    totals = stats["totals"]
    assert totals.pop("size_bytes") > 0
    assert totals == {
        "entries": 0, "by_meaning": 0, "waiting": 0, "pinned": 0, "expired": 0, "oldest_age_s": None,
        "newest_age_s": None, "hits": 0, "saved_usd": 0.0,
    }  # fmt: skip
    assert stats["hits"] == {
        "days": 7, "requests": 0, "exact": 0, "semantic": 0, "hit_rate": None, "saved_usd": 0.0, "shadow": 0,
        "shadow_saved_usd": 0.0,
    }  # fmt: skip
    assert stats["top_entries"] == stats["top_queries"] == stats["by_namespace"] == stats["by_model"] == []


def test_what_is_held_and_what_it_answered_is_counted(server: str, admin: Workspace) -> None:
    tea = keep(server, admin, "How long should green tea steep?")
    keep(server, admin, "How long should green tea steep?", headers={"X-Nexus-Cache-Namespace": "shop"})
    pinned = keep(server, admin, "Where is my order?", model="gpt-4o")
    call(admin, "POST", f"/api/cache/entries/{pinned}/pin")
    for question in ("How long should green tea steep?", "How long should I let green tea steep?"):
        assert ask(server, admin, question).headers["x-nexus-cache-id"] == tea
    records(admin, 5)
    with schema_of(admin.tenant):
        late = timezone.now() - dt.timedelta(seconds=1)
        CacheEntry.objects.filter(namespace="shop").update(expires_at=late)
        CacheEntry.objects.filter(pk=tea).update(embedder="another model")
    stats = get(server, admin, "/api/cache/stats?days=1").json()
    as_before = get(server, admin, "/api/admin/cache/stats?days=1").json()
    # A second may have passed.
    as_before["totals"] |= {name: stats["totals"][name] for name in ("newest_age_s", "oldest_age_s")}
    assert stats == as_before
    totals, hits = stats["totals"], stats["hits"]
    held = {name: totals[name] for name in ("entries", "by_meaning", "waiting", "pinned", "expired", "hits")}
    assert held == {"entries": 3, "by_meaning": 2, "waiting": 1, "pinned": 1, "expired": 1, "hits": 2}
    assert totals["saved_usd"] == hits["saved_usd"] > 0 and 0 <= totals["newest_age_s"] <= totals["oldest_age_s"]
    assert (hits["days"], hits["requests"], hits["exact"], hits["semantic"]) == (1, 5, 1, 1)
    assert hits["hit_rate"] == 0.4
    assert [(entry["id"], entry["hits"]) for entry in stats["top_entries"]] == [(tea, 2)]
    (query,) = stats["top_queries"]
    assert (query["prompt"], query["hits"], query["entries"]) == ("How long should green tea steep?", 2, 1)
    assert [(each["name"], each["entries"], each["hits"]) for each in stats["by_namespace"]] == [
        ("", 2, 2),
        ("shop", 1, 0),
    ]
    assert [(each["name"], each["entries"]) for each in stats["by_model"]] == [("gpt-4o-mini", 2), ("gpt-4o", 1)]


def test_what_shadow_mode_would_have_served_is_counted(server: str, admin: Workspace) -> None:
    with schema_of(admin.tenant):
        CacheSettings.objects.create(shadow=True)
    revocations.publish(f"tenant:{admin.tenant.pk}")
    keep(server, admin, "How long should green tea steep?")
    ask(server, admin, "How long should I let green tea steep?")
    records(admin, 2)
    until(lambda: get(server, admin, "/api/cache/stats").json()["hits"]["requests"] == 2)
    hits = get(server, admin, "/api/cache/stats").json()["hits"]
    assert (hits["semantic"], hits["shadow"]) == (0, 1) and hits["shadow_saved_usd"] > 0


@pytest.mark.parametrize("query", ["days=0", "days=91", "days=x", "days=1e9", "weeks=1"])
def test_a_wrong_query_is_refused_by_name(server: str, admin: Workspace, query: str) -> None:
    answer = get(server, admin, f"/api/cache/stats?{query}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, query.split("=")[0])
