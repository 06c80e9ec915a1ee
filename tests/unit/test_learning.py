"""From verdicts to a threshold: what is enough to move it, and to switch the tier off."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from gateway.cache.learning import (
    KEPT_DAYS,
    KEPT_VERDICTS,
    PERSON,
    REPORT_DAYS,
    Decision,
    Fact,
    Standing,
    clean_verdicts,
    decide,
    figures,
    wilson,
)
from nexus.evaluation import budget
from nexus.evaluation.budget import Counts, Found, Terms
from nexus.evaluation.play import GuardSet
from nexus.evaluation.trace import Candidate, Lookup

OWN = Standing(0.85)
BUDGET = 0.02


def hits(count: int, similarity: float = 0.9, *, wrong: int = 0, weight: float = 1.0, **facts: object) -> list[Fact]:
    return [Fact("hit", similarity, weight, number >= wrong, **facts) for number in range(count)]  # type: ignore[arg-type]


def reports(count: int, similarity: float = 0.87, **facts: object) -> list[Fact]:
    return [Fact("hit", similarity, 1.0, False, PERSON, **facts) for _ in range(count)]  # type: ignore[arg-type]


def decided(facts: Iterable[Fact], standing: Standing = OWN, **more: object) -> Decision:
    return decide(list(facts), more.pop("served", {}), standing, more.pop("budget", BUDGET))  # type: ignore[arg-type]


def test_without_verdicts_the_tenants_own_threshold_holds() -> None:
    decision = decided([])
    assert (decision.threshold, decision.off) == (None, False)
    assert decision.reason == "There are no verdicts yet: your own threshold holds."
    assert decision.figures["now"]["wrong_rate"] is None


def test_a_lower_threshold_needs_enough_clean_verdicts_and_no_fewer() -> None:
    assert clean_verdicts(BUDGET) == 133
    assert decided(hits(133, 0.78)).threshold == 0.75
    few = decided(hits(100, 0.78))
    assert few.threshold is None and "too few to say more" in few.reason


def test_more_wrong_answers_than_the_budget_raise_the_threshold_to_where_there_are_fewer() -> None:
    decision = decided([*hits(40, 0.86, wrong=8), *hits(60, 0.93)])
    assert decision.threshold == 0.87 and not decision.off
    assert "Lower thresholds gave more than the budget of 2.0%" in decision.reason


def test_one_wrong_answer_is_an_accident() -> None:
    assert decided(hits(10, wrong=1)) == decided(hits(10, wrong=1))._replace(threshold=None, off=False)
    assert decided(hits(10, wrong=2)).off


def test_traffic_that_cannot_keep_the_budget_switches_the_tier_off_and_says_so() -> None:
    decision = decided(fact for at in range(86, 100) for fact in hits(20, at / 100, wrong=5))
    assert decision.off and decision.threshold is None
    assert "Switched off: no threshold is known that keeps the budget of 2.0%" in decision.reason


def test_it_comes_back_when_verdicts_of_what_it_would_have_said_allow_it() -> None:
    off = Standing(0.85, None, off=True)
    shadow = [fact._replace(kind="shadow") for fact in hits(60)]
    assert decided(shadow[:40], off).off
    back = decided(shadow, off)
    assert not back.off and back.threshold is None
    assert not decided([*shadow, *hits(20, 0.86, wrong=9)], off).off


def test_what_was_raised_comes_down_again_as_far_as_verdicts_allow() -> None:
    raised = Standing(0.85, 0.95)
    assert decided([*hits(60, 0.96), *hits(30, 0.91)], raised).threshold is None
    assert decided([*hits(60, 0.96), *hits(30, 0.91), *hits(20, 0.86, wrong=5)], raised).threshold == 0.87


def test_who_is_not_sure_any_more_goes_back_to_the_tenants_own() -> None:
    assert decided(hits(100, 0.87, wrong=1), Standing(0.85, 0.78)).threshold is None


def test_a_little_better_is_not_worth_moving_for() -> None:
    facts = [*hits(300, 0.9), *hits(5, 0.845)]
    assert decided(facts, Standing(0.85, 0.76)).threshold == 0.76
    assert decided(facts, Standing(0.85, 0.80)).threshold == 0.75


@pytest.mark.parametrize("own", [0.5, 0.6, 0.853, 0.99, 1.0])
def test_any_threshold_of_the_tenants_own_will_do(own: float) -> None:
    for wrong in (0, 5, 200):
        decision = decided([*hits(200, 0.9, wrong=wrong), *hits(10, 0.55)], Standing(own))
        assert decision.threshold is None or min(own, 0.75) <= decision.threshold <= 1


def test_a_hit_counts_for_as_many_as_it_was_drawn_from() -> None:
    """9 of 10 verdicts at 0.86 are right, and so are 9 of 10 hits there: there are 200 of them, and 10 better ones."""
    now = decided([*hits(10, 0.86, wrong=1, weight=20.0), *hits(10, 0.95)]).figures["now"]
    assert now["wrong_rate"] == round(0.1 * 200 / 210, 4)


def test_in_what_share_a_verdict_was_drawn_says_nothing_of_its_being_right() -> None:
    rare, common = hits(10, 0.86, wrong=1, weight=20.0), hits(10, 0.86, weight=1.0)
    assert decided([*rare, *common]).figures["now"]["wrong_rate"] == 0.05


def test_people_who_report_are_a_floor_of_what_is_wrong_and_prove_nothing_else() -> None:
    served = {87: 30, 95: 300}
    assert decided(reports(2), served=served) == decided(reports(2), served={})
    assert decided(reports(5), served={87: 30, 95: 900}).threshold is None
    raised = decided(reports(5), served={87: 30, 95: 60})
    assert raised.threshold == 0.88 and not raised.off
    assert decided(reports(3), served={87: 30}).off
    assert decided(reports(3), served={87: 3_000}).threshold is None
    content = [fact._replace(right=True) for fact in reports(500)]
    assert decided(content).threshold is None


def test_what_people_report_forbids_a_threshold_that_the_judge_would_allow() -> None:
    clean = hits(200, 0.87)
    assert decided(clean).threshold == 0.75
    assert decided([*clean, *reports(5)], served={87: 100}).off


def test_verdicts_fade() -> None:
    old = hits(200, wrong=100, age_days=KEPT_DAYS + 1)
    assert decided(old) == decided([])
    assert decided(reports(9, age_days=REPORT_DAYS + 1), served={87: 9}) == decided([])
    outlived = [*hits(KEPT_VERDICTS), *hits(500, wrong=500)]
    assert decided(outlived).figures["verdicts"] == KEPT_VERDICTS and decided(outlived).threshold == 0.75


def test_the_curve_shows_rate_interval_and_hits_of_each_threshold() -> None:
    curve = figures([*hits(100, 0.86, wrong=10, weight=2.0, age_days=10), *hits(100, 0.95)], {}, 0.85)["curve"]
    assert [point["threshold"] for point in curve] == [at / 100 for at in range(75, 100)]
    by_threshold = {point["threshold"]: point for point in curve}
    assert by_threshold[0.9] == {
        "threshold": 0.9,
        "verdicts": 100,
        "wrong_rate": 0.0,
        "low": 0.0,
        "high": round(wilson(0, 100, 1.645)[1], 4),
        "projected_hits_per_day": 10.0,
    }
    assert by_threshold[0.85]["projected_hits_per_day"] == 30.0
    assert by_threshold[0.85]["low"] < 0.067 < by_threshold[0.85]["high"]


def test_wilsons_interval_is_the_textbooks() -> None:
    low, high = wilson(0.1, 100, 1.959964)
    assert (round(low, 4), round(high, 4)) == (0.0552, 0.1744)


# --- on whole streams ------------------------------------------------------------------------------------------------


def stream(questions: int, wrong_at_75: float, seed: int = 0) -> list[Found | None]:
    """Every second question finds something; what is wrong of it falls with similarity, to nothing at 1."""
    lots = random.Random(seed)
    found: list[Found | None] = []
    for number in range(questions):
        similarity = lots.uniform(0.75, 1)
        right = lots.random() >= wrong_at_75 * (1 - similarity) / 0.25
        found.append(Found(similarity, right) if number % 2 else None)
    return found


def second_half(parts: list[budget.Part]) -> Counts:
    return Counts.total(part.counts for part in parts[5:])


@pytest.mark.parametrize("judge_error", [0.0, 0.1])
def test_a_budget_is_kept_also_by_a_judge_who_errs(judge_error: float) -> None:
    for seed in range(3):
        parts = budget.play(stream(20_000, wrong_at_75=0.2, seed=seed), Terms(0.85, 0.05, judge_error), seed)
        counts = second_half(parts)
        assert counts.wrong / counts.hits < 0.05
        assert counts.hits > 1_000, "2,500 would keep the budget just so"


def test_hopeless_traffic_ends_switched_off_after_few_wrong_answers() -> None:
    hopeless = [one and one._replace(right=number % 3 == 0) for number, one in enumerate(stream(4_000, 0))]
    parts = budget.play(hopeless, Terms(0.85, 0.05, 0.1), seed=1)
    assert all(part.off for part in parts)
    assert sum(part.counts.wrong for part in parts) < 30


def test_a_harmless_stream_gets_more_hits_than_its_own_threshold_gives() -> None:
    parts = budget.play(stream(8_000, wrong_at_75=0), Terms(0.9, 0.02, 0.0), seed=1)
    assert parts[-1].threshold == 0.75 and not parts[-1].off
    assert second_half(parts).hits == second_half(parts).asked / 2


def test_the_player_finds_what_the_gateway_finds() -> None:
    guards = GuardSet("all+policy", frozenset({"number"}), policy=True)
    refused = Candidate(0.97, 1, False, True, frozenset({"number"}))
    private = Candidate(0.95, 2, False, False, frozenset())
    right = Candidate(0.8, 3, True, True, frozenset())
    asked = Lookup(0, None, True, (refused, private, right))
    assert budget.found(asked, guards) == Found(0.8, True)
    assert budget.found(asked._replace(exact=True), guards) is None
    assert budget.found(asked._replace(cacheable=False), guards) is None
    assert budget.found(asked._replace(candidates=(refused,)), guards) is None


# --- as a command ----------------------------------------------------------------------------------------------------


def simulated(folder: Path, rows: list[dict[str, object]], *options: str) -> str:
    file, out = folder / "rows.jsonl", StringIO()
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    call_command("simulate_budget", str(file), *options, stdout=out)
    return out.getvalue()


def test_a_file_of_questions_is_played_for_every_budget_and_judge(tmp_path: Path) -> None:
    questions = ("How do I reset my password?", "How can I reset my password?", "What is the opening time on Sunday?")
    rows: list[dict[str, object]] = [{"q": question, "cluster": question[-9:]} for question in questions]
    options = ("--budget", "0.02", "--budget", "0.05", "--judge-error", "0.1", "--draw", "500", "--runs", "2")
    said = simulated(tmp_path, rows, *options)
    assert said.count("rows.jsonl: 500 questions, budget") == 2
    assert "budget 5.0%, the judge errs in 10%" in said and said.count("2 runs together:") == 2
    assert said == simulated(tmp_path, rows, *options), "the same lots are drawn again"


@pytest.mark.parametrize("option", ["--budget=0.9", "--judge-error=2", "--runs=0", "--draw=3", "--guards=nobody"])
def test_an_option_out_of_bounds_is_refused(tmp_path: Path, option: str) -> None:
    with pytest.raises(CommandError, match=option.partition("=")[0]):
        simulated(tmp_path, [{"q": "Tea?", "cluster": "tea"}], option)


def test_pairs_are_no_stream(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="holds pairs"):
        simulated(tmp_path, [{"a": "Tea?", "b": "Coffee?", "same": False, "kind": "drinks"}])
