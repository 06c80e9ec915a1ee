"""The evaluation of the semantic cache: what it reads, how it plays, how sure its figures are, what it draws."""

from __future__ import annotations

import json
from collections import Counter
from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from gateway.cache.embedding.base import TextTooLong, TextUnreadable, Vector
from gateway.cache.search import CANDIDATES
from nexus.evaluation import plot, trace
from nexus.evaluation.figures import Grid, evaluate, summary, tables, wilson
from nexus.evaluation.files import Labelled, Pair, Question, read
from nexus.evaluation.play import GuardSet, Tally, Without, leave_one_out, play
from nexus.evaluation.trace import Candidate, Lookup
from nexus.evaluation.vectors import embed
from nexus.jsonlines import BadFile

NONE = GuardSet("none", frozenset(), policy=False)
ALL = GuardSet("all", frozenset({"number", "entity"}), policy=False)
GATEWAY = GuardSet("all+policy", ALL.guards, policy=True)
QUESTION = '{"q": "How do I make tea?", "cluster": "tea"}'
PAIR = '{"a": "What is 2+2?", "b": "What is 2+3?", "same": false, "kind": "numbers"}'

STREAM = [
    {"q": "How do I reset my password?", "cluster": "password"},
    {"q": "How can I reset my password?", "cluster": "password"},
    {"q": "How do I reset my password?", "cluster": "password"},
    {"q": "What is the fare from Dallas to Baltimore?", "cluster": "there"},
    {"q": "What is the fare from Baltimore to Dallas?", "cluster": "back"},
    {"q": "What is the weather today?", "cluster": "today"},
    {"q": "What's the weather today?", "cluster": "another day"},
    {"q": "🦖🦕 ⿻", "cluster": "signs"},
    {"q": "word " * 400, "cluster": "words"},
]
PAIRS = [
    {"a": "What is 2+3?", "b": "What is 2+2?", "same": False, "kind": "numbers"},
    {"a": "How can I reset my password?", "b": "How do I reset my password?", "same": True, "kind": "reworded"},
]


def written(folder: Path, *rows: str | dict[str, Any], name: str = "rows.jsonl") -> Path:
    file = folder / name
    file.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return file


def evaluated(*arguments: Any) -> str:
    out = StringIO()
    call_command("evaluate_cache", *map(str, arguments), stdout=out)
    return out.getvalue()


def candidate(similarity: float, right: bool, *refused_by: str, cacheable: bool = True) -> Candidate:
    return Candidate(similarity, 0, right, cacheable, frozenset(refused_by))


def lookup(*candidates: Candidate, exact: bool | None = None, cacheable: bool = True) -> Lookup:
    return Lookup(1, exact, cacheable, candidates)


def units(count: int) -> Vector:
    rows = np.abs(np.random.default_rng(7).normal(size=(count, 6))).astype(np.float32)
    lengths: Vector = np.sqrt(np.sum(rows * rows, axis=1, keepdims=True))
    return rows / lengths


# Files


def test_questions_and_pairs_are_read_and_other_columns_are_no_harm(tmp_path: Path) -> None:
    questions = read(written(tmp_path, QUESTION, "", '{"q": "Recipe for tea", "cluster": 7, "note": "?"}'))
    assert questions.questions == [Question("How do I make tea?", "tea"), Question("Recipe for tea", "7")]
    pairs = read(written(tmp_path, PAIR))
    assert pairs.pairs == [Pair("What is 2+2?", "What is 2+3?", False, "numbers")]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("not JSON", "is not JSON"),
        ("[]", "not a JSON object"),
        ('{"question": "one"}', "neither a question"),
        ('{"q": 1, "cluster": "a"}', 'needs a text "q"'),
        ('{"q": " ", "cluster": "a"}', 'needs a text "q"'),
        ('{"q": "one"}', 'needs a "cluster"'),
        ('{"q": "one", "cluster": true}', 'needs a "cluster"'),
        ('{"q": "one", "cluster": null}', 'needs a "cluster"'),
        (PAIR, "is a pair, and the file began with questions"),
    ],
)
def test_a_bad_row_is_named_by_its_line_with_what_is_expected(tmp_path: Path, line: str, expected: str) -> None:
    with pytest.raises(BadFile, match=f"line 2 .*{expected}"):
        read(written(tmp_path, QUESTION, line))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"a": "one", "b": "two", "kind": "k"}', 'needs "same"'),
        ('{"a": "one", "b": "two", "same": 1, "kind": "k"}', 'needs "same"'),
        ('{"a": "one", "same": true, "kind": "k"}', 'needs a text "b"'),
        ('{"a": "one", "b": "two", "same": true}', 'needs a text "kind"'),
        (QUESTION, "is a question, and the file began with pairs"),
    ],
)
def test_a_bad_pair_is_named_by_its_line(tmp_path: Path, line: str, expected: str) -> None:
    with pytest.raises(BadFile, match=f"line 2 .*{expected}"):
        read(written(tmp_path, PAIR, line))


def test_a_file_that_is_missing_empty_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="cannot be read: No such file"):
        read(tmp_path / "missing.jsonl")
    with pytest.raises(BadFile, match="cannot be read: Is a directory"):
        read(tmp_path)
    with pytest.raises(BadFile, match="holds no rows"):
        read(written(tmp_path, "", " "))
    (tmp_path / "picture").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(BadFile, match="line 1 is not JSON"):
        read(tmp_path / "picture")


# Vectors


class Refusing:
    """An embedder that reads short words of letters only."""

    name, dimensions = "refusing", 2

    async def embed(self, text: str) -> Vector:
        if len(text) > 5:
            raise TextTooLong("long")
        if not text.isalpha():
            raise TextUnreadable("signs")
        return np.array([0.6, 0.8], np.float32)


async def test_texts_that_the_embedder_refuses_are_counted_and_like_nothing() -> None:
    progress: list[int] = []
    embedded = await embed(Refusing(), ["tea", "much too long", "?!", "milk"], progress.append)
    assert embedded.refused == {"too long": 1, "unreadable": 1}
    assert np.linalg.norm(embedded.vectors, axis=1) == pytest.approx([1, 0, 0, 1])
    assert sum(progress) == 4


# Candidates


def test_candidates_are_the_nearest_of_those_before() -> None:
    count, floor = 2 * trace.CHUNK + 30, 0.9
    texts = [f"kettle {'a' * number}" for number in range(count)]
    vectors = units(count)
    found = list(trace.of_stream([Question(text, "same") for text in texts], texts, vectors, floor))
    similarities = vectors @ vectors.T
    for place, one in enumerate(found):
        nearest = sorted((-similarities[place, other], other) for other in range(place))[:CANDIDATES]
        expected = [other for similarity, other in nearest if -similarity >= floor]
        assert [candidate.prompt for candidate in one.candidates] == expected


def test_a_repeated_question_is_an_exact_hit_and_its_last_answer_is_the_one_served() -> None:
    questions = [Question("tea?", "a"), Question("tea?", "b"), Question("tea?", "b"), Question("tea, is it?", "b")]
    vectors = np.ones((2, 1), np.float32)
    found = list(trace.of_stream(questions, ["tea?", "tea, is it?"], vectors, 0.5))
    assert [one.exact for one in found] == [None, False, True, None]
    assert [candidate.right for candidate in found[3].candidates] == [True]


def test_what_must_not_be_compared_leaves_its_place_among_the_candidates_to_others() -> None:
    fresh = [f"What is the weather in town {number} today?" for number in range(CANDIDATES + 1)]
    texts = [*fresh, "How do kettles work?", "How does a kettle work?"]
    vectors = np.array([[1.0, 0.0]] * len(fresh) + [[0.9, np.sqrt(1 - 0.81)], [1.0, 0.0]], np.float32)
    *_, last = trace.of_stream([Question(text, "one") for text in texts], texts, vectors, 0.5)
    assert [one.cacheable for one in last.candidates] == [False] * CANDIDATES + [True]
    assert play([last], 0.85, GATEWAY).semantic == 1
    assert play([last], 0.95, GATEWAY).semantic == 0


def test_every_guard_that_refuses_is_named_not_only_the_first() -> None:
    refused_by = trace.refusing("flights from Dallas to Boston in 2019", "flights from Boston to Dallas in 2020", 0.95)
    assert {"number", "direction"} <= refused_by
    assert trace.refusing("How do I make tea?", "how do i make tea?", 0.95) == frozenset()


def test_texts_too_long_to_compare_are_refused_by_a_guard_that_counts_among_all() -> None:
    found = list(
        trace.of_pairs([Pair("a" * 5000, "b", True, "k")], ["b", "a" * 5000], np.ones((2, 1), np.float32), 0.5)
    )
    known = trace.guards_of(found)
    assert "length" in known
    assert play(found, 0.85, GuardSet.named("all", known)).hits == 0


# Play


def test_the_best_candidate_at_or_above_the_threshold_is_served() -> None:
    lookups = [lookup(candidate(0.9, right=False), candidate(0.85, right=True)), lookup(candidate(0.85, right=True))]
    assert play(lookups, 0.85, NONE) == Tally(asked=2, semantic=2, semantic_wrong=1)
    assert play(lookups, 0.86, NONE) == Tally(asked=2, semantic=1, semantic_wrong=1)


def test_a_refused_candidate_leaves_the_next_one_to_answer() -> None:
    lookups = [lookup(candidate(0.95, False, "number"), candidate(0.9, True))]
    assert play(lookups, 0.85, NONE).wrong == 1
    assert play(lookups, 0.85, ALL) == Tally(asked=1, semantic=1)


def test_the_policy_skips_what_must_not_be_compared_on_either_side() -> None:
    lookups = [
        lookup(candidate(0.99, True), cacheable=False),
        lookup(candidate(0.99, False, cacheable=False), candidate(0.9, True)),
    ]
    assert play(lookups, 0.85, ALL) == Tally(asked=2, semantic=2, semantic_wrong=1)
    assert play(lookups, 0.85, GATEWAY) == Tally(asked=2, semantic=1)


def test_exact_hits_are_counted_apart_whatever_the_guards_say() -> None:
    lookups = [lookup(exact=True, cacheable=False), lookup(exact=False), lookup()]
    tally = play(lookups, 1.0, GATEWAY)
    assert tally == Tally(asked=3, exact=2, exact_wrong=1)
    assert (tally.hits, tally.right, tally.wrong) == (2, 1, 1)


def test_a_guard_is_judged_by_what_changes_when_it_alone_is_off() -> None:
    lookups = [
        lookup(candidate(0.9, False, "number")),
        lookup(candidate(0.9, False, "number", "entity")),
        lookup(candidate(0.9, True, "entity")),
        lookup(candidate(0.95, False, "number"), candidate(0.9, True)),
    ]
    assert leave_one_out(lookups, 0.85, GATEWAY) == [
        Without("entity", right=1, wrong=0),
        Without("number", right=-1, wrong=2),
        Without("policy", right=0, wrong=0),
    ]


def test_guard_sets_are_named_by_their_parts() -> None:
    known = {"number", "entity"}
    assert GuardSet.named("none", known).guards == frozenset()
    assert GuardSet.named("all+policy", known) == GATEWAY
    assert GuardSet.named("number+policy", known) == ("number+policy", frozenset({"number"}), True)
    with pytest.raises(ValueError, match="“nubmer” is no guard. .*entity, number"):
        GuardSet.named("all+nubmer", known)


# Figures


def test_intervals_are_wilsons() -> None:
    assert wilson(5, 10) == pytest.approx((0.5, 0.2366, 0.7634), abs=1e-4)
    assert wilson(0, 10) == pytest.approx((0.0, 0.0, 0.2775), abs=1e-4)
    assert wilson(10, 10) == pytest.approx((1.0, 0.7225, 1.0), abs=1e-4)
    assert wilson(0, 0) is None


def test_nothing_found_makes_tables_json_and_a_picture_all_the_same() -> None:
    labelled = Labelled(Path("a<b>&c.jsonl"), [Question("one", "a")], [])
    lookups = list(trace.of_stream(labelled.questions, labelled.texts, np.ones((1, 1), np.float32), 0.8))
    grid = Grid([0.8, 0.9], [NONE, GATEWAY], GATEWAY, 0.8)
    evaluation = evaluate(labelled, lookups, Counter(), grid)
    assert any("–" in line for _, lines in tables(evaluation) for line in lines)
    assert summary(evaluation)["policies"][0]["shares"]["wrong_of_hits"] is None
    assert "a<b>&c.jsonl" in "".join(ElementTree.fromstring(plot.svg([evaluation])).itertext())


# The command


def test_a_stream_is_played_with_the_real_model_and_every_row_is_accounted_for(tmp_path: Path) -> None:
    file = written(tmp_path, *STREAM)
    (figures,) = json.loads(evaluated(file, "--format", "json", "--threshold", "0.85"))
    assert (figures["rows"], figures["texts"], figures["answerable"]) == (9, 8, 2)
    assert figures["not_embedded"] == {"too long": 1, "unreadable": 1}
    none, guarded, gateway = figures["policies"]
    assert (none["asked"], none["exact"], none["exact_wrong"]) == (9, 1, 0)
    # The password is right; the way back and the weather of another day are wrong.
    assert (none["semantic"], none["semantic_wrong"]) == (3, 2)
    assert (guarded["semantic"], guarded["semantic_wrong"]) == (2, 1)
    assert (gateway["semantic"], gateway["semantic_wrong"]) == (1, 0)
    assert gateway == figures["gateway"]


def test_pairs_are_shown_by_kind(tmp_path: Path) -> None:
    text = evaluated(written(tmp_path, *PAIRS), "--guards", "none", "--guards", "all+policy")
    numbers, reworded = (
        line.split() for line in text.splitlines() if line.strip().startswith(("numbers ", "reworded "))
    )
    assert numbers == ["numbers", "0", "0", "0", "1", "1", "0"]
    assert reworded == ["reworded", "1", "1", "1", "0", "0", "0"]


def test_each_file_has_its_tables_and_a_panel_of_the_picture(tmp_path: Path) -> None:
    stream, pairs = written(tmp_path, *STREAM, name="s.jsonl"), written(tmp_path, *PAIRS, name="p.jsonl")
    text = evaluated(stream, pairs, "--plot", tmp_path / "plot.svg")
    assert "s.jsonl: 9 questions, 8 different texts" in text
    assert "p.jsonl: 2 pairs, 4 different texts" in text
    drawn = "".join(ElementTree.parse(tmp_path / "plot.svg").getroot().itertext())
    for words in ("s.jsonl: 9 questions", "p.jsonl: 2 pairs", "wrong, of hits", "all+policy", "0.85"):
        assert words in drawn


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--threshold", "0.3"], "not between 0.5 and 1"),
        (["--threshold", "nan"], "not between 0.5 and 1"),
        (["--threshold", "much"], "invalid threshold value"),
        (["--guards", "nubmer"], "is no guard"),
        (["--format", "xml"], "invalid choice"),
    ],
)
def test_a_bad_option_is_refused_before_anything_is_embedded(
    tmp_path: Path, arguments: list[str], expected: str
) -> None:
    with pytest.raises(CommandError, match=expected):
        evaluated(written(tmp_path, QUESTION), *arguments)


def test_a_bad_file_or_a_picture_that_cannot_be_written_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="line 1 is not JSON"):
        evaluated(written(tmp_path, "tea"))
    with pytest.raises(CommandError, match="cannot be written: No such file"):
        evaluated(written(tmp_path, QUESTION), "--plot", tmp_path / "no" / "plot.svg")
