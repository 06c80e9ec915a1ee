"""Form bodies and query strings with nested names (`items[0][price]=…`) as dicts and lists."""

from __future__ import annotations

import re
import urllib.parse
from typing import Any

from tests.fakes.stripe.faults import Object, invalid

_NAME = re.compile(r"^([^\[\]]+)((?:\[[^\[\]]*\])*)$")
DEEPEST = 12


def decoded(text: str) -> Object:
    root: Object = {}
    for name, value in urllib.parse.parse_qsl(text, keep_blank_values=True):
        found = _NAME.match(name)
        if not found:
            raise invalid(f"Invalid parameter name: {name}", name)
        _put(root, [found[1], *re.findall(r"\[([^\[\]]*)\]", found[2])], value, name)
    return {key: _with_lists(value) for key, value in root.items()}


def _put(root: Object, path: list[str], value: str, name: str) -> None:
    if len(path) > DEEPEST:
        raise invalid(f"Invalid parameter name: {name}", name)
    here = root
    for key in path[:-1]:
        here = here.setdefault(key or str(len(here)), {})
        if not isinstance(here, dict):
            raise invalid(f"Invalid parameter name: {name}", name)
    here[path[-1] or str(len(here))] = value


def _with_lists(value: Any) -> Any:
    """A dict whose keys are all numbers is a list, in their order."""
    if not isinstance(value, dict):
        return value
    if value and all(key.isdecimal() for key in value):
        return [_with_lists(value[key]) for key in sorted(value, key=int)]
    return {key: _with_lists(part) for key, part in value.items()}
