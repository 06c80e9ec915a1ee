"""Mallory has a workspace and a key, and wants Alice's answers, figures and quota."""

from __future__ import annotations

import asyncio
import json
import time

import httpx2
import pytest
from django.test import Client

from analytics.tasks import drain_usage
from gateway.urls import CHAT_PATHS
from tenants.models import Tenant
from tests.bodies import body_of
from tests.conftest import Workspace

SECRET = "What is the launch code of project Nightingale?"


def chat(
    server: str, key: str, content: str = SECRET, path: str = "/v1/chat/completions", **headers: str
) -> httpx2.Response:
    headers["Authorization"] = f"Bearer {key}"
    return httpx2.post(f"{server}{path}", json=body_of(path, content), headers=headers)


def cache_id(answer: httpx2.Response) -> str:
    return str(answer.headers["x-nexus-cache-id"])


def test_the_same_question_is_no_shared_hit_at_either_tier(server: str, alice: Workspace, mallory: Workspace) -> None:
    first = chat(server, alice.key)
    assert first.headers["x-cache"] == "MISS"
    assert chat(server, alice.key).headers["x-cache"] == "HIT-EXACT"
    for wording in (SECRET, "what is the launch code for project nightingale"):
        answer = chat(server, mallory.key, wording)
        assert answer.headers["x-cache"] == "MISS" or cache_id(answer) != cache_id(first)
    assert chat(server, mallory.key).headers["x-cache"] == "HIT-EXACT"
    assert cache_id(chat(server, mallory.key)) != cache_id(first)


def test_the_same_question_at_the_same_moment_is_not_coalesced(
    server: str, alice: Workspace, mallory: Workspace
) -> None:
    async def both() -> list[httpx2.Response]:
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "At the same moment?"}]}
        async with httpx2.AsyncClient() as client:
            return await asyncio.gather(
                *(
                    client.post(
                        f"{server}/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {one.key}"}
                    )
                    for one in (alice, mallory)
                )
            )

    answers = asyncio.run(both())
    assert [answer.headers["x-cache"] for answer in answers] == ["MISS", "MISS"]


@pytest.mark.parametrize("path", sorted(CHAT_PATHS))
def test_a_namespace_named_like_alices_does_not_open_hers(
    server: str, alice: Workspace, mallory: Workspace, path: str
) -> None:
    space = {"X-Nexus-Cache-Namespace": f"t{alice.tenant.pk}"}
    chat(server, alice.key, path=path, **space)
    assert chat(server, mallory.key, path=path, **space).headers["x-cache"] == "MISS"


@pytest.mark.parametrize("name", ["a b", "a\tb", "x" * 65, "t1:x:*", "{p1}"])
def test_a_namespace_cannot_reach_other_keys(server: str, mallory: Workspace, name: str) -> None:
    answer = chat(server, mallory.key, **{"X-Nexus-Cache-Namespace": name})
    assert answer.status_code == 400 or answer.headers["x-cache"] == "MISS"


@pytest.mark.parametrize("path", [*sorted(CHAT_PATHS), "/v1/models", "/v1/usage"])
def test_a_secret_of_another_key_does_not_open_an_endpoint(
    server: str, alice: Workspace, mallory: Workspace, path: str
) -> None:
    _, public_id, _ = alice.key.split("-", 2)
    forged = f"nk-{public_id}-{mallory.key.split('-', 2)[2]}"
    headers = {"Authorization": f"Bearer {forged}"}
    answer = chat(server, forged, path=path) if path in CHAT_PATHS else httpx2.get(f"{server}{path}", headers=headers)
    assert answer.status_code == 401


def test_usage_is_that_of_the_key_that_asks(server: str, alice: Workspace, mallory: Workspace) -> None:
    for number in range(3):
        chat(server, alice.key, f"Question {number}")
    headers = {"Authorization": f"Bearer {mallory.key}", "X-Tenant": alice.tenant.slug, "Host": "localhost"}
    usage = httpx2.get(f"{server}/v1/usage?tenant={alice.tenant.slug}", headers=headers).json()
    assert usage["requests"]["used"] == 0


def test_a_session_opens_only_ones_own_workspaces(server: str, alice: Workspace, mallory: Workspace) -> None:
    client = Client()
    client.force_login(mallory.owner)
    assert client.get(f"/t/{mallory.tenant.slug}/").status_code == 200
    for slug in (alice.tenant.slug, "no-such-workspace", "public", "..", "%2e%2e"):
        assert client.get(f"/t/{slug}/").status_code in {404, 301}


def test_records_land_in_ones_own_schema(server: str, alice: Workspace, mallory: Workspace) -> None:
    from analytics.models import UsageRecord
    from tenants.db import schema_of

    chat(server, alice.key, "Only mine")
    drain_usage()
    with schema_of(alice.tenant):
        assert UsageRecord.objects.count() == 1
    with schema_of(mallory.tenant):
        assert UsageRecord.objects.count() == 0


def test_a_revoked_key_is_refused_within_a_second(server: str, alice: Workspace) -> None:
    from tenants import apikeys

    assert chat(server, alice.key).status_code == 200
    apikeys.revoke(alice.api_key)
    until = time.monotonic() + 1
    while chat(server, alice.key).status_code == 200:
        assert time.monotonic() < until, "still served after a second"


def test_a_suspended_workspace_is_refused(server: str, alice: Workspace, mallory: Workspace) -> None:
    assert chat(server, alice.key).status_code == 200
    alice.tenant.status = Tenant.Status.SUSPENDED
    alice.tenant.save()
    until = time.monotonic() + 1
    while (answer := chat(server, alice.key)).status_code == 200:
        assert time.monotonic() < until
    assert answer.status_code == 403 and json.loads(answer.text)["error"]["code"] == "tenant_suspended"
    assert chat(server, mallory.key).status_code == 200
