"""The bench of vectors: what it takes for stored and asked, and how it judges what a search found."""

from __future__ import annotations

import numpy as np
import pytest

from nexus.bench.__main__ import parse
from nexus.bench.corpus import CROWDED, Corpus, recall, similarities


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.fixture
def corpus(rng: np.random.Generator) -> Corpus:
    real = rng.standard_normal((500, 64), dtype=np.float32)
    return Corpus.of(real / np.linalg.norm(real, axis=1, keepdims=True), rng)


def test_stored_vectors_have_length_one_and_come_in_any_number(corpus: Corpus, rng: np.random.Generator) -> None:
    rows = corpus.stored(20_001, rng)
    assert rows.shape == (20_001, 64)
    assert rows.dtype == np.float16
    assert np.allclose(np.linalg.norm(rows.astype(np.float32), axis=1), 1, atol=2e-3)


def test_one_stored_vector_in_four_has_near_duplicates(corpus: Corpus, rng: np.random.Generator) -> None:
    rows = corpus.stored(2_000, rng)
    second = similarities(rows, rows, 2)[:, 1]
    assert float((second > 0.99).mean()) == pytest.approx(CROWDED, abs=0.05)


def test_a_third_of_the_questions_is_about_something_never_stored(corpus: Corpus, rng: np.random.Generator) -> None:
    rows = corpus.stored(2_000, rng)
    best = similarities(corpus.asked(rows, 300, rng), rows, 1)[:, 0]
    assert (best[0::3] > 0.99).all()
    assert (best[1::3] > 0.84).all()
    assert (best[2::3] < 0.84).all()


def test_similarities_are_those_of_the_nearest_in_order(corpus: Corpus) -> None:
    rows = corpus.known[:10].astype(np.float16)
    found = similarities(rows[:3], rows, 4)
    expected = -np.sort(-(rows[:3].astype(np.float32) @ rows.astype(np.float32).T), axis=1)[:, :4]
    assert np.allclose(found, expected, atol=2e-3)


def test_recall_counts_what_is_as_similar_as_the_truth() -> None:
    truth = np.array([[0.9, 0.8], [0.7, 0.6]], np.float32)
    assert recall(truth, truth, 2) == 1.0
    assert recall(np.array([[0.9, 0.5], [0.6, 0.5]], np.float32), truth, 1) == 0.5
    assert recall(np.array([[0.9, 0.5], [0.6, 0.5]], np.float32), truth, 2) == 0.5


def test_a_scope_with_fewer_entries_than_asked_for_can_be_found_completely() -> None:
    truth = np.array([[0.9, -1.0]], np.float32)
    assert recall(np.array([[0.9, -2.0]], np.float32), truth, 2) == 1.0
    assert recall(np.array([[-2.0, -2.0]], np.float32), truth, 2) == 0.0


def test_a_negative_number_of_vectors_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--vectors", "-1"])
    assert "take positive numbers" in capsys.readouterr().err
