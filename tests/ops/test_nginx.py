"""`deploy/nginx` with a real nginx: streams come in pieces, clients' claims do not get through, keys leave no trace."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import urllib.parse
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.sync.client import connect

from nexus.bench import front
from nexus.bench.front import Front
from nexus.ports import free_port
from tests import servers

# bin/test asks for no nginx: where the machine has one, the configuration is tried in it.
pytestmark = pytest.mark.skipif(  # Debian's: bin/test installs nothing as root.
    front.nginx() is None, reason="nginx is missing; on Debian: apt-get install nginx-light"
)


def port_of(url: str) -> int:
    return urllib.parse.urlsplit(url).port or 0


@pytest.fixture(scope="module")
def upstream() -> Iterator[int]:
    with servers.running("tests.ops.upstream:application", ready="/readyz") as server:
        yield port_of(server.url)


@pytest.fixture(scope="module")
def proxy(upstream: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """The first of its gateways is gone."""
    gone = free_port()
    with front.running(tmp_path_factory.mktemp("nginx"), [gone, upstream], [upstream]) as running:
        yield running


@pytest.fixture
def client(proxy: Front) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=proxy.url, verify=context(proxy), timeout=30) as made:
        yield made


def context(proxy: Front) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(proxy.certificate))


def seen_headers(answer: httpx2.Response) -> dict[str, str]:
    return dict(answer.json()["headers"])


def raw(proxy: Front, request: bytes, **of_tls: Any) -> bytes:
    """What comes back for these very bytes."""
    made = context(proxy)
    with (
        socket.create_connection(("127.0.0.1", proxy.port), timeout=20) as plain,
        made.wrap_socket(plain, server_hostname="localhost") as sock,
    ):
        sock.sendall(request)
        answer = b""
        while block := sock.recv(65536):
            answer += block
        return answer


def test_nginx_has_nothing_to_say_about_the_configuration(tmp_path: Path) -> None:
    conf = front.render(tmp_path, [8001, 8002], [8003], port=free_port(), plain_port=free_port())
    command = [front.nginx() or "", "-t", "-e", str(tmp_path / "e.log"), "-p", str(tmp_path), "-c", str(conf)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert "warn" not in said.stderr


def test_a_stream_arrives_piece_by_piece(client: httpx2.Client) -> None:
    with client.stream("POST", "/v1/slow", json={}) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "first"
        # It goes on only now: what was collected before being passed on would never have come.
        assert client.get("/v1/go").status_code == 200
        assert '"path":"/v1/slow"' in next(lines)


def test_a_gateway_that_is_gone_is_passed_over(client: httpx2.Client) -> None:
    assert {client.post("/v1/chat/completions", json={}).status_code for _ in range(10)} == {200}


def test_a_question_that_may_have_been_asked_is_not_asked_again(tmp_path: Path, upstream: int) -> None:
    with servers.running("tests.ops.upstream:application", ready="/readyz", RUDE="1") as rude:
        running = front.running(tmp_path, [port_of(rude.url), upstream], [upstream])
        with running as proxy, httpx2.Client(base_url=proxy.url, verify=context(proxy), timeout=30) as client:
            # The other one answers until this one's turn comes.
            asked = 1
            while (answer := client.post("/v1/rude", json={})).status_code == 200:
                asked += 1
            answered = httpx2.get(f"http://127.0.0.1:{upstream}/v1/x").json()["seen"].get("/v1/rude", 0)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["error"]["code"] == "service_unavailable"
    assert answered == asked - 1


def test_what_a_client_claims_about_itself_is_not_believed(client: httpx2.Client) -> None:
    claims = {"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "http", "Forwarded": "for=1.2.3.4"}
    claims |= {"X-Real-IP": "1.2.3.4", "X-Forwarded-Host": "evil.example", "X_Forwarded_For": "1.2.3.4"}
    seen = seen_headers(client.get("/v1/models", headers=claims))
    assert seen["x-forwarded-for"] == "127.0.0.1"
    assert seen["x-forwarded-proto"] == "https"
    assert not {"forwarded", "x-real-ip", "x-forwarded-host", "x_forwarded_for"} & set(seen)


def test_only_websockets_are_upgraded(client: httpx2.Client, proxy: Front) -> None:
    seen = seen_headers(client.get("/v1/models", headers={"Upgrade": "h2c", "Connection": "Upgrade"}))
    assert not {"upgrade", "connection"} & set(seen)
    url = f"{proxy.url.replace('https', 'wss')}/ws/chat"
    with connect(url, ssl=context(proxy)) as chat:
        chat.send("hello")
        assert chat.recv(timeout=30) == "hello"


def test_a_request_keeps_its_id_or_gets_one(client: httpx2.Client) -> None:
    assert seen_headers(client.get("/v1/models", headers={"X-Request-Id": "mine-1"}))["x-request-id"] == "mine-1"
    for unfit in ("", "with a space", "x" * 129):
        made = seen_headers(client.get("/v1/models", headers={"X-Request-Id": unfit}))["x-request-id"]
        assert re.fullmatch("[0-9a-f]{32}", made)


AMBIGUOUS = {
    "both lengths": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/smuggled HTTP/1.1\r\n\r",
    "two lengths": b"Content-Length: 4\r\nContent-Length: 40\r\n\r\nGET /v1/smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
    "another coding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "twice chunked": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a length with a sign": b"Content-Length: +4\r\n\r\nabcd",
}


@pytest.mark.parametrize("rest", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_what_two_servers_could_read_in_two_ways_is_refused(proxy: Front, client: httpx2.Client, rest: bytes) -> None:
    answer = raw(proxy, b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n" + rest)
    assert answer.split(b" ")[1] in {b"400", b"501"}
    assert answer.count(b"HTTP/1.1 ") == 1
    assert "/v1/smuggled" not in client.get("/v1/models").json()["seen"]


def test_chunks_become_a_length(client: httpx2.Client) -> None:
    answer = client.post("/v1/chat/completions", content=iter([b"ab", b"cd"]))
    seen = seen_headers(answer)
    assert (seen.get("content-length"), seen.get("transfer-encoding")) == ("4", None)


def test_what_is_too_large_is_refused_as_apps_expect_it(client: httpx2.Client) -> None:
    answer = client.post("/v1/chat/completions", content=b"x" * (12 * 1024 * 1024))
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")
    assert client.post("/v1/files", content=b"x" * (12 * 1024 * 1024)).json()["bytes"] == 12 * 1024 * 1024


def test_metrics_are_not_for_those_outside(proxy: Front) -> None:
    for path in ("/metrics", "/x/../metrics", "//metrics", "/%6detrics"):
        assert b" 404 " in raw(proxy, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())


def test_http_2_is_spoken_and_old_tls_is_not(proxy: Front) -> None:
    made = context(proxy)
    made.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", proxy.port), timeout=20) as plain,
        made.wrap_socket(plain, server_hostname="localhost") as sock,
    ):
        assert (sock.selected_alpn_protocol(), sock.version()) == ("h2", "TLSv1.3")
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.port}", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]
    old = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert "Cipher is (NONE)" in old.stdout


def test_without_tls_pages_lead_on_and_keys_are_not_taken(proxy: Front) -> None:
    plain = f"http://127.0.0.1:{proxy.plain_port}"
    page = httpx2.get(f"{plain}/login/?next=/a", headers={"Host": "gateway.example"})
    assert (page.status_code, page.headers["location"]) == (308, "https://gateway.example/login/?next=/a")
    call = httpx2.post(f"{plain}/v1/chat/completions", json={}, headers={"Authorization": "Bearer nk-x"})
    assert (call.status_code, call.json()["error"]["code"]) == (403, "https_required")


def test_the_log_has_no_secret(client: httpx2.Client, proxy: Front) -> None:
    secret = uuid.uuid4().hex
    client.get(f"/invitations/{secret}/", headers={"Referer": f"https://x/{secret}", "Authorization": secret})
    client.get(f"/v1/models?key={secret}", headers={"X-Request-Id": "the-last-one"})
    client.close()
    while "the-last-one" not in (written := proxy.log.read_text(encoding="utf-8")):
        assert proxy.process.poll() is None
    assert "/invitations/***" in written
    assert secret not in written
