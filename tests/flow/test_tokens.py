"""From a key to tokens that stand for it, from one refresh token to the next, and to their end."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from django.utils import timezone
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tenants import apikeys, refreshing, suspension, tokens
from tenants.models import ApiKey, AuditEvent, RefreshFamily
from tests.calls import chat, records
from tests.conftest import Workspace
from tests.management import call, manages, refused
from tests.together import at_once

PATIENCE_S = 10


def post(path: str, body: Any = None, workspace: Workspace | None = None, **headers: str) -> Any:
    return call(workspace, "POST", path, body if body is not None else {}, **headers)


def made(workspace: Workspace) -> dict[str, Any]:
    answer = post("/auth/token", workspace=workspace)
    assert answer.status_code == 200, answer.content
    assert answer.headers["Cache-Control"] == "no-store"
    return dict(answer.json())


def refreshed(token: str) -> Any:
    return post("/auth/refresh", {"refresh_token": token})


def status(server: str, token: str) -> int:
    return httpx2.get(f"{server}/v1/usage", headers={"Authorization": f"Bearer {token}"}).status_code


def ends(server: str, token: str, expected: int = 401) -> None:
    """Soon; how soon is not asserted."""
    until = time.monotonic() + PATIENCE_S
    while (now := status(server, token)) != expected:
        assert now == 200 and time.monotonic() < until


def test_an_access_token_stands_where_a_key_does(server: str, alice: Workspace) -> None:
    manages(alice)
    tokens_ = made(alice)
    assert (tokens_["token_type"], tokens_["expires_in"]) == ("Bearer", 900)
    access = tokens_["access_token"]
    assert chat(server, access, "gpt-4o-mini").status_code == 200
    for header in ({"Authorization": f"bearer {access}"}, {"x-api-key": access}):
        assert httpx2.get(f"{server}/v1/models", headers=header).status_code == 200
        assert httpx2.get(f"{server}/v1/admin/api-keys", headers=header).status_code == 200
    assert [record.key_id for record in records(alice, 1)] == [alice.api_key.pk]


def test_a_browser_sends_a_token_as_a_subprotocol(server: str, alice: Workspace) -> None:
    protocols = [Subprotocol("nexus"), Subprotocol(made(alice)["access_token"])]
    with connect(f"{server.replace('http', 'ws')}/ws/chat", subprotocols=protocols) as connection:
        connection.send(json.dumps({"message": "Hello"}))
        assert "delta" in json.loads(connection.recv())


def test_the_key_may_be_in_the_body(alice: Workspace) -> None:
    assert post("/auth/token", {"api_key": alice.key}).status_code == 200
    assert post("/auth/token", {"api_key": f"{alice.key}x"}).json()["error"]["code"] == "invalid_api_key"
    assert post("/auth/token").json()["error"]["code"] == "missing_api_key"
    refused(post("/auth/token", {"apikey": alice.key}, alice), 400, "apikey")


def test_a_token_makes_no_tokens(alice: Workspace) -> None:
    access = made(alice)["access_token"]
    for answer in (post("/auth/token", Authorization=f"Bearer {access}"), post("/auth/token", {"api_key": access})):
        assert answer.status_code == 401
    assert RefreshFamily.objects.filter(key=alice.api_key).count() == 1


def test_a_token_may_what_its_key_may_now(server: str, alice: Workspace) -> None:
    access = made(alice)["access_token"]
    headers = {"Authorization": f"Bearer {access}"}
    assert httpx2.get(f"{server}/v1/admin/api-keys", headers=headers).status_code == 403
    manages(alice)
    assert httpx2.get(f"{server}/v1/admin/api-keys", headers=headers).status_code == 200
    apikeys.change(alice.api_key, {"scopes": []}, actor=alice.owner)
    assert httpx2.get(f"{server}/v1/admin/api-keys", headers=headers).status_code == 403


def revoked(alice: Workspace) -> None:
    apikeys.revoke(alice.api_key)


def expired(alice: Workspace) -> None:
    apikeys.change(alice.api_key, {"expires_at": timezone.now()})


def rotated(alice: Workspace) -> None:
    apikeys.rotate(alice.api_key, overlap_s=0)


@pytest.mark.parametrize("end", [revoked, expired, rotated])
def test_with_its_key_a_token_ends_everywhere(server: str, alice: Workspace, end: Callable[[Workspace], None]) -> None:
    tokens_ = made(alice)
    assert status(server, tokens_["access_token"]) == 200
    end(alice)
    ends(server, tokens_["access_token"])
    assert refreshed(tokens_["refresh_token"]).json()["error"]["code"] == "invalid_refresh_token"


def test_tokens_of_a_suspended_workspace_are_refused_until_it_is_back(server: str, alice: Workspace) -> None:
    tokens_ = made(alice)
    assert status(server, tokens_["access_token"]) == 200
    suspension.suspend(alice.tenant)
    ends(server, tokens_["access_token"], 403)
    assert refreshed(tokens_["refresh_token"]).status_code == 401
    suspension.reactivate(alice.tenant)
    assert refreshed(tokens_["refresh_token"]).status_code == 200


def test_an_expired_token_is_none(server: str, alice: Workspace) -> None:
    made(alice)
    family = RefreshFamily.objects.get(key=alice.api_key)
    claims = tokens.Claims(alice.api_key.public_id, alice.tenant.pk, family.pk.hex, time.time() - 60)
    old = tokens.signer().sign(claims, now=time.time() - 960)
    for path in ("/v1/usage", "/v1/usage/costs"):
        answer = httpx2.get(f"{server}{path}", headers={"Authorization": f"Bearer {old}"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_token")


def test_refreshing_uses_a_token_up_and_gives_the_next(server: str, alice: Workspace) -> None:
    first = made(alice)
    second = refreshed(first["refresh_token"]).json()
    third = refreshed(second["refresh_token"]).json()
    assert len({first["refresh_token"], second["refresh_token"], third["refresh_token"]}) == 3
    for each in (first, second, third):
        assert status(server, each["access_token"]) == 200


def test_a_token_that_is_shown_twice_ends_its_family_and_is_told(server: str, alice: Workspace) -> None:
    first = made(alice)
    second = refreshed(first["refresh_token"]).json()
    assert status(server, second["access_token"]) == 200
    answer = refreshed(first["refresh_token"])
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "refresh_token_reused")
    for each in (first, second):
        ends(server, each["access_token"])
        assert refreshed(each["refresh_token"]).json()["error"]["code"] == "invalid_refresh_token"
    (event,) = AuditEvent.objects.filter(tenant=alice.tenant, action="token.reused")
    assert event.target == str(alice.api_key) and event.ip_address == "127.0.0.1"
    # The key is good, and begins anew.
    assert made(alice)


def test_of_many_who_refresh_at_once_one_gets_the_next(alice: Workspace) -> None:
    token = made(alice)["refresh_token"]

    def attempt() -> str:
        try:
            return refreshing.refresh(token).refresh
        except refreshing.Refused as error:
            return type(error).__name__

    outcomes = at_once(*[attempt] * 6)
    won = [outcome for outcome in outcomes if outcome.startswith("nr-")]
    assert len(won) == 1
    assert sorted(set(outcomes) - set(won)) in (["Refused", "Reused"], ["Reused"])
    assert AuditEvent.objects.filter(tenant=alice.tenant, action="token.reused").count() == 1
    assert refreshed(won[0]).status_code == 401


def test_who_only_knows_a_familys_name_neither_gets_tokens_nor_ends_it(alice: Workspace) -> None:
    good = made(alice)["refresh_token"]
    family = RefreshFamily.objects.get(key=alice.api_key)
    forged = tokens.render_refresh(family.pk.hex, tokens.new_secret(), tokens.new_secret())
    assert refreshed(forged).json()["error"]["code"] == "invalid_refresh_token"
    assert post("/auth/revoke", {"token": forged}).json() == {"revoked": False}
    assert refreshed(good).status_code == 200


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_whoever_has_a_token_may_end_its_family(server: str, alice: Workspace, kind: str) -> None:
    ended, other = made(alice), made(alice)
    assert status(server, ended["access_token"]) == status(server, other["access_token"]) == 200
    assert post("/auth/revoke", {"token": ended[kind]}).json() == {"revoked": True}
    assert post("/auth/revoke", {"token": ended[kind]}).json() == {"revoked": False}
    ends(server, ended["access_token"])
    assert refreshed(ended["refresh_token"]).status_code == 401
    assert status(server, other["access_token"]) == 200 and refreshed(other["refresh_token"]).status_code == 200
    assert AuditEvent.objects.filter(tenant=alice.tenant, action="token.revoked").count() == 1


def test_only_digests_are_kept(alice: Workspace) -> None:
    token = made(alice)["refresh_token"]
    row = RefreshFamily.objects.filter(key=alice.api_key).values().get()
    secrets = token.split("-", 2)[2].split(".")
    assert not any(secret in str(value) for secret in secrets for value in row.values())
    assert (bytes(row["family_sha256"]), bytes(row["step_sha256"])) == tuple(map(tokens.digest, secrets))


def test_refreshing_does_not_prolong_a_family(alice: Workspace) -> None:
    token = made(alice)["refresh_token"]
    until = timezone.now() + dt.timedelta(seconds=60)
    RefreshFamily.objects.filter(key=alice.api_key).update(expires_at=until)
    following = refreshed(token).json()
    assert following["refresh_expires_in"] <= 60 and following["expires_in"] <= 60
    RefreshFamily.objects.filter(key=alice.api_key).update(expires_at=timezone.now())
    assert refreshed(following["refresh_token"]).status_code == 401


def test_a_key_has_so_many_families_and_the_oldest_end(alice: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refreshing, "MAX_FAMILIES", 2)
    first, second, third = (refreshing.issue(alice.api_key).refresh for _ in range(3))
    assert refreshed(first).status_code == 401
    assert refreshed(second).status_code == refreshed(third).status_code == 200


def test_families_that_are_over_are_purged(alice: Workspace) -> None:
    for _ in range(3):
        made(alice)
    over, ended, living = RefreshFamily.objects.filter(key=alice.api_key).order_by("created_at")
    long_ago = timezone.now() - dt.timedelta(days=2)
    RefreshFamily.objects.filter(pk=over.pk).update(expires_at=long_ago)
    RefreshFamily.objects.filter(pk=ended.pk).update(ended_at=long_ago)
    assert refreshing.purge() >= 2
    assert list(RefreshFamily.objects.filter(key=alice.api_key)) == [living]


def test_a_deleted_key_takes_its_families_along(alice: Workspace) -> None:
    key = apikeys.issue(alice.tenant).key
    refreshing.issue(key)
    ApiKey.objects.get(pk=key.pk).delete()
    assert not RefreshFamily.objects.filter(key_id=key.pk).exists()
