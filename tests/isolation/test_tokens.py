"""Mallory has tokens of her own, and what she could see of Alice's."""

from __future__ import annotations

import time

import httpx2

from tenants import refreshing, tokens
from tenants.models import RefreshFamily
from tests.conftest import Workspace
from tests.management import manages


def test_no_token_opens_another_workspace(server: str, alice: Workspace, mallory: Workspace) -> None:
    manages(alice), manages(mallory)
    access = refreshing.issue(mallory.api_key).access
    answer = httpx2.get(f"{server}/v1/admin/api-keys", headers={"Authorization": f"Bearer {access}"})
    assert [key["id"] for key in answer.json()["data"]] == [mallory.api_key.public_id]


def test_a_token_whose_parts_are_of_two_workspaces_is_none(server: str, alice: Workspace, mallory: Workspace) -> None:
    """As nobody can make without the gateway's own key."""
    refreshing.issue(alice.api_key), refreshing.issue(mallory.api_key)
    own = RefreshFamily.objects.get(key=mallory.api_key)
    mixed = [
        tokens.Claims(alice.api_key.public_id, mallory.tenant.pk, own.pk.hex, time.time() + 900),
        tokens.Claims(mallory.api_key.public_id, alice.tenant.pk, own.pk.hex, time.time() + 900),
        tokens.Claims(alice.api_key.public_id, alice.tenant.pk, own.pk.hex, time.time() + 900),
    ]
    for claims in mixed:
        headers = {"Authorization": f"Bearer {tokens.signer().sign(claims, now=time.time())}"}
        for path in ("/v1/usage", "/v1/usage/costs"):
            assert httpx2.get(f"{server}{path}", headers=headers).status_code == 401, claims


def test_mallory_ends_no_family_of_alices(alice: Workspace, mallory: Workspace) -> None:
    of_alice, of_mallory = refreshing.issue(alice.api_key), refreshing.issue(mallory.api_key)
    family = RefreshFamily.objects.get(key=alice.api_key).pk.hex
    forged = of_mallory.refresh.replace(RefreshFamily.objects.get(key=mallory.api_key).pk.hex, family)
    assert not refreshing.revoke(forged)
    assert refreshing.refresh(of_alice.refresh)
