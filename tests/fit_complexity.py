"""`python -m tests.fit_complexity`: fits the weights of gateway/complexity.py and prints them to be pasted there.

Sees only the part of the labelled set that is not held out. Logistic regression in plain numpy, by projected gradient.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from gateway import complexity
from nexus import labelled

ROWS = Path(__file__).parent / "data" / "complexity.jsonl"
# These may only lower the score, the others only raise it: a weight never contradicts what its feature says.
LOWERING = frozenset({"question", "rewriting", "brief"})
# Too few rows have them for a fit: weights by judgement.
BY_HAND = {"effort": 1.5, "images": 0.3, "schema": 1.0, "turns": 0.2}
# A hard request that is answered badly costs more than an easy one that is answered dearly.
WEIGHT_OF_COMPLEX = 2.5
RIDGE = 0.001
STEPS, STEP = 20_000, 0.5

Floats = npt.NDArray[np.float64]


def table(rows: list[labelled.Row]) -> tuple[Floats, Floats]:
    """Strengths, a column a feature, and labels."""
    strengths = np.zeros((len(rows), len(complexity.FEATURES)))
    for at, row in enumerate(rows):
        counts = complexity.measure(row.request.payload)
        strengths[at] = [complexity.strength(name, counts.get(name, 0)) for name in complexity.FEATURES]
    return strengths, np.array([row.complex for row in rows], dtype=float)


def fit(strengths: Floats, labels: Floats) -> tuple[float, dict[str, float]]:
    """The bias, and the weight of each feature."""
    names = list(complexity.FEATURES)
    free = np.array([name not in BY_HAND for name in names])
    sign = np.array([-1.0 if name in LOWERING else 1.0 for name in names])
    weights, bias = np.array([BY_HAND.get(name, 0.0) for name in names]), 0.0
    importance = np.where(labels == 1, WEIGHT_OF_COMPLEX, 1.0)
    importance /= importance.sum()
    for _ in range(STEPS):
        error = (1 / (1 + np.exp(-bias - strengths @ weights)) - labels) * importance
        bias -= STEP * float(error.sum())
        step = strengths.T @ error + RIDGE * weights
        weights = np.where(free, sign * np.maximum(0.0, sign * (weights - STEP * step)), weights)
    return bias, dict(zip(names, weights.tolist(), strict=True))


def main() -> None:
    rows = [row for row in labelled.read(ROWS) if not row.held_out]
    bias, weights = fit(*table(rows))
    print(f"BIAS = {bias:.2f}")
    for name, weight in weights.items():
        _, full, reason = complexity.FEATURES[name]
        print(f'    "{name}": Feature({weight:.2f}, {full}, "{reason}"),')


if __name__ == "__main__":
    main()
