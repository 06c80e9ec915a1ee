"""Each question's candidates in the order of a stream: how similar, refused by whom, right or wrong. Pure.

What is found depends neither on a threshold nor on guards being on: one pass serves every policy that is played on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gateway.cache import policy, verify
from gateway.cache.embedding.base import Vector
from gateway.cache.search import CANDIDATES
from gateway.cache.verify.text import Text
from nexus.evaluation.files import Pair, Question

Flags = npt.NDArray[np.bool_]

# Questions whose similarities to all earlier ones are computed at a time: 70 MB for 137,000 texts.
CHUNK = 128


class Candidate(NamedTuple):
    """A stored prompt, by its place among the texts. `right`: its answer, as it stands now, is the asked one's."""

    similarity: float
    prompt: int
    right: bool
    cacheable: bool
    refused_by: frozenset[str]


class Lookup(NamedTuple):
    """One question. `exact`: None when it was never asked before, else whether the answer from then is right.

    `candidates`: the most similar first; the nearest of all and the nearest cacheable ones, as many of each as the
    gateway looks at.
    """

    prompt: int
    exact: bool | None
    cacheable: bool
    candidates: tuple[Candidate, ...]


def of_stream(questions: Sequence[Question], texts: Sequence[str], vectors: Vector, floor: float) -> Iterator[Lookup]:
    """Looks each question up, then stores it with its cluster as its answer. `texts`: as `Labelled.texts` has them.

    Candidates less similar than `floor`, above 0, are left out.
    """
    cacheable = np.array([policy.classify(text).semantic for text in texts])
    found = _nearest(vectors, cacheable, floor)
    answers: dict[str, str] = {}
    places = {text: place for place, text in enumerate(texts)}
    for text, cluster in questions:
        place, before = places[text], answers.get(text)
        candidates: tuple[Candidate, ...] = ()
        if before is None:
            candidates = tuple(
                Candidate(
                    similarity,
                    other,
                    answers[texts[other]] == cluster,
                    bool(cacheable[other]),
                    refusing(text, texts[other], similarity),
                )
                for similarity, other in next(found)
            )
        answers[text] = cluster
        yield Lookup(place, None if before is None else before == cluster, bool(cacheable[place]), candidates)


def of_pairs(pairs: Sequence[Pair], texts: Sequence[str], vectors: Vector, floor: float) -> Iterator[Lookup]:
    """Each pair for itself: nothing is stored but its `stored`."""
    places = {text: place for place, text in enumerate(texts)}
    for asked, stored, same, _ in pairs:
        place, other = places[asked], places[stored]
        similarity = float(vectors[place] @ vectors[other])
        candidates: tuple[Candidate, ...] = ()
        if similarity >= floor:
            cacheable = policy.classify(stored).semantic
            candidates = (Candidate(similarity, other, same, cacheable, refusing(asked, stored, similarity)),)
        yield Lookup(place, same if asked == stored else None, policy.classify(asked).semantic, candidates)


def refusing(query: str, cached: str, similarity: float) -> frozenset[str]:
    """Every guard that refuses the pair, where the gateway asks no further than the first."""
    first = verify.check(query, cached, similarity)
    if first is None:
        return frozenset()
    a, b = Text.parse(query), Text.parse(cached)
    return frozenset({first.guard, *(name for name, guard in verify.GUARDS if guard(a, b) is not None)})


def guards_of(lookups: Iterable[Lookup]) -> frozenset[str]:
    """Every guard there is by name, with those that are none of `GUARDS` and refused something here."""
    seen = (candidate.refused_by for lookup in lookups for candidate in lookup.candidates)
    return frozenset(name for name, _ in verify.GUARDS).union(*seen)


def _nearest(vectors: Vector, cacheable: Flags, floor: float) -> Iterator[list[tuple[float, int]]]:
    """For each text, of those before it: similarity and place, the most similar first."""
    for start in range(0, len(vectors), CHUNK):
        chunk = vectors[start : start + CHUNK]
        similarities = chunk @ vectors[: start + len(chunk)].T
        for row in range(len(chunk)):
            yield _best(similarities[row, : start + row], cacheable, floor)


def _best(similarities: Vector, cacheable: Flags, floor: float) -> list[tuple[float, int]]:
    above = np.flatnonzero(similarities >= floor)
    ranked = above[np.argsort(-similarities[above], kind="stable")]
    allowed = cacheable[ranked]
    kept = ranked[(np.arange(len(ranked)) < CANDIDATES) | (allowed & (np.cumsum(allowed) <= CANDIDATES))]
    return [(float(similarities[place]), int(place)) for place in kept]
