"""The live page's charts as the server draws them: for who has no JavaScript. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import NamedTuple

from analytics.figures import usd
from analytics.queries import Bar
from tenants.writing import number

# In the drawing's own units; the page stretches it. Of a bar's width, some is the gap to the next.
STEP, BAR, HEIGHT = 10, 8, 100
# By the class that colours it; from the bottom up.
_REQUESTS = (("hit-exact", "exact_hits"), ("hit-semantic", "semantic_hits"), ("miss", "misses"), ("failed", "failed"))
_SAVED = (("saving", "saved_usd"),)


class Sketch(NamedTuple):
    """`layers`: a class and a path each. `top` is what the height stands for, `marks` are under the first, middle and
    last bar.
    """

    width: str
    layers: list[tuple[str, str]]
    top: str
    half: str
    marks: list[dt.datetime]
    # How these are written (tenants.templatetags.pages.when).
    form: str


def of_requests(bars: Sequence[Bar]) -> Sketch:
    return _sketch(bars, _REQUESTS, lambda value: number(value, 0 if value == round(value) else 1))


def of_savings(bars: Sequence[Bar]) -> Sketch:
    return _sketch(bars, _SAVED, lambda value: usd(Decimal(repr(value))))


def _sketch(bars: Sequence[Bar], kinds: Sequence[tuple[str, str]], write: Callable[[float], str]) -> Sketch:
    tallest = max((sum(getattr(bar, field) for _, field in kinds) for bar in bars), default=0)
    unit = HEIGHT / tallest if tallest else 0
    bottoms = [float(HEIGHT)] * len(bars)
    layers = []
    for kind, field in kinds:
        parts = []
        for at, bar in enumerate(bars):
            if height := getattr(bar, field) * unit:
                bottoms[at] -= height
                parts.append(f"M{at * STEP + (STEP - BAR) // 2} {bottoms[at]:.1f}h{BAR}v{height:.1f}h-{BAR}z")
        layers.append((kind, "".join(parts)))
    places = dict.fromkeys((0, len(bars) // 2, len(bars) - 1)) if bars else {}
    marks = [dt.datetime.fromtimestamp(bars[place].at, dt.UTC) for place in places]
    top, half = (write(tallest), write(tallest / 2)) if tallest else ("", "")
    form = "day" if marks and marks[-1] - marks[0] >= dt.timedelta(days=1) else "time"
    return Sketch(str(STEP * len(bars)), layers, top, half, marks, form)
