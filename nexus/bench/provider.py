"""A provider that answers at once, so that what is measured is the way there and back."""

from __future__ import annotations

from typing import Any

import orjson

CHUNKS = 20
_USAGE = {"prompt_tokens": 90, "completion_tokens": 60, "total_tokens": 150}
TEXT = "An answer of a usual length, as a support assistant would give it to a customer. " * 4
_HEAD = {"id": "chatcmpl-bench", "created": 1_700_000_000, "model": "gpt-4o-mini", "system_fingerprint": "fp_bench"}
_BODY = orjson.dumps(
    {
        **_HEAD,
        "object": "chat.completion",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": TEXT}, "logprobs": None, "finish_reason": "stop"}
        ],
        "usage": _USAGE,
    }
)


def _event(choices: list[dict[str, Any]], **more: Any) -> bytes:
    chunk = {**_HEAD, "object": "chat.completion.chunk", "choices": choices, **more}
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


_EVENTS = [
    *(_event([{"index": 0, "delta": {"content": "a few words "}, "finish_reason": None}]) for _ in range(CHUNKS)),
    _event([{"index": 0, "delta": {}, "finish_reason": "stop"}]),
    _event([], usage=_USAGE),
    b"data: [DONE]\n\n",
]


async def body_of(receive: Any) -> bytes:
    """A request's, whole."""
    body: bytes = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    if b'"stream":true' not in await body_of(receive):
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(_BODY))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": _BODY})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    for event in _EVENTS:
        await send({"type": "http.response.body", "body": event, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
