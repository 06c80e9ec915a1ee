"""In what two questions differ, word by word, to be shown side by side. Pure."""

from __future__ import annotations

import difflib
import re
from typing import NamedTuple

_TOKEN = re.compile(r"\s+|\w+|[^\w\s]")
# Longer texts are shown as they are: their comparison would take too long, and nobody would see it.
MOST_TOKENS = 600


class Piece(NamedTuple):
    text: str
    differs: bool


def compare(one: str, other: str) -> tuple[list[Piece], list[Piece]]:
    """Both texts in pieces. Case does not count."""
    a, b = _TOKEN.findall(one), _TOKEN.findall(other)
    if max(len(a), len(b)) > MOST_TOKENS:
        return [Piece(one, False)], [Piece(other, False)]
    lowered = [token.lower() for token in a], [token.lower() for token in b]
    left: list[Piece] = []
    right: list[Piece] = []
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, *lowered, autojunk=False).get_opcodes():
        for pieces, text in ((left, "".join(a[i1:i2])), (right, "".join(b[j1:j2]))):
            pieces.extend(_pieces(text, differs=tag != "equal"))
    return left, right


def _pieces(text: str, *, differs: bool) -> list[Piece]:
    """Space around what differs is not marked."""
    words = text.strip()
    if not differs or not words:
        return [Piece(text, False)] if text else []
    before, _words, after = text.partition(words)
    return [piece for piece in (Piece(before, False), Piece(words, True), Piece(after, False)) if piece.text]
