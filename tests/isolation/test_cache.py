"""Mallory manages the cache of a workspace of her own, and wants to see or change Alice's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.models import Verdict
from tenants.db import schema_of
from tests.cached import ask, bring_in, entries_of, exact_keys, get, keep, listed, post
from tests.calls import records
from tests.conftest import Workspace
from tests.management import call, manages

SECRET = "What is the launch code of project Nightingale?"


@pytest.fixture
def secret(server: str, alice: Workspace, mallory: Workspace) -> tuple[str, str]:
    """The id of Alice's kept answer, and that of the request it was given to. Both may manage."""
    manages(alice), manages(mallory)
    headers = {"X-Nexus-Cache-Tags": "secret", "X-Nexus-Cache-Namespace": "lab"}
    entry_id = keep(server, alice, SECRET, user="anna", headers=headers)
    hit = ask(server, alice, SECRET, user="anna", headers=headers)
    records(alice, 2)
    return entry_id, str(hit.headers["x-request-id"])


def state(workspace: Workspace) -> Any:
    return listed(workspace), list(exact_keys(workspace)), call(workspace, "GET", "/api/cache/settings").json()


def unchanged(before: Any, after: Any) -> bool:
    ages = {"age_s": 0}
    return [{**entry, **ages} for entry in before[0]] == [{**entry, **ages} for entry in after[0]] and (
        before[1:] == after[1:]
    )


def test_alices_entry_is_not_there_for_mallory(
    server: str, alice: Workspace, mallory: Workspace, secret: tuple[str, str]
) -> None:
    entry_id, request_id = secret
    before = state(alice)
    answers = [
        get(server, mallory, f"/v1/cache/{entry_id}"),
        get(server, mallory, f"/v1/cache/{entry_id}?request_id={request_id}"),
        post(server, mallory, f"/v1/cache/{entry_id}/feedback", {"right": False}),
        post(server, mallory, f"/v1/cache/{entry_id}/feedback", {"right": False, "request_id": request_id}),
        call(mallory, "DELETE", f"/api/cache/entries/{entry_id}"),
        call(mallory, "POST", f"/api/cache/entries/{entry_id}/pin"),
        call(mallory, "POST", f"/api/cache/entries/{entry_id}/unpin"),
    ]
    assert [answer.status_code for answer in answers] == [404] * len(answers)
    assert not any("Nightingale" in answer.text for answer in answers[:4])
    assert unchanged(before, state(alice))
    for workspace in (alice, mallory):
        with schema_of(workspace.tenant):
            assert Verdict.objects.count() == 0


def test_lists_exports_and_figures_hold_only_ones_own(server: str, mallory: Workspace, secret: tuple[str, str]) -> None:
    for path in ("/api/cache/entries", "/api/cache/export", "/api/cache/stats", "/api/admin/cache/stats"):
        answer = get(server, mallory, path)
        assert answer.status_code == 200 and "Nightingale" not in answer.text
    assert listed(mallory) == listed(mallory, "?tag=secret") == []
    assert get(server, mallory, "/api/cache/stats").json()["totals"]["entries"] == 0


@pytest.mark.parametrize(
    "which",
    [{"all": True, "pinned": True}, {"tag": "secret"}, {"namespace": "lab"}, {"end_user": "anna"}, {"entry": ""}],
)
def test_mallory_invalidates_nothing_of_alices(
    alice: Workspace, mallory: Workspace, secret: tuple[str, str], which: dict[str, Any]
) -> None:
    before = state(alice)
    body = {"entry": secret[0]} if "entry" in which else which
    assert call(mallory, "POST", "/api/cache/invalidate", body).json()["count"] == 0
    assert unchanged(before, state(alice))


def test_a_preview_of_alices_is_no_token_of_mallorys(
    server: str, alice: Workspace, mallory: Workspace, secret: tuple[str, str]
) -> None:
    body = {"meaning": "project Nightingale"}
    seen = post(server, alice, "/api/cache/invalidate", body).json()
    assert seen["count"] == 1
    assert post(server, mallory, "/api/cache/invalidate", body).json()["samples"] == []
    answer = post(server, mallory, "/api/cache/invalidate", {**body, "token": seen["token"]})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "token")
    assert entries_of(alice) == [SECRET]


def test_a_page_of_alices_list_is_none_of_mallorys(server: str, alice: Workspace, mallory: Workspace) -> None:
    manages(alice), manages(mallory)
    for number in range(2):
        keep(server, alice, f"What is secret {number}?")
    cursor = call(alice, "GET", "/api/cache/entries?limit=1").json()["next"]
    assert listed(mallory, f"?limit=1&cursor={cursor}") == []


def test_what_alice_took_out_answers_mallory_alone(
    server: str, alice: Workspace, mallory: Workspace, secret: tuple[str, str]
) -> None:
    before = state(alice)
    row = json.loads(get(server, alice, "/api/cache/export").text)
    row["answer"]["choices"][0]["message"]["content"] = "Forged."
    row["pinned"], row["expires_at"] = True, None
    assert bring_in(mallory, row, server=server).json()["stored"] == 1
    assert unchanged(before, state(alice)) and len(listed(mallory)) == 1
    headers = {"X-Nexus-Cache-Namespace": "lab"}
    hit = ask(server, alice, SECRET, user="anna", headers=headers)
    assert (hit.headers["x-cache"], hit.headers["x-nexus-cache-id"]) == ("HIT-EXACT", secret[0])
    assert "Forged" not in hit.text


def test_mallorys_settings_are_hers(alice: Workspace, mallory: Workspace, secret: tuple[str, str]) -> None:
    before = state(alice)
    call(mallory, "PATCH", "/api/cache/settings", {"exact": False, "threshold": 0.5})
    assert unchanged(before, state(alice))
