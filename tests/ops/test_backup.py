"""A backup that is taken under traffic restores to a fresh installation: totals agree, keys work, no usage is lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import psycopg
import pytest
from psycopg import sql
from pytest_django import DjangoDbBlocker

from analytics.tasks import drain_usage
from nexus import backup, restore
from nexus.preflight import Trouble
from tests import servers
from tests.calls import chat, used
from tests.conftest import Workspace
from tests.own_redis import OwnRedis
from tests.serving import serving

Fresh = dict[str, str]


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Fresh]:
    """An empty database and an empty Redis of their own."""
    name = f"fresh_{uuid.uuid4().hex[:8]}"
    url = servers.test_database_url()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    redis = OwnRedis(tmp_path / "redis")
    yield {"DATABASE_URL": url.replace(url.partition("?")[0].rpartition("/")[2], name, 1), "REDIS_URL": redis.url}
    redis.close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def run(module: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", f"nexus.{module}", *arguments],
        cwd=servers.ROOT,
        env={**os.environ, "DATABASE_URL": servers.test_database_url(), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backup"


def test_a_backup_under_traffic_is_restored_with_nothing_lost(
    alice: Workspace, folder: Path, fresh: Fresh, server: str
) -> None:
    for _ in range(3):
        assert chat(server, alice.key, "gpt-4o-mini").status_code == 200
    drain_usage()
    # These wait in Redis when it begins.
    for _ in range(2):
        assert chat(server, alice.key, "gpt-4o-mini").status_code == 200
    before = used(server, alice.key)
    with going_on(lambda: chat(server, alice.key, "gpt-4o-mini")):
        done = run("backup", str(folder))
    assert done.returncode == 0, done.stderr
    assert run("backup", "--verify", str(folder)).returncode == 0
    manifest = json.loads((folder / backup.MANIFEST).read_text())
    assert manifest["events_waiting"] >= 2

    restored = run("restore", str(folder), **fresh)
    assert restored.returncode == 0, restored.stderr
    with serving("gateway", **fresh) as gateway:
        assert chat(gateway.url, alice.key, "gpt-4o-mini").status_code == 200
        requests, tokens = used(gateway.url, alice.key)
    # What had been answered before, whatever came while it was taken, and the one just now.
    assert requests >= before[0] + 1
    assert tokens > before[1]
    with psycopg.connect(fresh["DATABASE_URL"]) as connection:
        booked = connection.execute(
            "SELECT sum(requests) FROM billing_ledgerentry WHERE tenant_id = %s", [alice.tenant.pk]
        ).fetchone()
        rows = connection.execute(
            sql.SQL("SELECT count(*), count(DISTINCT id) FROM {}").format(
                sql.Identifier(alice.tenant.schema_name, "analytics_usagerecord")
            )
        ).fetchone()
    assert booked is not None and rows is not None
    assert int(booked[0]) == rows[0] == rows[1] == requests - 1


class going_on:  # noqa: N801
    """The call, again and again, while the body runs."""

    def __init__(self, call: Callable[[], httpx2.Response]) -> None:
        self._call = call
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.statuses: list[int] = []

    def _run(self) -> None:
        while not self._ended.is_set():
            self.statuses.append(self._call().status_code)
            self._ended.wait(0.05)

    def __enter__(self) -> going_on:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        assert set(self.statuses) == {200}


@pytest.fixture(scope="module")
def taken(database: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup that nobody changes."""
    folder = tmp_path_factory.mktemp("taken")
    with django_db_blocker.unblock():
        backup.back_up(folder)
    return folder


def test_what_is_there_is_not_overwritten_unless_it_is_said(taken: Path, fresh: Fresh) -> None:
    with pytest.raises(Trouble, match="not empty"):
        backup.back_up(taken)
    with psycopg.connect(fresh["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("CREATE TABLE here_before (id int)")
    refused = run("restore", str(taken), **fresh)
    assert refused.returncode == 1 and "is not empty" in refused.stderr
    forced = run("restore", str(taken), "--force", **fresh)
    assert forced.returncode == 0, forced.stderr


def test_a_backup_that_was_changed_or_cut_off_is_refused(taken: Path, folder: Path) -> None:
    shutil.copytree(taken, folder)
    assert backup.read_manifest(folder)["format"] == backup.FORMAT
    with open(folder / backup.DUMP, "ab") as dump:
        dump.write(b"x")
    with pytest.raises(Trouble, match="is not what was written"):
        backup.read_manifest(folder)
    (folder / backup.MANIFEST).unlink()
    with pytest.raises(Trouble, match="it is no backup"):
        backup.read_manifest(folder)


def test_without_the_keys_of_that_time_nothing_is_restored(taken: Path, fresh: Fresh) -> None:
    written = b"".join(file.read_bytes() for file in taken.iterdir())
    assert os.environ["NEXUS_ENCRYPTION_KEYS"].encode() not in written
    others = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    refused = run("restore", str(taken), **fresh, NEXUS_ENCRYPTION_KEYS=others)
    assert refused.returncode == 1 and "NEXUS_ENCRYPTION_KEYS lack 1" in refused.stderr
    with psycopg.connect(fresh["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT to_regclass('tenants_tenant')").fetchone() == (None,)


def test_a_backup_of_a_later_release_is_refused() -> None:
    restore._require_release({"migrations": backup.released()})
    with pytest.raises(Trouble, match="later release"):
        restore._require_release({"migrations": ["tenants.9999_next"]})
