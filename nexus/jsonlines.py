"""Files with a JSON object on each line. What is none is refused by file and line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson


class BadFile(ValueError):
    """The file is not what it should be; the message names the line."""


def rows(path: Path, example: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Each object, after the words that name its place; empty lines are left out. Raises BadFile."""
    hint = f", as in {example}" if example else ""
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield (place := f"{path}, line {number}"), _object(place, line, hint)
    except OSError as error:
        raise BadFile(f"{path} cannot be read: {error.strerror}.") from error


def _object(place: str, line: bytes, hint: str) -> dict[str, Any]:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise BadFile(f"{place} is not JSON: {error}. Each line holds one object{hint}.") from error
    if not isinstance(row, dict):
        raise BadFile(f"{place} is not a JSON object{hint}.")
    return row
