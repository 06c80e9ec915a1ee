"""An end user is forgotten: what was kept of them goes, what others have stays, and so do the books."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from analytics.models import UsageRecord
from gateway.cache.fingerprint import end_user_digest
from gateway.models import CacheEntry, Verdict
from tenants.db import schema_of
from tenants.models import AuditEvent
from tests.cached import ask, entries_of, entry_of, exact_keys, keep
from tests.calls import records
from tests.conftest import Workspace
from tests.management import call, manages, refused

NOTHING = {"cache_entries": 0, "samples": 0, "replays": 0, "records": 0}


@pytest.fixture
def admin(alice: Workspace, server: str) -> Workspace:
    return manages(alice)


def erase(workspace: Workspace, name: str, **more: Any) -> dict[str, Any]:
    answer = call(workspace, "POST", "/api/erase", {"end_user": name, **more})
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def counts(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: answer[name] for name in NOTHING}


def named() -> str:
    return f"anna-{uuid.uuid4().hex[:8]}"


def test_what_was_kept_of_an_end_user_goes_and_what_others_have_stays(server: str, admin: Workspace) -> None:
    anna, bert = named(), "bert"
    keep(server, admin, "What is a mortgage?", user=anna)
    keep(server, admin, "What is a bond?", safety_identifier=anna)
    keep(server, admin, "What is a share?", user=bert)
    answer = erase(admin, anna)
    assert counts(answer) | {"records": 0} == NOTHING | {"cache_entries": 2}
    assert entries_of(admin) == ["What is a share?"]
    assert len(exact_keys(admin)) == 1
    assert ask(server, admin, "What is a mortgage?", user=anna).headers["x-cache"] == "MISS"


def test_who_asks_again_is_told_of_nothing(server: str, admin: Workspace) -> None:
    anna = named()
    keep(server, admin, "What is a mortgage?", user=anna)
    erase(admin, anna)
    assert counts(erase(admin, anna)) == NOTHING


def test_a_preview_takes_nothing_away(server: str, admin: Workspace) -> None:
    anna = named()
    entry_id = keep(server, admin, "What is a mortgage?", user=anna)
    assert erase(admin, anna, preview=True)["cache_entries"] == 1
    assert entry_of(admin, entry_id) is not None
    assert not AuditEvent.objects.filter(tenant=admin.tenant, action="end_user.erased").exists()


def test_pinned_answers_go_too(server: str, admin: Workspace) -> None:
    anna = named()
    entry_id = keep(server, admin, "What is a mortgage?", user=anna)
    assert call(admin, "POST", f"/api/cache/entries/{entry_id}/pin").status_code == 200
    assert erase(admin, anna)["cache_entries"] == 1
    assert exact_keys(admin) == {}


def test_samples_lose_their_texts_and_keep_their_verdicts(admin: Workspace) -> None:
    anna = named()
    texts = {"question": "q", "prompt": "p", "cached_answer": "a"}
    with schema_of(admin.tenant):
        for right in (None, True):
            Verdict.objects.create(
                kind="hit", entry_id=uuid.uuid4(), end_user=end_user_digest(anna), right=right, **texts
            )
    assert erase(admin, anna)["samples"] == 2
    with schema_of(admin.tenant):
        (left,) = Verdict.objects.all()
    assert (left.right, left.question, left.end_user) == (True, "", "")


def test_a_repeated_idempotency_key_is_a_new_request_then(server: str, admin: Workspace) -> None:
    anna, key = named(), {"Idempotency-Key": uuid.uuid4().hex}
    ask(server, admin, "What is a mortgage?", user=anna, headers=key)
    again = ask(server, admin, "What is a mortgage?", user=anna, headers=key)
    assert again.headers["idempotent-replayed"] == "true"
    assert erase(admin, anna)["replays"] == 1
    afterwards = ask(server, admin, "What is a mortgage?", user=anna, headers=key)
    assert "idempotent-replayed" not in afterwards.headers


def test_records_lose_the_name_and_keep_the_sums(server: str, admin: Workspace) -> None:
    anna = named()
    headers = {"X-Request-Id": f"chat-{anna}-1", "X-Nexus-Tags": f"user:{anna.upper()}, team:blue"}
    keep(server, admin, "What is a mortgage?", user=anna, headers=headers)
    ask(server, admin, "What is a share?", headers={"X-Request-Id": "chat-bert-1", "X-Nexus-Tags": "team:blue"})
    before = sums(records(admin, 2))
    erase(admin, anna)
    with schema_of(admin.tenant):
        after = list(UsageRecord.objects.all())
    assert sums(after) == before
    assert sorted(record.request_id for record in after if record.request_id == "chat-bert-1") == ["chat-bert-1"]
    assert [record.tags for record in after] == [["team:blue"], ["team:blue"]]
    assert not any(anna in f"{record.request_id} {record.tags}".lower() for record in after)


def sums(found: Any) -> set[Any]:
    return {(record.id, record.billed_tokens, record.cost_usd, record.at) for record in found}


def test_a_short_name_is_not_looked_for_within_other_texts(server: str, admin: Workspace) -> None:
    ask(server, admin, "What is a share?", headers={"X-Request-Id": "banana", "X-Nexus-Tags": "an, banana"})
    records(admin, 1)
    assert erase(admin, "an")["records"] == 1
    with schema_of(admin.tenant):
        (record,) = UsageRecord.objects.all()
    assert (record.request_id, record.tags) == ("banana", ["banana"])


def test_the_audit_log_has_a_digest_and_no_name(server: str, admin: Workspace) -> None:
    anna = named()
    keep(server, admin, "What is a mortgage?", user=anna)
    answer = erase(admin, anna)
    event = AuditEvent.objects.get(tenant=admin.tenant, action="end_user.erased")
    assert event.target == answer["end_user_digest"] == end_user_digest(anna)
    assert (event.after or {})["cache_entries"] == 1
    assert anna not in f"{event.target} {event.before} {event.after}"


def test_many_go_in_batches(admin: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.erasure.BATCH", 3)
    monkeypatch.setattr("analytics.forgetting.BATCH", 3)
    anna = named()
    with schema_of(admin.tenant):
        CacheEntry.objects.bulk_create(
            CacheEntry(
                fingerprint=uuid.uuid4().hex, end_user=end_user_digest(anna), model="m", prompt="p", answer=b"{}",
                meta={}, expires_at="2030-01-01T00:00Z", stale_until="2030-01-01T00:00Z",
            )
            for _ in range(8)
        )  # fmt: skip
    assert erase(admin, anna)["cache_entries"] == 8


def test_the_same_name_in_another_workspace_stays(server: str, admin: Workspace, mallory: Workspace) -> None:
    anna = named()
    manages(mallory)
    entry_id = keep(server, admin, "What is a mortgage?", user=anna)
    assert counts(erase(mallory, anna)) == NOTHING
    assert entry_of(admin, entry_id) is not None


@pytest.mark.parametrize("body", [{}, {"end_user": ""}, {"end_user": ["a"]}, {"end_user": "a", "who": "b"}])
def test_what_names_nobody_is_refused(admin: Workspace, body: dict[str, Any]) -> None:
    param = "who" if "who" in body else "end_user"
    refused(call(admin, "POST", "/api/erase", body), 400, param)


def test_a_key_that_may_only_change_the_cache_erases_nobody(
    make_workspace: Callable[..., Workspace], server: str
) -> None:
    from tenants import apikeys

    workspace = make_workspace()
    issued = apikeys.issue(workspace.tenant, name="cache", scopes=["cache"])
    lesser = workspace._replace(api_key=issued.key, key=issued.text)
    assert call(lesser, "POST", "/api/erase", {"end_user": "anna"}).status_code == 403
