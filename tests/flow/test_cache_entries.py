"""A workspace finds its kept answers, takes single ones away, and pins them."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from gateway.models import CacheVector
from tenants.db import schema_of
from tenants.models import AuditEvent
from tests.cached import ask, entries_of, entry_of, exact_keys, keep, listed
from tests.calls import records
from tests.conftest import Workspace
from tests.management import call


def test_entries_are_found_by_what_they_are(server: str, admin: Workspace) -> None:
    refund = keep(
        server,
        admin,
        "How do refunds work?",
        headers={"X-Nexus-Cache-Tags": "faq,money", "X-Nexus-Cache-Namespace": "shop"},
    )
    rain = keep(server, admin, "Why does 100% of rain fall?", model="gpt-4o")
    assert [entry["id"] for entry in listed(admin)] == [rain, refund]
    assert [entry["id"] for entry in listed(admin, "?order=oldest")] == [refund, rain]
    for query, found in {
        "?tag=faq": [refund],
        "?tag=fa": [],
        "?namespace=shop": [refund],
        "?namespace=": [rain],
        "?model=gpt-4o": [rain],
        "?q=REFUNDS": [refund],
        "?q=100%25 of": [rain],
        "?q=100_ of": [],
        "?pinned=true": [],
        "?tag=money&model=gpt-4o": [],
    }.items():
        assert [entry["id"] for entry in listed(admin, query)] == found, query
    (entry,) = listed(admin, "?tag=faq")
    assert entry.pop("created_at") < entry.pop("expires_at")
    assert entry.pop("answer_bytes") > 50 and entry.pop("age_s") < 60
    assert entry == {
        "id": refund,
        "prompt": "How do refunds work?",
        "model": "gpt-4o-mini",
        "provider": "simulated",
        "namespace": "shop",
        "tags": ["faq", "money"],
        "pinned": False,
        "by_meaning": True,
        "hits": 0,
        "saved_usd": 0.0,
        "last_hit_at": None,
    }


def test_pages_follow_one_another_in_each_order(server: str, admin: Workspace) -> None:
    ids = [keep(server, admin, f"What is number {number}?") for number in range(5)]
    for _ in range(3):
        ask(server, admin, "What is number 2?")
    records(admin, 8)
    for order in ("newest", "oldest", "hits"):
        seen, cursor = [], ""
        while True:
            page = call(admin, "GET", f"/api/cache/entries?order={order}&limit=2{cursor}").json()
            seen += [entry["id"] for entry in page["data"]]
            if page["next"] is None:
                break
            cursor = f"&cursor={page['next']}"
        assert sorted(seen) == sorted(ids)
        if order != "hits":
            assert seen == (ids if order == "oldest" else ids[::-1])
        else:
            assert seen[0] == ids[2]
    mixed = call(admin, "GET", f"/api/cache/entries?order=oldest{cursor}")
    assert (mixed.status_code, mixed.json()["error"]["param"]) == (400, "cursor")


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("?limit=0", "limit"),
        ("?limit=501", "limit"),
        ("?order=best", "order"),
        ("?cursor=x", "cursor"),
        ("?cursor=" + "A" * 500, "cursor"),
        ("?tag=%00", "tag"),
        ("?pinned=perhaps", "pinned"),
        ("?colour=red", "colour"),
        ("?q=" + "x" * 201, "q"),
    ],
)
def test_a_wrong_query_is_refused_by_name(admin: Workspace, query: str, param: str) -> None:
    answer = call(admin, "GET", f"/api/cache/entries{query}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_a_deleted_entry_answers_nothing_any_more(server: str, admin: Workspace) -> None:
    entry_id = keep(server, admin, "How tall is the tower?")
    keep(server, admin, "Who built the bridge?")
    # As headers have it, or as other programs write it.
    assert call(admin, "DELETE", f"/api/cache/entries/{uuid.UUID(entry_id)}").status_code == 204
    assert call(admin, "DELETE", f"/api/cache/entries/{entry_id}").status_code == 404
    assert entries_of(admin) == ["Who built the bridge?"] and len(exact_keys(admin)) == 1
    with schema_of(admin.tenant):
        assert CacheVector.objects.count() == 1
    assert ask(server, admin, "How tall is the tower?").headers["x-cache"] == "MISS"
    (event,) = AuditEvent.objects.filter(tenant=admin.tenant, action="cache.entry_deleted")
    assert event.target == entry_id and "tower" not in str(event.before)


@pytest.mark.parametrize("name", ["x", "0" * 31, "0" * 32, str(uuid.UUID(int=1)), "%00", "..%2f", "é" * 32, "𝟘" * 32])
def test_what_is_no_entry_is_404(admin: Workspace, name: str) -> None:
    for method, path in (("DELETE", ""), ("POST", "/pin"), ("POST", "/unpin")):
        assert call(admin, method, f"/api/cache/entries/{name}{path}").status_code in {404, 405}


def test_a_pinned_answer_neither_ends_nor_is_replaced(server: str, admin: Workspace) -> None:
    question = "When do you open?"
    entry_id = keep(server, admin, question, headers={"X-Nexus-Cache-TTL": "600"})
    (fingerprint,) = exact_keys(admin)
    assert 0 < exact_keys(admin)[fingerprint] <= 600
    for _ in range(2):
        pinned = call(admin, "POST", f"/api/cache/entries/{entry_id}/pin").json()
        assert pinned["pinned"] is True and pinned["expires_at"] is None
    assert exact_keys(admin) == {fingerprint: -1}
    assert [entry["id"] for entry in listed(admin, "?pinned=true")] == [entry_id]
    refreshed = ask(server, admin, question, headers={"Cache-Control": "no-cache"})
    assert refreshed.headers["x-cache"] == "REFRESH"
    hit = ask(server, admin, question)
    assert (hit.headers["x-cache"], hit.headers["x-nexus-cache-id"]) == ("HIT-EXACT", entry_id)
    assert exact_keys(admin) == {fingerprint: -1} and entry_of(admin, entry_id) is not None
    with schema_of(admin.tenant):
        assert [vector.expires_at.year for vector in CacheVector.objects.all()] == [9999]
    call(admin, "PATCH", "/api/cache/settings", {"ttl_s": 300})
    for _ in range(2):
        unpinned = call(admin, "POST", f"/api/cache/entries/{entry_id}/unpin").json()
        assert unpinned["pinned"] is False and unpinned["expires_at"] is not None
    assert 0 < exact_keys(admin)[fingerprint] <= 300
    again = ask(server, admin, question, headers={"Cache-Control": "no-cache"}).headers["x-nexus-cache-id"]
    assert ask(server, admin, question).headers["x-nexus-cache-id"] == again != entry_id
    actions = AuditEvent.objects.filter(tenant=admin.tenant, action__startswith="cache.entry").order_by("pk")
    assert [event.action for event in actions] == ["cache.entry_pinned", "cache.entry_unpinned"]


def test_pinning_brings_back_what_redis_has_lost(server: str, admin: Workspace) -> None:
    from gateway.cache import exact

    entry_id = keep(server, admin, "Which floor is it?")
    exact.forget(admin.tenant.pk, list(exact_keys(admin)))
    assert exact_keys(admin) == {}
    call(admin, "POST", f"/api/cache/entries/{entry_id}/pin")
    assert ask(server, admin, "Which floor is it?").headers["x-cache"] == "HIT-EXACT"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/cache/settings"),
        ("PATCH", "/api/cache/settings"),
        ("GET", "/api/cache/entries"),
        ("DELETE", "/api/cache/entries/x"),
        ("POST", "/api/cache/entries/x/pin"),
        ("POST", "/api/cache/entries/x/unpin"),
        ("POST", "/api/cache/invalidate"),
        ("POST", "/api/cache/import"),
        ("GET", "/api/cache/stats"),
        ("GET", "/api/admin/cache/stats"),
    ],
)
def test_only_a_key_with_the_scope_may_manage_the_cache(alice: Workspace, method: str, path: str) -> None:
    assert call(None, method, path).status_code == 401
    answer: Any = call(alice, method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
