"""From sign-up to the first answered call: the key that is shown once, the snippets, and the page that waits."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from tenants import keys
from tenants.models import ApiKey, Tenant
from tests.browser.test_dashboard import drain
from tests.conftest import PASSWORD, Workspace
from tests.sockets import session_of
from tests.usage import exact_hit, miss, send, stream_of

FAILED = {"status": 502, "error": "provider_failed", "cost_usd": None}


def sign_up(client: Client, **more: str) -> Any:
    email = f"{uuid.uuid4().hex[:12]}@example.com"
    return client.post("/signup/", {"email": email, "name": "Tea", "password": PASSWORD, **more})


def key_on(page: Any) -> str:
    found = re.search(r'id="api-key">(nk-[^<]+)<', page.content.decode())
    assert found is not None
    return found[1]


def start_of(tenant: Any) -> str:
    return f"/t/{tenant.slug}/start/"


def state_of(client: Client, tenant: Any) -> str:
    found = re.search(r'data-state="(\w+)"', client.get(f"{start_of(tenant)}news").content.decode())
    assert found is not None
    return found[1]


def test_the_key_is_in_the_answer_to_the_sign_up_and_nowhere_else() -> None:
    client = Client()
    page = sign_up(client)
    key = key_on(page)
    assert page.status_code == 201 and "no-store" in page.headers["Cache-Control"]
    # Shown, and in each of the five snippets.
    assert page.content.decode().count(key) == 6
    parts = keys.parse(key)
    assert parts is not None
    tenant = ApiKey.objects.get(public_id=parts.public_id).tenant
    again = client.get(start_of(tenant)).content.decode()
    assert key not in again and "nk-your-key" in again and "shown once" in again
    assert not any(key in str(session.get_decoded()) for session in Session.objects.all())


def test_a_form_sent_twice_makes_one_workspace() -> None:
    client = Client()
    sign_up(client)
    before = Tenant.objects.count()
    assert sign_up(client).headers["Location"] == "/workspaces/"
    assert Tenant.objects.count() == before


def test_who_signs_up_on_the_way_elsewhere_is_led_there_and_no_key_is_made() -> None:
    client = Client()
    answer = sign_up(client, next="/account/")
    assert answer.headers["Location"] == "/account/"
    home = client.get("/workspaces/").headers["Location"]
    assert not ApiKey.objects.filter(tenant__slug=home.split("/")[2]).exists()
    assert sign_up(Client(), next="https://evil.example/").status_code == 201


def test_another_key_is_made_on_the_page(alice: Workspace) -> None:
    page = session_of(alice.owner).post(start_of(alice.tenant))
    parts = keys.parse(key_on(page))
    assert page.status_code == 201 and parts is not None
    made = ApiKey.objects.get(public_id=parts.public_id)
    assert (made.tenant, made.created_by, made.scopes) == (alice.tenant, alice.owner, [])


def test_who_makes_no_keys_sees_the_page_and_is_refused_one(
    alice: Workspace, make_member: Callable[[Workspace, str], Any]
) -> None:
    client = session_of(make_member(alice, "finance"))
    page = client.get(start_of(alice.tenant))
    assert page.status_code == 200 and b"Make a new key" not in page.content
    before = ApiKey.objects.filter(tenant=alice.tenant).count()
    assert client.post(start_of(alice.tenant)).status_code == 403
    assert ApiKey.objects.filter(tenant=alice.tenant).count() == before


def test_nobody_else_is_told_anything(alice: Workspace, mallory: Workspace) -> None:
    client = session_of(mallory.owner)
    for path in (start_of(alice.tenant), f"{start_of(alice.tenant)}news"):
        assert client.get(path).status_code == client.post(path).status_code == 404
        assert Client().get(path).headers["Location"].startswith("/login/?next=")


def test_the_page_tells_of_the_answer_and_then_of_the_hit(alice: Workspace) -> None:
    client = session_of(alice.owner)
    assert state_of(client, alice.tenant) == "waiting"
    send(stream_of(alice), miss(alice, **FAILED))
    drain()
    assert state_of(client, alice.tenant) == "refused"
    send(stream_of(alice), miss(alice))
    drain()
    assert state_of(client, alice.tenant) == "answered"
    send(stream_of(alice), exact_hit(alice))
    drain()
    last = client.get(f"{start_of(alice.tenant)}news").content.decode()
    assert 'data-state="hit"' in last and "HIT-EXACT" in last and "MISS" in last and "hx-get" not in last


def test_nothing_is_drawn_anew_while_nothing_happens(alice: Workspace) -> None:
    client = session_of(alice.owner)
    answer = client.get(f"{start_of(alice.tenant)}news?seen=waiting")
    assert (answer.status_code, answer.content) == (204, b"")
    assert client.get(f"{start_of(alice.tenant)}news?seen=hit").status_code == 200


def test_waiting_is_cheap(alice: Workspace, django_assert_max_num_queries: Any) -> None:
    client = session_of(alice.owner)
    send(stream_of(alice), *(miss(alice) for _ in range(50)))
    drain()
    with django_assert_max_num_queries(8):
        client.get(f"{start_of(alice.tenant)}news?seen=answered")


@pytest.mark.parametrize("email", ["", "no address", "x" * 300 + "@example.com", "a@b.example\x00"])
def test_what_is_no_address_is_refused(email: str) -> None:
    page = Client().post("/signup/", {"email": email, "password": PASSWORD})
    assert page.status_code == 400 and b'role="alert"' in page.content


def test_the_start_page_is_looked_at_or_makes_a_key_and_nothing_else(alice: Workspace) -> None:
    client = Client()
    client.force_login(alice.owner)
    assert client.delete(f"/t/{alice.tenant.slug}/start/").status_code == 405
    assert client.put(f"/t/{alice.tenant.slug}/start/").status_code == 405
