"""A faithful Gemini API that also misbehaves, as the model's name tells it to.

`ok` answers; `tools` calls two tools (and answers once it has both results, with the signature it gave); `thinking`
thinks first; `logprobs` tells them; `length`, `filtered` and `blocked` end so; `malformed` gives up, `picture` draws.
`overloaded`, `rate-limited`, `refused` and `missing` fail so; `overloaded-middle` in a stream's middle. `cut`,
`unfinished`, `garbage` and `hang` break off, end too early, send no JSON or fall silent there. `slow` takes its time.
`embed` embeds, `embed-uncounted` without usage, `embed-short` one too few. `GET /calls` counts requests by model and
tells the last one.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from typing import Any

import orjson

from tests.fakes.http import Header, Object, begin_stream, client_left, end_stream, send_bytes, send_piece, serving

KEY = "AIzaSyUpstream"
SIGNATURE = "CpcBAdHtim9+q4rstcbvQC0ic4x1/vqQlCJWgE+UZ6dTLYGHMMBkF"
NO_SIGNATURE = "skip_thought_signature_validator"
MAX_BATCH = 100

calls: Counter[str] = Counter()
last: Object = {}

_METHODS = {"generateContent", "streamGenerateContent", "batchEmbedContents"}
# What google.ai.generativelanguage.v1beta knows of what is sent here: another name is refused.
_FIELDS = {
    "": {"contents", "systemInstruction", "generationConfig", "tools", "toolConfig", "safetySettings", "requests"},
    "generationConfig": {
        "temperature", "topP", "topK", "candidateCount", "maxOutputTokens", "stopSequences", "responseLogprobs",
        "logprobs", "presencePenalty", "frequencyPenalty", "seed", "responseMimeType", "responseSchema",
        "responseJsonSchema", "thinkingConfig", "mediaResolution",
    },
    "part": {
        "text", "thought", "thoughtSignature", "inlineData", "fileData", "functionCall", "functionResponse",
    },
    "thinkingConfig": {"includeThoughts", "thinkingBudget", "thinkingLevel"},
}  # fmt: skip
_FAILURES = {
    "overloaded": (503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    "rate-limited": (429, "RESOURCE_EXHAUSTED", "You exceeded your current quota, please check your plan."),
    "refused": (400, "INVALID_ARGUMENT", "* GenerateContentRequest.generation_config.top_k: top_k must be positive."),
    "missing": (404, "NOT_FOUND", "models/missing is not found for API version v1beta."),
}


class Refused(Exception):
    """Status, google.rpc status, message and details of an answer that is none."""


async def _respond(scope: Object, body: bytes, receive: Any, send: Any) -> None:
    try:
        model, method = _target(scope)
        payload = orjson.loads(body)
        calls[model] += 1
        last.update(payload=payload, method=method, query=scope["query_string"].decode())
        _check(model, payload)
        await _answer(model, method, payload, receive, send)
    except Refused as refused:
        await _refuse(send, *refused.args)


application = serving(_respond, lambda: {"calls": dict(calls), "last": last})


def _target(scope: Object) -> tuple[str, str]:
    found = re.fullmatch(r"/v1beta/(?:models|tunedModels)/([^/:]+):(\w+)", scope["path"])
    if scope["method"] != "POST" or found is None or found[2] not in _METHODS:
        raise Refused(404, "NOT_FOUND", "Not found.")
    headers = dict(scope["headers"])
    if headers.get(b"x-goog-api-key") != KEY.encode():
        info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
        raise Refused(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", [info])
    return found[1], found[2]


# --- what Google checks --------------------------------------------------------------------------------------------


def _check(model: str, payload: Object) -> None:
    generation = payload.get("generationConfig") or {}
    parts = [part for content in payload.get("contents") or () for part in content["parts"]]
    for kind, found in [("", payload), ("generationConfig", generation), *(("part", part) for part in parts)]:
        _check_fields(kind, found)
    _check_fields("thinkingConfig", generation.get("thinkingConfig") or {})
    if "contents" in payload:
        _check_contents(payload["contents"])
    if len(payload.get("requests") or ()) > MAX_BATCH:
        raise Refused(400, "INVALID_ARGUMENT", f"at most {MAX_BATCH} requests can be in one batch")


def _check_fields(kind: str, found: Object) -> None:
    if unknown := found.keys() - _FIELDS[kind]:
        name = min(unknown)
        violation = {"field": kind, "description": f'Invalid JSON payload received. Unknown name "{name}"'}
        details = [{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}]
        raise Refused(400, "INVALID_ARGUMENT", f'Invalid JSON payload received. Unknown name "{name}"', details)


def _check_contents(contents: list[Object]) -> None:
    """Calls have signatures and are followed by as many results, with their names and ids."""
    if not contents:
        raise Refused(400, "INVALID_ARGUMENT", "* GenerateContentRequest.contents: contents is not specified")
    for content, following in zip(contents, [*contents[1:], {"parts": []}], strict=True):
        if content["role"] not in ("user", "model") or not content["parts"]:
            raise Refused(400, "INVALID_ARGUMENT", "Please use a valid role: user, model.")
        made = [part["functionCall"] for part in content["parts"] if "functionCall" in part]
        results = [part["functionResponse"] for part in following["parts"] if "functionResponse" in part]
        if not made:
            continue
        first = next(part for part in content["parts"] if "functionCall" in part)
        if first.get("thoughtSignature") not in (SIGNATURE, NO_SIGNATURE):
            raise Refused(
                400, "INVALID_ARGUMENT", "Function call is missing a thought_signature in functionCall parts."
            )
        if [(call["id"], call["name"]) for call in made] != [(result["id"], result["name"]) for result in results]:
            message = (
                "Please ensure that the number of function response parts is equal to the number of function calls."
            )
            raise Refused(400, "INVALID_ARGUMENT", message)


# --- answers -------------------------------------------------------------------------------------------------------


async def _answer(model: str, method: str, payload: Object, receive: Any, send: Any) -> None:
    if model in _FAILURES:
        raise Refused(*_FAILURES[model])
    if method == "batchEmbedContents":
        await _json(send, 200, _embeddings(model, payload))
    elif method == "streamGenerateContent":
        await _stream(model, payload, receive, send)
    elif model == "hang":
        await client_left(receive)
    elif model == "garbage":
        await send_bytes(send, 200, b"<html>not JSON</html>")
    else:
        if model == "slow":
            await asyncio.sleep(0.5)
        await _json(send, 200, _whole(_pieces(model, payload)))


def _pieces(model: str, payload: Object) -> list[Object]:
    """An answer as a stream has it."""
    if model == "blocked":
        return [_response(promptFeedback={"blockReason": "PROHIBITED_CONTENT"}, usage={"promptTokenCount": 11})]
    parts: list[Object] = [{"text": "You "}, {"text": "said: "}, {"text": _said(payload)}]
    of_candidate: Object = {}
    if model == "tools" and not _results(payload):
        names = [one["name"] for tool in payload["tools"] for one in tool["functionDeclarations"]]
        parts = [
            {"functionCall": {"name": names[0], "args": {"city": "Oslo"}}, "thoughtSignature": SIGNATURE},
            {"functionCall": {"id": "8f2b1a3c", "name": names[-1], "args": {}}},
        ]
    elif model == "thinking":
        parts = [{"text": "Water first.", "thought": True}, *parts, {"text": "", "thoughtSignature": SIGNATURE}]
    elif model == "picture":
        parts = [{"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}]
    elif model == "logprobs":
        one, other = {"token": "You ", "tokenId": 2, "logProbability": -0.1}, {"token": "I", "logProbability": -2.5}
        of_candidate = {"logprobsResult": {"topCandidates": [{"candidates": [one, other]}], "chosenCandidates": [one]}}
        parts = [{"text": "You "}]
    reasons = {"length": "MAX_TOKENS", "filtered": "SAFETY", "malformed": "MALFORMED_FUNCTION_CALL"}
    end = {"finishReason": reasons.get(model, "STOP"), **of_candidate}
    if model == "malformed":
        end |= {"finishMessage": "Malformed function call: print(default_api.weather("}
        parts = []
    usage = {"promptTokenCount": 11, "candidatesTokenCount": 7, "totalTokenCount": 18}
    if model == "thinking":
        usage |= {"thoughtsTokenCount": 5, "cachedContentTokenCount": 4, "totalTokenCount": 23}
    count = payload.get("generationConfig", {}).get("candidateCount", 1)
    pieces = [
        _response(_candidate(at, [part]), usage={"promptTokenCount": 11}) for part in parts for at in range(count)
    ]
    return [*pieces, *(_response(_candidate(at, [], **end), usage=usage) for at in range(count))]


def _candidate(index: int, parts: list[Object], **more: Any) -> Object:
    content = {"content": {"parts": parts, "role": "model"}} if parts else {}
    # As in all of protobuf's JSON, what is zero is left out.
    return {**content, **more, **({"index": index} if index else {})}


def _response(*candidates: Object, usage: Object, **more: Any) -> Object:
    said = {"candidates": list(candidates)} if candidates else {}
    return {**said, **more, "usageMetadata": usage, "modelVersion": "gemini-fake-001", "responseId": "lsPuaLyl"}


def _whole(pieces: list[Object]) -> Object:
    candidates: dict[int, Object] = {}
    for piece in pieces:
        for candidate in piece.get("candidates", ()):
            whole = candidates.setdefault(candidate.get("index", 0), {"content": {"parts": [], "role": "model"}})
            whole["content"]["parts"] += candidate.get("content", {}).get("parts", ())
            whole |= {name: value for name, value in candidate.items() if name != "content"}
    found = {"candidates": list(candidates.values())} if candidates else {}
    return {**pieces[-1], **found}


def _said(payload: Object) -> str:
    part = payload["contents"][-1]["parts"][0]
    return str(part.get("text") or orjson.dumps(_results(payload)).decode())


def _results(payload: Object) -> list[Any]:
    parts = payload["contents"][-1]["parts"]
    return [part["functionResponse"]["response"] for part in parts if "functionResponse" in part]


def _embeddings(model: str, payload: Object) -> Object:
    texts = [request["content"]["parts"][0]["text"] for request in payload["requests"]]
    size = payload["requests"][0].get("outputDimensionality", 3)
    found: Object = {"embeddings": [{"values": [float(len(text))] * size} for text in texts]}
    if model == "embed-short":
        found["embeddings"].pop()
    return found if model == "embed-uncounted" else {**found, "usageMetadata": {"promptTokenCount": 2 * len(texts)}}


async def _stream(model: str, payload: Object, receive: Any, send: Any) -> None:
    await begin_stream(send)
    for number, piece in enumerate(_pieces(model, payload)):
        if number == 2 and model == "cut":
            return
        if number == 2 and model == "unfinished":
            break
        if number == 2 and model == "hang":
            await client_left(receive)
            return
        if number == 2 and model == "garbage":
            await _event(send, b"<html>not JSON</html>")
        if number == 2 and model == "overloaded-middle":
            await _event(send, orjson.dumps(_error(*_FAILURES["overloaded"])))
            break
        if model == "slow":
            await asyncio.sleep(0.15)
        await _event(send, orjson.dumps(piece))
    await end_stream(send)


# --- the wire ------------------------------------------------------------------------------------------------------


def _error(code: int, status: str, message: str, details: list[Object] | None = None) -> Object:
    more = {"details": details} if details else {}
    return {"error": {"code": code, "message": message, "status": status, **more}}


async def _refuse(send: Any, code: int, status: str, message: str, details: list[Object] | None = None) -> None:
    headers = []
    if code == 429:
        headers.append((b"retry-after", b"1"))
        details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1s"}]
    await _json(send, code, _error(code, status, message, details), *headers)


async def _event(send: Any, data: bytes) -> None:
    await send_piece(send, b"data: " + data + b"\r\n\r\n")


async def _json(send: Any, status: int, value: Any, *headers: Header) -> None:
    await send_bytes(send, status, orjson.dumps(value), *headers, content_type=b"application/json; charset=UTF-8")
