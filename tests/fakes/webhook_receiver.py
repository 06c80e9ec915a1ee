"""A receiver of webhooks that checks each signature by itself: `POST /<name>/<manner>`.

`PUT /<name>` takes its secret, `GET /<name>` tells what came. Manners: `ok`; `fails` answers 500 until its third try of
a message; `down` always does; `busy` says 429 with Retry-After; `hangs` never answers; `drips` answers 200 and never
ends; `redirects` sends to `ok`; `gone` says 410; `large` answers 1 MB; `odd` answers with bytes that are no text.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections import Counter, defaultdict
from typing import Any

import orjson

from nexus.bench.provider import body_of
from tests.fakes.http import Object, begin_stream, client_left, send_bytes, send_json, send_piece

secrets: dict[str, list[str]] = defaultdict(list)
received: dict[str, list[Object]] = defaultdict(list)
tries: Counter[str] = Counter()
TRIES_UNTIL_OK = 3


async def application(scope: Object, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    body = await body_of(receive)
    name, _, manner = scope["path"].strip("/").partition("/")
    if scope["method"] == "PUT":
        secrets[name].insert(0, body.decode())
        await send_json(send, 200, {})
    elif scope["method"] == "GET":
        await send_json(send, 200, {"received": received[name]})
    else:
        headers = {key.decode(): value.decode() for key, value in scope["headers"]}
        received[name].append(
            {
                "manner": manner,
                "id": headers.get("webhook-id"),
                "headers": headers,
                "signed_by": _signed_by(name, headers, body),
                "body": orjson.loads(body),
            }
        )
        tries[headers.get("webhook-id", "")] += 1
        await _answer(manner, headers.get("webhook-id", ""), receive, send)


def _signed_by(name: str, headers: dict[str, str], body: bytes) -> list[int]:
    """Which of the secrets have signed: 0 is the newest."""
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    signatures = headers["webhook-signature"].split(" ")
    return [
        at
        for at, secret in enumerate(secrets[name])
        if "v1," + base64.b64encode(_digest(secret, content)).decode() in signatures
    ]


def _digest(secret: str, content: bytes) -> bytes:
    return hmac.new(base64.b64decode(secret.partition("_")[2]), content, hashlib.sha256).digest()


async def _answer(manner: str, message_id: str, receive: Any, send: Any) -> None:
    statuses = {"down": 500, "gone": 410, "busy": 429}
    if manner == "hangs":
        await client_left(receive)
    elif manner == "drips":
        await begin_stream(send)
        for _ in range(100):
            await send_piece(send, b".")
            await asyncio.sleep(0.3)
    elif manner == "redirects":
        await send_bytes(send, 307, b"", (b"location", b"ok"))
    elif manner == "large":
        await send_bytes(send, 200, b"x" * 1_000_000)
    elif manner == "odd":
        await send_bytes(send, 500, b"\x00\xff\xfe no text")
    elif manner == "fails" and tries[message_id] < TRIES_UNTIL_OK:
        await send_json(send, 500, {"sorry": tries[message_id]})
    else:
        later = [(b"retry-after", b"4000")] if manner == "busy" else []
        await send_json(send, statuses.get(manner, 200), {"manner": manner}, *later)
