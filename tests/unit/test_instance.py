"""One copy per `var` folder: who holds it, what it keeps, what it finds left over."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from nexus import instance as instances
from nexus.instance import Instance
from nexus.preflight import Trouble, require_disk, require_port


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    made = Instance(tmp_path / "var")
    made.make_folders()
    return made


@contextlib.contextmanager
def running(program: str, *arguments: str, **marks: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Python program that has printed its first line; killed at the end."""
    command = [sys.executable, "-u", "-c", program, *arguments]
    environment = {**os.environ, **marks}
    with subprocess.Popen(command, cwd=instances.ROOT, env=environment, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == b"up\n"
            yield process
        finally:
            process.kill()


HOLDER = """
import pathlib, signal, sys, time
from nexus.instance import Instance
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
with Instance(pathlib.Path(sys.argv[1])).held("http://localhost:1"):
    print("up")
    time.sleep(600)
"""
SLEEPER = "print('up'); import time; time.sleep(600)"


def test_a_second_copy_is_refused_and_told_where_the_first_is(instance: Instance) -> None:
    where = rf"at http://localhost:8000 \(process {os.getpid()}\)"
    with (
        instance.held("http://localhost:8000"),
        pytest.raises(Trouble, match=where),
        Instance(instance.var).held("http://localhost:8001"),
    ):
        pytest.fail("two copies on one folder")


def test_a_copy_that_was_killed_does_not_block_the_next(instance: Instance) -> None:
    with running(HOLDER, str(instance.var)) as holder:
        assert instance.is_held()
        holder.kill()
        holder.wait()
    assert instance.record() is not None
    with instance.held("http://localhost:2"):
        record = instance.record()
        assert record is not None and record.url == "http://localhost:2"


def test_stopping_what_does_not_run_says_so(instance: Instance, capsys: pytest.CaptureFixture[str]) -> None:
    instances.stop(instance)
    assert f"NexusGateway is not running from {instance.var}." in capsys.readouterr().out


def test_stopping_waits_until_the_copy_is_gone(instance: Instance) -> None:
    with running(HOLDER, str(instance.var)):
        instances.stop(instance)
        assert not instance.is_held()


def test_secrets_are_made_once_and_only_their_owner_reads_them(instance: Instance) -> None:
    made = instance.secrets()
    assert len(made["NEXUS_SECRET_KEY"]) >= 32 and made["NEXUS_ENCRYPTION_KEYS"]
    assert instance.secrets() == made
    assert (instance.var / "secrets.env").stat().st_mode & 0o777 == 0o600
    assert instance.var.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Trouble, match="cannot be written .*NEXUS_VAR"):
        Instance(tmp_path / "file" / "var").make_folders()


def test_processes_left_behind_are_found_by_their_mark_and_ended(instance: Instance, tmp_path: Path) -> None:
    with (
        running(SLEEPER, NEXUS_INSTANCE=str(instance.var)) as ours,
        running(SLEEPER, NEXUS_INSTANCE=str(tmp_path / "other")) as others,
    ):
        found = instance.strays()
        assert [process.pid for process in found] == [ours.pid]
        instances.end_processes(found, grace_s=20)
        assert not psutil.pid_exists(ours.pid) or ours.poll() is not None
        assert others.poll() is None


def test_a_taken_port_is_a_sentence_that_names_a_free_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Trouble, match=rf"Port {port} .* is taken .* NEXUS_PORT=(?!{port}\b)\d+"):
            require_port("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "port", "sentence"),
    [("127.0.0.1", 70000, "is no port"), ("192.0.2.1", 8000, "NEXUS_BIND=192.0.2.1 is not an address")],
)
def test_an_impossible_address_is_a_sentence(host: str, port: int, sentence: str) -> None:
    with pytest.raises(Trouble, match=sentence):
        require_port(host, port)


def test_a_full_disk_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match="free some space"):
        require_disk(tmp_path, needed_mb=10**9)
