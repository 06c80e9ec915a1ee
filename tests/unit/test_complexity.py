"""What `model: "auto"` takes for hard, and that its docs and its labelled set hold."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from gateway import complexity
from gateway.complexity import Assessment
from gateway.types import ChatRequest
from nexus import labelled
from tests import fit_complexity

TESTS = Path(__file__).resolve().parents[1]
DOCS = (TESTS.parent / "docs" / "routing.md").read_text()
ROWS = labelled.read(fit_complexity.ROWS)
FRESH = labelled.read(TESTS / "data" / "complexity_fresh.jsonl")


def assess(content: Any, **fields: Any) -> Assessment:
    payload = {"model": "auto", "messages": [{"role": "user", "content": content}]} | fields
    return complexity.assess(ChatRequest(payload=payload, model="auto"))


# --- what it takes for hard -------------------------------------------------------------------------------------------

SIMPLE = [
    "hi",
    "What is the capital of Peru?",
    "Who designed the Eiffel Tower?",
    "Write a haiku about rain.",
    'Translate into French: "Prove the theorem, then design an experiment."',
    "Is this review positive or negative? The battery lasts, the screen is awful.",
    "Wie lange muss man Reis kochen?",
    "法国的首都是哪里？",
]
COMPLEX = [
    "Prove that sqrt(2)+sqrt(3) is irrational.",
    "Design a distributed rate limiter and compare its failure modes with those of a central one.",
    "Assess the legal risks of this contract under German and Swiss law, and propose changes.",
    "Plan a migration from MySQL to PostgreSQL with at most five minutes of downtime, with a rollback for each phase.",
    "Beweise, dass es unendlich viele Primzahlen gibt.",
    "设计一个分布式缓存系统，并分析各方案的优缺点。",
]


@pytest.mark.parametrize("text", SIMPLE)
def test_easy_requests_are_simple(text: str) -> None:
    assert not assess(text).complex


@pytest.mark.parametrize("text", COMPLEX)
def test_hard_requests_are_complex_whatever_their_language(text: str) -> None:
    assert assess(text).complex


def test_pasted_text_asks_for_nothing() -> None:
    material = "We must design and prove the architecture, compare all risks and plan the migration. " * 20
    for text in (f"Translate this into Spanish:\n\n{material}", f"{material}\n\nSummarise this in two sentences."):
        assert not assess(text).complex
    assert assess(material).complex


def test_a_hard_task_about_pasted_text_stays_hard() -> None:
    material = "The lessee bears all repairs, and the lessor may end the lease at any time.\n" * 10
    assert assess(f"Summarise and then analyse the risks of each clause, and compare them:\n{material}").complex


def test_fenced_and_quoted_words_are_not_the_task() -> None:
    assert not assess('What does "derive and prove" mean?').complex
    assert not assess("What does this print?\n```\nprint('design, compare, evaluate and prove')\n```").complex


def test_a_system_prompt_that_only_has_text_rewritten_makes_every_request_simple() -> None:
    hard = {"role": "user", "content": COMPLEX[1]}
    translator = {"role": "system", "content": "You translate what the user writes into Swedish."}
    expert = {"role": "system", "content": "You are an expert who designs and proves everything with rigour."}
    assert not assess("", messages=[translator, hard]).complex
    assert assess("", messages=[expert, hard]).complex
    assert not assess("", messages=[expert, {"role": "user", "content": "hi"}]).complex


def test_the_last_users_text_counts_and_not_a_tools() -> None:
    messages = [
        {"role": "user", "content": COMPLEX[1]},
        {"role": "assistant", "content": "Done."},
        {"role": "user", "content": "thanks!"},
        {"role": "tool", "tool_call_id": "1", "content": COMPLEX[0]},
    ]
    assert not assess("", messages=messages).complex


def test_text_in_parts_is_read_as_text() -> None:
    parts = [{"type": "text", "text": "Prove that there"}, {"type": "text", "text": "are infinitely many primes."}]
    assert assess(parts).score == assess("Prove that there\nare infinitely many primes.").score


# --- more is never less -----------------------------------------------------------------------------------------------

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}


def rises(assessments: list[Assessment]) -> bool:
    return all(one.score <= other.score for one, other in itertools.pairwise(assessments))


def test_more_effort_raises_the_score() -> None:
    efforts = ("minimal", "low", None, "medium", "high", "xhigh")
    assessments = [assess("Solve it for me", reasoning_effort=effort) for effort in efforts]
    assert rises(assessments)
    assert assessments[0].score < assessments[2].score < assessments[-1].score


def test_thinking_that_is_enabled_counts_as_effort() -> None:
    assert assess("Do it", thinking={"type": "enabled"}).score == assess("Do it", reasoning_effort="high").score


def test_more_tools_images_turns_and_fields_never_lower_the_score() -> None:
    turn = {"role": "assistant", "content": "ok"}
    last = {"role": "user", "content": "Go on then"}
    inner = [{"type": "array", "items": {"properties": {f"f{n}": {} for n in range(count)}}} for count in (0, 2, 20)]
    formats = [{"type": "json_schema", "json_schema": {"schema": {"properties": {"a": each}}}} for each in inner]
    assert rises([assess("Do it", tools=[TOOL] * count) for count in (0, 1, 2, 4, 50)])
    assert rises([assess([{"type": "text", "text": "Look"}, *[IMAGE] * count]) for count in (0, 1, 2, 9)])
    assert rises([assess("", messages=[turn] * count + [last]) for count in (0, 1, 10, 1000)])
    assert rises([assess("Do it", response_format=each) for each in formats])


def test_more_constraints_raise_the_score() -> None:
    asked = ["Write a menu", "with at least three courses", "without nuts", "each under ten euros", "and never fish"]
    assert rises([assess(", ".join(asked[: count + 1])) for count in range(len(asked))])


def test_a_flat_form_is_not_taken_for_a_nested_one() -> None:
    flat = {"type": "json_schema", "json_schema": {"schema": {"properties": {f"f{n}": {} for n in range(20)}}}}
    assert assess("Do it", response_format=flat) == assess("Do it")


# --- bounds -----------------------------------------------------------------------------------------------------------

ODD: list[Any] = [None, True, 7, -1.5, "text", "", [], {}, [None], [[]], [{}], {"role": "user"}, {"type": {}}, ["x", 3]]


@pytest.mark.parametrize(
    "field",
    ["messages", "tools", "functions", "response_format", "reasoning_effort", "thinking"],
)
def test_fields_of_any_type_are_survived(field: str) -> None:
    for odd in ODD:
        assert 0 <= assess("hi", **{field: odd}).score <= 1


def test_messages_parts_and_schemas_of_any_type_are_survived() -> None:
    for one, other in itertools.product(ODD, ODD):
        messages = [
            one,
            {"role": "system", "content": one},
            {"role": one, "content": other},
            {"role": "user", "content": [one, {"type": other, "text": one}, {"type": "text", "text": "x"}]},
            other,
        ]
        schema = {"type": one, "json_schema": {"schema": {"properties": other, "items": {"properties": one}}}}
        assert 0 <= assess("", messages=messages, response_format=schema, thinking={"type": one}).score <= 1


@pytest.mark.parametrize(
    "unit", ["prove this, ", "\n", '"', "„", "```", "for ( ", "; ", "设计", "- a\n", "\ud800", "İ"]
)
def test_huge_texts_are_survived(unit: str) -> None:
    text = unit * (10_000_000 // len(unit))
    for content in (text, [{"type": "text", "text": text}] * 1000):
        messages = [{"role": "system", "content": text}, {"role": "user", "content": content}]
        assert 0 <= assess("", messages=messages).score <= 1


def test_of_a_long_text_only_its_ends_are_read() -> None:
    head, tail = "Tell me about the sea. " * 100, " That is all." * 100
    middles = ("x" * 10_000_000, COMPLEX[1] * 1000)
    assert len({assess(head + middle + tail) for middle in middles}) == 1


def test_huge_lists_and_deep_schemas_are_read_in_part() -> None:
    deep: Any = {}
    for _ in range(5000):
        deep = {"properties": {"a": deep, "b": 1}}
    wide = {"properties": {str(n): {"properties": {"a": 1}} for n in range(100_000)}}
    for schema in (deep, wide, [[1] * 100_000] * 1000):
        assert 0 <= assess(["x"] * 100_000, tools=[1] * 100_000, response_format=schema).score <= 1


# --- what is told -----------------------------------------------------------------------------------------------------


def test_reasons_say_what_moved_the_score_most_first() -> None:
    proof = assess("Prove that there are infinitely many primes.")
    assert proof.reasons[0] == "asks for a proof or a derivation"
    assert "offers 4 tools" in assess("Prove it", tools=[TOOL] * 4).reasons
    assert assess("What is the capital of Peru?").reasons == ("is a short question",)
    assert assess("hi").reasons == ("shows no sign of difficulty",)


def test_every_assessment_has_one_to_four_short_reasons() -> None:
    for row in ROWS:
        reasons = complexity.assess(row.request).reasons
        assert 1 <= len(reasons) <= 4
        assert all(0 < len(reason) < 60 and "{" not in reason for reason in reasons)


def test_a_request_is_assessed_the_same_each_time() -> None:
    assert [complexity.assess(row.request) for row in ROWS] == [complexity.assess(row.request) for row in ROWS]


# --- the labelled set, the fit and the docs ---------------------------------------------------------------------------


def words(row: labelled.Row) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", json.dumps(row.request.payload["messages"], ensure_ascii=False).lower()))


def test_the_set_is_large_and_varied_and_no_row_is_there_twice() -> None:
    rows = ROWS + FRESH
    assert len(ROWS) >= 400
    assert len({row.id for row in rows}) == len(rows)
    assert len({json.dumps(row.request.payload, sort_keys=True).lower() for row in rows}) == len(rows)
    assert 0.3 < sum(row.complex for row in ROWS) / len(ROWS) < 0.7
    assert sum(row.kind == "language" for row in ROWS) >= 0.08 * len(ROWS)


def test_no_row_that_judges_is_nearly_one_that_was_fitted_on() -> None:
    fitted = [words(row) for row in ROWS if not row.held_out]
    for row in [row for row in ROWS if row.held_out] + FRESH:
        mine = words(row)
        nearest = max(len(mine & other) / len(mine | other) for other in fitted)
        assert nearest < 0.75, row.id


def test_the_weights_are_those_of_the_fit() -> None:
    bias, weights = fit_complexity.fit(*fit_complexity.table([row for row in ROWS if not row.held_out]))
    assert bias == pytest.approx(complexity.BIAS, abs=0.02)
    assert weights == pytest.approx({name: each.weight for name, each in complexity.FEATURES.items()}, abs=0.02)


def test_held_out_accuracy_is_good_and_hard_requests_are_rarely_sent_to_the_cheap_model() -> None:
    held_out = labelled.judge(row for row in ROWS if row.held_out)
    assert held_out.accuracy >= 0.85
    assert held_out.weak < held_out.dear
    assert held_out.recall >= 0.9
    assert labelled.judge(FRESH).accuracy >= 0.8


def docs_rows(head: str) -> list[list[str]]:
    """The cells of the docs' table that begins with `head`."""
    lines = DOCS[DOCS.index(f"| {head} |") :].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_docs_table_is_that_of_the_code() -> None:
    documented = {row[0].strip("`"): (float(row[1]), int(row[2])) for row in docs_rows("feature")}
    assert documented == {name: (each.weight, each.full) for name, each in complexity.FEATURES.items()}
    assert f"bias is {complexity.BIAS}" in DOCS


def test_the_docs_figures_are_what_is_measured() -> None:
    parts = {"held out": [r for r in ROWS if r.held_out], "all": ROWS, "fresh": FRESH}
    for name, rows, *figures, accuracy in docs_rows("part"):
        confusion = labelled.judge(parts.pop(name))
        assert (int(rows), [int(figure) for figure in figures]) == (confusion.rows, list(confusion)), name
        assert accuracy == f"{confusion.accuracy:.1%}".replace("%", " %")
    assert not parts


# --- the report -------------------------------------------------------------------------------------------------------


def test_the_report_prints_confusion_kinds_time_and_dollars(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("router_report", str(fit_complexity.ROWS), "--reply-tokens", "100")
    printed = capsys.readouterr().out
    for expected in ("Held out", "recall", "rambling", "p99", "100 tokens a reply", "less than all strong"):
        assert expected in printed


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "line 1 is not JSON"),
        ("[]", "not a JSON object"),
        ('{"id": "a", "kind": "b", "complex": "yes", "prompt": "c"}', "has no `complex`"),
        ('{"id": "a", "kind": "b", "complex": true}', "`messages` must be"),
        ("", "holds no rows"),
    ],
)
def test_a_file_that_is_no_labelled_set_is_refused_by_its_line(tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(line)
    with pytest.raises(CommandError, match=re.escape(says)):
        call_command("router_report", str(path))


def test_the_report_refuses_unpriced_models_empty_replies_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no price for “no-such-model”"):
        call_command("router_report", str(fit_complexity.ROWS), "--cheap", "no-such-model")
    with pytest.raises(CommandError, match="--reply-tokens"):
        call_command("router_report", str(fit_complexity.ROWS), "--reply-tokens", "0")
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("router_report", str(tmp_path / "none"))
