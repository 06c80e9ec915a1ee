"""The gateway under cProfile. `POST /bench/profile` answers with the figures so far and begins anew."""

from __future__ import annotations

import cProfile
from typing import Any

import orjson

from nexus.asgi import application as gateway
from nexus.bench import hotspots

_profile = cProfile.Profile()


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Only this thread is profiled: the loop, not the embedding."""
    if scope["type"] != "http" or scope["path"] != hotspots.PATH:
        await gateway(scope, receive, send)
        return
    body = orjson.dumps(_figures())
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _figures() -> dict[str, Any]:
    global _profile
    _profile.disable()
    _profile.create_stats()
    figures = hotspots.of(_profile.stats)
    _profile = cProfile.Profile()
    _profile.enable()
    return figures
