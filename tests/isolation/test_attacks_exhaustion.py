"""Mallory wants the gateway to be busy with her alone: by depth, size, number, and what is slow to read."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import urllib.parse
import uuid
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.cached import ask
from tests.conftest import Workspace
from tests.management import manages
from tests.sockets import session_of

DEEP = b"[" * 100_000 + b"]" * 100_000
MANAGED = [
    "/api/cache/invalidate", "/api/cache/import", "/api/erase", "/api/providers", "/api/routes", "/v1/admin/api-keys",
    "/auth/token", "/auth/refresh", "/auth/revoke", "/api/register", "/v1/register", "/api/routing/explain",
]  # fmt: skip


@pytest.fixture(autouse=True)
def still_answers(server: str, mallory: Workspace) -> Iterator[None]:
    """After each of these tests."""
    yield
    assert ask(server, mallory, uuid.uuid4().hex).status_code == 200


def send(server: str, workspace: Workspace, path: str, body: bytes, **headers: str) -> httpx2.Response:
    sent = {"Authorization": f"Bearer {workspace.key}", "Content-Type": "application/json", **headers}
    return httpx2.post(f"{server}{path}", content=body, headers=sent, timeout=60)


@pytest.mark.parametrize(
    "body",
    [
        DEEP,
        b'{"end_user":' + DEEP + b"}",
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b'{"ttl_s": 1' + b"0" * 100_000 + b"}",
        b'{"ttl_s": 1e999, "n": NaN}',
        b'{"ttl_s": -0.0000000000000000000000000000000000000000000000000001e-400}',
        b'{"\\ud800": 1}',
        json.dumps({f"k{number}": number for number in range(50_000)}).encode(),
    ],
    ids=["deep", "deep value", "deep objects", "long number", "no number", "small number", "surrogate", "many fields"],
)
def test_management_refuses_what_is_too_deep_or_no_number(server: str, mallory: Workspace, body: bytes) -> None:
    manages(mallory)
    for path in MANAGED:
        answer = send(server, mallory, path, body)
        # One may register so often, and explain what cannot be answered.
        assert answer.status_code in {200, 400, 401, 413, 429}, (path, answer.status_code, answer.text[:200])
        if path == "/api/routing/explain" and answer.status_code == 200:
            assert answer.json()["error"]["status"] == 400


@pytest.mark.parametrize("path", ["/api/cache/import", "/api/erase", "/auth/token", "/v1/chat/completions"])
def test_a_bomb_is_not_unpacked(server: str, mallory: Workspace, path: str) -> None:
    """10 MiB of zeros, as 10 KiB; twice packed it would be still less."""
    manages(mallory)
    bomb = gzip.compress(b"0" * 10_485_760)
    for coding in ("gzip", "deflate", "br", "gzip, gzip", "zstd"):
        body = gzip.compress(bomb) if "," in coding else bomb
        answer = send(server, mallory, path, body, **{"Content-Encoding": coding})
        assert answer.status_code in {400, 415}, (coding, answer.text[:200])


def test_a_form_of_thousands_of_fields_or_parts_is_refused(server: str, mallory: Workspace) -> None:
    client = session_of(mallory.owner)
    client.raise_request_exception = False
    at = f"/t/{mallory.tenant.slug}/cache/policy/change"
    fields = "&".join(f"words={number}" for number in range(2_000))
    assert client.post(at, fields, content_type="application/x-www-form-urlencoded").status_code == 400
    parts = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="words"\r\n\r\n%d\r\n' % number for number in range(2_000)
    )
    assert client.post(at, parts + b"--x--\r\n", content_type="multipart/form-data; boundary=x").status_code == 400
    files = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n%d\r\n' % number for number in range(500)
    )
    assert client.post(at, files + b"--x--\r\n", content_type="multipart/form-data; boundary=x").status_code == 400
    large = "words=" + "x" * 3_000_000
    assert client.post(at, large, content_type="application/x-www-form-urlencoded").status_code == 400


def test_fields_whose_digests_meet_cannot_be_made(server: str, mallory: Workspace) -> None:
    """Texts are hashed with a secret of the process; numbers, which are not, are no names of fields in JSON."""
    meeting = {str(number * (2**61 - 1)): 0 for number in range(100_000)}
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}], "metadata": meeting}
    assert send(server, mallory, "/v1/chat/completions", json.dumps(body).encode()).status_code in {200, 400}


NESTED = "is it " * 1_000
HOSTILE = [
    "a" * 100_000, "a " * 50_000, "what is the " * 9_000, NESTED, "not " * 20_000, "1" * 100_000, "1, " * 30_000,
    "$1.00 " * 15_000, "from a to b " * 9_000, "\n" * 100_000, "’" * 100_000, "🙂" * 50_000, "\u202e" * 50_000,
    "(" * 100_000, "order number " * 9_000, "a@" * 50_000, "http://" * 15_000, "if " * 30_000 + "then",
    "-" * 100_000, "İ" * 50_000,
]  # fmt: skip


def test_texts_made_for_patterns_are_answered(server: str, mallory: Workspace) -> None:
    """Twice, so that they are compared as well: with themselves, and with what differs at the end."""
    for asked in [part for text in HOSTILE for part in (text[:1_500], f"{text[:1_500]}?", text)]:
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": asked}]}
        answer = send(server, mallory, "/v1/chat/completions", json.dumps(body).encode())
        assert answer.status_code in {200, 400}, (asked[:20], answer.text[:200])


def test_texts_made_for_patterns_are_redacted_within_the_call(server: str, mallory: Workspace) -> None:
    manages(mallory)
    changes = {"redact": ["secret", "email", "iban", "card", "ssn", "ip", "phone"], "redact_words": ["a" * 60] * 100}
    answer = httpx2.patch(
        f"{server}/api/cache/settings", json=changes, headers={"Authorization": f"Bearer {mallory.key}"}, timeout=30
    )
    assert answer.status_code == 200
    for text in HOSTILE:
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]}
        assert send(server, mallory, "/v1/chat/completions", json.dumps(body).encode()).status_code == 200


@pytest.mark.parametrize("count", [17, 5_000])
def test_more_tags_than_allowed_are_refused(server: str, mallory: Workspace, count: int) -> None:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}
    tags = ",".join(f"t{number}" for number in range(count))
    for name in ("X-Nexus-Tags", "X-Nexus-Cache-Tags"):
        assert (
            send(server, mallory, "/v1/chat/completions", json.dumps(body).encode(), **{name: tags}).status_code == 400
        )
    body["metadata"] = {"tags": tags.split(",")}  # type: ignore[assignment]
    assert send(server, mallory, "/v1/chat/completions", json.dumps(body).encode()).status_code == 400


def test_hundreds_of_sockets_without_a_key_are_closed(server: str) -> None:
    url = f"{server.replace('http', 'ws')}/ws/chat"
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(connect(url, open_timeout=30)) for _ in range(300)]
        heard = [socket.recv(timeout=30) for socket in sockets]
        assert all("missing_api_key" in str(each) for each in heard)
        for each in sockets:
            with pytest.raises(Exception, match="4401"):
                each.recv(timeout=30)


def test_a_socket_answers_one_question_at_a_time(server: str, mallory: Workspace) -> None:
    with connect(
        f"{server.replace('http', 'ws')}/ws/chat", subprotocols=[Subprotocol("nexus"), Subprotocol(mallory.key)]
    ) as chat:
        for _ in range(200):
            chat.send(json.dumps({"message": "Hello"}))
        heard = [json.loads(chat.recv(timeout=30)) for _ in range(50)]
        assert not [each for each in heard if "error" in each and each["error"].get("code") == "internal_error"]
    with connect(
        f"{server.replace('http', 'ws')}/ws/chat", subprotocols=[Subprotocol("nexus"), Subprotocol(mallory.key)]
    ) as chat:
        chat.send("[" * 100_000)
        assert "error" in json.loads(chat.recv(timeout=30))


@contextlib.contextmanager
def hanging(server: str, count: int, begun: bytes) -> Iterator[list[socket.socket]]:
    parts = urllib.parse.urlsplit(server)
    opened: list[socket.socket] = []
    try:
        for _ in range(count):
            opened.append(socket.create_connection((parts.hostname, parts.port), timeout=10))
            opened[-1].sendall(begun)
        yield opened
    finally:
        for each in opened:
            each.close()


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nX-a: ",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n{",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    ],
    ids=["nothing", "half a head", "half a body", "half a chunk"],
)
def test_hundreds_who_do_not_go_on_keep_nobody_from_being_answered(server: str, alice: Workspace, begun: bytes) -> None:
    with hanging(server, 400, begun):
        for _ in range(5):
            assert ask(server, alice, uuid.uuid4().hex).status_code == 200


def test_a_stranger_makes_nobody_read_a_body(server: str) -> None:
    """Who has no key is refused by the head alone."""
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000\r\n\r\n"
    with hanging(server, 1, head) as (one,):
        assert one.recv(65536).startswith(b"HTTP/1.1 401 ")


def test_answers_as_large_as_can_be_asked_for_are_bounded(server: str, mallory: Workspace) -> None:
    for more in ({"max_tokens": 10**9}, {"n": 10**6}, {"max_completion_tokens": 2**63}, {"max_tokens": -1}):
        body: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}], **more}
        answer = send(server, mallory, "/v1/chat/completions", json.dumps(body).encode())
        assert answer.status_code in {200, 400, 402, 429}
        assert len(answer.content) < 1_000_000
