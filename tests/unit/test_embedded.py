"""Embedded Postgres and Redis under a supervisor: private, and back with their data after `kill -9`."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from nexus import stack
from nexus.embedded import SOCKET_PATH_LIMIT, Postgres, remove_sockets, socket_folder
from nexus.instance import Instance, end_processes, processes_in
from nexus.supervisor import Supervisor

PATIENCE_S = 60.0


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    # A name that is too long for a socket and does not fit into a URL as it is.
    made = Instance(tmp_path / ("a folder, with spaces " + "x" * 100) / "var")
    made.make_folders()
    yield made
    end_processes(made.strays(), grace_s=20)
    remove_sockets(made.var)


def run(instance: Instance, story: Callable[[Supervisor], Awaitable[None]]) -> None:
    async def supervised() -> None:
        supervisor = Supervisor(instance.logs, print)
        try:
            await story(supervisor)
        finally:
            await supervisor.stop()

    asyncio.run(supervised())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.02)


def kill_all(processes: list[psutil.Process]) -> None:
    for process in processes:
        os.kill(process.pid, signal.SIGKILL)


def test_postgres_comes_back_with_its_data_after_kill_9(instance: Instance) -> None:
    async def story(supervisor: Supervisor) -> None:
        service, url = stack.postgres_service(instance)
        await supervisor.start(service)
        with psycopg.connect(url, autocommit=True) as session:
            session.execute("CREATE EXTENSION vector")
            session.execute("CREATE TABLE kept AS SELECT '[1,2,3]'::vector(3) AS embedding")
            postmaster = int((instance.var / "postgres" / "postmaster.pid").read_text().split("\n")[0])
            os.kill(postmaster, signal.SIGKILL)
            with pytest.raises(psycopg.OperationalError):
                while True:
                    session.execute("SELECT 1")
        await until(service.ready)
        with psycopg.connect(url) as session:
            assert session.execute("SELECT embedding::text FROM kept").fetchone() == ("[1,2,3]",)

    run(instance, story)
    assert processes_in(instance.var / "postgres") == []


def test_a_pid_file_that_names_a_live_stranger_does_not_stop_postgres(instance: Instance) -> None:
    async def story(supervisor: Supervisor) -> None:
        service, _ = stack.postgres_service(instance)
        (instance.var / "postgres" / "postmaster.pid").write_text(f"{os.getppid()}\n")
        await supervisor.start(service)

    run(instance, story)


def test_redis_comes_back_with_its_data_after_kill_9(instance: Instance) -> None:
    async def story(supervisor: Supervisor) -> None:
        service, url = stack.redis_service(instance)
        await supervisor.start(service)
        client = redis.Redis.from_url(url)
        client.xadd("usage", {"tokens": 7})
        # What the file holds is what a kill leaves; WAITAOF would say so, but Redis 6.2 has none.
        client.config_set("appendfsync", "always")
        client.xadd("usage", {"tokens": 8})
        kill_all(processes_in(instance.var / "redis"))
        await until(lambda: not service.ready())
        await until(service.ready)
        assert client.xlen("usage") == 2
        client.close()

    run(instance, story)


def test_sockets_and_data_are_closed_to_other_users(instance: Instance) -> None:
    async def story(supervisor: Supervisor) -> None:
        for service, _ in (stack.postgres_service(instance), stack.redis_service(instance)):
            await supervisor.start(service)
        folder = socket_folder(instance.var)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in folder.iterdir())
        assert stat.S_IMODE((instance.var / "postgres").stat().st_mode) == 0o700
        listening = [c for p in instance.strays() for c in p.net_connections("inet") if c.status == "LISTEN"]
        assert listening == []

    run(instance, story)


def test_a_deep_folder_gets_one_short_private_place_for_sockets(instance: Instance) -> None:
    folder = socket_folder(instance.var)
    assert len(str(folder / ".s.PGSQL.5432")) <= SOCKET_PATH_LIMIT
    assert socket_folder(instance.var) == folder
    folder.chmod(0o755)
    assert socket_folder(instance.var) != folder
    folder.rmdir()


def test_an_unfinished_data_folder_is_made_anew(instance: Instance) -> None:
    (instance.var / "postgres.new" / "base").mkdir(parents=True)
    Postgres(instance.var).prepare()
    assert (instance.var / "postgres" / "PG_VERSION").read_text().strip() == "18"
