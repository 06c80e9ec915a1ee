"""Rows as Postgres' COPY writes them as text: fields apart by tabs, `\\N` for none. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

NONE = b"\\N"
_WRITTEN = {
    "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v",
}  # fmt: skip
_READ = {written.encode(): meant.encode() for meant, written in _WRITTEN.items()}
_TABLE = str.maketrans(_WRITTEN)

Replace = Callable[[bytes], bytes]


def rows(block: bytes, columns: Sequence[str]) -> list[dict[str, str | None]]:
    """What a block says."""
    return [
        {name: None if field == NONE else read(field) for name, field in zip(columns, line.split(b"\t"), strict=True)}
        for line in block.splitlines()
    ]


def block(found: Iterable[Mapping[str, str | None]], columns: Sequence[str]) -> bytes:
    return b"".join(b"\t".join(field(row[name]) for name in columns) + b"\n" for row in found)


def field(text: str | None) -> bytes:
    return NONE if text is None else text.translate(_TABLE).encode()


def read(written: bytes) -> str:
    return re.sub(rb"\\.", lambda found: _READ.get(found[0], found[0][1:]), written).decode()


def replaced(block: bytes, replaces: Mapping[int, Replace], appended: bytes = b"") -> bytes:
    """With other fields at these places, and more at the end of each row."""
    if not replaces and not appended:
        return block
    lines = []
    for line in block.splitlines():
        fields = line.split(b"\t")
        for place, replace in replaces.items():
            if fields[place] != NONE:
                fields[place] = replace(fields[place])
        lines.append(b"\t".join(fields) + appended)
    lines.append(b"")
    return b"\n".join(lines)
