"""What `bin/audit` makes of the advisory service's answer, and the list of packages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nexus import advisories, sbom
from nexus.instance import ROOT

FINE: dict[str, Any] = {"name": "fine", "version": "1.0", "vulns": []}
WEAK: dict[str, Any] = {
    "name": "weak",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-2026-1"], "fix_versions": ["1.1"], "description": ""}],
}
UNASKED: dict[str, Any] = {"name": "unasked", "skip_reason": "Dependency not found on PyPI"}


def status_of(monkeypatch: pytest.MonkeyPatch, answer: Any) -> int:
    monkeypatch.setattr(advisories, "ask", lambda service: answer)
    return advisories.main([])


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        ({"dependencies": [FINE]}, 0, "1 packages were asked for, 0 weaknesses"),
        ({"dependencies": [FINE, WEAK]}, 1, "weak 1.0: CVE-2026-1, PYSEC-1; mended in 1.1"),
        ({"dependencies": [FINE, UNASKED]}, 2, "knows nothing of 1 of 2 packages (unasked)"),
        ({"dependencies": [WEAK, UNASKED]}, 1, "weak 1.0"),
        ({"dependencies": []}, 2, "knows nothing"),
        ("Connection refused", 2, "could not be asked: Connection refused"),
    ],
)
def test_what_nobody_was_asked_is_no_good_news(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: Any, status: int, said: str
) -> None:
    assert status_of(monkeypatch, answer) == status
    told = capsys.readouterr()
    assert said in told.out + told.err


def test_a_weakness_that_does_not_reach_us_is_accepted_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advisories, "ACCEPTED", {"CVE-2026-1": "for this test"})
    assert status_of(monkeypatch, {"dependencies": [WEAK]}) == 0


def test_all_that_is_locked_is_listed_with_its_hashes() -> None:
    bill = sbom.made(ROOT)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    lock = (ROOT / "requirements.txt").read_text()
    named = [
        line.partition("==")[0].partition("[")[0] for line in lock.splitlines() if "==" in line and line[0].isalnum()
    ]
    assert sorted(each["name"] for each in bill["components"]) == sorted(named)
    assert len({each["bom-ref"] for each in bill["components"]}) == len(bill["components"]) > 50
    hashes = [one["hashes"][0]["content"] for each in bill["components"] for one in each["externalReferences"]]
    assert len(hashes) == lock.count("--hash=sha256:") and all(
        each["externalReferences"] for each in bill["components"]
    )


def test_the_same_lock_makes_the_same_list(tmp_path: Path) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    assert sbom.write(ROOT, first) == sbom.write(ROOT, second)
    assert first.read_bytes() == second.read_bytes() and json.loads(first.read_text())


def test_a_lock_that_is_not_understood_is_not_listed_in_part() -> None:
    with pytest.raises(ValueError, match="not a line"):
        list(sbom.packages("flask>=1\n"))
