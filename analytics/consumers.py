"""The live feed of one workspace over a WebSocket: what its page shows, at once and whenever more is booked."""

from __future__ import annotations

import asyncio
import urllib.parse
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from rest_framework.exceptions import ValidationError

from analytics import feeds
from analytics.feeds import Key
from analytics.viewers import LOGGED_OUT, NOT_A_MEMBER, Viewer
from analytics.windows import choose
from tenants.middleware import find_membership

NO_SUCH_RANGE = 4400


class Refused(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def _known(language: str) -> str:
    """As pages name it that are in it; English instead of what there is not."""
    return language if language in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE


class LiveConsumer(AsyncWebsocketConsumer):
    # News come to the feed, once for all who show the same.
    channel_layer_alias = None

    viewer: Viewer
    language: str
    _key: Key | None = None
    _sender: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        # A browser is not told the code of a refusal that comes before the handshake.
        await self.accept()
        self._latest: asyncio.Queue[str | int] = asyncio.Queue(1)
        try:
            key = await self._find()
            feeds.join(key, self)
        except Refused as refusal:
            await self.close(refusal.code)
            return
        except feeds.TooMany:
            await self.close(feeds.TOO_MANY)
            return
        self._key = key
        self._sender = asyncio.create_task(self._keep_sending())

    async def _find(self) -> Key:
        """What is to be shown. Raises Refused."""
        user, session = self.scope["user"], self.scope["session"]
        if not user.is_authenticated:
            raise Refused(LOGGED_OUT)
        self.viewer = Viewer(user.pk, session.session_key)
        slug = self.scope["url_route"]["kwargs"]["slug"]
        membership = await database_sync_to_async(find_membership)(user, slug)
        if membership is None:
            raise Refused(NOT_A_MEMBER)
        asked = dict(urllib.parse.parse_qsl(self.scope["query_string"].decode("latin-1")))
        self.language = _known(asked.get("language", ""))
        try:
            choice = choose(asked)
        except ValidationError:
            raise Refused(NO_SUCH_RANGE) from None
        return Key(membership.tenant_id, choice)

    async def disconnect(self, code: int) -> None:
        if self._key is not None:
            feeds.leave(self._key, self)
        if self._sender is not None:
            self._sender.cancel()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None, **kwargs: Any) -> None:
        """The feed goes one way."""

    def offer(self, text: str) -> None:
        self._put(text)

    def end(self, code: int) -> None:
        self._put(code)

    def _put(self, what: str | int) -> None:
        # A slow reader skips what is out of date, and keeps nobody else waiting.
        if not self._latest.empty():
            self._latest.get_nowait()
        self._latest.put_nowait(what)

    async def _keep_sending(self) -> None:
        while isinstance(what := await self._latest.get(), str):
            await self.send(text_data=what)
        await self.close(what)
