"""OpenAI Embeddings: texts, or their tokens, to vectors, as numbers or base64."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from gateway.dialects import openai_chat
from gateway.dialects.chat_fields import model_of
from gateway.dialects.openai_chat import BYTES_PER_TOKEN
from gateway.errors import GatewayError, InvalidRequest
from gateway.types import Call, ChatRequest, Meta

NAME = "openai-embeddings"
CONTENT_TYPE = b"application/json"
MAX_INPUTS = 2048
MAX_TOKEN = 2**31
# Read here, or made for routing; not sent.
OWN_FIELDS = frozenset({"encoding_format", "messages", "user", "cache"})


def parse(body: bytes) -> ChatRequest:
    """`payload["input"]` is a list, each of it a text or a list of tokens. Raises InvalidRequest, naming the field."""
    payload = openai_chat.parse_object(body)
    model = model_of(payload, "a model, such as “text-embedding-3-small”")
    inputs = _inputs(payload.get("input"))
    if payload.get("encoding_format") not in (None, "float", "base64"):
        raise InvalidRequest("`encoding_format` must be “float” or “base64”.", param="encoding_format")
    dimensions = payload.get("dimensions")
    if dimensions is not None and (isinstance(dimensions, bool) or not isinstance(dimensions, int) or dimensions < 1):
        raise InvalidRequest("`dimensions` must be a whole number from 1.", param="dimensions")
    # Routes stick to users, or else to the first question.
    first = {"role": "user", "content": inputs[0] if isinstance(inputs[0], str) else ""}
    return ChatRequest(
        payload={**payload, "input": inputs, "messages": [first]},
        model=model,
        max_tokens=0,
        prompt_tokens=sum(map(tokens_of, inputs)),
    )


def _inputs(value: Any) -> list[Any]:
    if isinstance(value, str) or _is_tokens(value):
        value = [value]
    if not isinstance(value, list) or not 0 < len(value) <= MAX_INPUTS:
        raise InvalidRequest(f"`input` must be a text, or a list of 1 to {MAX_INPUTS:,} texts.", param="input")
    for at, one in enumerate(value):
        if type(one) is not type(value[0]) or not one or not (isinstance(one, str) or _is_tokens(one)):
            raise InvalidRequest(
                f"`input[{at}]` must be a text that is not empty, as all of them, or all must be lists of tokens.",
                param=f"input[{at}]",
            )
    return value


def _is_tokens(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(one) is int and 0 <= one < MAX_TOKEN for one in value)


def tokens_of(one: Any) -> int:
    """An estimate on the high side."""
    return len(one) if isinstance(one, list) else int(len(one.encode()) / BYTES_PER_TOKEN) + 1


def render(call: Call, vectors: list[NDArray[np.float32]], meta: Meta) -> bytes:
    as_base64 = call.request.payload.get("encoding_format") == "base64"
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": base64.b64encode(vector.tobytes()).decode() if as_base64 else np.ascontiguousarray(vector),
        }
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": meta.prompt_tokens, "total_tokens": meta.prompt_tokens}
    answer = {"object": "list", "data": data, "model": call.request.model, "usage": usage}
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


def render_error(error: GatewayError, request_id: str) -> bytes:
    return openai_chat.render_error(error, request_id)
