"""What of OpenAI's API the gateway passes on: files, sound, pictures, moderations. Keeps what was sent, by path."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

from tests.fakes.http import begin_stream, send_json, send_piece

KEY = "sk-files"
SPEECH = bytes(range(256)) * 1000
USAGE = {"input_tokens": 11, "output_tokens": 30, "total_tokens": 41, "input_tokens_details": {"text_tokens": 11}}
seen: dict[str, Any] = {}


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    path, headers = scope["path"], {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
    if path == "/calls":
        await send_json(send, 200, seen)
        return
    digest, size, blocks = hashlib.sha256(), 0, 0
    while True:
        message = await receive()
        digest.update(message.get("body", b""))
        size, blocks = size + len(message.get("body", b"")), blocks + 1
        if not message.get("more_body"):
            break
    sent = {"method": scope["method"], "headers": headers, "query": scope["query_string"].decode(), "size": size}
    seen[path] = sent | {"sha256": digest.hexdigest()}
    if headers.get("authorization") != f"Bearer {KEY}":
        await send_json(
            send, 401, {"error": {"message": "Incorrect API key provided", "type": "invalid_request_error"}}
        )
        return
    await _answer(path.removeprefix("/v1/"), scope["method"], send)


async def _answer(path: str, method: str, send: Any) -> None:
    file = {"id": "file-1", "object": "file", "bytes": 7, "created_at": 1_750_000_000, "filename": "a.jsonl",
            "purpose": "batch", "status": "processed"}  # fmt: skip
    if path == "audio/speech":
        await _stream(send, SPEECH, b"audio/mpeg")
    elif path == "files/broken/content":
        await _stream(send, SPEECH, b"application/octet-stream", until=5)
    elif path.endswith("/content"):
        await _stream(send, SPEECH, b"application/octet-stream")
    elif path == "audio/transcriptions":
        await send_json(send, 200, {"text": "hello", "usage": {"type": "tokens", **USAGE}})
    elif path == "images/generations":
        await send_json(send, 200, {"created": 1_750_000_000, "data": [{"b64_json": "QUJD" * 50_000}], "usage": USAGE})
    elif path == "moderations":
        await send_json(send, 200, {"id": "modr-1", "model": "omni-moderation-latest", "results": []})
    elif path == "files/missing":
        await send_json(
            send, 404, {"error": {"message": "No such File object: missing", "type": "invalid_request_error"}}
        )
    elif path == "files/overloaded":
        await send_json(send, 503, {"error": {"message": "overloaded"}})
    elif path.startswith("files/") and method == "DELETE":
        await send_json(send, 200, {"id": "file-1", "object": "file", "deleted": True})
    elif path == "files" and method == "GET":
        await send_json(send, 200, {"object": "list", "data": [file], "has_more": False})
    else:
        await send_json(send, 200, file)


async def _stream(send: Any, data: bytes, content_type: bytes, until: int | None = None) -> None:
    await begin_stream(send, content_type, (b"content-disposition", b'attachment; filename="a"'))
    for number, start in enumerate(range(0, len(data), 16_384)):
        if number == until:
            raise ConnectionError("told to break off")
        await send_piece(send, data[start : start + 16_384])
        await asyncio.sleep(0)
    await send_piece(send, more=False)
