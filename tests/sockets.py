"""WebSockets to the ASGI application in this process, as a logged-in browser opens them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from channels.db import database_sync_to_async
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.test import Client

from tenants.models import Tenant, User

# Longer than anything takes that is wanted; only waited for in full when it does not come.
PATIENCE_S = 10.0
OUR_ORIGIN = b"http://localhost"


def session_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def live_socket(
    tenant: Tenant, client: Client | None, origin: bytes | None = OUR_ORIGIN, query: str = ""
) -> WebsocketCommunicator:
    """To a workspace's live feed; not connected yet. `query` as in the page's URL."""
    from nexus.asgi import application

    headers = [] if origin is None else [(b"origin", origin)]
    if client is not None:
        session = client.cookies[settings.SESSION_COOKIE_NAME].value
        headers.append((b"cookie", f"{settings.SESSION_COOKIE_NAME}={session}".encode()))
    return WebsocketCommunicator(application, f"/ws/t/{tenant.slug}/live/?{query}", headers=headers)


@contextlib.asynccontextmanager
async def live_feed(tenant: Tenant, user: User | None, query: str = "") -> AsyncIterator[WebsocketCommunicator]:
    """An open one."""
    client = await database_sync_to_async(session_of)(user) if user is not None else None
    feed = live_socket(tenant, client, query=query)
    connected, _ = await feed.connect(PATIENCE_S)
    assert connected
    try:
        yield feed
    finally:
        await feed.disconnect()


async def update(feed: WebsocketCommunicator) -> dict[str, Any]:
    message: dict[str, Any] = await feed.receive_json_from(PATIENCE_S)
    return message


async def close_code(feed: WebsocketCommunicator) -> int:
    """Of a feed from which nothing else comes any more."""
    message = await feed.receive_output(PATIENCE_S)
    assert message["type"] == "websocket.close", message["type"]
    return int(message["code"])
