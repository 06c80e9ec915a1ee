"""The supervisor with real child processes: it keeps them alive, and leaves none behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import psutil
import pytest

from nexus.embedded import LAUNCH
from nexus.preflight import Trouble
from nexus.supervisor import Service, Supervisor

PATIENCE_S = 20.0

# Each writes its process number, then says by a file of its own that it was asked to stop.
OBEDIENT = """
import os, pathlib, signal, sys, time
name, folder = sys.argv[1], pathlib.Path(sys.argv[2])
def stop(*_):
    with open(folder / "stopped", "a") as order:
        order.write(name + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
(folder / f"{name}.pid.new").write_text(str(os.getpid()))
(folder / f"{name}.pid.new").rename(folder / f"{name}.pid")
while True:
    time.sleep(1)
"""
DEAF = OBEDIENT.replace("signal.signal(signal.SIGTERM, stop)", "signal.signal(signal.SIGTERM, signal.SIG_IGN)")
# Has a child of its own that ignores everything but force, as a busy pool worker would.
PARENT = """
import os, pathlib, subprocess, sys, time
name, folder = sys.argv[1], pathlib.Path(sys.argv[2])
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
(folder / f"{name}.child").write_text(str(child.pid))
(folder / f"{name}.pid.new").write_text(str(os.getpid()))
(folder / f"{name}.pid.new").rename(folder / f"{name}.pid")
time.sleep(600)
"""


def service(folder: Path, name: str = "child", program: str = OBEDIENT, **options: Any) -> Service:
    argv = [sys.executable, "-c", program, name, str(folder)]
    ready = (folder / f"{name}.pid").exists
    return Service(name, argv, dict(os.environ), folder, **{"ready": ready, "ready_timeout_s": PATIENCE_S, **options})


def pid_of(folder: Path, name: str = "child") -> int:
    return int((folder / f"{name}.pid").read_text())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


def is_alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def supervised(folder: Path, story: Callable[[Supervisor], Coroutine[Any, Any, None]]) -> list[str]:
    """Runs a story with a supervisor that is stopped at its end; what it said."""
    said: list[str] = []

    async def run() -> None:
        supervisor = Supervisor(folder, said.append)
        try:
            await story(supervisor)
        finally:
            await supervisor.stop()

    asyncio.run(run())
    return said


def test_a_killed_child_is_started_again(tmp_path: Path) -> None:
    async def story(supervisor: Supervisor) -> None:
        await supervisor.start(service(tmp_path))
        first = pid_of(tmp_path)
        os.kill(first, signal.SIGKILL)
        await until(lambda: pid_of(tmp_path) != first)

    said = supervised(tmp_path, story)
    assert "child stopped (killed by SIGKILL)" in said[0]
    assert not is_alive(pid_of(tmp_path))


def test_who_kills_a_child_can_wait_until_it_is_ready_again(tmp_path: Path) -> None:
    async def story(supervisor: Supervisor) -> None:
        await supervisor.start(service(tmp_path))
        for _ in range(4):
            killed = supervisor.pid("child")
            (tmp_path / "child.pid").unlink()
            supervisor.kill("child", signal.SIGKILL)
            await supervisor.recovered()
            assert pid_of(tmp_path) == supervisor.pid("child") != killed

    supervised(tmp_path, story)


def test_what_a_killed_child_leaves_is_gone_before_it_starts_again(tmp_path: Path) -> None:
    orphans: list[int] = []
    alive_at_restart: list[bool] = []

    def clear() -> None:
        alive_at_restart.extend(is_alive(orphan) for orphan in orphans)

    async def story(supervisor: Supervisor) -> None:
        await supervisor.start(service(tmp_path, program=PARENT, clear=clear))
        first = pid_of(tmp_path)
        orphans.append(int((tmp_path / "child.child").read_text()))
        os.kill(first, signal.SIGKILL)
        await until(lambda: pid_of(tmp_path) != first)

    supervised(tmp_path, story)
    assert alive_at_restart == [False]


def test_services_stop_in_the_reverse_order_of_their_start(tmp_path: Path) -> None:
    async def story(supervisor: Supervisor) -> None:
        await supervisor.start(service(tmp_path, "postgres"))
        await supervisor.start(service(tmp_path, "worker"), service(tmp_path, "web"))

    said = supervised(tmp_path, story)
    assert (tmp_path / "stopped").read_text().split() == ["web", "worker", "postgres"]
    assert said == ["Stopping web", "Stopping worker", "Stopping postgres"]


def test_a_service_that_cannot_start_is_reported_with_the_last_line_of_its_log(tmp_path: Path) -> None:
    async def story(supervisor: Supervisor) -> None:
        broken = "import sys; sys.exit('the schema is missing')"
        with pytest.raises(Trouble, match="child stops as soon as it starts: the schema is missing"):
            await supervisor.start(service(tmp_path, program=broken))

    supervised(tmp_path, story)


def test_a_service_that_is_never_ready_is_reported(tmp_path: Path) -> None:
    async def story(supervisor: Supervisor) -> None:
        with pytest.raises(Trouble, match="child was not ready after 0 s"):
            await supervisor.start(service(tmp_path, ready=lambda: False, ready_timeout_s=0.0))

    supervised(tmp_path, story)


def test_a_forced_stop_does_not_wait_for_a_child_that_does_not_listen(tmp_path: Path) -> None:
    async def story(supervisor: Supervisor) -> None:
        await supervisor.start(service(tmp_path, program=DEAF, stop_timeout_s=3600))
        stopping = asyncio.create_task(supervisor.stop())
        supervisor.force()
        async with asyncio.timeout(PATIENCE_S):
            await stopping

    supervised(tmp_path, story)
    assert not is_alive(pid_of(tmp_path))


def test_a_stop_while_a_child_waits_to_be_restarted_starts_nothing(tmp_path: Path) -> None:
    async def story(supervisor: Supervisor) -> None:
        await supervisor.start(service(tmp_path))
        first = pid_of(tmp_path)
        os.kill(first, signal.SIGKILL)
        await until(lambda: not is_alive(first))
        await supervisor.stop()
        assert pid_of(tmp_path) == first

    supervised(tmp_path, story)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
def test_a_child_is_told_to_stop_when_its_parent_is_killed(tmp_path: Path) -> None:
    term = str(int(signal.SIGTERM))
    program = f"""
import os, subprocess, sys, time
argv = [sys.executable, "-S", {str(LAUNCH)!r}, str(os.getpid()), {term!r}]
subprocess.Popen([*argv, sys.executable, "-c", {OBEDIENT!r}, "child", {str(tmp_path)!r}])
time.sleep(600)
"""
    parent = subprocess.Popen([sys.executable, "-c", program])
    asyncio.run(until((tmp_path / "child.pid").exists))
    parent.kill()
    parent.wait()
    asyncio.run(until((tmp_path / "stopped").exists))
    asyncio.run(until(lambda: not is_alive(pid_of(tmp_path))))
