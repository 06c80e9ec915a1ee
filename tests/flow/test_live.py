"""The live feed: everything at once, then again whenever something is booked, to who may see it at that moment."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.db import connection

from analytics import consumers, dashboard, feeds, viewers
from analytics.models import UsageRollup
from analytics.tasks import drain_usage
from tenants.db import schema_of
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
        assert sum(sum(minute[1:5]) for minute in news["series"]) == 2


async def test_every_open_dashboard_is_told(alice: Workspace) -> None:
    async with live_feed(alice.tenant, alice.owner) as one, live_feed(alice.tenant, alice.owner) as other:
        await update(one)
        await update(other)
        send(stream_of(alice), miss(alice))
        await drain()
        assert (await update(one))["figures"]["requests"] == (await update(other))["figures"]["requests"] == "1"


async def test_sockets_that_show_the_same_share_one_look(alice: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    look = dashboard.look

    def counted(*asked: Any) -> dashboard.Found:
        looks.append(asked)
        return look(*asked)

    monkeypatch.setattr(dashboard, "look", counted)
    monkeypatch.setattr(feeds, "MIN_INTERVAL_S", 0.2)
    async with contextlib.AsyncExitStack() as open_feeds:
        all_feeds = [await open_feeds.enter_async_context(live_feed(alice.tenant, alice.owner)) for _ in range(8)]
        for feed in all_feeds:
            await update(feed)
        before = len(looks)
        send(stream_of(alice), miss(alice))
        await drain()
        for feed in all_feeds:
            assert (await update(feed))["figures"]["requests"] == "1"
        assert len(looks) == before + 1
    assert not [key for key in feeds._feeds if key.tenant_id == alice.tenant.pk]


def rename(workspace: Workspace, before: str, after: str) -> None:
    with schema_of(workspace.tenant), connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {before} RENAME TO {after}")


async def test_who_comes_while_the_sums_cannot_be_read_is_told_as_soon_as_they_can(
    alice: Workspace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(feeds, "RETRY_S", 0.1)
    table = UsageRollup._meta.db_table
    await database_sync_to_async(rename)(alice, table, "away")
    async with live_feed(alice.tenant, alice.owner) as feed:
        while "get no update" not in caplog.text:
            await asyncio.sleep(0.02)
        assert await feed.receive_nothing(0.3)
        await database_sync_to_async(rename)(alice, "away", table)
        # Nothing is booked, and nobody else comes.
        assert (await update(feed))["figures"]["requests"] == "0"


async def test_a_feed_keeps_to_the_range_of_its_page(alice: Workspace) -> None:
    send(stream_of(alice), miss(alice), miss(alice, at=time.time() - 5 * 86_400))
    await drain()
    async with live_feed(alice.tenant, alice.owner, "range=7d") as week, live_feed(alice.tenant, alice.owner) as hour:
        assert (await update(week))["figures"]["requests"] == "2"
        assert (await update(hour))["figures"]["requests"] == "1"
        send(stream_of(alice), miss(alice))
        await drain()
        news = await update(week)
        assert news["figures"]["requests"] == "3"
        assert len(news["series"]) == 56


@pytest.mark.parametrize(
    "query", ["range=1y", "from=never", "from=2026-11-02&to=2026-11-01", "tz=Mars&from=2026-11-02"]
)
async def test_a_range_that_is_none_gets_no_feed(alice: Workspace, query: str) -> None:
    async with live_feed(alice.tenant, alice.owner, query) as feed:
        assert await close_code(feed) == consumers.NO_SUCH_RANGE


async def test_so_many_ranges_of_one_workspace_are_kept_up_to_date(
    alice: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "MAX_FEEDS", 1)
    async with live_feed(alice.tenant, alice.owner) as one, live_feed(alice.tenant, alice.owner, "range=7d") as other:
        await update(one)
        assert await close_code(other) == feeds.TOO_MANY


async def test_who_changes_the_password_ends_the_feeds_of_other_sessions(alice: Workspace) -> None:
    async with live_feed(alice.tenant, alice.owner) as feed:
        await update(feed)
        alice.owner.set_password("another horse 8 battery")
        await alice.owner.asave()
        send(stream_of(alice), miss(alice))
        await drain()
        assert await close_code(feed) == viewers.LOGGED_OUT


async def test_who_is_refused_does_not_end_the_feed_of_others(alice: Workspace, make_member: Any) -> None:
    viewer = await database_sync_to_async(make_member)(alice, "viewer")
    async with live_feed(alice.tenant, alice.owner) as stays, live_feed(alice.tenant, viewer) as goes:
        await update(stays)
        await update(goes)
        await Membership.objects.filter(tenant=alice.tenant, user=viewer).adelete()
        send(stream_of(alice), miss(alice))
        await drain()
        assert await close_code(goes) == viewers.NOT_A_MEMBER
        assert (await update(stays))["figures"]["requests"] == "1"


async def test_a_dashboard_that_comes_back_has_missed_nothing(alice: Workspace) -> None:
    async with live_feed(alice.tenant, alice.owner) as feed:
        await update(feed)
    send(stream_of(alice), miss(alice))
    await drain()
    async with live_feed(alice.tenant, alice.owner) as feed:
        assert (await update(feed))["figures"]["requests"] == "1"


async def test_an_idle_feed_says_all_the_same_that_it_lives(alice: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "MAX_INTERVAL_S", 0.01)
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
    assert await close_code(feed) == viewers.LOGGED_OUT


async def test_who_is_removed_from_the_workspace_hears_no_more(alice: Workspace) -> None:
    async with live_feed(alice.tenant, alice.owner) as feed:
        await update(feed)
        await Membership.objects.filter(tenant=alice.tenant).adelete()
        send(stream_of(alice), miss(alice))
        await drain()
        assert await close_code(feed) == viewers.NOT_A_MEMBER


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
