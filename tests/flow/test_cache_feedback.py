"""A cached answer explains itself, and people say whether it was right."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from django.conf import settings

from gateway.api.cache_feedback import PER_MINUTE, TUNE
from gateway.cache.verify import GUARDS
from gateway.models import CacheSettings, Verdict
from tenants import keyspace, revocations
from tenants.db import schema_of
from tenants.models import ApiKey
from tests.cached import ask, entries_of, exact_keys, get, keep, post, until
from tests.calls import records
from tests.conftest import Workspace
from tests.management import call

TEA = ("How long should green tea steep?", "How long should I let green tea steep?")


@pytest.fixture
def tea(server: str, admin: Workspace) -> tuple[str, str]:
    """A kept answer's id, and the request that got it by meaning."""
    entry_id = keep(server, admin, TEA[0], headers={"X-Nexus-Cache-Tags": "tea"})
    hit = ask(server, admin, TEA[1], headers={"X-Request-Id": f"tea-{admin.tenant.pk}"})
    assert (hit.headers["x-cache"], hit.headers["x-nexus-cache-id"]) == ("HIT-SEMANTIC", entry_id)
    records(admin, 2)
    return entry_id, str(hit.headers["x-request-id"])


def verdicts(workspace: Workspace) -> list[tuple[Any, ...]]:
    with schema_of(workspace.tenant):
        return list(Verdict.objects.order_by("at").values_list("kind", "right", "source", "question", "note"))


# --- explaining -------------------------------------------------------------------------------------------------------


def test_a_hit_by_meaning_explains_itself(server: str, admin: Workspace, tea: tuple[str, str]) -> None:
    entry_id, request_id = tea
    found = get(server, admin, f"/v1/cache/{entry_id}?request_id={request_id}").json()
    assert (found["id"], found["prompt"], found["tags"], found["model"]) == (entry_id, TEA[0], ["tea"], "gpt-4o-mini")
    assert found["answer"] and found["provider"] == "simulated" and found["by_meaning"] and not found["pinned"]
    assert found["hits"] == 1 and found["saved_usd"] > 0 and found["age_s"] < 60
    hit = found["hit"]
    assert hit["outcome"] == "HIT-SEMANTIC" and hit["threshold"] == 0.85 <= hit["similarity"] < 1
    assert hit["guards"] == [name for name, _ in GUARDS] and "similar enough" in hit["reason"]


def test_an_exact_hit_explains_itself(server: str, admin: Workspace) -> None:
    # What asks about one's own is kept for the same request only; it has an id, too.
    entry_id = keep(server, admin, "Where is my order?")
    again = ask(server, admin, "Where is my order?")
    assert again.headers["x-nexus-cache-id"] == entry_id
    assert get(server, admin, f"/v1/cache/{entry_id}?request_id={again.headers['x-request-id']}").json()["hit"] is None
    records(admin, 2)
    found = get(server, admin, f"/v1/cache/{entry_id}?request_id={again.headers['x-request-id']}").json()
    assert not found["by_meaning"] and found["hit"]["outcome"] == "HIT-EXACT"
    assert found["hit"]["similarity"] is None and found["hit"]["guards"] == [] and "same" in found["hit"]["reason"]


def test_what_shadow_mode_would_have_served_is_said_so(server: str, admin: Workspace) -> None:
    with schema_of(admin.tenant):
        CacheSettings.objects.create(shadow=True)
    revocations.publish(f"tenant:{admin.tenant.pk}")
    entry_id = keep(server, admin, TEA[0])
    fresh = ask(server, admin, TEA[1])
    assert fresh.headers["x-cache"] == "MISS"
    records(admin, 2)
    path = f"/v1/cache/{entry_id}"
    hit = get(server, admin, f"{path}?request_id={fresh.headers['x-request-id']}").json()["hit"]
    assert hit["outcome"] == "MISS" and hit["similarity"] > 0.85 and "shadow" in hit["reason"]
    said = post(server, admin, f"{path}/feedback", {"right": True, "request_id": fresh.headers["x-request-id"]})
    assert said.json()["counted"] and [verdict[0] for verdict in verdicts(admin)][-1] == "shadow"


@pytest.mark.parametrize("name", ["x", "0" * 32, "%00", "é", "..%2f..", "0" * 5000, "-" * 36])
def test_what_is_no_entry_is_404_in_the_data_planes_envelope(server: str, alice: Workspace, name: str) -> None:
    for answer in (
        get(server, alice, f"/v1/cache/{name}"),
        post(server, alice, f"/v1/cache/{name}/feedback", {"right": False}),
    ):
        assert answer.status_code == 404 and set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_a_key_for_some_models_sees_no_others_answers(server: str, alice: Workspace) -> None:
    entry_id = keep(server, alice, "What is on the roof?", model="gpt-4o")
    ApiKey.objects.filter(pk=alice.api_key.pk).update(allowed_models=["gpt-4o-mini"])
    revocations.publish(f"key:{alice.api_key.public_id}")
    until(lambda: get(server, alice, f"/v1/cache/{entry_id}").status_code == 404)
    assert post(server, alice, f"/v1/cache/{entry_id}/feedback", {"right": False}).status_code == 404
    assert entries_of(alice) == ["What is on the roof?"]


def test_an_odd_request_id_is_just_not_known(server: str, alice: Workspace) -> None:
    entry_id = keep(server, alice, "What is odd?")
    for odd in ("%00", "x" * 2000, "%ff", "a%20b", "'--"):
        assert get(server, alice, f"/v1/cache/{entry_id}?request_id={odd}").json()["hit"] is None


# --- feedback ---------------------------------------------------------------------------------------------------------


def test_a_wrong_answer_is_evicted_counted_once_and_tuned_for(
    server: str, admin: Workspace, tea: tuple[str, str]
) -> None:
    entry_id, request_id = tea
    path, body = f"/v1/cache/{entry_id}/feedback", {"right": False, "request_id": request_id, "question": TEA[1]}
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        before = client.llen("nexus.celery.celery")
        said = post(server, admin, path, {**body, "note": "too long"}).json()
        assert client.llen("nexus.celery.celery") == before + 1
        assert TUNE.encode() in client.lindex("nexus.celery.celery", 0)
    answered = {"object": "cache.feedback", "id": entry_id, "right": False, "pinned": False, "evicted": True}
    assert said == {**answered, "counted": True}
    assert post(server, admin, path, body).json() == {**answered, "counted": False}
    assert entries_of(admin) == [] and exact_keys(admin) == {}
    assert verdicts(admin) == [("hit", False, "person", TEA[1], "too long")]
    with schema_of(admin.tenant):
        verdict = Verdict.objects.get()
        assert 0.85 <= (verdict.similarity or 0) < 1 and verdict.prompt == TEA[0] and verdict.cached_answer
    assert ask(server, admin, TEA[1]).headers["x-cache"] == "MISS"
    assert get(server, admin, f"/v1/cache/{entry_id}").status_code == 404


def test_a_right_answer_counts_and_stays_and_the_last_word_holds(
    server: str, admin: Workspace, tea: tuple[str, str]
) -> None:
    entry_id, request_id = tea
    path = f"/v1/cache/{entry_id}/feedback"
    body = {"right": True, "request_id": request_id}
    counted = [post(server, admin, path, body).json()["counted"] for _ in range(2)]
    assert counted == [True, False] and len(entries_of(admin)) == 1
    assert post(server, admin, path, {**body, "right": False}).json()["evicted"]
    assert [verdict[1] for verdict in verdicts(admin)] == [False]


def test_a_pinned_answer_is_counted_against_and_stays(server: str, admin: Workspace, tea: tuple[str, str]) -> None:
    entry_id, request_id = tea
    call(admin, "POST", f"/api/cache/entries/{entry_id}/pin")
    said = post(server, admin, f"/v1/cache/{entry_id}/feedback", {"right": False, "request_id": request_id}).json()
    assert (said["counted"], said["evicted"], said["pinned"]) == (True, False, True)
    assert len(entries_of(admin)) == 1 and ask(server, admin, TEA[0]).headers["x-cache"] == "HIT-EXACT"


def test_feedback_without_a_known_request_says_nothing_of_a_similarity(server: str, admin: Workspace) -> None:
    entry_id = keep(server, admin, "What is a quasar?")
    path = f"/v1/cache/{entry_id}/feedback"
    for more in ({}, {"request_id": "never-heard-of"}):
        assert post(server, admin, path, {"right": True, **more}).json()["counted"]
    with schema_of(admin.tenant):
        assert [verdict.similarity for verdict in Verdict.objects.all()] == [None, None]


def test_a_request_that_another_entry_answered_is_refused(server: str, admin: Workspace, tea: tuple[str, str]) -> None:
    other = keep(server, admin, "What is a pulsar?")
    answer = post(server, admin, f"/v1/cache/{other}/feedback", {"right": False, "request_id": tea[1]})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "request_id")
    assert len(entries_of(admin)) == 2 and verdicts(admin) == []


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "right"),
        ({"right": None}, "right"),
        ({"right": "perhaps"}, "right"),
        ({"right": {}}, "right"),
        ({"right": False, "note": "x" * 401}, "note"),
        ({"right": False, "note": "\x00"}, "note"),
        ({"right": False, "question": []}, "question"),
        ({"right": False, "question": "x" * 8001}, "question"),
        ({"right": False, "request_id": "x" * 129}, "request_id"),
        ({"right": False, "similarity": 0.5}, "similarity"),
    ],
)
def test_wrong_feedback_is_refused_by_name(server: str, alice: Workspace, body: Any, param: str) -> None:
    entry_id = keep(server, alice, "What is refused?")
    answer = post(server, alice, f"/v1/cache/{entry_id}/feedback", body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert len(entries_of(alice)) == 1


def test_feedback_has_a_limit_a_minute(server: str, alice: Workspace) -> None:
    entry_id = keep(server, alice, "What is limited?")
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.set(keyspace.cache_feedback(alice.tenant.pk), PER_MINUTE - 1, ex=60)
    path = f"/v1/cache/{entry_id}/feedback"
    assert post(server, alice, path, {"right": True}).status_code == 200
    late = post(server, alice, path, {"right": False})
    assert late.status_code == 429 and 1 <= int(late.headers["retry-after"]) <= 60
    assert len(entries_of(alice)) == 1
