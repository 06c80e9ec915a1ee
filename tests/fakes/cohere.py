"""A faithful Cohere API that also misbehaves, as the model's name tells it to.

`ok` answers; `tools` plans and calls two tools (and answers once it has both results); `thinking` thinks first;
`length` and `stop` end so; `failed` gives up. `overloaded`, `rate-limited`, `refused` and `missing` fail so. `cut`,
`unfinished`, `garbage` and `hang` break off, end too early, send no JSON or fall silent in a stream's middle. `slow`
takes its time. `embed` embeds, `embed-short` one too few. `GET /calls` counts requests by model and tells the last one.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Any

import orjson

from tests.fakes.http import Object, begin_stream, client_left, end_stream, send_bytes, send_json, send_piece, serving

KEY = "co-upstream"
ID = "c14c80c3-18eb-4519-9460-6c92edd8cfb4"
PLAN = "I will look up the weather."
USAGE = {
    "billed_units": {"input_tokens": 11.0, "output_tokens": 7.0},
    "tokens": {"input_tokens": 77.0, "output_tokens": 9.0},
    "cached_tokens": 4.0,
}
MAX_BATCH = 96

calls: Counter[str] = Counter()
last: Object = {}

_CHAT_FIELDS = frozenset(
    {
        "model", "messages", "stream", "tools", "strict_tools", "documents", "citation_options", "response_format",
        "safety_mode", "max_tokens", "stop_sequences", "temperature", "seed", "frequency_penalty", "presence_penalty",
        "k", "p", "logprobs", "tool_choice", "thinking", "priority",
    }
)  # fmt: skip
_EMBED_FIELDS = frozenset(
    {
        "model",
        "input_type",
        "texts",
        "images",
        "inputs",
        "max_tokens",
        "output_dimension",
        "embedding_types",
        "truncate",
    }
)
_BLOCKS = {
    "system": {"text"}, "user": {"text", "image_url"}, "assistant": {"text", "thinking"}, "tool": {"text", "document"},
}  # fmt: skip
_FAILURES = {
    "overloaded": (503, "Service unavailable: the model is temporarily overloaded"),
    "rate-limited": (429, "You are using a Trial key, which is limited to 20 API calls / minute."),
    "refused": (400, "too many tokens: total number of tokens in the prompt cannot exceed 256000 - received 300000."),
    "missing": (404, "model 'missing' not found, make sure the correct model ID was used and that you have access."),
}


class Refused(Exception):
    """Status and message of an answer that is none."""


async def _respond(scope: Object, body: bytes, receive: Any, send: Any) -> None:
    try:
        if dict(scope["headers"]).get(b"authorization") != f"Bearer {KEY}".encode():
            raise Refused(401, "invalid api token")
        payload = orjson.loads(body)
        model = payload["model"]
        calls[model] += 1
        last.update(payload=payload, path=scope["path"])
        if model in _FAILURES:
            raise Refused(*_FAILURES[model])
        if scope["path"] == "/v2/embed":
            await send_json(send, 200, _embeddings(payload))
        else:
            _check(payload)
            await _chat(model, payload, receive, send)
    except Refused as refused:
        status, text = refused.args
        headers = [(b"retry-after", b"1")] if status == 429 else []
        await send_json(send, status, {"id": ID, "message": text}, *headers)


application = serving(_respond, lambda: {"calls": dict(calls), "last": last})


def _check(payload: Object) -> None:
    if unknown := payload.keys() - _CHAT_FIELDS:
        raise Refused(422, f"unknown field: parameter '{min(unknown)}' is not a valid field")
    if not 0.01 <= payload.get("p", 0.75) <= 0.99:
        raise Refused(400, "invalid request: p must be between 0.01 and 0.99 inclusive.")
    if payload.get("presence_penalty") is not None and payload.get("frequency_penalty") is not None:
        raise Refused(400, "invalid request: cannot specify both frequency_penalty and presence_penalty.")
    known: set[str] = set()
    for message in payload["messages"]:
        content = message.get("content")
        for block in content if isinstance(content, list) else ():
            if block["type"] not in _BLOCKS[message["role"]]:
                raise Refused(
                    400, f"invalid request: content of type {block['type']} in a message of {message['role']}"
                )
        if message["role"] == "tool" and message["tool_call_id"] not in known:
            raise Refused(400, f"invalid request: no tool call with id {message['tool_call_id']}")
        known |= {call["id"] for call in message.get("tool_calls") or ()}
        if message["role"] == "assistant" and not content and not message.get("tool_calls"):
            raise Refused(400, "invalid request: message must have content or tool calls.")


def _embeddings(payload: Object) -> Object:
    if unknown := payload.keys() - _EMBED_FIELDS:
        raise Refused(422, f"unknown field: parameter '{min(unknown)}' is not a valid field")
    texts = payload["texts"]
    if len(texts) > MAX_BATCH:
        raise Refused(
            400, f"invalid request: total number of texts must be at most {MAX_BATCH} - received {len(texts)}"
        )
    vectors = [[float(len(text))] * payload.get("output_dimension", 3) for text in texts]
    if payload["model"] == "embed-short":
        vectors.pop()
    meta = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 2.0 * len(texts)}}
    return {
        "id": ID,
        "embeddings": {"float": vectors},
        "texts": texts,
        "meta": meta,
        "response_type": "embeddings_by_type",
    }


# --- chat ----------------------------------------------------------------------------------------------------------


async def _chat(model: str, payload: Object, receive: Any, send: Any) -> None:
    if payload.get("stream"):
        await _stream(model, payload, receive, send)
    elif model == "hang":
        await client_left(receive)
    elif model == "garbage":
        await send_bytes(send, 200, b"<html>not JSON</html>")
    else:
        if model == "slow":
            await asyncio.sleep(0.5)
        await send_json(send, 200, _answer(model, payload))


def _words(payload: Object) -> list[str]:
    content = payload["messages"][-1]["content"]
    if isinstance(content, list):
        content = next((block["text"] for block in content if block["type"] == "text"), str(content))
    return ["You ", "said: ", str(content)]


def _tool_calls(model: str, payload: Object) -> list[Object]:
    if model != "tools" or payload["messages"][-1]["role"] == "tool":
        return []
    names = [tool["function"]["name"] for tool in payload["tools"]]
    return [
        {"id": f"{name}_x{at}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for at, (name, arguments) in enumerate(((names[0], '{"city":"Oslo"}'), (names[-1], "{}")))
    ]


def _finish_reason(model: str, *, called: bool) -> str:
    reasons = {"length": "MAX_TOKENS", "stop": "STOP_SEQUENCE", "failed": "ERROR"}
    return "TOOL_CALL" if called else reasons.get(model, "COMPLETE")


def _answer(model: str, payload: Object) -> Object:
    tool_calls: list[Object] = _tool_calls(model, payload)
    words = _words(payload)
    message: Object = {"role": "assistant"}
    if tool_calls:
        message |= {"tool_plan": PLAN, "tool_calls": tool_calls}
    else:
        thoughts = [{"type": "thinking", "thinking": "Water first."}] if model == "thinking" else []
        message["content"] = [*thoughts, {"type": "text", "text": "".join(words)}]
    answer: Object = {
        "id": ID,
        "message": message,
        "finish_reason": _finish_reason(model, called=bool(tool_calls)),
        "usage": USAGE,
    }
    if payload.get("logprobs"):
        answer["logprobs"] = [_logprob(word) for word in words]
    return answer


def _logprob(text: str) -> Object:
    return {"text": text, "token_ids": [4211, 17], "logprobs": [-0.25, -0.5]}


def _events(model: str, payload: Object) -> Iterator[Object]:
    tool_calls = _tool_calls(model, payload)
    head = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    yield {"id": ID, "type": "message-start", "delta": {"message": head}}
    if tool_calls:
        for word in PLAN.split(" "):
            yield {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": f"{word} "}}}
    for at, call in enumerate(tool_calls):
        arguments = call["function"]["arguments"]
        begun = {**call, "function": {**call["function"], "arguments": ""}}
        yield {"type": "tool-call-start", "index": at, "delta": {"message": {"tool_calls": begun}}}
        for piece in (arguments[:4], arguments[4:]):
            more = {"message": {"tool_calls": {"function": {"arguments": piece}}}}
            yield {"type": "tool-call-delta", "index": at, "delta": more}
        yield {"type": "tool-call-end", "index": at}
    blocks: list[tuple[str, list[str]]] = [("thinking", ["Water ", "first."])] if model == "thinking" else []
    blocks += [] if tool_calls else [("text", _words(payload))]
    for at, (kind, words) in enumerate(blocks):
        started = {"type": kind, kind: ""}
        yield {"type": "content-start", "index": at, "delta": {"message": {"content": started}}}
        for word in words:
            event = {"type": "content-delta", "index": at, "delta": {"message": {"content": {kind: word}}}}
            yield {**event, "logprobs": _logprob(word)} if payload.get("logprobs") else event
        yield {"type": "content-end", "index": at}
    delta: Object = {"finish_reason": _finish_reason(model, called=bool(tool_calls)), "usage": USAGE}
    if model == "failed":
        delta["error"] = "internal error during generation"
    yield {"id": ID, "type": "message-end", "delta": delta}


async def _stream(model: str, payload: Object, receive: Any, send: Any) -> None:
    await begin_stream(send)
    for number, event in enumerate(_events(model, payload)):
        if number == 4 and model == "cut":
            return
        if number == 4 and model == "unfinished":
            break
        if number == 4 and model == "hang":
            await client_left(receive)
            return
        if model == "slow":
            await asyncio.sleep(0.1)
        data = b"<html>not JSON</html>" if number == 4 and model == "garbage" else orjson.dumps(event)
        await send_piece(send, b"event: %s\ndata: %s\n\n" % (event["type"].encode(), data))
    await end_stream(send)
