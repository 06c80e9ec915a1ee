"""Before a start, each wrong setting is named in a sentence that says what to do; what is only away stops nobody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from gateway import setups
from nexus import startup, startup_checks
from nexus.ports import free_port
from nexus.startup import Away, Wrong, look
from tests import servers
from tests.conftest import Workspace
from tests.servers import ROOT

ALL_IS_WELL = {"redis_version": "7.0.15", "maxmemory_policy": "noeviction", "aof_enabled": 1, "role": "master"}


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {"DATABASE_URL": servers.test_database_url(), **environment}
    command = [sys.executable, "-m", "nexus.startup", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **settings}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("role", startup.ROLES)
def test_a_right_installation_has_nothing_to_say(role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [found for found in look(role) if found.message]
    assert found == []


def test_when_all_is_well_it_becomes_the_command() -> None:
    done = run("worker", "--strict", "--wait", "1", "--", sys.executable, "-c", "print('started')")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "started")


@pytest.mark.parametrize(
    ("setting", "value", "named"),
    [
        ("NEXUS_PUBLIC_URL", "http://gateway.example.com", "use https"),
        ("NEXUS_PUBLIC_URL", "gateway.example.com", "must look like"),
        ("NEXUS_PUBLIC_URL", "https://gateway.example.com", "NEXUS_ALLOWED_HOSTS lacks gateway.example.com"),
        ("NEXUS_ALLOWED_HOSTS", "*", "name the hosts"),
        ("NEXUS_SECRET_KEY", "short", "at least 32 characters"),
        ("DATABASE_URL", "postgresql://nobody:wrong@{socket}", "DATABASE_URL is refused"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_what_to_do(setting: str, value: str, named: str) -> None:
    host = connection.settings_dict["HOST"]
    done = run("gateway", "--", "never", **{setting: value.replace("{socket}", f"/none?host={host}&port=5432")})
    assert done.returncode == 1
    assert named in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_away_stops_nobody_who_can_do_without() -> None:
    nowhere = {"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    done = run("gateway", **nowhere)
    assert "redis: Redis cannot be reached" in done.stderr
    assert done.returncode == 0
    assert run("upgrade", "--strict", **nowhere).returncode == 1


@pytest.mark.parametrize(
    ("told", "named"),
    [
        ({"redis_version": "6.0.16"}, "6.2 or later"),
        ({"maxmemory_policy": "allkeys-lru"}, "noeviction"),
        ({"aof_enabled": 0}, "appendonly is off"),
        ({"role": "slave"}, "name the primary"),
    ],
)
def test_a_redis_that_would_lose_usage_is_refused(told: dict[str, Any], named: str) -> None:
    startup_checks._check_redis("REDIS_URL", ALL_IS_WELL)
    with pytest.raises(Wrong, match=named):
        startup_checks._check_redis("REDIS_URL", ALL_IS_WELL | told)


def test_keys_that_do_not_open_what_is_stored_are_refused(alice: Workspace) -> None:
    setups.configure_provider(
        alice.tenant, name="own", kind="openai", base_url="https://api.openai.com/v1", api_key="sk-1"
    )
    done = run("worker", NEXUS_ENCRYPTION_KEYS="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
    assert done.returncode == 1
    assert f"do not open what is stored (workspace {alice.tenant.slug})" in done.stderr


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("gateway", NEXUS_SPOOL_DIR=str(tmp_path / "file" / "spool"), NEXUS_MODEL_DIR=str(tmp_path / "file"))
    assert "usage would be lost" in done.stderr
    assert "has no built model" in done.stderr
    assert done.returncode == 1


def test_what_is_away_is_asked_again_as_long_as_one_may_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def comes_back() -> None:
        asked.append(1)
        if len(asked) < 3:
            raise Away("not yet")

    monkeypatch.setattr(startup_checks, "CHECKS", [startup.Check("it", comes_back, ("gateway",))])
    assert [found.message for found in look("gateway", wait_s=60)] == [""]
