"""A workspace's keys by API: issued, changed, rotated, revoked; never more than the asking key has."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

import pytest
from django.utils import timezone

from tenants import apikeys, keys
from tenants.limits import BUDGET_FIELDS, COUNT_FIELDS
from tenants.models import ApiKey, AuditEvent
from tenants.roles import SCOPES
from tests.calls import chat
from tests.conftest import Workspace
from tests.management import audited, call, made, manages, refused
from tests.together import PATIENCE_S

PATH = "/v1/admin/api-keys"
LIMITS: dict[str, Any] = dict.fromkeys(COUNT_FIELDS, 100) | dict.fromkeys(BUDGET_FIELDS, "12.50")


def secret_of(text: str) -> str:
    return text.split("-", 2)[2]


def test_a_key_is_issued_with_all_its_limits_and_shown_once(admin: Workspace) -> None:
    tomorrow = (timezone.now() + dt.timedelta(days=1)).isoformat()
    wanted = {
        "name": "app",
        "scopes": ["admin"],
        "allowed_models": ["gpt-4o-mini"],
        "priority": "high",
        "budget_mode": "warn",
        **LIMITS,
    }
    key = made(admin, PATH, {**wanted, "expires_at": tomorrow})
    assert {name: key[name] for name in wanted} == wanted
    parts = keys.parse(key["api_key"])
    assert parts is not None and parts.public_id == key["id"]
    shown = call(admin, "GET", f"{PATH}/{key['id']}").json()
    assert shown == {name: value for name, value in key.items() if name != "api_key"}
    assert (shown["status"], shown["created_by"], shown["last_used_at"]) == ("active", None, None)
    for answer in (call(admin, "GET", PATH), call(admin, "GET", f"{PATH}?status=all")):
        assert secret_of(key["api_key"]) not in answer.content.decode()
    assert not any(secret_of(key["api_key"]) in str(vars(event)) for event in AuditEvent.objects.all())
    assert [event.action for event in audited(admin)] == ["key.issued"]


def test_an_issued_key_is_served_at_once_and_a_revoked_one_is_not(server: str, admin: Workspace) -> None:
    key = made(admin, PATH, {"name": "app", "allowed_models": ["gpt-4o-mini"]})
    assert chat(server, key["api_key"], "gpt-4o-mini").status_code == 200
    assert chat(server, key["api_key"], "gpt-4o").status_code == 403
    assert call(admin, "PATCH", f"{PATH}/{key['id']}", {"allowed_models": []}).status_code == 200
    until = time.monotonic() + PATIENCE_S
    while chat(server, key["api_key"], "gpt-4o").status_code != 200:
        assert time.monotonic() < until
    for _ in range(2):
        assert call(admin, "DELETE", f"{PATH}/{key['id']}").status_code == 204
    until = time.monotonic() + PATIENCE_S
    while chat(server, key["api_key"], "gpt-4o").status_code != 401:
        assert time.monotonic() < until
    assert [event.action for event in audited(admin)] == ["key.issued", "key.changed", "key.revoked"]


def test_a_change_leaves_the_rest_and_is_audited_with_its_values(admin: Workspace) -> None:
    key = made(admin, PATH, {"name": "app", "monthly_requests": 5, "daily_budget_usd": 2.5})
    changed = call(admin, "PATCH", f"{PATH}/{key['id']}", {"monthly_requests": None, "name": "web"}).json()
    assert (changed["monthly_requests"], changed["name"], changed["daily_budget_usd"]) == (None, "web", "2.50")
    event = audited(admin)[-1]
    assert (event.before, event.after) == (
        {"name": "app", "monthly_requests": 5},
        {"name": "web", "monthly_requests": None},
    )
    for body in ({}, {"name": "web"}):
        assert call(admin, "PATCH", f"{PATH}/{key['id']}", body).status_code == 200
    assert len(audited(admin)) == 2


def test_a_rotated_key_has_the_same_rights_and_overlaps(admin: Workspace) -> None:
    key = made(admin, PATH, {"name": "app", "priority": "low", **LIMITS})
    new = call(admin, "POST", f"{PATH}/{key['id']}/rotate", {"overlap_s": 60})
    assert new.status_code == 201
    same = ("name", "scopes", "allowed_models", "priority", "budget_mode", "expires_at", *LIMITS)
    assert {name: new.json()[name] for name in same} == {name: key[name] for name in same}
    assert new.json()["id"] != key["id"] and keys.parse(new.json()["api_key"]) is not None
    old = ApiKey.objects.get(public_id=key["id"])
    assert old.expires_at is not None and old.expires_at < timezone.now() + dt.timedelta(seconds=61)
    at_once = call(admin, "POST", f"{PATH}/{new.json()['id']}/rotate", {"overlap_s": 0})
    assert at_once.status_code == 201
    assert call(admin, "GET", f"{PATH}/{new.json()['id']}").json()["status"] == "expired"
    refused(call(admin, "POST", f"{PATH}/{new.json()['id']}/rotate", {}), 409)


def test_a_key_that_is_over_does_not_come_back(admin: Workspace) -> None:
    now = timezone.now()
    for over in ({"expires_at": now - dt.timedelta(seconds=1)}, {"revoked_at": now}):
        key = made(admin, PATH, {"name": "app"})
        ApiKey.objects.filter(public_id=key["id"]).update(**over)
        for change in ({"expires_at": None}, {"expires_at": (now + dt.timedelta(days=1)).isoformat()}, {"name": "b"}):
            for query in ("", "?force=true"):
                refused(call(admin, "PATCH", f"{PATH}/{key['id']}{query}", change), 409)
        assert call(admin, "GET", f"{PATH}/{key['id']}").json()["status"] in {"expired", "revoked"}


def test_a_rotated_key_gets_no_later_end_by_accident(admin: Workspace) -> None:
    key = made(admin, PATH, {"name": "app"})
    path = f"{PATH}/{key['id']}"
    # Nobody has rotated it yet.
    for end in (1, 2):
        end_at = (timezone.now() + dt.timedelta(days=end)).isoformat()
        assert call(admin, "PATCH", path, {"expires_at": end_at}).status_code == 200
    assert call(admin, "POST", f"{path}/rotate", {"overlap_s": 3600}).status_code == 201
    soon, late = ((timezone.now() + dt.timedelta(minutes=minutes)).isoformat() for minutes in (30, 90))
    for later in (None, late):
        assert "?force=true" in refused(call(admin, "PATCH", path, {"expires_at": later}), 409)
    assert call(admin, "PATCH", path, {"expires_at": soon, "name": "old"}).status_code == 200
    assert call(admin, "PATCH", f"{path}?force=true", {"expires_at": late}).status_code == 200


def test_an_admin_key_gives_and_manages_every_scope_but_the_operators(admin: Workspace) -> None:
    key = made(admin, PATH, {"scopes": ["billing", "keys"]})
    path = f"{PATH}/{key['id']}"
    assert call(admin, "PATCH", path, {"scopes": [*sorted(SCOPES)[:7], "admin"]}).status_code == 200
    rotated = call(admin, "POST", f"{path}/rotate", {})
    assert rotated.status_code == 201
    for each in (key["id"], rotated.json()["id"]):
        assert call(admin, "DELETE", f"{PATH}/{each}").status_code == 204


def test_a_key_that_manages_keys_gives_what_it_has(admin: Workspace) -> None:
    own = apikeys.issue(admin.tenant, scopes=["keys", "billing"])
    asking = {"Authorization": f"Bearer {own.text}"}
    for scopes, status in (([], 201), (["keys"], 201), (["billing"], 201), (["team"], 403), (["admin"], 403)):
        assert call(None, "POST", PATH, {"scopes": scopes}, **asking).status_code == status
    strong = f"{PATH}/{admin.api_key.public_id}"
    for method, path in (("PATCH", strong), ("DELETE", strong), ("POST", f"{strong}/rotate")):
        assert call(None, method, path, {}, **asking).status_code == 403


def test_the_asking_key_does_not_lock_itself_out_by_accident(admin: Workspace) -> None:
    own = f"{PATH}/{admin.api_key.public_id}"
    soon = (timezone.now() + dt.timedelta(minutes=1)).isoformat()
    for method, body in (("DELETE", None), ("PATCH", {"scopes": []}), ("PATCH", {"expires_at": soon})):
        assert "?force=true" in refused(call(admin, method, own, body), 409)
    assert call(admin, "PATCH", own, {"name": "mine", "scopes": ["admin"]}).status_code == 200
    assert call(admin, "DELETE", f"{own}?force=true").status_code == 204
    assert call(admin, "GET", PATH).status_code == 401


def test_no_key_gives_what_it_has_not(admin: Workspace) -> None:
    for method, path in (("POST", PATH), ("PATCH", f"{PATH}/{admin.api_key.public_id}")):
        for scopes, status in ((["operator"], 403), (["admin", "operator"], 403), (["root"], 400), (["*"], 400)):
            assert call(admin, method, path, {"scopes": scopes}).status_code == status
    assert ApiKey.objects.get(pk=admin.api_key.pk).scopes == ["admin"]


def test_a_key_of_the_platforms_operators_is_not_taken_over(admin: Workspace) -> None:
    """It may live in a workspace, whose other keys have less."""
    strong = apikeys.issue(admin.tenant, scopes=["admin", "operator"]).key
    for method, path, body in (
        ("POST", f"{PATH}/{strong.public_id}/rotate", {}),
        ("PATCH", f"{PATH}/{strong.public_id}", {"scopes": []}),
        ("DELETE", f"{PATH}/{strong.public_id}", None),
    ):
        assert call(admin, method, path, body).status_code == 403
    strong.refresh_from_db()
    assert strong.revoked_at is None and strong.expires_at is None and strong.scopes == ["admin", "operator"]


def test_lists_have_pages_and_hide_what_is_dead(admin: Workspace) -> None:
    ids = [made(admin, PATH, {"name": f"k{number}"})["id"] for number in range(5)]
    call(admin, "DELETE", f"{PATH}/{ids[0]}")
    found: list[str] = []
    cursor = ""
    while True:
        page = call(admin, "GET", f"{PATH}?limit=2{cursor}").json()
        found += [key["id"] for key in page["data"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert found == [*reversed(ids[1:]), admin.api_key.public_id]
    every = call(admin, "GET", f"{PATH}?status=all").json()["data"]
    assert [key["id"] for key in every if key["status"] == "revoked"] == [ids[0]]
    refused(call(admin, "PATCH", f"{PATH}/{ids[0]}", {"name": "again"}), 409)


def test_a_workspace_has_so_many_keys_at_most(admin: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apikeys, "MAX_KEYS", 2)
    key = made(admin, PATH, {})
    for path in (PATH, f"{PATH}/{key['id']}/rotate"):
        answer = call(admin, "POST", path, {})
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "limit_reached")
    call(admin, "DELETE", f"{PATH}/{key['id']}")
    made(admin, PATH, {})


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"name": "a\u0000b"}, "name"),
        ({"scopes": "admin"}, "scopes"),
        ({"scopes": [1]}, "scopes[0]"),
        ({"allowed_models": [""]}, "allowed_models[0]"),
        ({"allowed_models": ["m"] * 501}, "allowed_models"),
        ({"priority": "first"}, "priority"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "soon"}, "expires_at"),
        ({"requests_per_minute": -1}, "requests_per_minute"),
        ({"requests_per_minute": 2**31}, "requests_per_minute"),
        ({"monthly_tokens": 2**53 + 1}, "monthly_tokens"),
        ({"monthly_tokens": True}, "monthly_tokens"),
        ({"token_burst": 0}, "token_burst"),
        ({"daily_budget_usd": "-1"}, "daily_budget_usd"),
        ({"daily_budget_usd": "NaN"}, "daily_budget_usd"),
        ({"daily_budget_usd": "1.001"}, "daily_budget_usd"),
        ({"monthly_budget_usd": 10**9}, "monthly_budget_usd"),
        ({"budget_mode": "soft"}, "budget_mode"),
        ({"secret": "mine"}, "secret"),
        ({"public_id": "mine"}, "public_id"),
    ],
)
def test_a_bad_field_is_named(admin: Workspace, body: dict[str, Any], param: str) -> None:
    for method, path in (("POST", PATH), ("PATCH", f"{PATH}/{admin.api_key.public_id}")):
        refused(call(admin, method, path, body), 400, param)
    assert ApiKey.objects.filter(tenant=admin.tenant).count() == 1


def test_a_key_that_is_not_there_is_404(admin: Workspace) -> None:
    for name in ("nobody", "%00", "%ED%A0%80", "x" * 500):
        assert call(admin, "GET", f"{PATH}/{name}").status_code in {400, 404}


def test_keys_are_managed_with_the_scope_only(alice: Workspace) -> None:
    for method, path in (("GET", PATH), ("POST", PATH), ("DELETE", f"{PATH}/{alice.api_key.public_id}")):
        assert call(alice, method, path).status_code == 403
    assert call(manages(alice), "GET", PATH).status_code == 200
