"""Who tries keys is told to wait; who has a right one is not held up by them."""

from __future__ import annotations

import itertools
import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from django.test import Client
from websockets.sync.client import connect

from tenants import refreshing, wrong_keys
from tenants.models import new_public_id
from tenants.wrong_keys import PER_MINUTE, Guesses
from tests import servers
from tests.conftest import Workspace

_places = itertools.count(secrets.randbelow(2**16) << 8)


def place() -> str:
    """An address from which nothing came yet, of those that are for documentation."""
    number = next(_places)
    return f"198.18.{number >> 8 & 255}.{number & 255}"


def wrong_key() -> str:
    return f"nk-{new_public_id()}-{secrets.token_urlsafe(32)}"


@pytest.fixture(scope="module")
def behind_proxy(database: None) -> Iterator[str]:
    """A gateway that believes X-Forwarded-For."""
    with servers.gateway(NEXUS_TRUST_PROXY="on") as gateway:
        yield gateway.url


Ask = Callable[..., httpx2.Response]


@pytest.fixture(params=["/v1/models", "/v1/chat/completions", "/v1/admin/api-keys"])
def ask(request: Any, behind_proxy: str) -> Ask:
    """`ask(key, address)`: of the data plane's edge, its views, and the management API."""

    def asked(key: str, address: str) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {key}", "X-Forwarded-For": f"203.0.113.9, {address}"}
        method = "POST" if "chat" in request.param else "GET"
        return httpx2.request(method, f"{behind_proxy}{request.param}", headers=headers, timeout=30)

    return asked


def is_let_in(answer: httpx2.Response) -> bool:
    """Or refused for what was asked, and not for who asked."""
    return answer.status_code in {200, 400, 403}


def test_so_many_wrong_keys_and_no_more(ask: Ask, alice: Workspace) -> None:
    office, elsewhere = place(), place()
    assert is_let_in(ask(alice.key, office))
    assert [ask(wrong_key(), office).status_code for _ in range(PER_MINUTE)] == [401] * PER_MINUTE
    refused = ask(wrong_key(), office)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_wrong_keys")
    assert 1 <= int(refused.headers["Retry-After"]) <= 61
    # A right key that is known goes on, from the same address.
    assert is_let_in(ask(alice.key, office))
    # A wrong secret of a right key is a wrong key.
    assert ask(f"{alice.key[:-8]}{secrets.token_hex(4)}", office).status_code == 429
    assert ask(wrong_key(), elsewhere).status_code == 401


def test_what_is_no_key_at_all_counts_too(ask: Ask) -> None:
    office = place()
    for key in itertools.islice(itertools.cycle(["sk-wrong", "nk-short", "eyJhbGciOiJub25lIn0.e30.x"]), PER_MINUTE):
        assert ask(key, office).status_code == 401
    assert ask("sk-wrong", office).status_code == 429


def test_a_subscriber_of_ipv6_is_one_place(ask: Ask) -> None:
    network = f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}"
    for number in range(PER_MINUTE):
        assert ask(wrong_key(), f"{network}::{number:x}").status_code == 401
    assert ask(wrong_key(), f"{network}:ffff::1").status_code == 429


def test_a_known_access_token_goes_on(ask: Ask, alice: Workspace) -> None:
    office, token = place(), refreshing.issue(alice.api_key).access
    assert is_let_in(ask(token, office))
    while ask(wrong_key(), office).status_code != 429:
        pass
    assert is_let_in(ask(token, office))


def test_sockets_count_too(behind_proxy: str) -> None:
    office = place()

    def code() -> str:
        headers = {"Authorization": f"Bearer {wrong_key()}", "X-Forwarded-For": office}
        with connect(f"{behind_proxy.replace('http', 'ws')}/ws/chat", additional_headers=headers) as socket:
            said: str = json.loads(socket.recv())["error"]["code"]
            return said

    assert [code() for _ in range(PER_MINUTE + 1)] == ["invalid_api_key"] * PER_MINUTE + ["too_many_wrong_keys"]


def test_processes_count_together(behind_proxy: str) -> None:
    """This one and the gateway's."""
    office = place()
    client = Client(REMOTE_ADDR=office)
    for _ in range(PER_MINUTE):
        assert client.get("/v1/admin/api-keys", headers={"Authorization": f"Bearer {wrong_key()}"}).status_code == 401
    headers = {"Authorization": f"Bearer {wrong_key()}", "X-Forwarded-For": office}
    assert httpx2.get(f"{behind_proxy}/v1/models", headers=headers).status_code == 429


def test_wrong_refresh_tokens_count_too() -> None:
    client = Client(REMOTE_ADDR=place())
    statuses = [
        client.post(path, json.dumps({field: "nr-wrong"}), content_type="application/json").status_code
        for _ in range(PER_MINUTE // 2)
        for path, field in (("/auth/refresh", "refresh_token"), ("/auth/revoke", "token"))
    ]
    assert statuses == [401, 200] * (PER_MINUTE // 2)
    body = json.dumps({"refresh_token": "nr-wrong"})
    assert client.post("/auth/refresh", body, content_type="application/json").status_code == 429


def test_ourselves_and_who_is_nowhere_are_no_place(settings: Any) -> None:
    for address in ("127.0.0.1", "::1", "", None, "unix:", "somewhere"):
        assert wrong_keys.place_of(address, None) is None
    assert wrong_keys.place_of("198.18.0.1", "198.18.0.9") == "198.18.0.1"
    settings.TRUST_PROXY = True
    assert wrong_keys.place_of("127.0.0.1", "203.0.113.1, 198.18.0.9") == "198.18.0.9"
    assert wrong_keys.place_of("127.0.0.1", "2001:db8::1") == "2001:db8::/64"


def test_without_redis_each_process_counts_for_itself() -> None:
    guesses, office = Guesses(), place()
    assert [guesses.count(office) for _ in range(PER_MINUTE)] == [None] * PER_MINUTE
    assert guesses.wait_s(office) is None
    assert guesses.count(office) is not None and guesses.wait_s(office) is not None


def test_what_a_process_remembers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrong_keys, "MAX_PLACES", 10)
    guesses = Guesses()
    for number in range(100):
        guesses.count(str(number))
        guesses.stop(str(number), 60)
    assert len(guesses._counts) == len(guesses._until) == 10
