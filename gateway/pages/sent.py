"""Fields of a form as the API has them in JSON. What is no number stays a text, which the API's checks refuse."""

from __future__ import annotations

import math


def number(text: str | None) -> float | str:
    try:
        value = float(text or "")
    except ValueError:
        return text or ""
    return value if math.isfinite(value) else text or ""


def whole(text: str | None, times: int = 1) -> int | str:
    """Of seconds, after they were given in a unit of so many."""
    text = (text or "").strip()
    return int(text) * times if text.isascii() and text.isdecimal() and len(text) < 12 else text
