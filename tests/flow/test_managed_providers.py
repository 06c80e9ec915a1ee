"""A workspace sets up its providers through the API: what is possible, what is refused, and what nobody is told."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.models import Provider
from tenants import secretbox
from tenants.db import schema_of
from tests.conftest import Workspace
from tests.management import API_KEY, audited, call, made, provider_of, refused, route_of


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
    if "169.254" in url:
        assert "metadata" in refused(call(admin, "POST", "/api/providers", provider_of(base_url=url)), 400, "base_url")
    else:
        made(admin, "/api/providers", provider_of(base_url=url))


def test_what_is_sent_to_a_public_address_is_encrypted(admin: Workspace, settings: Any) -> None:
    settings.PRIVATE_PROVIDERS = False
    plain = provider_of(base_url="http://api.example.com/v1")
    assert "https" in refused(call(admin, "POST", "/api/providers", plain), 400, "base_url")
    made(admin, "/api/providers", provider_of())
    change = {"base_url": "http://api.example.com/v1", "api_key": "sk-new"}
    refused(call(admin, "PATCH", "/api/providers/own", change), 400, "base_url")
    settings.PRIVATE_PROVIDERS = True
    made(admin, "/api/providers", {**plain, "name": "plain"})


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


def test_a_provider_that_routes_lead_to_is_not_deleted(admin: Workspace) -> None:
    made(admin, "/api/providers", provider_of())
    made(admin, "/api/routes", route_of())
    answer = call(admin, "DELETE", "/api/providers/own")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "in_use")
    assert "house" in answer.json()["error"]["message"]
    call(admin, "DELETE", "/api/routes/house")
    assert call(admin, "DELETE", "/api/providers/own").status_code == 204
