"""The live page's charts for who has no JavaScript: bars whose heights are their figures."""

from __future__ import annotations

import re

from analytics import sketches
from analytics.queries import Bar

BARS = [Bar(0, exact_hits=2, misses=1, failed=1), Bar(60), Bar(120, semantic_hits=2, saved_usd=0.5)]


def heights(path: str) -> list[float]:
    return [float(height) for height in re.findall(r"v([\d.]+)", path)]


def test_each_kind_is_as_high_as_its_share_of_the_tallest_bar() -> None:
    sketch = sketches.of_requests(BARS)
    found = {kind: heights(path) for kind, path in sketch.layers}
    assert found == {"hit-exact": [50.0], "hit-semantic": [50.0], "miss": [25.0], "failed": [25.0]}
    assert (sketch.width, sketch.top, sketch.half) == ("30", "4", "2")
    assert [mark.minute for mark in sketch.marks] == [0, 1, 2]
    assert sketches.of_requests([Bar(0, misses=11)]).half == "5.5"


def test_bars_stand_on_each_other_and_reach_the_top() -> None:
    paths = dict(sketches.of_requests(BARS).layers)
    assert [re.findall(r"^M(\d+) ([\d.]+)", paths[kind])[0] for kind in ("hit-exact", "miss", "failed")] == [
        ("1", "50.0"),
        ("1", "25.0"),
        ("1", "0.0"),
    ]


def test_what_was_saved_has_its_own_scale() -> None:
    sketch = sketches.of_savings(BARS)
    assert (heights(sketch.layers[0][1]), sketch.top, sketch.half) == ([100.0], "$0.5000", "$0.2500")


def test_nothing_is_drawn_of_nothing() -> None:
    assert [path for _, path in sketches.of_requests([Bar(0)]).layers] == [""] * 4
    assert sketches.of_requests([]).marks == []
