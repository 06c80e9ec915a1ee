"""A model that judges as the first part of its path says: `/yes/v1/chat/completions`.

`yes` and `no` always say so; `wavers` says no when it is asked first and yes when it is asked again. `chatty` explains
itself in prose, `fenced` in a code block. `warm` refuses to be asked with a temperature. `refuses`, `missing`, `locked`
and `away` fail with 400, 404, 401 and 503; `leaks` fails and says its key. `silent` does not say what it used.
`GET /calls` tells how often who was asked, and the last request.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson

from tests.fakes.http import Object, send_json, serving

PROMPT_TOKENS, COMPLETION_TOKENS = 400, 20
calls: Counter[str] = Counter()
last: Object = {}

_FAILURES = {"refuses": 400, "missing": 404, "locked": 401, "away": 503}
_SAID = {
    "yes": '{"same": true, "why": "It fits."}',
    "no": '{"same": false, "why": "Another city."}',
    "chatty": 'I think so. {"same": true}',
    "fenced": '```json\n{"same": true, "why": "It fits."}\n```',
}


async def _respond(scope: Object, body: bytes, receive: Any, send: Any) -> None:
    manner = scope["path"].split("/")[1]
    payload = orjson.loads(body)
    calls[manner] += 1
    last.update(payload=payload)
    if manner in _FAILURES:
        await _fail(send, _FAILURES[manner], f"told to be {manner}")
    elif manner == "leaks":
        key = dict(scope["headers"])[b"authorization"].decode().removeprefix("Bearer ")
        await _fail(send, 400, f"not with {key}")
    elif manner == "warm" and "temperature" in payload:
        await _fail(send, 400, "Unsupported value: 'temperature' does not support 0 with this model.", "temperature")
    else:
        await send_json(send, 200, _answer(manner))


async def _fail(send: Any, status: int, message: str, param: str | None = None) -> None:
    await send_json(send, status, {"error": {"message": message, "type": "t", "code": "c", "param": param}})


def _answer(manner: str) -> Object:
    if manner == "wavers":
        manner = "no" if calls["wavers"] % 2 else "yes"
    content = _SAID.get(manner, _SAID["yes"])
    answer: Object = {
        "id": "chatcmpl-judge",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": COMPLETION_TOKENS},
    }
    if manner == "silent":
        del answer["usage"]
    return answer


application = serving(_respond, lambda: {"calls": dict(calls), "last": last})
