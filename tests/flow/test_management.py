"""The management API as a whole: who may use it, what it makes of garbage, and that a gateway follows it."""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
import redis
from django.test import Client
from django.utils import timezone

from tenants import apikeys, keyspace, suspension
from tenants.models import ApiKey, Tenant
from tests.calls import chat
from tests.conftest import Workspace
from tests.management import API_KEY, audited, call, confirm, made, provider_of, refused, route_of
from tests.together import PATIENCE_S, at_once, while_it_waits

PATHS = [
    ("GET", "/api/providers"),
    ("POST", "/api/providers"),
    ("GET", "/api/providers/own"),
    ("PATCH", "/api/providers/own"),
    ("DELETE", "/api/providers/own"),
    ("GET", "/api/routes"),
    ("POST", "/api/routes"),
    ("GET", "/api/routes/house"),
    ("PUT", "/api/routes/house"),
    ("DELETE", "/api/routes/house"),
    ("GET", "/api/call-settings"),
    ("PATCH", "/api/call-settings"),
    ("GET", "/api/routing/results?model=house"),
]


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_only_a_valid_key_with_the_scope_may_manage(alice: Workspace, method: str, path: str) -> None:
    assert call(None, method, path).json()["error"]["code"] == "missing_api_key"
    for key in ("nk-aaaaaaaaaaaa-" + "b" * 40, "sk-foreign", alice.key + "x", "é\x80"):
        answer = call(None, method, path, Authorization=f"Bearer {key}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
    answer = call(alice, method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
    assert re.search(r"lacks the scope “[a-z]+”.*or “admin”", answer.json()["error"]["message"])


def test_x_api_key_is_as_good(admin: Workspace) -> None:
    assert call(None, "GET", "/api/providers", **{"x-api-key": admin.key}).json() == {"object": "list", "data": []}


def test_a_revoked_or_expired_key_is_refused(admin: Workspace) -> None:
    ApiKey.objects.filter(pk=admin.api_key.pk).update(expires_at=timezone.now() - dt.timedelta(seconds=1))
    assert call(admin, "GET", "/api/routes").status_code == 401
    ApiKey.objects.filter(pk=admin.api_key.pk).update(expires_at=None)
    assert call(admin, "GET", "/api/routes").status_code == 200
    apikeys.revoke(admin.api_key)
    assert call(admin, "GET", "/api/routes").status_code == 401


def test_a_suspended_workspace_manages_nothing(admin: Workspace) -> None:
    suspension.suspend(admin.tenant)
    answer = call(admin, "GET", "/api/providers")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "tenant_suspended")


@pytest.mark.parametrize(("path", "body"), [("/api/providers", provider_of()), ("/api/routes", None)])
def test_of_several_at_once_with_one_name_one_is_made(admin: Workspace, path: str, body: dict[str, Any] | None) -> None:
    if body is None:
        made(admin, "/api/providers", provider_of())
        body = route_of()
    statuses = at_once(*[lambda: call(admin, "POST", path, body).status_code] * 5)
    assert sorted(statuses) == [201, 409, 409, 409, 409]


@pytest.mark.parametrize("path", ["/api/providers", "/api/routes", "/api/call-settings"])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("{", 400),
        ("[]", 400),
        ("null", 400),
        ('"text"', 400),
        ("[" * 100_000, 400),
        ('{"name": 1e999}', 400),
        ('{"name": "\\ud800"}', 400),
        (b"\xff\xfe", 400),
        ('{"name": "' + "x" * 300_000 + '"}', 413),
    ],
)
def test_garbage_is_refused_in_the_envelope(admin: Workspace, path: str, body: Any, status: int) -> None:
    method = "PATCH" if path.endswith("settings") else "POST"
    assert call(admin, method, path, body).status_code == status


def test_other_media_types_and_methods_are_refused_in_the_envelope(admin: Workspace) -> None:
    headers = {"Authorization": f"Bearer {admin.key}"}
    form = Client().post("/api/providers", "a=b", content_type="text/plain", headers=headers)
    assert (form.status_code, form.json()["error"]["code"]) == (415, "unsupported_media_type")
    put = call(admin, "PUT", "/api/providers", {})
    assert (put.status_code, put.json()["error"]["code"]) == (405, "method_not_allowed")


def test_call_settings_have_defaults_and_change_one_by_one(admin: Workspace) -> None:
    defaults = {"on_disconnect": "drain", "drain_limit_s": 60}
    assert call(admin, "GET", "/api/call-settings").json() == defaults
    assert call(admin, "PATCH", "/api/call-settings", {"on_disconnect": "cancel"}).json() == {
        **defaults,
        "on_disconnect": "cancel",
    }
    assert call(admin, "PATCH", "/api/call-settings", {"drain_limit_s": 5}).json()["on_disconnect"] == "cancel"
    assert audited(admin)[0].before == defaults


@pytest.mark.parametrize(
    "body",
    [
        {"on_disconnect": "stay"},
        {"on_disconnect": []},
        {"drain_limit_s": -1},
        {"drain_limit_s": 3601},
        {"drain_limit_s": None},
        {"id": 2},
    ],
)
def test_a_bad_call_setting_is_named(admin: Workspace, body: dict[str, Any]) -> None:
    refused(call(admin, "PATCH", "/api/call-settings", body), 400, next(iter(body)))


def test_a_workspace_that_is_deleted_meanwhile_is_not_there(admin: Workspace) -> None:
    def delete() -> None:
        Tenant.objects.filter(pk=admin.tenant.pk).update(status=Tenant.Status.DELETED)

    answer = while_it_waits(lambda: call(admin, "PATCH", "/api/call-settings", {"drain_limit_s": 5}), delete)
    assert "has been deleted" in refused(answer, 404)


def test_a_workspace_that_is_deleted_meanwhile_is_not_suspended(admin: Workspace) -> None:
    def delete() -> None:
        Tenant.objects.filter(pk=admin.tenant.pk).update(status=Tenant.Status.DELETED)

    assert not while_it_waits(lambda: suspension.suspend(admin.tenant), delete)
    assert Tenant.everyone.get(pk=admin.tenant.pk).status == Tenant.Status.DELETED


@pytest.fixture
def forgotten(settings: Any) -> Iterator[Callable[[], list[str]]]:
    """What all processes were told to forget since this was asked last."""
    with redis.Redis.from_url(settings.REDIS_URL) as client, client.pubsub() as pubsub:
        pubsub.subscribe(keyspace.REVOCATIONS)
        assert pubsub.get_message(timeout=PATIENCE_S)["type"] == "subscribe"

        def listen() -> list[str]:
            client.publish(keyspace.REVOCATIONS, "that is all")
            return list(iter(lambda: pubsub.get_message(timeout=PATIENCE_S)["data"].decode(), "that is all"))

        yield listen


def test_what_calls_go_by_is_forgotten_when_it_changes_and_else_nothing(
    admin: Workspace, mallory: Workspace, forgotten: Callable[[], list[str]]
) -> None:
    confirm(mallory)
    made(admin, "/v1/admin/users", {"email": mallory.owner.email})
    user = f"/v1/admin/users/{mallory.owner.pk}"
    assert call(admin, "PATCH", user, {"role": "finance"}).status_code == 200
    assert call(admin, "DELETE", user).status_code == 204
    assert call(admin, "PUT", "/api/alerts/rules/drift", {"enabled": False}).status_code == 200
    webhook = made(admin, "/api/alerts/webhooks", {"url": "https://hooks.example.com/x"})
    assert call(admin, "POST", "/api/alerts/test", {"endpoint": webhook["id"]}).status_code == 202
    assert forgotten() == []
    key = made(admin, "/v1/admin/api-keys", {})
    assert set(forgotten()) == {f"key:{key['id']}"}
    call(admin, "PATCH", f"/v1/admin/api-keys/{key['id']}", {"monthly_requests": 5})
    assert forgotten() == [f"key:{key['id']}"]
    made(admin, "/api/providers", provider_of())
    assert forgotten() == [f"tenant:{admin.tenant.pk}"]


def test_what_changes_nothing_leaves_no_trace(admin: Workspace) -> None:
    made(admin, "/api/providers", provider_of())
    for path in ("/api/call-settings", "/api/providers/own"):
        for text in ("{}", ""):
            assert call(admin, "PATCH", path, text).status_code == 200
    assert [row.action for row in audited(admin)] == ["provider.created"]


def test_what_is_set_up_is_asked_within_a_second(server: str, provider: str, admin: Workspace, settings: Any) -> None:
    settings.PRIVATE_PROVIDERS = True
    assert chat(server, admin.key, "gpt-4o-mini").headers["x-nexus-provider"] == "simulated"
    made(admin, "/api/providers", provider_of("fake", base_url=f"{provider}/v1"))
    made(admin, "/api/routes", route_of("house", {"provider": "fake", "model": "status-500"}))
    call(admin, "PUT", "/api/routes/house", {"targets": [{"provider": "fake", "model": "echo"}]})
    until = time.monotonic() + PATIENCE_S
    while (answer := chat(server, admin.key, "house", "hello")).status_code != 200:
        assert time.monotonic() < until, answer.text
    assert answer.json()["choices"][0]["message"]["content"] == "hello"
    call(admin, "PATCH", "/api/providers/fake", {"enabled": False})
    until = time.monotonic() + PATIENCE_S
    while chat(server, admin.key, "house", "hello?").status_code == 200:
        assert time.monotonic() < until


def test_a_provider_is_not_left_alone_for_what_its_old_address_did(
    server: str, provider: str, admin: Workspace, settings: Any
) -> None:
    settings.PRIVATE_PROVIDERS = True
    made(admin, "/api/providers", provider_of("fake", base_url="http://127.0.0.1:1/v1"))
    while chat(server, admin.key, "status-500").status_code == 502:
        pass
    change = {"base_url": f"{provider}/v1", "api_key": API_KEY}
    assert call(admin, "PATCH", "/api/providers/fake", change).status_code == 200
    until = time.monotonic() + PATIENCE_S
    while (answer := chat(server, admin.key, "status-500")).status_code == 503:
        assert time.monotonic() < until, answer.text
    # The new one's first failure would open again what the old one's had opened.
    assert chat(server, admin.key, "status-500").status_code == 502


def test_a_running_gateway_manages_as_the_test_client_does(server: str, admin: Workspace) -> None:
    with httpx2.Client(base_url=server, headers={"Authorization": f"Bearer {admin.key}"}) as client:
        assert client.post("/api/providers", json=provider_of()).status_code == 201
        assert client.post("/api/providers", json=provider_of()).status_code == 409
        assert client.post("/api/routes", json=route_of("a/b c")).status_code == 201
        assert client.get("/api/routes/a%2Fb%20c").json()["model"] == "a/b c"
        assert client.patch("/api/call-settings", json={"drain_limit_s": 1}).json()["drain_limit_s"] == 1
        assert client.post("/api/routes", content=b"x" * 4_000_000).status_code == 415
        huge = client.post("/api/routes", content=b"x" * 4_000_000, headers={"Content-Type": "application/json"})
        assert (huge.status_code, huge.json()["error"]["code"]) == (413, "request_too_large")
        for path in ("/api/routes/%00", "/api/routes/%ED%A0%80", "/api/routing/results?model=%00"):
            assert client.get(path).status_code in {400, 404}


def test_the_docs_page_describes_the_management_api() -> None:
    schema = Client().get("/api/schema/", headers={"Accept": "application/json"}).json()
    for method, path in PATHS:
        described = path.split("?")[0].replace("own", "{name}").replace("/house", "/{model}")
        assert method.lower() in schema["paths"][described], path
    assert "post" in schema["paths"]["/api/routing/explain"]
    assert "post" in schema["paths"]["/api/providers/{name}/test"]
    for path in ("/api/providers", "/api/routing/explain"):
        assert schema["paths"][path]["post"]["security"] == [{"apiKey": []}]
    provider = schema["components"]["schemas"]["ProviderBody"]
    assert provider["properties"]["api_key"]["writeOnly"] and provider["properties"]["has_api_key"]["readOnly"]
