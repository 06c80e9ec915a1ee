"""What this process' sockets show: each workspace and range is looked for once for all of them, when something is
booked, and written once for each of their languages.

A feed lives as long as somebody listens. Who may listen is asked before each update (analytics.viewers).
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from typing import NamedTuple, Protocol

import orjson
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.db import connection
from django.utils import timezone, translation

from analytics import dashboard
from analytics.viewers import Viewer, admit
from analytics.windows import Choice, window_of
from billing import shortage
from tenants import keyspace
from tenants.db import schema_of
from tenants.models import Tenant

logger = logging.getLogger(__name__)

# However much is booked, a page gets no more than two updates a second.
MIN_INTERVAL_S = 0.5
# Without any news too: the chart moves on, and who hears nothing for longer knows that the connection is dead.
MAX_INTERVAL_S = 20.0
# After a look that failed, as while the database is away.
RETRY_S = 2.0
# Ranges of one workspace that one process keeps up to date at the same time; custom ones are as many as people like.
MAX_FEEDS = 32
TOO_MANY = 4429


class Listener(Protocol):
    viewer: Viewer
    # That of the page: one of settings.LANGUAGES.
    language: str

    def offer(self, text: str) -> None:
        """What is to be shown now; what was offered before and not sent yet is out of date."""

    def end(self, code: int) -> None:
        """Closes it."""


class Key(NamedTuple):
    tenant_id: int
    choice: Choice


class TooMany(Exception):
    """So many ranges of one workspace are open already."""


_feeds: dict[Key, Feed] = {}


def join(key: Key, listener: Listener) -> None:
    """It is told at once, and then whenever there is more. Raises TooMany."""
    feed = _feeds.get(key)
    if feed is None:
        if sum(other.tenant_id == key.tenant_id for other in _feeds) >= MAX_FEEDS:
            raise TooMany
        feed = _feeds[key] = Feed(key)
    feed.add(listener)


def leave(key: Key, listener: Listener) -> None:
    feed = _feeds.get(key)
    if feed is not None and feed.remove(listener):
        del _feeds[key]


class Feed:
    """One task that listens for news, and one that computes."""

    def __init__(self, key: Key) -> None:
        self._key = key
        self._listeners: set[Listener] = set()
        self._newcomers: set[Listener] = set()
        self._has_news = False
        # That there are newcomers or news; that news are heard of.
        self._due, self._hears = asyncio.Event(), asyncio.Event()
        self._tasks = [asyncio.create_task(self._keep_listening()), asyncio.create_task(self._keep_telling())]

    def add(self, listener: Listener) -> None:
        self._listeners.add(listener)
        self._newcomers.add(listener)
        self._due.set()

    def remove(self, listener: Listener) -> bool:
        """Whether it was the last one, and the feed has ended."""
        self._listeners.discard(listener)
        if self._listeners:
            return False
        for task in self._tasks:
            task.cancel()
        return True

    async def _keep_listening(self) -> None:
        while True:
            try:
                await self._listen()
            except Exception as error:
                logger.warning("the live pages of tenant %d hear of nothing: %s", self._key.tenant_id, error)
                self._hears.set()
                await asyncio.sleep(MAX_INTERVAL_S)

    async def _listen(self) -> None:
        layer, group = get_channel_layer(), keyspace.live_group(self._key.tenant_id)
        channel = await layer.new_channel()
        await layer.group_add(group, channel)
        self._hears.set()
        try:
            while True:
                await layer.receive(channel)
                self._has_news = True
                self._due.set()
        finally:
            await layer.group_discard(group, channel)

    async def _keep_telling(self) -> None:
        """One at a time: what is booked meanwhile is in the next."""
        # The first look comes after it, so that nothing is booked unseen between the two.
        await self._hears.wait()
        while True:
            has_told = await self._tell()
            await asyncio.sleep(MIN_INTERVAL_S if has_told else RETRY_S)
            try:
                async with asyncio.timeout(MAX_INTERVAL_S):
                    await self._due.wait()
            except TimeoutError:
                self._has_news = True

    async def _tell(self) -> bool:
        """False: nobody was told anything, and all who should have been are still to be told."""
        had_news, newcomers = self._has_news, self._newcomers
        listeners = list(self._listeners if had_news else newcomers & self._listeners)
        self._newcomers, self._has_news = set(), False
        self._due.clear()
        viewers = {listener.viewer for listener in listeners}
        languages = {listener.language for listener in listeners}
        try:
            # In any thread: one workspace does not wait for another's sums.
            texts, refused = await sync_to_async(_look, thread_sensitive=False)(self._key, viewers, languages)
        except Exception:
            logger.exception("the live pages of tenant %d get no update", self._key.tenant_id)
            self._newcomers |= newcomers
            self._has_news |= had_news
            self._due.set()
            return False
        for listener in listeners:
            if (code := refused.get(listener.viewer)) is not None:
                listener.end(code)
            else:
                listener.offer(texts[listener.language])
        return True


def _look(key: Key, viewers: set[Viewer], languages: set[str]) -> tuple[dict[str, str], dict[Viewer, int]]:
    """A text for each language, where anybody may see it."""
    try:
        admitted = admit(key.tenant_id, viewers)
        if admitted.tenant is None:
            return {}, admitted.refused
        now = timezone.now()
        # The schema is a property of this thread's connection: in and out within one call.
        with schema_of(admitted.tenant):
            found = dashboard.look(window_of(key.choice, now), now)
        texts = {language: _write(found, now, admitted.tenant, key, language) for language in languages}
        return texts, admitted.refused
    finally:
        connection.close()


def _write(found: dashboard.Found, now: dt.datetime, tenant: Tenant, key: Key, language: str) -> str:
    with translation.override(language):
        shown, short = dashboard.write(found, now), shortage.of(tenant, now)
        return orjson.dumps(dashboard.message(shown, tenant, key.choice.query, short), default=tuple).decode()
