"""The response object of OpenAI Responses, put together from the deltas of a chat completion, and the events that tell
of it on the way. A complete message is one delta.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from gateway.dialects.responses_input import seal
from gateway.errors import GatewayError
from gateway.types import Call

# What a response says of a request that did not say it.
_DEFAULTS: dict[str, Any] = {
    "background": False,
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": None,
    "store": False,
    # The provider's own, whatever that is.
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": None,
    "truncation": "disabled",
    "usage": None,
    "user": None,
}
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


class _Text(NamedTuple):
    """Where a text of an answer goes: a part in a list of an item; `empty` is the part before its first piece."""

    item: str
    parts: str
    number: str
    empty: dict[str, Any]
    field: str
    # The events that tell of it.
    added: str
    delta: str
    done: str
    part_done: str


_TEXTS = {
    "reasoning_content": _Text(
        "reasoning",
        "summary",
        "summary_index",
        {"type": "summary_text", "text": ""},
        "text",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
    ),
    "content": _Text(
        "message",
        "content",
        "content_index",
        {"type": "output_text", "text": "", "annotations": [], "logprobs": []},
        "text",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
    ),
    "refusal": _Text(
        "message",
        "content",
        "content_index",
        {"type": "refusal", "refusal": ""},
        "refusal",
        "response.content_part.added",
        "response.refusal.delta",
        "response.refusal.done",
        "response.content_part.done",
    ),
}
# Items before anything is in them, and what their ids begin with. Nothing is ever added to these lists themselves.
_ITEMS: dict[str, tuple[str, dict[str, Any]]] = {
    "reasoning": ("rs", {"summary": []}),
    "message": ("msg", {"status": "in_progress", "role": "assistant", "content": []}),
    "function_call": ("fc", {"status": "in_progress", "arguments": ""}),
}


class Answer:
    """Puts the items of a response together, delta by delta, and notes in `events` what a stream tells of it."""

    def __init__(self, call: Call) -> None:
        self.events: list[dict[str, Any]] = []
        self._call = call
        self._model = call.request.model
        self._service_tier: str | None = None
        self._usage: dict[str, Any] | None = None
        self._finish_reason: str | None = None
        self._output: list[dict[str, Any]] = []
        # What is being written: the last item, unless it is closed; the part of it that is a text; its pieces.
        self._open = False
        self._text: _Text | None = None
        self._pieces: list[str] = []
        self._annotations: list[dict[str, Any]] = []
        self._logprobs: list[dict[str, Any]] = []
        self._thinking_blocks: list[Any] = []
        # Function calls by their number in Chat Completions, with the pieces of their arguments.
        self._calls: dict[int, tuple[dict[str, Any], list[str]]] = {}

    def emit(self, kind: str, **fields: Any) -> None:
        self.events.append({"type": kind, **fields})

    # --- what comes ---

    def note(self, head: dict[str, Any]) -> None:
        """What a completion, or a chunk of one, says beside its choices."""
        model, tier, usage = head.get("model"), head.get("service_tier"), head.get("usage")
        self._model = model if isinstance(model, str) and model else self._model
        self._service_tier = tier if isinstance(tier, str) else self._service_tier
        self._usage = usage if isinstance(usage, dict) else self._usage

    def add(self, choice: dict[str, Any]) -> None:
        """The next delta. It comes from a provider: what has not the shape that it should have says nothing."""
        delta, logprobs = choice.get("delta"), choice.get("logprobs")
        delta = delta if isinstance(delta, dict) else {}
        self._add_text("reasoning_content", delta)
        if self._seals and (blocks := _list(delta, "thinking_blocks")):
            if not (self._open and self._output[-1]["type"] == "reasoning"):
                self._begin("reasoning")
            self._thinking_blocks += blocks
        self._add_text("content", delta, _logprobs(logprobs))
        self._add_annotations(_list(delta, "annotations"))
        self._add_text("refusal", delta)
        for part in _list(delta, "tool_calls"):
            self._add_call(part)
        finish_reason = choice.get("finish_reason")
        self._finish_reason = finish_reason if isinstance(finish_reason, str) else self._finish_reason

    def _add_text(self, name: str, delta: dict[str, Any], logprobs: list[dict[str, Any]] | None = None) -> None:
        piece, text = delta.get(name), _TEXTS[name]
        if not isinstance(piece, str) or not piece:
            return
        if self._text is not text:
            if self._open and self._output[-1]["type"] == text.item:
                self._end_part()
            else:
                self._begin(text.item)
            self._text = text
            self.emit(text.added, **self._where(), part=text.empty)
        self._pieces.append(piece)
        self._logprobs += logprobs or []
        more = {"logprobs": logprobs or []} if "logprobs" in text.empty else {}
        self.emit(text.delta, **self._where(), delta=piece, **more)

    def _add_annotations(self, annotations: list[dict[str, Any]]) -> None:
        for annotation in annotations:
            cited = annotation.get("url_citation")
            if self._text is not _TEXTS["content"] or not isinstance(cited, dict):
                continue
            citation = {"type": "url_citation", **cited}
            at = len(self._annotations)
            self._annotations.append(citation)
            self.emit(
                "response.output_text.annotation.added", **self._where(), annotation_index=at, annotation=citation
            )

    def _add_call(self, part: dict[str, Any]) -> None:
        at = part.get("index")
        at = at if isinstance(at, int) else len(self._calls)
        function = part.get("function")
        function = function if isinstance(function, dict) else {}
        name, arguments = (str(function.get(field) or "") for field in ("name", "arguments"))
        if at not in self._calls:
            call_id = str(part.get("id") or f"call_{self._call.id}_{at}")
            self._calls[at] = self._begin("function_call", call_id=call_id, name=name), []
        else:
            self._calls[at][0]["name"] += name
        item, pieces = self._calls[at]
        if not arguments:
            return
        pieces.append(arguments)
        # Pieces of an earlier call are in the response at the end only: its item has been told complete.
        if item is self._output[-1]:
            self.emit("response.function_call_arguments.delta", **self._where(), delta=arguments)

    # --- items and parts ---

    def _begin(self, kind: str, **fields: Any) -> dict[str, Any]:
        self._close("completed")
        prefix, empty = _ITEMS[kind]
        item = {"id": f"{prefix}_{self._call.id}_{len(self._output)}", "type": kind, **empty, **fields}
        self._output.append(item)
        self._open = True
        self.emit("response.output_item.added", output_index=len(self._output) - 1, item=dict(item))
        return item

    def _where(self) -> dict[str, Any]:
        item = self._output[-1]
        where = {"item_id": item["id"], "output_index": len(self._output) - 1}
        return where if self._text is None else {**where, self._text.number: len(item[self._text.parts])}

    def _end_part(self) -> None:
        text, item = self._text, self._output[-1]
        if text is None:
            return
        part = {**text.empty, text.field: "".join(self._pieces)}
        more = {}
        if "logprobs" in part:
            part |= {"annotations": self._annotations, "logprobs": self._logprobs}
            more = {"logprobs": self._logprobs}
        self.emit(text.done, **self._where(), **{text.field: part[text.field]}, **more)
        self.emit(text.part_done, **self._where(), part=part)
        item[text.parts] = [*item[text.parts], part]
        self._text, self._pieces, self._annotations, self._logprobs = None, [], [], []

    def _close(self, status: str) -> None:
        """The last item is complete, or has come to its end before that."""
        if not self._open:
            return
        self._end_part()
        item = self._output[-1]
        if item["type"] == "function_call":
            self._fill_arguments()
            self.emit("response.function_call_arguments.done", **self._where(), arguments=item["arguments"])
        elif item["type"] == "reasoning" and self._seals:
            item["encrypted_content"] = seal(self._thinking_blocks) if self._thinking_blocks else None
            self._thinking_blocks = []
        if "status" in item:
            item["status"] = status
        self._open = False
        self.emit("response.output_item.done", output_index=len(self._output) - 1, item=dict(item))

    def _fill_arguments(self) -> None:
        for item, pieces in self._calls.values():
            item["arguments"] = "".join(pieces)

    # --- the response ---

    @property
    def _seals(self) -> bool:
        return "reasoning.encrypted_content" in self._call.request.echo.get("include", ())

    def response(self, status: str, **more: Any) -> dict[str, Any]:
        echo = {name: value for name, value in self._call.request.echo.items() if name != "include"}
        for name in ("text", "reasoning"):
            echo[name] = {**_DEFAULTS[name], **echo.get(name, {})}
        return {
            "id": f"resp_{self._call.id}",
            "object": "response",
            "created_at": int(self._call.at),
            "status": status,
            "model": self._model,
            **_DEFAULTS,
            **echo,
            "service_tier": self._service_tier,
            "output": list(self._output),
            **more,
        }

    def end(self) -> dict[str, Any]:
        reason = _INCOMPLETE.get(self._finish_reason or "")
        self._close("incomplete" if reason else "completed")
        self._fill_arguments()
        usage = None if self._usage is None else _usage(self._usage)
        if reason:
            return self.response("incomplete", incomplete_details={"reason": reason}, usage=usage)
        return self.response("completed", completed_at=int(time.time()), usage=usage)

    def fail(self, error: GatewayError) -> dict[str, Any]:
        self._close("incomplete")
        self.events.clear()
        code = "rate_limit_exceeded" if error.status == 429 else "server_error"
        return self.response("failed", error={"code": code, "message": error.message})


def _list(delta: dict[str, Any], name: str) -> list[dict[str, Any]]:
    values = delta.get(name)
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def _logprobs(logprobs: Any) -> list[dict[str, Any]]:
    """`bytes` may be null in Chat Completions, and not here."""
    tokens = _list(logprobs, "content") if isinstance(logprobs, dict) else []
    return [_token(token) | {"top_logprobs": [_token(top) for top in _list(token, "top_logprobs")]} for token in tokens]


def _token(token: dict[str, Any]) -> dict[str, Any]:
    return {**token, "bytes": token.get("bytes") or []}


def _usage(usage: dict[str, Any]) -> dict[str, Any]:
    def count(details: Any, *names: str) -> int:
        details = details if isinstance(details, dict) else {}
        counts = (details.get(name) for name in names)
        return next((value for value in counts if isinstance(value, int)), 0)

    sent, said = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    input_tokens, output_tokens = count(usage, "prompt_tokens"), count(usage, "completion_tokens")
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {
            "cached_tokens": count(sent, "cached_tokens"),
            "cache_write_tokens": count(sent, "cache_creation_tokens", "cache_write_tokens"),
        },
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": count(said, "reasoning_tokens")},
        "total_tokens": input_tokens + output_tokens,
    }
