"""Requests that are almost right: a valid one with some of its values replaced by any JSON, or taken out."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

_SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text()
_ANY_JSON = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=6
)
_ODD: st.SearchStrategy[Any] = st.sampled_from(
    ["", [], {}, 0, -1, True, None, [None], [[]], {"type": None}, {"type": []}, [{"type": "text"}]]
)
_GONE = object()


@st.composite
def almost(draw: st.DrawFn, valid: dict[str, Any]) -> dict[str, Any]:
    request = copy.deepcopy(valid)
    for _ in range(draw(st.integers(1, 3))):
        holder, key = draw(st.sampled_from(list(_places(request))))
        value = draw(st.just(_GONE) | _ODD | _ANY_JSON)
        if value is not _GONE:
            holder[key] = copy.deepcopy(value)
        elif isinstance(holder, dict):
            del holder[key]
        if not request:
            break
    return request


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])
