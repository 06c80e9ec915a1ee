"""The live feed: everything at once, then again whenever something is booked, to who may see it at that moment."""

from __future__ import annotations

import pytest
from channels.db import database_sync_to_async

from analytics import consumers
from analytics.tasks import drain_usage
from tenants.models import Membership
from tests.conftest import Workspace
from tests.sockets import close_code, live_feed, live_socket, session_of, update
from tests.usage import exact_hit, miss, send, stream_of

drain = database_sync_to_async(drain_usage)


async def test_a_member_gets_the_figures_at_once(alice: Workspace) -> None:
    send(stream_of(alice), miss(alice, request_id="before"))
    await drain()
    async with live_feed(alice.tenant, alice.owner) as feed:
        first = await update(feed)
        assert first["figures"]["requests"] == "1"
        assert "before" in first["latest"]
        assert len(first["series"]) == 60


async def test_what_is_booked_arrives_without_being_asked_for(alice: Workspace) -> None:
    async with live_feed(alice.tenant, alice.owner) as feed:
        assert (await update(feed))["figures"]["requests"] == "0"
        send(stream_of(alice), miss(alice), exact_hit(alice, request_id="just-now"))
        await drain()
        news = await update(feed)
        assert news["figures"]["exact_hits"] == "1"
        assert news["figures"]["hit_rate"] == "50.0 %"
        assert "just-now" in news["latest"]
        assert sum(map(sum, (minute[1:] for minute in news["series"]))) == 2


async def test_every_open_dashboard_is_told(alice: Workspace) -> None:
    async with live_feed(alice.tenant, alice.owner) as one, live_feed(alice.tenant, alice.owner) as other:
        await update(one)
        await update(other)
        send(stream_of(alice), miss(alice))
        await drain()
        assert (await update(one))["figures"]["requests"] == (await update(other))["figures"]["requests"] == "1"


async def test_a_dashboard_that_comes_back_has_missed_nothing(alice: Workspace) -> None:
    async with live_feed(alice.tenant, alice.owner) as feed:
        await update(feed)
    send(stream_of(alice), miss(alice))
    await drain()
    async with live_feed(alice.tenant, alice.owner) as feed:
        assert (await update(feed))["figures"]["requests"] == "1"


async def test_an_idle_feed_says_all_the_same_that_it_lives(alice: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "MAX_INTERVAL_S", 0.01)
    async with live_feed(alice.tenant, alice.owner) as feed:
        assert (await update(feed))["figures"] == (await update(feed))["figures"]


async def test_many_bookings_are_one_update(alice: Workspace) -> None:
    async with live_feed(alice.tenant, alice.owner) as feed:
        await update(feed)
        for _ in range(5):
            send(stream_of(alice), miss(alice))
            await drain()
        seen = [(await update(feed))["figures"]["requests"]]
        while seen[-1] != "5":
            seen.append((await update(feed))["figures"]["requests"])
        assert len(seen) < 5


async def test_who_logs_out_hears_no_more(alice: Workspace) -> None:
    client = await database_sync_to_async(session_of)(alice.owner)
    feed = live_socket(alice.tenant, client)
    await feed.connect()
    await update(feed)
    await database_sync_to_async(client.logout)()
    send(stream_of(alice), miss(alice))
    await drain()
    assert await close_code(feed) == consumers.LOGGED_OUT


async def test_who_is_removed_from_the_workspace_hears_no_more(alice: Workspace) -> None:
    async with live_feed(alice.tenant, alice.owner) as feed:
        await update(feed)
        await Membership.objects.filter(tenant=alice.tenant).adelete()
        send(stream_of(alice), miss(alice))
        await drain()
        assert await close_code(feed) == consumers.NOT_A_MEMBER


async def test_a_feed_does_not_listen_to_the_client(alice: Workspace) -> None:
    async with live_feed(alice.tenant, alice.owner) as feed:
        await update(feed)
        await feed.send_to(text_data="{not json")
        send(stream_of(alice), miss(alice))
        await drain()
        assert (await update(feed))["figures"]["requests"] == "1"


async def test_the_books_are_right_without_anybody_to_tell(alice: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise OSError("the channel layer is away")

    monkeypatch.setattr("analytics.live.get_channel_layer", broken)
    send(stream_of(alice), miss(alice))
    assert await drain() >= 1
