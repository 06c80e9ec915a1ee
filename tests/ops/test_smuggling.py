"""Requests that two servers read in two ways, sent to a real nginx before a real gateway, and to the gateway itself.

One request is one request for both, or it is refused.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from nexus.bench import front
from nexus.bench.front import Front
from tests import servers
from tests.conftest import Workspace
from tests.servers import Server

# Of the same length in each test, and another path.
MARK = b"/v1/smuggled"
Speak = Callable[[bytes], bytes]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gateway") / "log"


@pytest.fixture(scope="module")
def gateway(database: None, log: Path) -> Iterator[Server]:
    with servers.gateway(log) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(gateway: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    if front.nginx() is None:
        pytest.skip("nginx is missing; on Debian: apt-get install nginx-light")
    port = urllib.parse.urlsplit(gateway.url).port or 0
    with front.running(tmp_path_factory.mktemp("nginx"), [port], [port]) as running:
        yield running


def heard(sock: socket.socket, request: bytes) -> bytes:
    """Until the server closes, or says nothing more."""
    sock.settimeout(3)
    answer = b""
    with contextlib.suppress(TimeoutError, ConnectionError, ssl.SSLError):
        sock.sendall(request)
        while block := sock.recv(65536):
            answer += block
            if answer.count(b"HTTP/1.1 ") and b"onnection: close" in answer:
                break
    return answer


@pytest.fixture(params=["through nginx", "directly"])
def speak(request: pytest.FixtureRequest, gateway: Server) -> Speak:
    """Sends bytes as they are; what came back."""
    if request.param == "directly":
        port = urllib.parse.urlsplit(gateway.url).port or 0

        def directly(sent: bytes) -> bytes:
            with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
                return heard(sock, sent)

        return directly
    proxy: Front = request.getfixturevalue("proxy")
    context = ssl.create_default_context(cafile=str(proxy.certificate))

    def through(sent: bytes) -> bytes:
        with (
            socket.create_connection(("127.0.0.1", proxy.port), timeout=20) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as sock,
        ):
            return heard(sock, sent)

    return through


INNER = b"GET " + MARK + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"


def chunked(coding: bytes, body: bytes = b"0\r\n\r\n" + INNER) -> bytes:
    return POST + b"Content-Length: %d\r\n" % len(body) + coding + b"\r\n\r\n" + body


REFUSED = {
    "CL.TE": chunked(b"Transfer-Encoding: chunked"),
    "TE.CL": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n" + INNER + b"\r\n0\r\n\r\n",
    "TE.TE: twice": chunked(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: cow"),
    "TE.TE: unknown": chunked(b"Transfer-Encoding: xchunked"),
    "TE.TE: list": chunked(b"Transfer-Encoding: identity, chunked"),
    "TE.TE: space before the colon": chunked(b"Transfer-Encoding : chunked"),
    "TE.TE: tab": chunked(b"Transfer-Encoding:\tchunked"),
    "TE.TE: vertical tab": chunked(b"Transfer-Encoding: \x0bchunked"),
    "TE.TE: quoted": chunked(b'Transfer-Encoding: "chunked"'),
    "TE.TE: folded": chunked(b"Transfer-Encoding:\r\n chunked"),
    "TE.TE: NUL": chunked(b"Transfer-Encoding: chunked\x00"),
    "TE.TE: name with NUL": chunked(b"Transfer-Encoding\x00: chunked"),
    "TE.TE: bare LF before": chunked(b"X: y\nTransfer-Encoding: chunked"),
    "TE.TE: bare CR before": chunked(b"X: y\rTransfer-Encoding: chunked"),
    "two lengths": POST + b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(INNER) + INNER,
    "two lengths in one": POST + b"Content-Length: 0, %d\r\n\r\n" % len(INNER) + INNER,
    "signed length": POST + b"Content-Length: +0\r\n\r\n" + INNER,
    "length in hexadecimal": POST + b"Content-Length: 0x0\r\n\r\n" + INNER,
    "length beyond all": POST + b"Content-Length: 99999999999999999999999\r\n\r\n" + INNER,
    "folded header": POST + b"X-a: b\r\n c\r\nContent-Length: 0\r\n\r\n" + INNER,
    "two hosts": b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n" + INNER,
    "no host": b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 0\r\n\r\n" + INNER,
    "chunk size with a sign": POST + b"Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n" + INNER,
    "chunk size with 0x": POST + b"Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n" + INNER,
    "chunk size beyond all": POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 20 + b"\r\n" + INNER,
    "chunk size with underscores": POST + b"Transfer-Encoding: chunked\r\n\r\n0_0\r\n\r\n" + INNER,
    "chunk without its end": POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n" + INNER,
    "chunk extension with LF": POST + b"Transfer-Encoding: chunked\r\n\r\n1;a\nb\r\nx\r\n0\r\n\r\n" + INNER,
    "HTTP/2.0 by name": b"POST /v1/chat/completions HTTP/2.0\r\nHost: localhost\r\n\r\n" + INNER,
    "no version": b"POST /v1/chat/completions\r\nHost: localhost\r\n\r\n" + INNER,
    "space in the address": b"POST /v1/chat/completions HTTP/1.1 x HTTP/1.1\r\nHost: localhost\r\n\r\n" + INNER,
}
# What follows has to be another request, or nothing: there is one answer to the first.
IN_ORDER = {
    "HTTP/1.9": b"POST /v1/chat/completions HTTP/1.9\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}",
    "chunk extension": POST + b"Transfer-Encoding: chunked\r\n\r\n2;x=y\r\n{}\r\n0\r\n\r\n",
    "trailer": POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nAuthorization: Bearer x\r\n\r\n",
    "absolute address": b"POST http://evil.example/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Length: 2\r\n\r\n{}",
    "h2c upgrade": POST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n"
    b"Content-Length: 2\r\n\r\n{}",
    "expectation": POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
    "connection named away": POST + b"Connection: close, Content-Length, Authorization\r\nContent-Length: 2\r\n\r\n{}",
}


REFUSALS = {b"400", b"401", b"411", b"413", b"501", b"505"}


@pytest.mark.parametrize("sent", REFUSED.values(), ids=REFUSED)
def test_it_is_refused_and_what_follows_is_not_read(speak: Speak, log: Path, sent: bytes) -> None:
    mark = b"/v1/" + uuid.uuid4().hex[:8].encode()
    answer = speak(sent.replace(MARK, mark))
    assert answer.count(b"HTTP/1.1 ") <= 1, answer
    # To what names no version nginx answers without a head, as HTTP/0.9 wants it.
    refused = answer.split(b" ")[1] in REFUSALS if answer.startswith(b"HTTP/1.1 ") else b"400 Bad Request" in answer
    assert refused or answer == b"", answer[:200]
    assert mark not in log.read_bytes()


@pytest.mark.parametrize("sent", IN_ORDER.values(), ids=IN_ORDER)
def test_it_is_one_request_for_both(speak: Speak, sent: bytes) -> None:
    """Refused for want of a key, which no trailer can bring later."""
    answer = speak(sent)
    final = answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert final.count(b"HTTP/1.1 ") == 1, answer
    assert final.split(b" ")[1] in {b"400", b"401", b"403"}, answer[:200]
    assert b"101 Switching" not in answer


def test_who_speaks_http_0_9_gets_what_a_stranger_gets(speak: Speak) -> None:
    """nginx still understands it, as a request without a key."""
    answer = speak(b"GET /v1/models\r\n\r\n")
    assert b'"list"' not in answer
    assert answer.count(b"HTTP/1.1 ") <= 1


def test_two_requests_in_a_row_get_their_own_answers(speak: Speak, alice: Workspace) -> None:
    """Of two people on one connection to the gateway, as nginx keeps them: neither gets the other's."""
    body = b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hello"}]}'
    head = POST + b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body)
    ids = [uuid.uuid4().hex for _ in range(3)]
    keys = [alice.key.encode(), b"nk-nobody-has-this", alice.key.encode()]
    sent = b"".join(
        head + b"X-Request-Id: %b\r\nAuthorization: Bearer %b\r\n\r\n" % (one.encode(), key) + body
        for one, key in zip(ids, keys, strict=True)
    )
    answer = speak(sent)
    parts = answer.split(b"HTTP/1.1 ")[1:]
    assert [part.split(b" ")[0] for part in parts] == [b"200", b"401", b"200"]
    assert [one.encode() in part for one, part in zip(ids, parts, strict=True)] == [True] * 3


SPELLINGS = [
    "/metrics", "/metrics/", "/%6detrics", "/./metrics", "/v1/../metrics", "/metrics;x", "/METRICS",
    "/v1/%2e%2e/metrics", "/v1/..%2fmetrics", "/metrics%00", "/metrics?", "/v1/../metrics?x",
]  # fmt: skip


def test_nginx_and_the_gateway_see_the_same_path(proxy: Front) -> None:
    """What nginx keeps from outsiders cannot be had by another spelling."""
    context = ssl.create_default_context(cafile=str(proxy.certificate))
    with httpx2.Client(base_url=proxy.url, verify=context, timeout=30) as client:
        for path in SPELLINGS:
            answer = client.get(path)
            assert answer.status_code in {400, 401, 404, 405}, (path, answer.status_code)
            assert "nexus_" not in answer.text
