"""A workspace takes kept answers away: by what they are, for whom they were, and by what they are about."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from django.core import signing
from django.utils import timezone

from gateway.cache import exact, meaning
from gateway.models import CacheEntry, CacheVector
from tenants import apikeys
from tenants.db import schema_of
from tenants.models import AuditEvent
from tests.cached import ask, entries_of, exact_keys, keep, post
from tests.conftest import Workspace
from tests.management import call

PATH = "/api/cache/invalidate"


def invalidate(workspace: Workspace, **body: Any) -> dict[str, Any]:
    answer = call(workspace, "POST", PATH, body)
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def vectors_of(workspace: Workspace) -> int:
    with schema_of(workspace.tenant):
        return CacheVector.objects.count()


@pytest.fixture
def three(server: str, admin: Workspace) -> dict[str, str]:
    """Ids by question."""
    more: dict[str, dict[str, Any]] = {
        "How do refunds work?": {"headers": {"X-Nexus-Cache-Tags": "faq,money"}},
        "Why is the sky blue?": {"headers": {"X-Nexus-Cache-Namespace": "school"}, "model": "gpt-4o"},
        "Who invented paper?": {"user": " Anna B. "},
    }
    return {question: keep(server, admin, question, **each) for question, each in more.items()}


@pytest.mark.parametrize(
    ("which", "gone"),
    [
        ({"tag": "money"}, "How do refunds work?"),
        ({"namespace": "school"}, "Why is the sky blue?"),
        ({"model": "gpt-4o"}, "Why is the sky blue?"),
        ({"end_user": " Anna B. "}, "Who invented paper?"),
        ({"text": "invented paper"}, "Who invented paper?"),
    ],
)
def test_what_is_named_goes_from_both_tiers_and_the_rest_stays(
    server: str, admin: Workspace, three: dict[str, str], which: dict[str, str], gone: str
) -> None:
    seen = invalidate(admin, **which, preview=True)
    assert (seen["count"], seen["token"], [each["prompt"] for each in seen["samples"]]) == (1, None, [gone])
    assert entries_of(admin) == sorted(three) and len(exact_keys(admin)) == 3
    done = invalidate(admin, **which)
    assert (done["preview"], done["count"], done["samples"]) == (False, 1, [])
    assert entries_of(admin) == sorted(set(three) - {gone})
    assert len(exact_keys(admin)) == vectors_of(admin) == 2
    assert invalidate(admin, **which)["count"] == 0
    (first, _) = AuditEvent.objects.filter(tenant=admin.tenant, action="cache.invalidated").order_by("pk")
    assert (first.after or {})["count"] == 1 and "Anna" not in str(first.after) and "paper" not in str(first.after)


def test_one_entry_goes_by_its_id(server: str, admin: Workspace, three: dict[str, str]) -> None:
    assert invalidate(admin, entry=three["Who invented paper?"])["count"] == 1
    assert invalidate(admin, entry="nothing")["count"] == 0
    assert "Who invented paper?" not in entries_of(admin)
    assert ask(server, admin, "Who invented paper?", user=" Anna B. ").headers["x-cache"] == "MISS"


def test_pinned_answers_stay_unless_they_are_meant_too(admin: Workspace, three: dict[str, str]) -> None:
    call(admin, "POST", f"/api/cache/entries/{three['How do refunds work?']}/pin")
    done = invalidate(admin, all=True)
    assert (done["count"], done["kept_pinned"]) == (2, 1)
    assert entries_of(admin) == ["How do refunds work?"] and list(exact_keys(admin).values()) == [-1]
    assert invalidate(admin, all=True, pinned=True)["count"] == 1
    assert entries_of(admin) == [] and exact_keys(admin) == {} and vectors_of(admin) == 0


def test_all_is_also_what_came_while_postgres_was_away(admin: Workspace, three: dict[str, str]) -> None:
    with schema_of(admin.tenant):
        CacheEntry.objects.all().delete()
    assert invalidate(admin, all=True)["count"] == 0
    assert exact_keys(admin) == {}


@pytest.fixture
def redis_away(settings: Any) -> Iterator[None]:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    exact._client.cache_clear()
    yield
    exact._client.cache_clear()


def test_without_redis_nothing_goes(admin: Workspace, three: dict[str, str], redis_away: None) -> None:
    entry_id = three["Who invented paper?"]
    for method, path, body in (
        ("POST", PATH, {"tag": "faq"}),
        ("POST", PATH, {"all": True}),
        ("DELETE", f"/api/cache/entries/{entry_id}", None),
        ("POST", f"/api/cache/entries/{entry_id}/pin", None),
    ):
        answer = call(admin, method, path, body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "service_unavailable")
    assert entries_of(admin) == sorted(three)
    with schema_of(admin.tenant):
        assert not CacheEntry.objects.filter(pinned=True).exists()


def test_more_than_a_batch_goes_too(admin: Workspace) -> None:
    now = timezone.now()
    end = now + dt.timedelta(hours=1)
    with schema_of(admin.tenant):
        CacheEntry.objects.bulk_create(
            CacheEntry(
                fingerprint=f"{number:032x}",
                tags=["many"],
                model="m",
                prompt=f"{number}",
                answer=b"{}",
                meta={},
                expires_at=end,
                stale_until=end,
            )
            for number in range(2500)
        )
    assert invalidate(admin, tag="many")["count"] == 2500
    assert entries_of(admin) == []


# --- by meaning -------------------------------------------------------------------------------------------------------


@pytest.fixture
def shop(server: str, admin: Workspace) -> list[str]:
    questions = [
        "How do I get a refund for a broken lamp?",
        "Can money be returned after a purchase?",
        "What are your opening hours?",
        "Where is my refund?",
    ]
    for question in questions:
        keep(server, admin, question)
    return questions


def test_meaning_goes_by_what_its_preview_showed(server: str, admin: Workspace, shop: list[str]) -> None:
    body = {"meaning": "Everything about refunds"}
    seen = post(server, admin, PATH, body).json()
    found = {each["prompt"]: each["similarity"] for each in seen["samples"]}
    assert set(found) >= {shop[0], shop[3]} and shop[2] not in found and seen["count"] == len(found)
    # A question about one's own has no vector; its words find it.
    assert found[shop[3]] is None and found[shop[0]] > 0.3
    assert entries_of(admin) == sorted(shop)
    keep(server, admin, "Are refunds paid in cash?")
    done = post(server, admin, PATH, {**body, "token": seen["token"]}).json()
    assert (done["preview"], done["count"]) == (False, seen["count"])
    # What came after the preview was not shown, and stays.
    assert entries_of(admin) == sorted({*shop, "Are refunds paid in cash?"} - set(found))
    assert post(server, admin, PATH, {**body, "token": seen["token"]}).json()["count"] == 0
    # What somebody asks about is in no log from which nothing is deleted.
    events = AuditEvent.objects.filter(tenant=admin.tenant, action="cache.invalidated").order_by("pk")
    told = {"meaning_length": len(body["meaning"]), "pinned": False}
    assert [event.after for event in events] == [{**told, "count": seen["count"]}, {**told, "count": 0}]


def test_a_pinned_answer_is_in_no_preview_by_meaning(server: str, admin: Workspace) -> None:
    entry_id = keep(server, admin, "How do refunds work?")
    call(admin, "POST", f"/api/cache/entries/{entry_id}/pin")
    seen = post(server, admin, PATH, {"meaning": "refunds"}).json()
    assert (seen["count"], seen["kept_pinned"], seen["samples"]) == (0, 1, [])
    # Nor does its token take away what it did not show.
    body = {"meaning": "refunds", "token": seen["token"], "pinned": True}
    assert post(server, admin, PATH, body).json()["count"] == 0
    assert post(server, admin, PATH, {"meaning": "refunds", "pinned": True}).json()["count"] == 1


def test_by_meaning_nothing_goes_without_its_preview(server: str, admin: Workspace, shop: list[str]) -> None:
    tokens: list[Any] = [
        "x",
        signing.dumps([admin.tenant.pk, "refunds", ""], salt="another"),
        post(server, admin, PATH, {"meaning": "opening hours"}).json()["token"],
    ]
    bodies: list[dict[str, Any]] = [{"meaning": "refunds", "preview": False}]
    bodies += [{"meaning": "refunds", "token": token} for token in tokens]
    for body in bodies:
        answer = post(server, admin, PATH, body)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "token"), body
    assert entries_of(admin) == sorted(shop)


def test_a_meaning_that_cannot_be_read_is_refused(server: str, admin: Workspace) -> None:
    answer = post(server, admin, PATH, {"meaning": "\U0001f600 \U0001f601"})
    assert answer.status_code in {200, 400}
    answer = post(server, admin, PATH, {"meaning": "a " * 200})
    assert answer.status_code in {200, 400}


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("everything about refunds", "refunds"),
        ("All questions on the moon", "the moon"),
        ("alles über Rechnungen", "Rechnungen"),
        ("everything about", "everything about"),
        ("refunds", "refunds"),
    ],
)
def test_what_a_phrase_is_about(text: str, subject: str) -> None:
    assert meaning.subject_of(text) == subject


def test_words_that_say_nothing_find_nothing() -> None:
    assert meaning.patterns_of("the of and") == []
    assert meaning.patterns_of("Refunds for 100%_ gas") == ["%refund%", "%100%", "%gas%"]


# --- what is wrong ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, None),
        ([], None),
        ({"tag": "a", "model": "b"}, None),
        ({"pinned": True}, None),
        ({"all": False}, "all"),
        ({"all": "x"}, "all"),
        ({"tag": ""}, "tag"),
        ({"tag": "a\x00"}, "tag"),
        ({"tag": ["a"]}, "tag"),
        ({"tag": "x" * 65}, "tag"),
        ({"tag": "a", "token": "x"}, "token"),
        ({"tag": "a", "similarity": 2}, "similarity"),
        ({"meaning": ""}, "meaning"),
        ({"meaning": "x" * 401}, "meaning"),
        ({"meaning": "x", "similarity": 0.1}, "similarity"),
        ({"meaning": "x", "similarity": "0.5"}, "similarity"),
        ({"everything": True}, "everything"),
    ],
)
def test_a_wrong_request_takes_nothing_away(admin: Workspace, body: Any, param: str | None) -> None:
    answer = call(admin, "POST", PATH, body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_a_revoked_key_invalidates_nothing(server: str, admin: Workspace) -> None:
    apikeys.revoke(admin.api_key)
    assert call(admin, "POST", PATH, {"all": True}).status_code == 401
