"""The model that a multipart form names, read while its blocks go by. A form that names two is taken to name none."""

from __future__ import annotations

import re

_BOUNDARY = re.compile(rb'boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
# As any server might read it: what is no more than this, but not as `_field` has it, is another way to say it.
_ANY_WAY = re.compile(rb"name\*?\s*=[^\r\n]{0,20}model", re.IGNORECASE)
_MODEL = (
    rb'--%b\r\ncontent-disposition: *form-data; *name="model"\r\n'
    rb"(?:[^\r\n]{1,200}\r\n){0,3}\r\n([^\r\n]{1,120})\r\n--%b"
)
# No field with a model's name is longer, with the lines around it.
_WINDOW_BYTES = 1536


class ModelField:
    def __init__(self, content_type: bytes) -> None:
        found = _BOUNDARY.search(content_type) if content_type.lower().startswith(b"multipart/form-data") else None
        boundary = re.escape((found[1] or found[2]) if found else b"")
        self._field = re.compile(_MODEL % (boundary, boundary), re.IGNORECASE) if found else None
        self._before = b""
        self._values: list[bytes] = []
        self._mentions = 0

    def add(self, block: bytes) -> None:
        if self._field is None:
            return
        window, known = self._before + block, len(self._before)
        # Few files have it anywhere: then this is all that is looked for.
        if b"odel" in window or b"ODEL" in window:
            self._values += [match[1] for match in self._field.finditer(window) if match.end() > known]
            self._mentions += sum(match.end() > known for match in _ANY_WAY.finditer(window))
        self._before = window[-_WINDOW_BYTES:]

    @property
    def model(self) -> str:
        """Empty when it is not known for sure."""
        name = self._values[0].decode(errors="replace") if len(self._values) == 1 and self._mentions == 1 else ""
        return name if name.isprintable() else ""
