"""Draws figures as SVG: hits against wrong hits, a panel for each file, a line for each guard set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from django.template.loader import render_to_string

from nexus.evaluation.figures import Evaluation, Line

WIDTH, PANEL_HEIGHT = 960, 560
LEFT, RIGHT, TOP, BOTTOM = 84, 210, 76, 70
# Dark enough on white to be read as text; a dash and a mark of their own serve who sees no colours.
STYLES = (
    ("#5b6472", "7 4", "square"),
    ("#0a62c4", "2 3", "diamond"),
    ("#b3450b", "", "circle"),
    ("#6d3fc0", "10 3 2 3", "square"),
    ("#0b7a55", "4 2", "diamond"),
    ("#a81c5b", "1 2", "circle"),
)
MARK = 5.0
LABEL_WIDTH, LABEL_HEIGHT = 40.0, 11.0


class Point(NamedTuple):
    x: float
    y: float
    label: str
    shape: str
    title: str


class Curve(NamedTuple):
    name: str
    colour: str
    dash: str
    path: str
    band: str
    points: list[Point]
    labels: str
    legend_y: float
    legend_mark: str


class Tick(NamedTuple):
    at: float
    label: str


class Panel(NamedTuple):
    title: str
    noun: str
    top: float
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    curves: list[Curve]


class Scale(NamedTuple):
    """From a share to a place; `start` and `end` may run either way."""

    most: float
    start: float
    end: float

    def place(self, share: float) -> float:
        return round(self.start + (self.end - self.start) * min(share, self.most) / self.most, 1)

    def ticks(self, step: float) -> list[Tick]:
        digits = 1 if step < 0.01 else 0
        count = round(self.most / step)
        return [Tick(self.place(step * number), f"{step * number:.{digits}%}") for number in range(count + 1)]


def svg(evaluations: Sequence[Evaluation]) -> str:
    panels = [_panel(evaluation, number * PANEL_HEIGHT) for number, evaluation in enumerate(evaluations)]
    frame = {"left": LEFT, "right": WIDTH - RIGHT, "top": TOP, "bottom": PANEL_HEIGHT - BOTTOM}
    return render_to_string(
        "evaluation/plot.svg",
        {"width": WIDTH, "height": PANEL_HEIGHT * len(panels), "frame": frame, "panels": panels},
    )


def _panel(evaluation: Evaluation, top: float) -> Panel:
    lines = [line for line in evaluation.lines if line.tally.hits]
    x_step, x_most = _axis(max((line.tally.wrong / line.tally.hits for line in lines), default=0.0))
    y_step, y_most = _axis(max((line.tally.hits / line.tally.asked for line in lines), default=0.0))
    x = Scale(x_most, LEFT, WIDTH - RIGHT)
    y = Scale(y_most, PANEL_HEIGHT - BOTTOM, TOP)
    by_name = {one.guards: [line for line in lines if line.guards == one.guards] for one in evaluation.lines}
    curves = [_curve(number, len(by_name), name, by_name[name], (x, y)) for number, name in enumerate(by_name)]
    noun = "pairs" if evaluation.is_pairs else "questions"
    title = f"{evaluation.name}: {evaluation.rows:,} {noun}"
    return Panel(title, noun, top, x.ticks(x_step), y.ticks(y_step), curves)


def _axis(most: float) -> tuple[float, float]:
    """A step of 1, 2 or 5 times a power of ten, and the end of the axis."""
    rough = max(most, 0.005) / 6
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return step, step * math.ceil(max(most, 0.005) / step + 0.2)


def _curve(number: int, count: int, name: str, lines: list[Line], scales: tuple[Scale, Scale]) -> Curve:
    colour, dash, shape = STYLES[number % len(STYLES)]
    x, y = scales
    low: list[str] = []
    high: list[str] = []
    points: list[Point] = []
    for line in sorted(lines, key=lambda line: line.threshold):
        wrong, hits = line.wrong_of_hits, line.hits
        if wrong is None or hits is None:
            continue
        across, up = x.place(wrong.value), y.place(hits.value)
        low.append(f"{x.place(wrong.low)},{up}")
        high.append(f"{x.place(wrong.high)},{up}")
        title = f"{name} at {line.threshold:.2f}: {hits.value:.1%} hits, {wrong} of them wrong"
        label = "" if _crowded(across, up, points) else f"{line.threshold:.2f}"
        points.append(Point(across, up, label, _mark(shape, across, up), title))
    path = " ".join(f"{point.x},{point.y}" for point in points)
    legend_y = TOP + 34 + 26 * number
    legend_mark = _mark(shape, WIDTH - RIGHT + 41, legend_y)
    # Lines lie close together: only the first and the last are labelled, on either side if there is room.
    has_room = all(point.x > LEFT + LABEL_WIDTH for point in points)
    labels = "left" if has_room and number == count - 1 > 0 else "right" if number in (0, count - 1) else ""
    return Curve(name, colour, dash, path, " ".join([*low, *reversed(high)]), points, labels, legend_y, legend_mark)


def _crowded(x: float, y: float, points: list[Point]) -> bool:
    """Whether a label here would cover that of another point of the same line."""
    return any(abs(one.x - x) < LABEL_WIDTH and abs(one.y - y) < LABEL_HEIGHT for one in points if one.label)


def _mark(shape: str, x: float, y: float) -> str:
    """An SVG path around the place."""
    if shape == "circle":
        return f"M{x - MARK},{y}a{MARK},{MARK} 0 1 0 {2 * MARK},0a{MARK},{MARK} 0 1 0 {-2 * MARK},0z"
    if shape == "square":
        return f"M{x - MARK},{y - MARK}h{2 * MARK}v{2 * MARK}h{-2 * MARK}z"
    reach = MARK * 1.3
    return f"M{x},{y - reach}l{reach},{reach}l{-reach},{reach}l{-reach},{-reach}z"
