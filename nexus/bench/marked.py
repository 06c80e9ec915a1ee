"""A provider whose answers tell whose they are and what they are about: `mark-…` is of the key that asked, `about-…`
of the question. So nobody can be given another's answer, or another question's, without its being seen.

The model's name says how it goes: `broken` fails, all others answer after NEXUS_BENCH_THINKS_MS.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from typing import Any

import orjson

from nexus.bench.provider import body_of

THINKS_MS = "NEXUS_BENCH_THINKS_MS"
BROKEN = "broken"
CHUNKS = 8
PROMPT_TOKENS, COMPLETION_TOKENS = 40, 40
_WORDS = " and a few more words of an answer that somebody may read to its end" * 3
MARKS, ABOUTS = re.compile(rb"mark-([0-9a-f]{16})"), re.compile(rb"about-([0-9a-f]{16})")


def mark_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def about(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    payload = orjson.loads(await body_of(receive) or b"{}")
    key = dict(scope["headers"]).get(b"authorization", b"").decode().removeprefix("Bearer ")
    await asyncio.sleep(float(os.environ.get(THINKS_MS, "0")) / 1000)
    if payload.get("model") == BROKEN:
        await _send(send, 503, orjson.dumps({"error": {"message": "told to fail", "type": "server_error"}}))
    elif payload.get("stream"):
        await _stream(send, _text(key, payload))
    else:
        message = {"role": "assistant", "content": _text(key, payload) + _WORDS}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        await _send(send, 200, orjson.dumps({**_head("chat.completion"), "choices": [choice], "usage": _usage()}))


def _text(key: str, payload: dict[str, Any]) -> str:
    content = payload["messages"][-1]["content"] if payload.get("messages") else ""
    asked = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
    return f"mark-{mark_of(key)} about-{about(asked)}"


def _head(kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-bench", "object": kind, "created": 1_760_000_000, "model": "gpt-4o-mini-2024-07-18"}


def _usage() -> dict[str, int]:
    total = PROMPT_TOKENS + COMPLETION_TOKENS
    return {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": COMPLETION_TOKENS, "total_tokens": total}


async def _send(send: Any, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _stream(send: Any, text: str) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    for words in (text, *([" a few words"] * CHUNKS)):
        await send(_event([{"index": 0, "delta": {"content": words}, "finish_reason": None}]))
        await asyncio.sleep(float(os.environ.get(THINKS_MS, "0")) / 1000 / CHUNKS)
    await send(_event([{"index": 0, "delta": {}, "finish_reason": "stop"}]))
    await send(_event([], usage=_usage()))
    await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


def _event(choices: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    chunk = {**_head("chat.completion.chunk"), "choices": choices, **more}
    return {"type": "http.response.body", "body": b"data: " + orjson.dumps(chunk) + b"\n\n", "more_body": True}
