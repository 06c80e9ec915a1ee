"""The live feed of one workspace over a WebSocket: a snapshot at once, then one whenever something was booked."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.utils import timezone

from analytics import queries
from tenants import keyspace
from tenants.db import schema_of
from tenants.middleware import find_membership
from tenants.models import Tenant

logger = logging.getLogger(__name__)

NOT_LOGGED_IN, NOT_A_MEMBER = 4401, 4404
# However much is booked, a dashboard gets no more than this many snapshots a second.
MIN_INTERVAL_S = 0.5
HEARTBEAT_S = 20.0


class LiveConsumer(AsyncJsonWebsocketConsumer):
    tenant: Tenant
    _wanted: asyncio.Event
    _sender: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        # Closing before accepting gives the browser no code: accept, then say why.
        await self.accept()
        user = self.scope["user"]
        if not user.is_authenticated:
            await self.close(NOT_LOGGED_IN)
            return
        slug = self.scope["url_route"]["kwargs"]["slug"]
        membership = await database_sync_to_async(find_membership)(user, slug)
        if membership is None:
            await self.close(NOT_A_MEMBER)
            return
        self.tenant = membership.tenant
        self._wanted = asyncio.Event()
        self._wanted.set()
        await self.channel_layer.group_add(keyspace.live_group(self.tenant.pk), self.channel_name)
        self._sender = asyncio.create_task(self._send_snapshots())

    async def disconnect(self, code: int) -> None:
        if self._sender is not None:
            self._sender.cancel()
            await self.channel_layer.group_discard(keyspace.live_group(self.tenant.pk), self.channel_name)

    async def receive_json(self, content: Any, **kwargs: Any) -> None:
        """The feed goes one way."""

    async def usage_booked(self, message: dict[str, Any]) -> None:
        self._wanted.set()

    async def _send_snapshots(self) -> None:
        """One at a time: what is booked meanwhile is in the next."""
        while True:
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    await self._wanted.wait()
            except TimeoutError:
                await self.send_json({"type": "heartbeat"})
                continue
            self._wanted.clear()
            try:
                snapshot = await database_sync_to_async(_snapshot)(self.tenant)
            except Exception:
                logger.exception("no snapshot for the dashboard of %s", self.tenant)
            else:
                await self.send_json({"type": "snapshot", **snapshot})
            await asyncio.sleep(MIN_INTERVAL_S)


def _snapshot(tenant: Tenant) -> dict[str, Any]:
    # Within the thread: the schema is a property of its connection.
    with schema_of(tenant):
        return queries.snapshot(timezone.now())
