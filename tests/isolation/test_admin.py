"""Mallory may manage a workspace of her own. She wants to see what Alice used, take her keys, and run the platform."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models import Model

from tenants.models import ApiKey, Membership, Tenant
from tests.booked import NOON, week
from tests.conftest import Workspace
from tests.management import call, manages

OPERATORS: list[tuple[str, str, Any]] = [
    ("GET", "/api/admin/tenants", None),
    ("POST", "/api/admin/tenants", {"name": "Mine", "email": "mallory@example.com"}),
    ("GET", "/api/admin/tenants/{tenant}", None),
    ("PATCH", "/api/admin/tenants/{tenant}", {"status": "suspended"}),
    ("DELETE", "/api/admin/tenants/{tenant}?confirm={slug}", None),
    ("GET", "/api/admin/tenants/{tenant}/analytics", None),
    ("GET", "/api/admin/tenants/{tenant}/usage", None),
]
BY_NAME: list[tuple[str, str, Any]] = [
    ("GET", "/v1/admin/api-keys/{key}", None),
    ("PATCH", "/v1/admin/api-keys/{key}", {"scopes": []}),
    ("DELETE", "/v1/admin/api-keys/{key}?force=true", None),
    ("POST", "/v1/admin/api-keys/{key}/rotate", {}),
    ("GET", "/v1/admin/users/{user}", None),
    ("PATCH", "/v1/admin/users/{user}", {"role": "viewer"}),
    ("DELETE", "/v1/admin/users/{user}", None),
]
READ = [
    "/v1/usage/costs?group_by=key",
    "/v1/usage/costs?group_by=tag",
    "/stats",
    "/v1/admin/metrics",
    "/api/usage/records",
    "/api/billing/ledger",
    "/v1/admin/api-keys?status=all",
    "/v1/admin/users",
]


@pytest.fixture
def both(alice: Workspace, mallory: Workspace) -> tuple[Workspace, Workspace]:
    """Both may manage their own; Alice has used hers."""
    manages(alice), manages(mallory)
    week(alice)
    return alice, mallory


def filled(path: str, alice: Workspace) -> str:
    return path.format(tenant=alice.tenant.pk, slug=alice.tenant.slug, key=alice.api_key.public_id, user=alice.owner.pk)


def state(alice: Workspace) -> Any:
    kinds: tuple[type[Model], ...] = (Tenant, ApiKey, Membership)
    ids = (alice.tenant.pk, alice.api_key.pk, alice.owner.memberships.get().pk)
    rows = [kind._default_manager.filter(pk=pk).values().get() for kind, pk in zip(kinds, ids, strict=True)]
    return [{name: value for name, value in row.items() if name != "last_used_at"} for row in rows]


@pytest.mark.parametrize(("method", "path", "body"), OPERATORS)
def test_the_platform_is_not_mallorys(both: tuple[Workspace, Workspace], method: str, path: str, body: Any) -> None:
    alice, mallory = both
    before, count = state(alice), Tenant.objects.count()
    for victim in both:
        answer = call(mallory, method, filled(path, victim), body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
    assert state(alice) == before and Tenant.objects.count() == count
    assert call(None, method, filled(path, alice), body).status_code == 401


@pytest.mark.parametrize(("method", "path", "body"), BY_NAME)
def test_alices_keys_and_people_are_not_there(
    both: tuple[Workspace, Workspace], method: str, path: str, body: Any
) -> None:
    alice, mallory = both
    before = state(alice)
    assert call(mallory, method, filled(path, alice), body).status_code == 404
    assert state(alice) == before
    assert call(None, method, filled(path, alice), body).status_code == 401


@pytest.mark.parametrize("path", READ)
def test_what_mallory_reads_is_her_own(both: tuple[Workspace, Workspace], path: str) -> None:
    alice, mallory = both
    joined = "&" if "?" in path else "?"
    for more in ("", f"{joined}tenant={alice.tenant.slug}"):
        text = call(mallory, "GET", f"{path}{more}").content.decode()
        for word in (alice.tenant.slug, alice.api_key.public_id, alice.owner.email, '"blue"', "unheard-of"):
            assert word not in text.replace(f"tenant={alice.tenant.slug}", "")
    assert call(None, "GET", path).status_code == 401


def test_alices_figures_do_not_change_mallorys(both: tuple[Workspace, Workspace]) -> None:
    _, mallory = both
    assert call(mallory, "GET", f"/v1/usage/costs?from={NOON.date()}").json()["totals"]["requests"] == 0
    assert call(mallory, "GET", "/stats").json()["requests"] == 0
    for path in ("/api/usage/records", "/api/billing/ledger"):
        assert call(mallory, "GET", path).json()["data"] == []


def test_alices_key_and_place_open_nothing_of_hers(both: tuple[Workspace, Workspace]) -> None:
    alice, mallory = both
    for path in ("/api/usage/records", "/api/billing/ledger"):
        assert call(mallory, "GET", f"{path}?key={alice.api_key.public_id}").status_code == 400
        place = call(alice, "GET", f"{path}?limit=1").json()["next"]
        if place is not None:
            assert call(mallory, "GET", f"{path}?cursor={place}").json()["data"] == []


def test_mallory_makes_no_operator_of_herself(both: tuple[Workspace, Workspace]) -> None:
    _, mallory = both
    own = f"/v1/admin/api-keys/{mallory.api_key.public_id}"
    for scopes in (["operator"], ["admin", "operator"], ["Operator"], ["operator "]):
        assert call(mallory, "POST", "/v1/admin/api-keys", {"scopes": scopes}).status_code in {400, 403}
        assert call(mallory, "PATCH", f"{own}?force=true", {"scopes": scopes}).status_code in {400, 403}
    assert call(mallory, "GET", "/api/admin/tenants").status_code == 403
