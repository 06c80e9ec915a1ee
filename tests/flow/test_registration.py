"""From a stranger to a workspace with a key: by API and in the browser."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
import redis
from django.db import OperationalError
from django.http import HttpRequest
from django.test import Client

from tenants import addresses, keys, pace, provisioning, registration
from tenants.models import ApiKey, Membership, Tenant, User
from tests.conftest import Workspace
from tests.database import current_schema
from tests.together import at_once


def address() -> str:
    return f"{uuid.uuid4().hex[:12]}@example.com"


def register(path: str = "/api/register", **body: Any) -> Any:
    return Client().post(path, json.dumps(body), content_type="application/json")


@pytest.mark.parametrize("path", ["/api/register", "/v1/register"])
def test_an_email_is_enough_for_a_key(path: str) -> None:
    email = address()
    answer = register(path, email=email)
    assert answer.status_code == 201
    made = answer.json()
    parts = keys.parse(made["api_key"])
    assert parts is not None and made["plan"] == "free"
    key = ApiKey.objects.get(public_id=parts.public_id)
    assert bytes(key.secret_sha256) == parts.secret_sha256
    assert Membership.objects.get(tenant=key.tenant).role == "owner"
    assert made["tenant"] == key.tenant.slug


def test_the_same_email_again_is_a_conflict_in_any_case() -> None:
    email = address()
    assert register(email=email).status_code == 201
    again = register(email=email.upper())
    assert again.status_code == 409 and again.json()["error"]["code"] == "email_taken"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "email"),
        ({"email": "nobody"}, "email"),
        ({"email": 7}, "email"),
        ({"email": "a@example.com", "password": "short"}, "password"),
        ({"email": "a@example.com", "password": "1234567890"}, "password"),
        ({"email": "long-address@example.com", "password": "long-address@example.com"}, "password"),
        ({"email": "a@example.com", "name": "x" * 121}, "name"),
        ({"email": "a@example.com", "name": "a\x00b"}, "name"),
        ({"email": "a@example.com", "name": "Tea\nbcc: x"}, "name"),
        ({"email": "a@example.com", "name": "Tea \u202egpj"}, "name"),
        ({"email": "a@example.com", "name": ["a"]}, "name"),
    ],
)
def test_a_bad_field_is_named(body: dict[str, Any], param: str) -> None:
    answer = register(**body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param and answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        ("{", "application/json", 400),
        ("a=b", "text/plain", 415),
        ("[]", "application/json", 400),
    ],
)
def test_garbage_is_refused_in_the_envelope(body: str, content_type: str, status: int) -> None:
    answer = Client().post("/api/register", body, content_type=content_type)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (OperationalError("connection refused"), 503, "service_unavailable"),
        (RuntimeError("with details"), 500, "internal_error"),
    ],
)
def test_a_failure_of_ours_is_told_in_the_envelope_without_its_details(
    monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, code: str
) -> None:
    def fail(**fields: Any) -> None:
        raise error

    monkeypatch.setattr(registration, "register", fail)
    answer = register(email=address())
    assert answer.status_code == status and answer.json()["error"]["code"] == code
    assert str(error) not in answer.content.decode()


def test_another_method_is_refused_in_the_envelope() -> None:
    answer = Client().get("/v1/register")
    assert answer.status_code == 405 and answer.json()["error"]["code"] == "method_not_allowed"


def test_two_at_once_with_one_email_make_one_workspace() -> None:
    email = address()

    def register() -> registration.Registered | registration.EmailTaken:
        try:
            return registration.register(email)
        except registration.EmailTaken as error:
            return error

    results = at_once(*[register] * 4)
    assert sum(isinstance(result, registration.Registered) for result in results) == 1
    assert User.objects.filter(email=email).count() == 1
    assert Tenant.objects.filter(email=email).count() == 1


def test_nothing_is_left_of_a_registration_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    email = address()
    monkeypatch.setattr(provisioning, "template_ddl", lambda: provisioning.Template(("CREATE TABLE broken (",), ()))
    with pytest.raises(Exception, match="syntax"):
        registration.register(email)
    assert not User.objects.filter(email=email).exists()
    assert not Tenant.objects.filter(email=email).exists()
    assert current_schema() == "public"


def test_an_address_may_register_so_often(settings: Any) -> None:
    settings.REGISTRATIONS_PER_HOUR = 2
    client, network = Client(), f"2001:db8:{uuid.uuid4().int % 65535:x}:{uuid.uuid4().int % 65535:x}"

    def post(where: str) -> Any:
        body = json.dumps({"email": address()})
        return client.post("/api/register", body, content_type="application/json", REMOTE_ADDR=where)

    # Whoever has one address of IPv6 has all of its /64.
    assert [post(f"{network}::{host}").status_code for host in (1, 2)] == [201, 201]
    refused = post(f"{network}::3")
    assert refused.status_code == 429 and 0 < int(refused.headers["Retry-After"]) <= 3600
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    page = client.post(
        "/signup/", {"email": address(), "password": "correct horse 9 battery"}, REMOTE_ADDR=f"{network}::4"
    )
    assert page.status_code == 400 and b"Too many workspaces" in page.content


def test_one_may_register_though_redis_is_away(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.REGISTRATIONS_PER_HOUR = 1
    nowhere = redis.Redis(host="127.0.0.1", port=1, socket_connect_timeout=0.2)
    monkeypatch.setattr(pace, "_client", lambda: nowhere)
    addresses.count_registration("203.0.113.9")
    addresses.count_registration("203.0.113.9")


def test_a_forwarded_address_counts_only_behind_our_proxy(settings: Any) -> None:
    request = HttpRequest()
    request.META = {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "6.6.6.6, 203.0.113.9"}
    assert addresses.client_address(request) == "10.0.0.1"
    settings.TRUST_PROXY = True
    assert addresses.client_address(request) == "203.0.113.9"


def test_a_workspace_gets_an_address_from_its_name() -> None:
    first = provisioning.create_tenant(name="Café & Söhne", email=address())
    second = provisioning.create_tenant(name="Café & Söhne", email=address())
    assert first.slug.startswith("cafe-sohne") and second.slug.startswith("cafe-sohne-")
    with pytest.raises(provisioning.SlugTaken):
        provisioning.create_tenant(name="x", email=address(), slug=first.slug)


def test_signing_up_in_the_browser_shows_the_key_once_and_logs_in() -> None:
    client = Client()
    data = {"email": address(), "name": "Tea House", "password": "correct horse 9 battery"}
    page = client.post("/signup/", data)
    assert page.status_code == 201 and b"nk-" in page.content and b"Tea House" in page.content
    home = client.get("/workspaces/")
    assert home.status_code == 302
    dashboard = client.get(home.headers["Location"])
    assert dashboard.status_code == 200 and b"nk-your-key" in dashboard.content


def test_a_weak_password_is_refused_in_the_browser() -> None:
    page = Client().post("/signup/", {"email": address(), "name": "", "password": "12345"})
    assert page.status_code == 400 and b"too short" in page.content


@pytest.mark.parametrize("name", ["Tea\nHouse", "Tea \u202eesuoH", "Tea\x7fHouse"])
def test_a_workspaces_name_is_one_line_that_reads_as_it_is(name: str) -> None:
    email = address()
    page = Client().post("/signup/", {"email": email, "name": name, "password": "correct horse 9 battery"})
    assert page.status_code == 400 and b"Only printable characters" in page.content
    assert not User.objects.filter(email=email).exists()


def test_login_leads_on_only_within_this_site(alice: Workspace) -> None:
    def target(next: str) -> str:
        data = {"login": alice.owner.email, "password": "correct horse 9 battery", "next": next}
        return str(Client().post("/login/", data).headers["Location"])

    assert target(f"/t/{alice.tenant.slug}/") == f"/t/{alice.tenant.slug}/"
    assert target("https://evil.example/") == "/workspaces/"


def test_a_wrong_login_does_not_tell_what_was_wrong(alice: Workspace) -> None:
    pages = [
        Client().post("/login/", {"login": email, "password": "not it"}).content
        for email in (alice.owner.email, address())
    ]
    assert all(b"Please enter a correct" in page for page in pages)


def test_a_key_that_may_manage_is_made_only_when_it_is_asked_for() -> None:
    scopes = []
    for more in ({}, {"admin": False}, {"admin": True}):
        answer = Client().post(
            "/api/register", json.dumps({"email": address(), **more}), content_type="application/json"
        )
        parts = keys.parse(answer.json()["api_key"])
        assert parts is not None
        scopes.append(ApiKey.objects.get(public_id=parts.public_id).scopes)
    assert scopes == [[], [], ["admin"]]
