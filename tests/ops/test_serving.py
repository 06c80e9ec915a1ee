"""Both kinds of server leave in order: told to, they say so, answer all that was asked, and end with 0."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator

import httpx2
import psutil
import pytest
from django.conf import settings
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Origin

from nexus import serve
from tests.calls import body_of, chat, records
from tests.conftest import Workspace
from tests.servers import Server
from tests.serving import becomes, ended, serving, tell_to_leave
from tests.sockets import session_of

# A stream of some fifty tokens takes a second or two.
SLOW = {"NEXUS_SIMULATED_TOKENS_PER_S": "20"}
# Long enough for all that a test asks meanwhile; those who wait for its end cut it short.
DELAYED = {"NEXUS_DRAIN_DELAY_S": "2"}
FOREVER = {"NEXUS_DRAIN_DELAY_S": "3600"}


def stream(server: Server, workspace: Workspace) -> Iterator[bytes]:
    """The lines of an answer, as they come."""
    body = body_of("gpt-4o-mini", f"Tell me a story about {uuid.uuid4().hex}", stream=True)
    headers = {"Authorization": f"Bearer {workspace.key}"}
    with httpx2.stream("POST", f"{server.url}/v1/chat/completions", json=body, headers=headers, timeout=60) as answer:
        assert answer.status_code == 200
        yield from (line.encode() for line in answer.iter_lines() if line)


def test_a_gateway_that_is_told_to_leave_ends_its_streams_first(alice: Workspace) -> None:
    with serving("gateway", **SLOW) as gateway:
        lines = stream(gateway, alice)
        next(lines)
        tell_to_leave(gateway)
        assert list(lines)[-1] == b"data: [DONE]"
        assert ended(gateway) == 0
    (record,) = records(alice, 1)
    assert record.status == 200
    assert record.completion_tokens > 0


def test_until_it_is_noticed_a_leaving_gateway_answers_and_lets_go_of_connections(alice: Workspace) -> None:
    with serving("gateway", **DELAYED) as gateway, httpx2.Client(base_url=gateway.url) as client:
        before = client.get("/healthz")
        tell_to_leave(gateway)
        becomes(gateway.url, 503)
        during = client.get("/healthz")
        assert (before.headers.get("connection"), during.headers["connection"]) == (None, "close")
        assert during.status_code == 200
        assert chat(gateway.url, alice.key, "gpt-4o-mini").status_code == 200
        assert ended(gateway) == 0


def test_a_second_signal_hastens_and_what_was_used_is_booked_all_the_same(alice: Workspace) -> None:
    with serving("gateway", **SLOW, **FOREVER) as gateway:
        lines = stream(gateway, alice)
        next(lines)
        tell_to_leave(gateway)
        becomes(gateway.url, 503)
        tell_to_leave(gateway)
        with pytest.raises(httpx2.TransportError):
            list(lines)
        assert ended(gateway) == 0
    (record,) = records(alice, 1)
    assert record.status != 200


@pytest.mark.parametrize("plane", ["gateway", "web"])
def test_sockets_are_told_that_the_server_starts_again(alice: Workspace, plane: str) -> None:
    cookie = f"{settings.SESSION_COOKIE_NAME}={session_of(alice.owner).cookies[settings.SESSION_COOKIE_NAME].value}"
    with serving(plane) as server:
        url = f"{server.url.replace('http', 'ws')}/ws/t/{alice.tenant.slug}/live/"
        with connect(url, additional_headers={"Cookie": cookie}, origin=Origin(server.url)) as live:
            live.recv(timeout=30)
            tell_to_leave(server)
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    live.recv(timeout=30)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        assert ended(server) == 0


def test_the_control_plane_is_ready_and_answers_until_it_is_noticed_that_it_leaves() -> None:
    with serving("web", **DELAYED) as web:
        assert httpx2.get(f"{web.url}/", timeout=60).status_code == 200
        tell_to_leave(web)
        becomes(web.url, 503)
        page = httpx2.get(f"{web.url}/", timeout=60)
        assert (page.status_code, page.headers["connection"]) == (200, "close")
        assert ended(web) == 0


def test_the_control_plane_is_hastened_too() -> None:
    with serving("web", **FOREVER) as web:
        tell_to_leave(web)
        becomes(web.url, 503)
        tell_to_leave(web)
        assert ended(web) == 0


def test_of_several_processes_a_dead_one_is_replaced_and_all_leave_together(alice: Workspace) -> None:
    with serving("gateway", "--processes", "2") as gateway:
        parent = psutil.Process(gateway.process.pid)
        victim = parent.children()[0]
        os.kill(victim.pid, signal.SIGKILL)
        victim.wait(30)
        while len(parent.children()) < 2:
            assert gateway.process.poll() is None
        becomes(gateway.url, 200)
        assert chat(gateway.url, alice.key, "gpt-4o-mini").status_code == 200
        tell_to_leave(gateway)
        assert ended(gateway) == 0


@pytest.mark.parametrize("arguments", [["gateway", "--processes", "0"], ["web", "--processes", "2"], ["both"]])
def test_what_cannot_be_served_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        serve.parse(arguments)
    assert refused.value.code == 2
