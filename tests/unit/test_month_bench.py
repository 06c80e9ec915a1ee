"""The bench of a month: the calls it draws, whom it kills when, and how it judges what became of the books."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from nexus.bench import month_books, month_report
from nexus.bench.__main__ import parse
from nexus.bench.month_books import Kept
from nexus.bench.month_calls import DAYS, HOUR_S, MODELS, Calls, Kind, keys_of, month
from nexus.bench.month_play import APART, Keepers, Month, kills
from nexus.bench.month_report import Audit
from nexus.bench.month_told import NOTHING, Told, Used
from nexus.preflight import say
from nexus.supervisor import Supervisor
from tests.servers import test_database_url as database_url

NOON = 1_795_262_400.0
FEW = Used(10, 1000, 5000)


def drawn(count: int = 20_000, seed: int = 1) -> Calls:
    return month(count, 100, NOON, np.random.default_rng(seed))


def audit(**facts: object) -> Audit:
    nothing = Audit(closed=0, before=[], after=[], off=[], kept=[], differing=[], refused=0)
    return nothing._replace(**facts)  # type: ignore[arg-type]


def test_calls_come_in_order_and_within_the_month() -> None:
    times = drawn()["at"]
    assert (np.diff(times) >= 0).all()
    assert times[0] >= NOON - DAYS * 24 * HOUR_S
    assert times[-1] <= NOON


def test_the_same_seed_draws_the_same_month() -> None:
    assert (drawn() == drawn()).all()
    assert not (drawn() == drawn(seed=2)).all()


def test_days_are_busier_than_nights() -> None:
    hours = drawn()["at"] // HOUR_S % 24
    assert (hours == 14).sum() > 3 * (hours == 2).sum()


def test_few_tenants_have_most_of_the_traffic_and_all_have_some() -> None:
    calls = np.bincount(drawn(200_000)["tenant"], minlength=100)
    assert calls[:10].sum() > calls[10:].sum()
    assert (calls > 0).all()


def test_a_call_is_of_one_of_its_tenant_s_keys() -> None:
    for tenant in range(3):
        of_tenant = drawn()[drawn()["tenant"] == tenant]
        assert set(of_tenant["key"].tolist()) == set(range(keys_of(tenant)))


def test_the_same_question_asks_the_same_model() -> None:
    again = drawn()[drawn()["kind"] == Kind.AGAIN]
    assert (again["model"] == again["question"] % len(MODELS)).all()


def test_redis_and_a_gateway_never_die_one_after_the_other() -> None:
    for seed in range(50):
        planned = kills(Month(1000, kills=20, seed=seed), np.random.default_rng(seed))
        assert len(planned) == 20
        assert [kill.at for kill in planned] == sorted(kill.at for kill in planned)
        kinds = [kill.kind for kill in planned]
        assert APART.isdisjoint(itertools.pairwise(kinds))


def test_what_a_process_was_told_is_there_for_another(tmp_path: Path) -> None:
    read = Told.make(tmp_path / "told.bin", tenants=2)
    written = Told.open(tmp_path / "told.bin")
    for _ in range(2):
        written.begin(1, FEW)
    written.end(1, FEW, Used(1, 7, 3))
    written.doubt(1)
    written.place = 2
    assert read.of(1) == (Used(1, 7, 3), FEW, Used(1, 0, 0))
    assert read.of(0) == (NOTHING, NOTHING, NOTHING)
    assert read.place == 2


def test_a_call_that_was_refused_is_in_no_sum(tmp_path: Path) -> None:
    told = Told.make(tmp_path / "told.bin", tenants=1)
    told.begin(0, FEW)
    told.refuse(0, FEW)
    assert told.of(0) == (NOTHING, NOTHING, NOTHING)
    assert told.refused == 1


@pytest.mark.parametrize(
    ("ledger", "lost", "doubled"),
    [
        (FEW, False, False),
        # As much as was in flight may be there, or may not.
        (Used(11, 1005, 5001), False, False),
        (Used(10, 999, 5000), True, False),
        (Used(10, 1000, 5002), False, True),
        (Used(12, 1000, 5000), False, True),
    ],
)
def test_the_ledger_has_all_that_was_acknowledged_and_no_more_than_was_begun(
    ledger: Used, lost: bool, doubled: bool
) -> None:
    kept = Kept(told=FEW, begun=Used(1, 5, 1), doubted=NOTHING, ledger=ledger)
    assert (kept.lost, kept.doubled) == (lost, doubled)
    assert month_report.verdict(audit(kept=[kept])) is not (lost or doubled)


def test_books_that_differ_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert not month_report.verdict(audit(differing=["acme from 2026-11-01: redis says less"]))
    assert "acme" in capsys.readouterr().out


def test_sums_of_all_tenants_are_those_of_each() -> None:
    one = Kept(FEW, NOTHING, NOTHING, FEW)
    assert month_books.total([one, one]).ledger == Used(20, 2000, 10_000)


async def test_a_small_month_reconciles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url())
    monkeypatch.setenv("NEXUS_REDIS_TIMEOUT_MS", "5000")
    (tmp_path / "log").mkdir()
    small = Month(2_000, tenants=5, gateways=1, workers=1, kills=0)
    assert await month_report.play(small, Keepers(None, Supervisor(tmp_path / "log", say)), tmp_path)
    printed = capsys.readouterr().out
    assert "all books agree" in printed
    assert "costs by tag" in printed


def test_a_month_has_a_million_calls_unless_told_otherwise() -> None:
    assert parse(["--month"]).month == 1_000_000
    assert parse(["--month", "50"]).month == 50
    assert parse([]).month == 0
