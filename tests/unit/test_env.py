"""Settings from the environment: secrets may be in files."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

import nexus.settings
from nexus import env

ROOT = Path(__file__).resolve().parents[2]
HELP = "For this test."


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(env, "VARIABLES", {})


def test_a_secret_is_in_the_environment_or_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert env.secret("TRIED", HELP) == ""
    monkeypatch.setenv("TRIED", " plain ")
    assert env.secret("TRIED", HELP) == "plain"
    # As docker-compose hands on what is not set.
    monkeypatch.setenv("TRIED", "")
    file = tmp_path / "secret"
    file.write_text("from a file\n")
    monkeypatch.setenv("TRIED_FILE", str(file))
    assert env.secret("TRIED", HELP) == "from a file"
    file.write_text("one, two,\n")
    assert env.secret_words("TRIED", HELP) == ["one", "two"]


def test_a_secret_that_is_set_twice_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIED", "plain")
    monkeypatch.setenv("TRIED_FILE", str(tmp_path / "secret"))
    with pytest.raises(ImproperlyConfigured, match="TRIED and TRIED_FILE are both set"):
        env.secret("TRIED", HELP)


def test_a_file_that_cannot_be_read_stops_the_start_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    for file, why in ((tmp_path / "none", "No such file"), (tmp_path, "directory"), (binary, "not UTF-8")):
        monkeypatch.setenv("TRIED_FILE", str(file))
        with pytest.raises(ImproperlyConfigured, match=f"TRIED_FILE={file} cannot be read: .*{why}"):
            env.secret("TRIED", HELP)


def secrets_in_settings() -> set[str]:
    """Names of the variables that settings reads by `env.secret` and `env.secret_words`."""
    tree = ast.parse(Path(nexus.settings.__file__).read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    found = [call.args[0] for call in calls if getattr(call.func, "attr", "") in {"secret", "secret_words"}]
    return {str(name.value) for name in found if isinstance(name, ast.Constant)}


def test_what_sounds_like_a_secret_can_be_in_a_file() -> None:
    tree = ast.parse(Path(nexus.settings.__file__).read_text())
    names = {
        str(node.args[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)
        if getattr(getattr(node.func, "value", None), "id", "") == "env"
    }
    telling = ("SECRET", "TOKEN", "_KEY", "_KEYS", "PASSWORD", "DATABASE_URL", "REDIS_URL", "EMAIL_URL")
    # How many tokens a second the simulated provider gives.
    assert {name for name in names if any(word in name for word in telling)} - secrets_in_settings() == {
        "NEXUS_SIMULATED_TOKENS_PER_S"
    }


def test_each_secrets_file_is_documented() -> None:
    text = (ROOT / "docs" / "settings.md").read_text()
    missing = [name for name in secrets_in_settings() if f"`{name}_FILE`" not in text]
    assert missing == []
