"""Keys in the browser: made with what their maker may do, shown once, rotated, revoked; nobody reaches another's."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from tenants import apikeys, roles
from tenants.models import ApiKey, AuditEvent, Role
from tenants.roles import Action
from tests.conftest import Workspace

FORM = {"name": "shop", "priority": "default", "ends": "never", "budget_mode": "hard"}


def session_of(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def page(workspace: Workspace, path: str = "") -> str:
    return f"/t/{workspace.tenant.slug}/keys/{path}"


def text_in(answer: Any) -> str:
    found = re.search(r"nk-[a-z0-9]{12}-[\w-]{20,}", answer.content.decode())
    assert found
    return found[0]


def ask(server: str, key: str) -> int:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "How do I make tea?"}]}
    headers = {"Authorization": f"Bearer {key}"}
    return httpx2.post(f"{server}/v1/chat/completions", json=body, headers=headers, timeout=30).status_code


def test_a_key_is_made_shown_once_and_serves(alice: Workspace, server: str) -> None:
    client = session_of(alice.owner)
    form = {**FORM, "requests_per_minute": "30", "monthly_budget_usd": "12.50", "models": "gpt-4o-mini\n\ngpt-4o \n"}
    made = client.post(page(alice, "new"), {**form, "scopes": ["cache", "figures"], "ends": "30"})
    assert made.status_code == 201 and "no-store" in made.headers["Cache-Control"]
    text = text_in(made)
    key = ApiKey.objects.get(tenant=alice.tenant, name="shop")
    assert (key.scopes, key.allowed_models) == (["cache", "figures"], ["gpt-4o-mini", "gpt-4o"])
    assert (key.requests_per_minute, str(key.monthly_budget_usd), key.created_by) == (30, "12.50", alice.owner)
    assert key.expires_at is not None
    assert ask(server, text) == 200
    assert text not in client.get(page(alice)).content.decode()
    assert text not in client.get(page(alice, f"{key.public_id}/")).content.decode()


@pytest.mark.parametrize("role", Role)
def test_a_member_gives_a_key_what_the_role_may_do_and_no_more(
    alice: Workspace, make_member: Callable[..., Any], role: Role
) -> None:
    client = session_of(make_member(alice, role))
    for scope in sorted(roles.SCOPES):
        answer = client.post(page(alice, "new"), {**FORM, "name": f"with {scope}", "scopes": [scope]})
        may_give = roles.may(role, Action.KEYS) and roles.may(role, Action(scope))
        assert answer.status_code == (201 if may_give else 400 if roles.may(role, Action.KEYS) else 403), scope
        assert ApiKey.objects.filter(tenant=alice.tenant, name=f"with {scope}").exists() == may_give
    assert client.post(page(alice, "new"), {**FORM, "scopes": ["operator"]}).status_code in (400, 403)
    assert client.get(page(alice)).status_code == 200


WRONG = {
    "name": ["", "x" * 81, "a\x00b"],
    "ends": ["yesterday", ""],
    "priority": ["highest"],
    "requests_per_minute": ["-1", "many", str(2**40)],
    "tokens_per_day": ["9" * 30],
    "request_burst": ["0"],
    "daily_budget_usd": ["1e9"],
    "monthly_budget_usd": ["0.001", "NaN"],
    "budget_mode": ["soft"],
    "scopes": ["everything"],
    "models": ["x" * 121, "\n".join(map(str, range(501)))],
}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in WRONG.items() for value in values])
def test_a_mistake_is_named_beside_its_field_and_nothing_is_made(alice: Workspace, field: str, value: str) -> None:
    answer = session_of(alice.owner).post(page(alice, "new"), {**FORM, field: value})
    assert answer.status_code == 400 and field in answer.context["form"].errors
    assert ApiKey.objects.filter(tenant=alice.tenant).count() == 1


def test_a_key_is_changed_and_the_change_is_written_down(alice: Workspace) -> None:
    client, key = session_of(alice.owner), alice.api_key
    change = page(alice, f"{key.public_id}/change")
    form = {**FORM, "name": "app", "tokens_per_minute": "500", "scopes": ["keys"]}
    done = client.post(change, form, follow=True)
    assert "in effect within a second" in done.content.decode()
    key.refresh_from_db()
    assert (key.name, key.tokens_per_minute, key.scopes, key.expires_at) == ("app", 500, ["keys"], None)
    row = AuditEvent.objects.get(tenant=alice.tenant, action="key.changed")
    assert row.actor == alice.owner and row.before == {"name": "default", "tokens_per_minute": None, "scopes": []}
    assert (
        client.post(change, {**FORM, "name": "app", "tokens_per_minute": "500", "scopes": ["keys"]}).status_code == 302
    )
    assert AuditEvent.objects.filter(tenant=alice.tenant, action="key.changed").count() == 1
    apikeys.revoke(key)
    assert "issue a new key instead" in client.post(change, FORM, follow=True).content.decode()


def test_a_scope_beyond_the_role_stays_and_its_key_is_not_rotated(
    alice: Workspace, make_member: Callable[..., Any]
) -> None:
    key = apikeys.issue(alice.tenant, name="all", scopes=["admin", "cache"]).key
    client = session_of(make_member(alice, "developer"))
    client.post(page(alice, f"{key.public_id}/change"), {**FORM, "name": "less"})
    key.refresh_from_db()
    assert (key.name, key.scopes) == ("less", ["admin"])
    answer = client.post(page(alice, f"{key.public_id}/rotate"), {"overlap_s": "0"}, follow=True)
    assert "may do more than your role" in answer.content.decode()
    assert ApiKey.objects.filter(tenant=alice.tenant, name="less").count() == 1


def test_rotated_keys_overlap_and_a_revoked_one_is_refused(alice: Workspace, server: str) -> None:
    client, key = session_of(alice.owner), alice.api_key
    rotated = client.post(page(alice, f"{key.public_id}/rotate"), {"overlap_s": "3600"})
    new = text_in(rotated)
    assert rotated.status_code == 201 and ask(server, new) == ask(server, alice.key) == 200
    assert client.post(page(alice, f"{key.public_id}/rotate"), {"overlap_s": "5"}).status_code == 302
    assert "Revoke “default”?" in client.get(page(alice, f"{key.public_id}/revoke")).content.decode()
    key.refresh_from_db()
    assert key.revoked_at is None
    assert client.post(page(alice, f"{key.public_id}/revoke")).status_code == 302
    key.refresh_from_db()
    assert key.revoked_at is not None
    listed = client.get(page(alice)).content.decode()
    assert f"nk-{key.public_id}" not in listed
    assert f"nk-{key.public_id}" in client.get(page(alice, "?status=all")).content.decode()


def test_nobody_reaches_anothers_keys(alice: Workspace, mallory: Workspace) -> None:
    stranger = session_of(mallory.owner)
    for path in ("", "new", f"{alice.api_key.public_id}/", f"{alice.api_key.public_id}/revoke"):
        assert stranger.get(page(alice, path)).status_code == 404
    for act in ("", "change", "rotate", "revoke"):
        assert stranger.post(page(mallory, f"{alice.api_key.public_id}/{act}"), FORM).status_code in (404, 405)
        assert stranger.post(page(alice, f"{alice.api_key.public_id}/{act}"), FORM).status_code == 404
    alice.api_key.refresh_from_db()
    assert alice.api_key.revoked_at is None and alice.api_key.name == "default"
    assert stranger.get(page(mallory, "?after=of-another-list")).status_code == 302
    assert stranger.get(page(mallory, "%00/")).status_code == 404


def test_many_keys_cost_no_more_queries_than_one(
    alice: Workspace, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(60):
        apikeys.issue(alice.tenant, name=f"k{number}", created_by=alice.owner)
    client = session_of(alice.owner)
    with django_assert_max_num_queries(8):
        answer = client.get(page(alice))
    older = re.search(r'href="\?(after=[^"]+)"', answer.content.decode())
    assert older and "nk-" + alice.api_key.public_id in client.get(page(alice, f"?{older[1]}")).content.decode()
