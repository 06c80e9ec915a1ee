"""`/api/providers/{name}/test`: one tiny question, past cache and quota."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from gateway.models import Provider
from tenants.db import schema_of
from tests import servers
from tests.calls import used
from tests.conftest import Workspace
from tests.management import API_KEY, made, manages, provider_of


@pytest.fixture
def admin(alice: Workspace, provider: str, settings: Any) -> Workspace:
    """Alice, with the fake provider; her key may manage."""
    settings.PRIVATE_PROVIDERS = True
    manages(alice)
    made(alice, "/api/providers", provider_of("fake", base_url=f"{provider}/v1"))
    return alice


def trial(server: str, workspace: Workspace, name: str = "fake", body: Any = None, **fields: Any) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {workspace.key}", **fields.pop("headers", {})}
    content = {"content": body} if isinstance(body, str) else {"json": fields if body is None else body}
    return httpx2.post(f"{server}/api/providers/{name}/test", headers=headers, timeout=40, **content)


def test_a_provider_that_works_says_so_and_nothing_is_counted(server: str, admin: Workspace, provider: str) -> None:
    for _ in range(2):
        result = trial(server, admin, model="echo").json()
        assert result["ok"] and result["error"] is None and result["latency_ms"] > 0
        assert result["text"] == "Reply with the single word: ok"
    last = httpx2.get(f"{provider}/calls").json()["last"]
    assert last["payload"]["max_tokens"] <= 16 and last["authorization"] == f"Bearer {API_KEY}"
    assert used(server, admin.key) == (0, 0)


@pytest.mark.parametrize(
    ("model", "code", "what"),
    [
        ("status-401", "provider_failed", "status 401"),
        ("status-503", "provider_failed", "status 503"),
        ("status-400", "c", "told to fail"),
        ("garbage", "provider_failed", "not a JSON object"),
        ("empty", "provider_failed", "without choices"),
        ("hang", "provider_timed_out", "did not answer"),
    ],
)
def test_what_is_wrong_is_told(server: str, admin: Workspace, model: str, code: str, what: str) -> None:
    answer = trial(server, admin, model=model)
    result = answer.json()
    assert answer.status_code == 200 and not result["ok"] and result["text"] is None
    assert result["error"]["code"] == code and what in result["error"]["message"]


def test_a_provider_may_be_tried_before_it_is_switched_on(server: str, admin: Workspace) -> None:
    with schema_of(admin.tenant):
        Provider.objects.update(enabled=False)
    assert trial(server, admin, model="ok").json()["ok"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "model"),
        ({"model": ""}, "model"),
        ({"model": 7}, "model"),
        ({"model": ["ok"]}, "model"),
        ({"model": "a\nb"}, "model"),
        ({"model": "x" * 121}, "model"),
        ({"model": "ok", "messages": []}, "messages"),
        ("[]", None),
        ("{", None),
        ("[" * 100_000, None),
    ],
)
def test_a_bad_body_is_refused(server: str, admin: Workspace, body: Any, param: str | None) -> None:
    answer = trial(server, admin, body=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_a_body_too_large_is_refused(server: str, admin: Workspace) -> None:
    assert trial(server, admin, body={"model": "x" * 3_000_000}).status_code == 413


def test_it_needs_the_scope_a_valid_key_and_a_provider(server: str, admin: Workspace, mallory: Workspace) -> None:
    missing = trial(server, admin, "nobody", model="ok")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")
    plain = trial(server, mallory, model="ok")
    assert plain.status_code == 403 and "lacks the scope “providers”" in plain.json()["error"]["message"]
    assert trial(server, admin, model="ok", headers={"Authorization": "Bearer nk-x"}).status_code == 401


def test_a_workspace_has_ten_tries_a_minute(server: str, admin: Workspace) -> None:
    statuses = [trial(server, admin, model="ok").status_code for _ in range(11)]
    assert statuses == [200] * 10 + [429]
    refused = trial(server, admin, model="ok")
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"


def test_a_private_address_is_not_called(admin: Workspace, provider: str) -> None:
    with servers.gateway(NEXUS_PRIVATE_PROVIDERS="off") as gateway:
        result = trial(gateway.url, admin, model="ok").json()
    assert not result["ok"] and "public address" in result["error"]["message"]
