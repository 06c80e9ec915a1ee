"""A workspace sets up its data plane through the API: providers, routes, call settings."""

from __future__ import annotations

import datetime as dt
import threading
import time
import uuid
from typing import Any

import httpx2
import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone

from analytics.models import UsageRecord
from gateway.models import Provider, Target
from tenants import apikeys, secretbox, suspension
from tenants.db import schema_of
from tenants.models import ApiKey, AuditEvent
from tests.calls import chat
from tests.conftest import Workspace
from tests.management import API_KEY, call, made, manages, provider_of, route_of

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


@pytest.fixture
def admin(alice: Workspace) -> Workspace:
    """Alice, whose key may manage."""
    return manages(alice)


def audited(workspace: Workspace) -> list[AuditEvent]:
    return [
        event
        for event in AuditEvent.objects.filter(tenant=workspace.tenant).order_by("at", "pk")
        if event.actor_label == str(workspace.api_key)
    ]


def refused(answer: Any, status: int, param: str | None = None) -> str:
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (status, param), error
    return str(error["message"])


# --- who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_only_a_valid_key_with_the_scope_may_manage(alice: Workspace, method: str, path: str) -> None:
    assert call(None, method, path).json()["error"]["code"] == "missing_api_key"
    for key in ("nk-aaaaaaaaaaaa-" + "b" * 40, "sk-foreign", alice.key + "x", "é\x80"):
        answer = call(None, method, path, Authorization=f"Bearer {key}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
    answer = call(alice, method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
    assert "scope “admin”" in answer.json()["error"]["message"]


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


# --- providers --------------------------------------------------------------------------------------------------------


def test_a_provider_is_made_read_changed_and_deleted(admin: Workspace) -> None:
    body = provider_of(settings={"models": ["a", "b"], "first_byte_timeout_s": 2.5}, max_concurrency=3, position=2)
    created = made(admin, "/api/providers", body)
    assert created == {
        **{name: value for name, value in body.items() if name != "api_key"},
        "has_api_key": True,
        "catalog": "",
        "enabled": True,
        "created_at": created["created_at"],
    }
    assert call(admin, "GET", "/api/providers/own").json() == created
    assert call(admin, "GET", "/api/providers").json()["data"] == [created]
    changed = call(admin, "PATCH", "/api/providers/own", {"enabled": False, "settings": {}, "max_concurrency": None})
    assert changed.json() == {**created, "enabled": False, "settings": {}, "max_concurrency": None}
    with schema_of(admin.tenant):
        assert secretbox.open_sealed(bytes(Provider.objects.get().credential)) == API_KEY
    assert call(admin, "DELETE", "/api/providers/own").status_code == 204
    assert call(admin, "GET", "/api/providers/own").status_code == 404


def test_no_credential_is_ever_in_an_answer_or_an_audit_row(admin: Workspace) -> None:
    answers = [
        call(admin, "POST", "/api/providers", provider_of()),
        call(admin, "POST", "/api/providers", provider_of()),
        call(admin, "POST", "/api/providers", provider_of("other", kind="nonsense")),
        call(admin, "POST", "/api/providers", provider_of("other", api_key=f"{API_KEY}\n{API_KEY}")),
        call(admin, "PATCH", "/api/providers/own", {"api_key": f"{API_KEY}-2"}),
        call(admin, "GET", "/api/providers"),
        call(admin, "GET", "/api/providers/own"),
        call(admin, "PATCH", "/api/providers/own", {"api_key": ""}),
        call(admin, "DELETE", "/api/providers/own"),
    ]
    assert [answer.status_code for answer in answers] == [201, 409, 400, 400, 200, 200, 200, 200, 204]
    assert answers[-2].json()["has_api_key"] is False
    rows = audited(admin)
    assert [row.action for row in rows] == ["provider.created", *["provider.changed"] * 2, "provider.deleted"]
    assert [(row.after or {}).get("has_api_key") for row in rows] == [True, True, False, None]
    assert [(row.after or {}).get("api_key_replaced") for row in rows] == [None, True, True, None]
    told = [answer.content.decode() for answer in answers] + [f"{row.before}{row.after}{row.target}" for row in rows]
    assert not any(API_KEY in text for text in told)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"name": "a b"}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"name": None}, "name"),
        ({"name": ["a"]}, "name"),
        ({"name": "a\x00"}, "name"),
        ({"kind": "nonsense"}, "kind"),
        ({"kind": {}}, "kind"),
        ({"kind": "azure", "base_url": ""}, "base_url"),
        ({"base_url": 7}, "base_url"),
        ({"base_url": "api.example.com"}, "base_url"),
        ({"base_url": "ftp://api.example.com"}, "base_url"),
        ({"base_url": "file:///etc/passwd"}, "base_url"),
        ({"base_url": "https://"}, "base_url"),
        ({"base_url": "https://api.example.com:99999"}, "base_url"),
        ({"base_url": "https://[::1"}, "base_url"),
        ({"base_url": "https://user:secret@api.example.com"}, "base_url"),
        ({"base_url": "https://@api.example.com"}, "base_url"),
        ({"base_url": "https://api.example.com/v1?key=1"}, "base_url"),
        ({"base_url": "https://api.example.com/v1#x"}, "base_url"),
        ({"base_url": "https://api.exa mple.com"}, "base_url"),
        ({"base_url": "https://api.example.com\r\nX: y"}, "base_url"),
        ({"base_url": "https://" + "x" * 400}, "base_url"),
        ({"api_key": "two words"}, "api_key"),
        ({"api_key": "ключ"}, "api_key"),
        ({"api_key": None}, "api_key"),
        ({"catalog": "No Such"}, "catalog"),
        ({"max_concurrency": 0}, "max_concurrency"),
        ({"max_concurrency": "many"}, "max_concurrency"),
        ({"max_concurrency": True}, "max_concurrency"),
        ({"enabled": None}, "enabled"),
        ({"enabled": {}}, "enabled"),
        ({"position": -1}, "position"),
        ({"position": 10**30}, "position"),
        ({"settings": []}, "settings"),
        ({"settings": None}, "settings"),
        ({"settings": {"modles": ["a"]}}, "settings.modles"),
        ({"settings": {"models": "a"}}, "settings.models"),
        ({"settings": {"models": []}}, "settings.models"),
        ({"settings": {"models": ["a", {}]}}, "settings.models[1]"),
        ({"settings": {"models": ["a", "b\x07"]}}, "settings.models[1]"),
        ({"settings": {"first_byte_timeout_s": 0}}, "settings.first_byte_timeout_s"),
        ({"settings": {"first_byte_timeout_s": "nan"}}, "settings.first_byte_timeout_s"),
        ({"settings": {"first_byte_timeout_s": True}}, "settings.first_byte_timeout_s"),
        ({"settings": {"api_version": "2024&x=y"}}, "settings.api_version"),
        ({"settings": {"latency_ms": -1}}, "settings.latency_ms"),
        ({"settings": {"tokens_per_s": None}}, "settings.tokens_per_s"),
        ({"settings": {"tokens": 1.5}}, "settings.tokens"),
        ({"settings": {"failure_rate": 1.01}}, "settings.failure_rate"),
        ({"settings": {"cut_rate": []}}, "settings.cut_rate"),
        ({"settings": {"max_tokens": 0}}, "settings.max_tokens"),
        ({"apikey": "sk"}, "apikey"),
    ],
)
def test_a_bad_field_of_a_provider_is_named(admin: Workspace, fields: dict[str, Any], param: str) -> None:
    refused(call(admin, "POST", "/api/providers", provider_of(**fields)), 400, param)
    made(admin, "/api/providers", provider_of())
    assert call(admin, "PATCH", "/api/providers/own", {"api_key": "sk", **fields}).status_code == 400
    assert [row.action for row in audited(admin)] == ["provider.created"]


@pytest.mark.parametrize("missing", ["name", "kind"])
def test_a_provider_needs_a_name_and_a_kind(admin: Workspace, missing: str) -> None:
    body = {name: value for name, value in provider_of().items() if name != missing}
    refused(call(admin, "POST", "/api/providers", body), 400, missing)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:6379",
        "http://10.0.0.1/v1",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://0.0.0.0/",
    ],
)
def test_a_private_address_is_refused_at_once_unless_allowed(admin: Workspace, settings: Any, url: str) -> None:
    settings.PRIVATE_PROVIDERS = False
    message = refused(call(admin, "POST", "/api/providers", provider_of(base_url=url)), 400, "base_url")
    assert "public" in message
    settings.PRIVATE_PROVIDERS = True
    made(admin, "/api/providers", provider_of(base_url=url))


def test_a_default_on_this_machine_is_not_the_workspaces(admin: Workspace, settings: Any) -> None:
    settings.PRIVATE_PROVIDERS = False
    refused(call(admin, "POST", "/api/providers", {"name": "own", "kind": "ollama"}), 400, "base_url")
    settings.PRIVATE_PROVIDERS = True
    made(admin, "/api/providers", {"name": "own", "kind": "ollama"})


@pytest.mark.parametrize("change", [{"base_url": "https://elsewhere.example.com"}, {"kind": "groq"}])
def test_a_key_does_not_follow_to_another_address(admin: Workspace, change: dict[str, Any]) -> None:
    made(admin, "/api/providers", provider_of())
    refused(call(admin, "PATCH", "/api/providers/own", change), 400, "api_key")
    assert call(admin, "PATCH", "/api/providers/own", {**change, "api_key": "sk-new"}).status_code == 200
    assert call(admin, "PATCH", "/api/providers/own", {"name": "renamed", "position": 1}).status_code == 200


def test_a_name_that_is_taken_is_a_conflict(admin: Workspace) -> None:
    made(admin, "/api/providers", provider_of())
    made(admin, "/api/providers", provider_of("other"))
    for answer in (
        call(admin, "POST", "/api/providers", provider_of()),
        call(admin, "PATCH", "/api/providers/other", {"name": "own"}),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "name_taken")


@pytest.mark.parametrize(("path", "body"), [("/api/providers", provider_of()), ("/api/routes", None)])
def test_of_several_at_once_with_one_name_one_is_made(admin: Workspace, path: str, body: dict[str, Any] | None) -> None:
    if body is None:
        made(admin, "/api/providers", provider_of())
        body = route_of()
    statuses: list[int] = []

    def post() -> None:
        try:
            statuses.append(call(admin, "POST", path, body).status_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=post) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201, 409, 409, 409, 409]


def test_a_provider_that_routes_lead_to_is_not_deleted(admin: Workspace) -> None:
    made(admin, "/api/providers", provider_of())
    made(admin, "/api/routes", route_of())
    answer = call(admin, "DELETE", "/api/providers/own")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "in_use")
    assert "house" in answer.json()["error"]["message"]
    call(admin, "DELETE", "/api/routes/house")
    assert call(admin, "DELETE", "/api/providers/own").status_code == 204


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


# --- routes -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def own(admin: Workspace) -> Workspace:
    """With a provider “own”."""
    made(admin, "/api/providers", provider_of())
    return admin


def target(model: str = "gpt-4o-mini", provider: str | None = "own", **fields: Any) -> dict[str, Any]:
    return {"provider": provider, "model": model, **fields}


def test_a_route_is_made_replaced_and_deleted(own: Workspace) -> None:
    created = made(own, "/api/routes", route_of("team/house", target("b"), target("a", None, weight=0)))
    assert created == {
        "model": "team/house",
        "strategy": "fallback",
        "hedge_after_ms": None,
        "targets": [target("b", weight=1, tier=""), target("a", None, weight=0, tier="")],
    }
    assert call(own, "GET", "/api/routes/team/house").json() == created
    assert call(own, "GET", "/api/routes").json() == {"object": "list", "data": [created]}
    body = {"strategy": "weighted", "hedge_after_ms": 300, "targets": [target("c", weight=9), target("b")]}
    replaced = call(own, "PUT", "/api/routes/team/house", body).json()
    assert replaced["targets"] == [target("c", weight=9, tier=""), target("b", weight=1, tier="")]
    assert call(own, "GET", "/api/routes/team/house").json() == replaced
    assert call(own, "DELETE", "/api/routes/team/house").status_code == 204
    assert call(own, "GET", "/api/routes/team/house").status_code == 404
    with schema_of(own.tenant):
        assert not Target.objects.exists()
    rows = audited(own)[1:]
    assert [(row.action, row.target) for row in rows] == [
        (f"route.{what}", "team/house") for what in ("created", "replaced", "deleted")
    ]
    assert (rows[1].before, rows[1].after) == (created, replaced)


SIMPLE, COMPLEX = target("a", tier="simple"), target("b", tier="complex")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": ""}, "model"),
        ({"model": "x" * 121}, "model"),
        ({"model": "a\tb"}, "model"),
        ({"model": "a\x00b"}, "model"),
        ({"model": {}}, "model"),
        ({"strategy": "best"}, "strategy"),
        ({"strategy": []}, "strategy"),
        ({"hedge_after_ms": 0}, "hedge_after_ms"),
        ({"hedge_after_ms": "soon"}, "hedge_after_ms"),
        ({"targets": []}, "targets"),
        ({"targets": {}}, "targets"),
        ({"targets": None}, "targets"),
        ({"targets": "own"}, "targets"),
        ({"targets": [target(str(number)) for number in range(21)]}, "targets"),
        ({"targets": [target(), "own"]}, "targets[1]"),
        ({"targets": [target(), None]}, "targets[1]"),
        ({"targets": [target(), {"provider": "own"}]}, "targets[1].model"),
        ({"targets": [target(), target("a\x07")]}, "targets[1].model"),
        ({"targets": [target(), target("a", "nobody")]}, "targets[1].provider"),
        ({"targets": [target(), {**target(), "provider": {}}]}, "targets[1].provider"),
        ({"targets": [target(weight=-1)]}, "targets[0].weight"),
        ({"targets": [target(weight=10**12)]}, "targets[0].weight"),
        ({"targets": [target(weight=None)]}, "targets[0].weight"),
        ({"targets": [target(tier="hard")]}, "targets[0].tier"),
        ({"targets": [target(share=2)]}, "targets[0].share"),
        ({"targets": [target("a"), target("b"), target("a", weight=3)]}, "targets[2]"),
        ({"strategy": "weighted", "targets": [target("a", weight=0), target("b", weight=0)]}, "targets"),
        ({"strategy": "complexity", "targets": [SIMPLE, target("c")]}, "targets"),
        ({"strategy": "complexity", "targets": [COMPLEX]}, "targets"),
        ({"fallback": True}, "fallback"),
    ],
)
def test_a_bad_field_of_a_route_is_named(own: Workspace, fields: dict[str, Any], param: str) -> None:
    refused(call(own, "POST", "/api/routes", {**route_of(), **fields}), 400, param)
    assert call(own, "GET", "/api/routes").json()["data"] == []
    created = made(own, "/api/routes", route_of())
    refused(call(own, "PUT", "/api/routes/house", {**route_of(), **fields}), 400, param)
    assert call(own, "GET", "/api/routes/house").json() == created


def test_a_route_keeps_its_name_and_must_exist_to_be_replaced(own: Workspace) -> None:
    made(own, "/api/routes", route_of("house", SIMPLE, COMPLEX, strategy="complexity"))
    refused(call(own, "PUT", "/api/routes/house", route_of("other")), 400, "model")
    assert call(own, "PUT", "/api/routes/other", route_of("other")).status_code == 404
    taken = call(own, "POST", "/api/routes", route_of("house"))
    assert (taken.status_code, taken.json()["error"]["code"]) == (409, "name_taken")


@pytest.mark.parametrize("name", ["none", "a%00b", "%ff", "x" * 500, "..%2f..", "☃"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_route_that_is_not_there_is_404_whatever_its_name(own: Workspace, method: str, name: str) -> None:
    body = {"targets": [target()]} if method == "PUT" else None
    assert call(own, method, f"/api/routes/{name}", body).status_code in ({400, 404} if body else {404})


def test_routes_and_providers_are_limited_in_number(own: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.api.routes.MAX_ROUTES", 1)
    monkeypatch.setattr("gateway.api.providers.MAX_PROVIDERS", 1)
    made(own, "/api/routes", route_of())
    for path, body in (("/api/routes", route_of("two")), ("/api/providers", provider_of("two"))):
        answer = call(own, "POST", path, body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "limit_reached")


# --- call settings ----------------------------------------------------------------------------------------------------


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


def test_what_changes_nothing_leaves_no_trace(admin: Workspace) -> None:
    made(admin, "/api/providers", provider_of())
    for path in ("/api/call-settings", "/api/providers/own"):
        for text in ("{}", ""):
            assert call(admin, "PATCH", path, text).status_code == 200
    assert [row.action for row in audited(admin)] == ["provider.created"]


# --- with a running gateway -------------------------------------------------------------------------------------------


def test_what_is_set_up_is_asked_within_a_second(server: str, provider: str, admin: Workspace, settings: Any) -> None:
    settings.PRIVATE_PROVIDERS = True
    assert chat(server, admin.key, "gpt-4o-mini").headers["x-nexus-provider"] == "simulated"
    made(admin, "/api/providers", provider_of("fake", base_url=f"{provider}/v1"))
    made(admin, "/api/routes", route_of("house", {"provider": "fake", "model": "status-500"}))
    call(admin, "PUT", "/api/routes/house", {"targets": [{"provider": "fake", "model": "echo"}]})
    until = time.monotonic() + 1
    while (answer := chat(server, admin.key, "house", "hello")).status_code != 200:
        assert time.monotonic() < until, answer.text
    assert answer.json()["choices"][0]["message"]["content"] == "hello"
    call(admin, "PATCH", "/api/providers/fake", {"enabled": False})
    until = time.monotonic() + 1
    while chat(server, admin.key, "house", "hello?").status_code == 200:
        assert time.monotonic() < until


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


# --- results ----------------------------------------------------------------------------------------------------------


def record(at: dt.datetime, **fields: Any) -> UsageRecord:
    values = {
        "id": uuid.uuid4(), "request_id": "r", "key_id": 1, "at": at, "period_start": at, "dialect": "openai-chat",
        "stream": False, "outcome": "MISS", "status": 200, "provider": "fake", "model": "house",
        "upstream_model": "ok", "prompt_tokens": 10, "completion_tokens": 5, "billed_tokens": 15,
        "cost_usd": "0.01", "saved_usd": "0", "latency_ms": 100.0,
    }  # fmt: skip
    return UsageRecord(**{**values, **fields})


def test_results_say_how_each_variant_did(admin: Workspace) -> None:
    now = timezone.now()
    a, b = {"variant": "fake/a", "upstream_model": "a"}, {"variant": "fake/b", "upstream_model": "b"}
    with schema_of(admin.tenant):
        UsageRecord.objects.bulk_create(
            [
                *(record(now, **a, latency_ms=float(ms)) for ms in range(100, 1101, 100)),
                record(now, **a, outcome="HIT-EXACT", latency_ms=1.0, cost_usd="0"),
                record(now, **{**a, "provider": "other", "upstream_model": "c"}, latency_ms=600.0),
                record(now, **b, cost_usd=None),
                record(now, variant="fake/b", status=502, error="provider_failed", cost_usd="0", latency_ms=9.0),
                record(now, model="ok"),
                record(now - dt.timedelta(days=8), **a),
            ]
        )
    body = call(admin, "GET", "/api/routing/results?model=house").json()
    first, second = body["variants"]
    assert (body["model"], body["days"]) == ("house", 7)
    assert (first["variant"], first["provider"], first["upstream_model"]) == ("fake/a", None, None)
    assert (first["requests"], first["errors"], first["hits"], first["misses"]) == (13, 0, 1, 12)
    assert (first["mean_latency_ms"], first["p50_latency_ms"]) == (600, 600)
    assert first["p95_latency_ms"] == pytest.approx(1045)
    assert (first["prompt_tokens"], first["completion_tokens"], first["unpriced"]) == (130, 65, 0)
    assert first["cost_usd"] == pytest.approx(0.12) and first["cost_per_request_usd"] == pytest.approx(0.12 / 13)
    assert (second["variant"], second["requests"], second["errors"], second["unpriced"]) == ("fake/b", 2, 1, 1)
    assert (second["cost_usd"], second["cost_per_request_usd"], second["mean_latency_ms"]) == (0, 0, 100)
    (plain,) = call(admin, "GET", "/api/routing/results?model=ok&days=1").json()["variants"]
    assert (plain["variant"], plain["provider"], plain["upstream_model"]) == (None, "fake", "ok")
    assert call(admin, "GET", "/api/routing/results?model=nothing").json()["variants"] == []


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("", "model"),
        ("model=", "model"),
        ("model=a%00", "model"),
        ("model=house&days=0", "days"),
        ("model=house&days=91", "days"),
        ("model=house&days=x", "days"),
        ("model=house&day=7", "day"),
    ],
)
def test_a_bad_question_about_results_is_refused(admin: Workspace, query: str, param: str) -> None:
    refused(call(admin, "GET", f"/api/routing/results?{query}"), 400, param)


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
