"""JSON with one value of the wrong kind, at every place in turn: what people and providers send when they err."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

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
