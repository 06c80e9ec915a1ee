"""The live feed of one workspace over a WebSocket: what its dashboard shows, at once and whenever more is booked."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.utils import timezone

from analytics import figures
from tenants import keyspace
from tenants.db import schema_of
from tenants.middleware import find_membership
from tenants.models import Tenant

logger = logging.getLogger(__name__)

LOGGED_OUT, NOT_A_MEMBER = 4401, 4404
# However much is booked, a dashboard gets no more than two updates a second.
MIN_INTERVAL_S = 0.5
# Without any news too: the chart moves on, and who hears nothing for longer knows that the connection is dead.
MAX_INTERVAL_S = 20.0


class Refused(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class LiveConsumer(AsyncJsonWebsocketConsumer):
    _group: str | None = None
    _sender: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        # A browser is not told the code of a refusal that comes before the handshake.
        await self.accept()
        try:
            tenant = await database_sync_to_async(self._admit)()
        except Refused as refusal:
            await self.close(refusal.code)
            return
        self._news = asyncio.Event()
        self._group = keyspace.live_group(tenant.pk)
        # Before the first look, so that nothing is booked unseen between the two.
        await self.channel_layer.group_add(self._group, self.channel_name)
        self._sender = asyncio.create_task(self._keep_sending())

    async def disconnect(self, code: int) -> None:
        if self._sender is not None:
            self._sender.cancel()
        if self._group is not None:
            await self.channel_layer.group_discard(self._group, self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None, **kwargs: Any) -> None:
        """The feed goes one way."""

    async def usage_booked(self, message: dict[str, Any]) -> None:
        self._news.set()

    async def _keep_sending(self) -> None:
        """One at a time: what is booked meanwhile is in the next."""
        while True:
            self._news.clear()
            try:
                await self.send_json(await database_sync_to_async(self._look)())
            except Refused as refusal:
                await self.close(refusal.code)
                return
            except Exception:
                logger.exception("the dashboard at %s gets no update", self.scope["path"])
            await asyncio.sleep(MIN_INTERVAL_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(MAX_INTERVAL_S):
                    await self._news.wait()

    def _look(self) -> dict[str, Any]:
        # The schema is a property of this thread's connection: in and out within one call.
        with schema_of(self._admit()):
            return figures.message(figures.dashboard(timezone.now()))

    def _admit(self) -> Tenant:
        """Asked before every update: a session may end, and a membership, while the page is open."""
        user, session = self.scope["user"], self.scope["session"]
        if not user.is_authenticated or not session.exists(session.session_key):
            raise Refused(LOGGED_OUT)
        membership = find_membership(user, self.scope["url_route"]["kwargs"]["slug"])
        if membership is None or not membership.user.is_active:
            raise Refused(NOT_A_MEMBER)
        return membership.tenant
