"""A faithful OpenAI-compatible provider that also misbehaves, as the model's name tells it to.

`ok` answers, and embeds as most do. `status-503` fails so. `cut` and `hang` break off or fall silent in the middle of a
stream; `hang` without a stream, or `hang…` for vectors, never answers. `garbage` sends no JSON, `empty` no choices,
`silent` no usage, `length` stops at the limit, `flaky` fails every other call. `slow` takes half a second. `echo` says
the last message itself, `tools` answers a user with a call of the first tool, and a tool with a text. `later-50` fails
every other call with 429 and 50 ms to wait. `long` streams for ten seconds. `thinks…` tells of thoughts, and of a
prompt that it knew in part.
`GET /calls` counts chat requests by model, also those that were under way at the same time, and those that were cut
off.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import orjson

from tests.fakes.http import begin_stream, end_stream, send_bytes, send_json, send_piece, serving

calls: Counter[str] = Counter()
under_way: Counter[str] = Counter()
most_at_once: Counter[str] = Counter()
cut_off: Counter[str] = Counter()
last: dict[str, Any] = {}


async def _respond(scope: dict[str, Any], body: bytes, receive: Any, send: Any) -> None:
    payload = orjson.loads(body)
    model = payload["model"]
    calls[model] += 1
    headers = {name: value.decode() for name, value in scope["headers"]}
    last.update(
        payload=payload,
        authorization=headers.get(b"authorization", ""),
        traceparent=headers.get(b"traceparent"),
    )
    under_way[model] += 1
    most_at_once[model] = max(most_at_once[model], under_way[model])
    answering, leaving = asyncio.create_task(_chat(model, payload, send)), asyncio.create_task(receive())
    await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
    under_way[model] -= 1
    if not answering.done():
        cut_off[model] += 1
    answering.cancel()
    leaving.cancel()


def _seen() -> dict[str, Any]:
    return {"calls": dict(calls), "most_at_once": dict(most_at_once), "cut_off": dict(cut_off), "last": last}


application = serving(_respond, _seen)


async def _chat(model: str, payload: dict[str, Any], send: Any) -> None:
    if model.startswith("status-") or (model.startswith("flaky") and calls[model] % 2):
        status = int(model.split("-")[1]) if model.startswith("status-") else 503
        await send_json(send, status, {"error": {"message": f"told to fail with {status}", "type": "t", "code": "c"}})
    elif model.startswith("later-") and calls[model] % 2:
        wait = (b"retry-after-ms", model.split("-")[1].encode())
        await send_json(send, 429, {"error": {"message": "too fast", "type": "requests", "code": "rate_limit"}}, wait)
    elif model == "garbage":
        await send_bytes(send, 200, b"<html>not JSON</html>")
    elif "input" in payload:
        await asyncio.sleep(3600 if model.startswith("hang") else 0.5 if model.startswith("slow") else 0)
        data = [{"index": at, "embedding": [1.0, float(at)]} for at in range(len(payload["input"]))]
        await send_json(send, 200, {"data": data, "usage": {"prompt_tokens": 100 * len(data)}})
    elif payload.get("stream"):
        await _stream(model, payload, send)
    elif model == "hang":
        await asyncio.sleep(3600)
    else:
        if model.startswith("slow"):
            await asyncio.sleep(0.5)
        await send_json(send, 200, _answer(model, payload))


def _words(model: str, payload: dict[str, Any]) -> tuple[str, ...]:
    content = str(payload["messages"][-1]["content"])
    if model == "long":
        return tuple(f"word {number} " for number in range(100))
    return (content,) if model == "echo" else ("You ", "said: ", content)


def _tool_call(model: str, payload: dict[str, Any]) -> dict[str, Any] | None:
    if model != "tools" or payload["messages"][-1]["role"] != "user":
        return None
    function = {"name": payload["tools"][0]["function"]["name"], "arguments": '{"city":"Paris"}'}
    return {"id": "call_fake", "type": "function", "function": function}


def _finish_reason(model: str, tool_call: dict[str, Any] | None) -> str:
    return "tool_calls" if tool_call else "length" if model == "length" else "stop"


def _answer(model: str, payload: dict[str, Any]) -> dict[str, Any]:
    tool_call = _tool_call(model, payload)
    message: dict[str, Any] = {"role": "assistant", "content": "".join(_words(model, payload)), "refusal": None}
    if tool_call:
        message.update(content=None, tool_calls=[tool_call])
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish_reason(model, tool_call)}
    answer: dict[str, Any] = {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "created": 1_750_000_000,
        "model": model,
        "choices": [] if model == "empty" else [choice],
        "usage": _usage(model, payload),
        "a_new_field": {"kept": True},
    }
    if model == "silent":
        del answer["usage"]
    return answer


def _usage(model: str, payload: dict[str, Any]) -> dict[str, Any]:
    if not model.startswith("thinks"):
        # No more than was asked for.
        said = min(7, payload.get("max_completion_tokens") or payload.get("max_tokens") or 7)
        return {"prompt_tokens": 11, "completion_tokens": said, "total_tokens": 11 + said}
    return {
        "prompt_tokens": 1000,
        "completion_tokens": 500,
        "total_tokens": 1500,
        "prompt_tokens_details": {"cached_tokens": 400, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 300, "audio_tokens": 0},
    }


async def _stream(model: str, payload: dict[str, Any], send: Any) -> None:
    await begin_stream(send)
    head = {"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 1_750_000_000, "model": model}
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    tool_call = _tool_call(model, payload)
    if tool_call is None:
        deltas += [{"content": word} for word in _words(model, payload)]
    else:
        name, arguments = tool_call["function"]["name"], tool_call["function"]["arguments"]
        deltas.append({"tool_calls": [{"index": 0, **tool_call, "function": {"name": name, "arguments": ""}}]})
        for piece in (arguments[:5], arguments[5:]):
            deltas.append({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
    for number, delta in enumerate(deltas):
        if number == 2 and model == "cut":
            return
        if number == 2 and model == "hang":
            await asyncio.sleep(3600)
        if model.startswith("slow"):
            await asyncio.sleep(0.15)
        if model == "long":
            await asyncio.sleep(0.1)
        await _event(send, {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    finish_reason = _finish_reason(model, tool_call)
    await _event(send, {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish_reason}]})
    if (payload.get("stream_options") or {}).get("include_usage") and model != "silent":
        await _event(send, {**head, "choices": [], "usage": _usage(model, payload)})
    await send_piece(send, b"data: [DONE]\n\n")
    await end_stream(send)


async def _event(send: Any, chunk: dict[str, Any]) -> None:
    await send_piece(send, b"data: " + orjson.dumps(chunk) + b"\n\n")
