"""A workspace's dashboard and its live feed are its members' alone."""

from __future__ import annotations

import pytest
from channels.db import database_sync_to_async
from django.test import Client

from analytics.tasks import drain_usage
from tests.conftest import Workspace
from tests.sockets import close_code, live_feed, live_socket, session_of, update
from tests.usage import miss, send, stream_of


def test_a_stranger_cannot_tell_a_workspace_from_none(alice: Workspace, mallory: Workspace) -> None:
    client = session_of(mallory.owner)
    there, nowhere = client.get(f"/t/{alice.tenant.slug}/"), client.get("/t/no-such-place/")
    assert (there.status_code, nowhere.status_code) == (404, 404)
    assert alice.tenant.name not in there.content.decode()


def test_who_is_not_logged_in_is_sent_to_the_login(alice: Workspace) -> None:
    response = Client().get(f"/t/{alice.tenant.slug}/")
    assert response.status_code == 302
    assert response["Location"] == f"/login/?next=/t/{alice.tenant.slug}/"


def test_each_workspace_shows_its_own_requests(alice: Workspace, mallory: Workspace) -> None:
    send(stream_of(alice), miss(alice, request_id="alices-own"))
    send(stream_of(mallory), miss(mallory, request_id="mallorys-own"))
    drain_usage()
    page = session_of(mallory.owner).get(f"/t/{mallory.tenant.slug}/").content.decode()
    assert "mallorys-own" in page
    assert "alices-own" not in page


async def test_a_stranger_gets_no_feed(alice: Workspace, mallory: Workspace) -> None:
    async with live_feed(alice.tenant, mallory.owner) as feed:
        assert await close_code(feed) == 4404


async def test_who_is_not_logged_in_gets_no_feed(alice: Workspace) -> None:
    async with live_feed(alice.tenant, None) as feed:
        assert await close_code(feed) == 4401


@pytest.mark.parametrize("origin", [b"https://evil.example", None])
async def test_another_sites_page_gets_no_feed(alice: Workspace, origin: bytes | None) -> None:
    session = await database_sync_to_async(session_of)(alice.owner)
    connected, _ = await live_socket(alice.tenant, session, origin).connect()
    assert not connected


async def test_one_workspaces_requests_reach_no_other_feed(alice: Workspace, mallory: Workspace) -> None:
    async with live_feed(mallory.tenant, mallory.owner) as feed:
        await update(feed)
        send(stream_of(alice), miss(alice, request_id="alices-own"))
        await database_sync_to_async(drain_usage)()
        send(stream_of(mallory), miss(mallory, request_id="mallorys-own"))
        await database_sync_to_async(drain_usage)()
        news = await update(feed)
        assert news["figures"]["requests"] == "1"
        assert "mallorys-own" in news["latest"]
        assert "alices-own" not in news["latest"]
