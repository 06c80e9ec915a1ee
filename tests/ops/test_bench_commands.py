"""`bin/bench load` and `bin/bench chaos` on an installation of their own: short, with figures that machines read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from nexus.bench import commands
from nexus.instance import ROOT, Instance

PATIENCE_S = 540


def bench(tmp_path: Path, *arguments: str) -> tuple[str, Any]:
    """What it prints, and its figures."""
    report = tmp_path / "figures.json"
    command = [sys.executable, "-m", "nexus.bench", *arguments, "--json", str(report)]
    environment = {**os.environ, "NEXUS_VAR": str(tmp_path / "var")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout, orjson.loads(report.read_bytes())


def test_a_short_load_is_all_in_the_books(tmp_path: Path) -> None:
    printed, figures = bench(tmp_path, "load", "--minutes", "0.34", "--rate", "15", "--tenants", "2")
    assert "p99 of the first and the last quarter" in printed
    assert figures["holds"] and figures["foreign"] == 0
    assert all(one["answered"] == one["records"] == one["ledger"]["requests"] for one in figures["books"].values())


def test_a_worker_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    printed, (cell,) = bench(tmp_path, "chaos", "--parts", "worker", "--ways", "killed", "--rate", "20", "--fault", "3")
    assert "nothing was lost" in printed
    assert (cell["part"], cell["way"], cell["lost"], cell["doubled"]) == ("worker", "killed", [], [])


@pytest.mark.parametrize(
    "arguments",
    [["load", "--minutes", "0"], ["load", "--share", "2"], ["chaos", "--parts", "moon"], ["chaos", "--rate", "-1"]],
)
def test_what_makes_no_sense_is_refused_before_anything_starts(arguments: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        commands.COMMANDS[arguments[0]](Instance(tmp_path), arguments[1:])
