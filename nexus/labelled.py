"""Requests that a person has labelled complex or simple: reads their file, and counts what the classifier makes of it.

Pure, but for the reading.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from gateway import complexity
from gateway.dialects import openai_chat
from gateway.errors import InvalidRequest
from gateway.types import ChatRequest
from nexus import jsonlines
from nexus.jsonlines import BadFile

# Of ten rows, so many are never fitted on.
HELD_OUT_TENTHS = 4
_OPTIONAL = ("tools", "response_format", "reasoning_effort")


class Row(NamedTuple):
    id: str
    kind: str
    complex: bool
    request: ChatRequest

    @property
    def held_out(self) -> bool:
        """By the id up to a dot, which rows about one material share: it stays, whatever rows are added."""
        return hashlib.sha256(self.id.partition(".")[0].encode()).digest()[0] % 10 < HELD_OUT_TENTHS


class Confusion(NamedTuple):
    """Rows by label and verdict: `dear` are simple ones sent to the strong model, `weak` complex ones to the cheap."""

    simple: int = 0
    dear: int = 0
    weak: int = 0
    complex: int = 0

    @property
    def rows(self) -> int:
        return sum(self)

    @property
    def accuracy(self) -> float:
        return (self.simple + self.complex) / max(self.rows, 1)

    @property
    def precision(self) -> float:
        """Of those sent to the strong model, how many needed it."""
        return self.complex / max(self.complex + self.dear, 1)

    @property
    def recall(self) -> float:
        """Of those that need the strong model, how many are sent to it."""
        return self.complex / max(self.complex + self.weak, 1)


def judge(rows: Iterable[Row]) -> Confusion:
    counts = Counter((row.complex, complexity.assess(row.request).complex) for row in rows)
    return Confusion(counts[False, False], counts[False, True], counts[True, False], counts[True, True])


def read(path: Path) -> list[Row]:
    """JSON lines with `id`, `kind`, `complex`, and `prompt` or `messages`. Raises BadFile."""
    rows = [_row(place, fields) for place, fields in jsonlines.rows(path)]
    if not rows:
        raise BadFile(f"{path} holds no rows.")
    return rows


def _row(place: str, fields: dict[str, Any]) -> Row:
    for name, kind in (("id", str), ("kind", str), ("complex", bool)):
        if not isinstance(fields.get(name), kind):
            raise BadFile(f"{place} has no `{name}`.")
    messages = fields.get("messages")
    if isinstance(fields.get("prompt"), str):
        messages = [{"role": "user", "content": fields["prompt"]}]
    payload: dict[str, Any] = {"model": "auto", "messages": messages}
    payload |= {name: fields[name] for name in _OPTIONAL if name in fields}
    try:
        request = openai_chat.read(payload)
    except InvalidRequest as error:
        raise BadFile(f"{place} is no chat request: {error.message}") from error
    return Row(fields["id"], fields["kind"], fields["complex"], request)
