"""Workers and beat give signs of life, and a probe knows whether the last one is recent."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nexus import probe
from tests import servers

PROGRAMS = {
    "worker": ["worker", "--concurrency", "1", "--without-gossip", "--without-mingle"],
    "beat": ["beat", "--schedule", "{folder}/schedule", "--pidfile="],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_process_that_lives_says_so_and_ends_in_order(name: str, tmp_path: Path) -> None:
    file = tmp_path / "alive"
    environment = {**os.environ, "DATABASE_URL": servers.test_database_url(), "NEXUS_SIGN_OF_LIFE": str(file)}
    arguments = [argument.replace("{folder}", str(tmp_path)) for argument in PROGRAMS[name]]
    command = [sys.executable, "-m", "celery", "--quiet", "-A", "nexus", *arguments]
    process = subprocess.Popen(command, cwd=servers.ROOT, env=environment)
    try:
        while not file.exists():
            assert process.poll() is None
            time.sleep(0.05)
        probing = subprocess.run([sys.executable, "-m", "nexus.probe", name], env=environment, check=False)
        assert probing.returncode == 0
        process.terminate()
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


def test_an_old_sign_is_none(tmp_path: Path) -> None:
    file = tmp_path / "alive"
    assert "is not there" in probe.sign_of_life(str(file))
    file.touch()
    assert probe.sign_of_life(str(file)) == ""
    os.utime(file, (time.time() - 600, time.time() - 600))
    assert "600 s ago" in probe.sign_of_life(str(file))
    assert "NEXUS_SIGN_OF_LIFE" in probe.sign_of_life("")


def test_what_cannot_be_probed_is_no_success() -> None:
    assert probe.main(["http://127.0.0.1:9/readyz"]) == 1
    assert probe.main(["embedder", "127.0.0.1:9"]) == 1
    assert probe.main([]) == 1
