"""What a server prints: its lines of JSON, once they are there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PATIENCE_S = 90.0

Line = dict[str, Any]


def lines_of(log: Path, wanted: Callable[[Line], bool], count: int = 1) -> list[Line]:
    """Those that are wanted, once there are as many. More of them, or fewer after a while, are a failure."""
    until = time.monotonic() + PATIENCE_S
    while True:
        found = [line for line in _parsed(log) if wanted(line)]
        if len(found) >= count or time.monotonic() > until:
            assert len(found) == count, f"{len(found)} lines instead of {count} in:\n{log.read_text()[-5000:]}"
            return found
        time.sleep(0.02)


def _parsed(log: Path) -> list[Line]:
    whole, _, _ = log.read_bytes().rpartition(b"\n")
    return [json.loads(line) for line in whole.split(b"\n") if line.startswith(b"{")]


def access_line(log: Path, request_id: str) -> Line:
    """The one line of a request."""
    (line,) = lines_of(log, lambda line: line.get("log") == "access" and line["request_id"] == request_id)
    return line
