"""Vectors as a cache holds them, in any number, out of few real ones: topics that overlap, paraphrases, and crowds of
near-duplicates (one question asked about thousands of orders). Pure; the same seed gives the same vectors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gateway.cache.embedding.base import Vector

Halves = npt.NDArray[np.float16]
# One stored vector in four stands in a crowd, of this many for each million.
CROWDED, CROWDS = 0.25, 50
# How far a vector lies from what it was made of. A cosine of 0.85 is a distance of 0.62 on this scale.
NEAR, FAR = 0.05, 0.6
# Of the questions asked: one in three repeats closely, one paraphrases, and one is about something never stored.
UNSEEN = 0.1


class Corpus(NamedTuple):
    """Real vectors of length 1: what stored ones are made of, and others that are only asked for."""

    known: Vector
    unseen: Vector

    @classmethod
    def of(cls, real: Vector, rng: np.random.Generator) -> Corpus:
        shuffled = real[rng.permutation(len(real))]
        held_out = max(1, int(len(real) * UNSEEN))
        return cls(shuffled[held_out:], shuffled[:held_out])

    def stored(self, count: int, rng: np.random.Generator) -> Halves:
        rows = np.empty((count, self.known.shape[1]), np.float16)
        for begin in range(0, count, 20_000):
            part = rows[begin : begin + 20_000]
            crowded = rng.random(len(part)) < CROWDED
            first = np.where(
                crowded, rng.integers(CROWDS, size=len(part)), rng.integers(len(self.known), size=len(part))
            )
            second = rng.integers(len(self.known), size=len(part))
            share = np.where(crowded, 0.0, rng.uniform(0.0, 0.5, len(part)))[:, None].astype(np.float32)
            mixed = (1 - share) * self.known[first] + share * self.known[second]
            apart = np.where(crowded, rng.uniform(0, NEAR, len(part)), rng.uniform(0, FAR, len(part)))
            part[:] = _moved(_unit(mixed), apart, rng)
        return rows

    def asked(self, stored: Halves, count: int, rng: np.random.Generator) -> Halves:
        chosen = stored[rng.integers(len(stored), size=count)].astype(np.float32)
        kind = np.arange(count) % 3
        apart = np.where(kind == 0, rng.uniform(0, NEAR, count), rng.uniform(NEAR, FAR, count))
        moved = _moved(_unit(chosen), apart, rng)
        moved[kind == 2] = self.unseen[rng.integers(len(self.unseen), size=int((kind == 2).sum()))]
        return moved.astype(np.float16)


def similarities(asked: Halves, stored: Halves, best: int) -> Vector:
    """[asked, best]: what an exact search finds, the most similar first."""
    queries = _unit(asked.astype(np.float32))
    found = np.full((len(asked), best), -1.0, np.float32)
    for begin in range(0, len(stored), 50_000):
        part = queries @ _unit(stored[begin : begin + 50_000].astype(np.float32)).T
        together = np.concatenate([found, part], axis=1)
        found = -np.partition(-together, best - 1, axis=1)[:, :best]
    return -np.sort(-found, axis=1)


def recall(found: Vector, truth: Vector, first: int) -> float:
    """Share of the truth's `first` that a search found; equally similar ones count, since which of them is chance."""
    least = truth[:, first - 1 : first] - 1e-5
    wanted = np.minimum((truth > -1).sum(axis=1), first)
    return float(np.mean(np.minimum((found >= least).sum(axis=1), wanted) / wanted))


def _moved(rows: Vector, apart: npt.NDArray[np.float64], rng: np.random.Generator) -> Vector:
    step = _unit(rng.standard_normal(rows.shape, dtype=np.float32))
    return _unit(rows + step * apart[:, None].astype(np.float32))


def _unit(rows: Vector) -> Vector:
    lengths: Vector = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / lengths
