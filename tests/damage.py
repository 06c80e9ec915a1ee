"""JSON with one value of the wrong kind, at every place in turn: what people and providers send when they err."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from gateway.dialects import openai_chat
from gateway.errors import GatewayError, ProviderFailed
from gateway.providers import answer
from gateway.types import ProviderConfig

JUNK: tuple[Any, ...] = (None, 7, -0.5, True, "x", "", [], {}, [None], [7], {"x": None}, [["x"]])


def damaged(value: Any) -> Iterator[tuple[str, Any]]:
    """Copies of `value`, each with its own damage, and where that is."""
    for path in _paths(value):
        for junk in JUNK:
            whole = copy.deepcopy({"": value})
            inner: Any = whole
            for step in path[:-1]:
                inner = inner[step]
            inner[path[-1]] = copy.deepcopy(junk)
            yield f"{'.'.join(map(str, path[1:]))} = {junk!r}", whole[""]


def _paths(value: Any, path: tuple[Any, ...] = ("",)) -> Iterator[tuple[Any, ...]]:
    yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in entries:
        yield from _paths(inner, (*path, step))


def check_requests(request: Any, translate: Callable[[Any], Any]) -> None:
    """However a chat request is damaged, it is translated, or refused by the name of a field."""
    for where, payload in damaged(request):
        try:
            if isinstance(payload, dict):
                openai_chat.read(payload)
                orjson.dumps(translate(payload))
        except GatewayError as error:
            assert error.status == 400 and error.param, where


def check_answers(body: Any, config: ProviderConfig, translate: Callable[[dict[str, Any]], bytes]) -> None:
    """However a provider's answer is damaged, it is translated, or the provider has failed."""
    for _, found in damaged(body):
        with contextlib.suppress(ProviderFailed), answer.reading(config):
            orjson.loads(translate(answer.load(orjson.dumps(found), config)))
