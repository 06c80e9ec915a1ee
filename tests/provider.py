"""A faithful OpenAI-compatible provider that also misbehaves, as the model's name tells it to.

`ok` answers. `status-503` fails so. `cut` and `hang` break off or fall silent in the middle of a stream; `hang` without
a stream never answers. `garbage` sends no JSON, `empty` no choices, `silent` no usage, `length` stops at the limit,
`flaky` fails every other call. `slow` takes half a second. `GET /calls` counts chat requests by model.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import orjson

calls: Counter[str] = Counter()
last: dict[str, Any] = {}


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    if scope["path"] == "/calls":
        await _json(send, 200, {"calls": dict(calls), "last": last})
        return
    payload = orjson.loads(body)
    model = payload["model"]
    calls[model] += 1
    authorization = dict(scope["headers"]).get(b"authorization", b"").decode()
    last.update(payload=payload, authorization=authorization)
    await _chat(model, payload, send)


async def _chat(model: str, payload: dict[str, Any], send: Any) -> None:
    if model.startswith("status-") or (model.startswith("flaky") and calls[model] % 2):
        status = int(model.split("-")[1]) if model.startswith("status-") else 503
        await _json(send, status, {"error": {"message": f"told to fail with {status}", "type": "t", "code": "c"}})
    elif model == "garbage":
        await _raw(send, 200, b"<html>not JSON</html>")
    elif payload.get("stream"):
        await _stream(model, payload, send)
    elif model == "hang":
        await asyncio.sleep(3600)
    else:
        if model.startswith("slow"):
            await asyncio.sleep(0.5)
        await _json(send, 200, _answer(model, payload))


def _answer(model: str, payload: dict[str, Any]) -> dict[str, Any]:
    message = {"role": "assistant", "content": f"You said: {payload['messages'][-1]['content']}", "refusal": None}
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": "length" if model == "length" else "stop",
    }
    answer: dict[str, Any] = {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "created": 1_750_000_000,
        "model": model,
        "choices": [] if model == "empty" else [choice],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
        "a_new_field": {"kept": True},
    }
    if model == "silent":
        del answer["usage"]
    return answer


async def _stream(model: str, payload: dict[str, Any], send: Any) -> None:
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    head = {"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 1_750_000_000, "model": model}
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": word} for word in ("You ", "said: ", str(payload["messages"][-1]["content"]))]
    for number, delta in enumerate(deltas):
        if number == 2 and model == "cut":
            return
        if number == 2 and model == "hang":
            await asyncio.sleep(3600)
        if model.startswith("slow"):
            await asyncio.sleep(0.15)
        await _event(send, {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    await _event(send, {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if (payload.get("stream_options") or {}).get("include_usage") and model != "silent":
        usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
        await _event(send, {**head, "choices": [], "usage": usage})
    await send({"type": "http.response.body", "body": b"data: [DONE]\n\n", "more_body": False})


async def _event(send: Any, chunk: dict[str, Any]) -> None:
    await send({"type": "http.response.body", "body": b"data: " + orjson.dumps(chunk) + b"\n\n", "more_body": True})


async def _json(send: Any, status: int, value: Any) -> None:
    await _raw(send, status, orjson.dumps(value))


async def _raw(send: Any, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
