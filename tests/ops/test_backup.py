"""A backup that is taken under traffic restores to a fresh installation: totals agree, keys work, no usage is lost."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import urllib.parse
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import httpx2
import psycopg
import pytest
from psycopg import sql

from nexus import backup, restore
from nexus.preflight import Trouble
from tests import servers
from tests.calls import chat, used
from tests.moving import Elsewhere, elsewhere
from tests.own_redis import OwnRedis
from tests.serving import serving

Fresh = dict[str, str]


_MAKE = """
import django; django.setup()
from billing import subscriptions
from tenants import registration
made = registration.register("alice@example.com")
subscriptions.change_plan(made.tenant, "scale")
print(made.tenant.pk, made.tenant.schema_name, made.issued.text)
"""
_BOOK = """
import django; django.setup()
from analytics.tasks import drain_usage
drain_usage()
"""


class Source(NamedTuple):
    """An installation of its own, so that a backup holds what its tests have made, with one workspace."""

    there: Elsewhere
    tenant_id: int
    schema: str
    key: str

    def book(self) -> None:
        self.there.python(_BOOK)


@pytest.fixture(scope="module")
def source(database: None) -> Iterator[Source]:
    with elsewhere() as there:
        tenant_id, schema, key = there.python(_MAKE).split()[-3:]
        yield Source(there, int(tenant_id), schema, key)


@pytest.fixture
def fresh(source: Source, tmp_path: Path) -> Iterator[Fresh]:
    """An empty database and an empty Redis, with the source's keys."""
    name = f"fresh_{uuid.uuid4().hex[:8]}"
    parts = urllib.parse.urlsplit(source.there.database)
    with psycopg.connect(source.there.database, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    redis = OwnRedis(tmp_path / "redis")
    own = {"DATABASE_URL": urllib.parse.urlunsplit(parts._replace(path=f"/{name}")), "REDIS_URL": redis.url}
    own["NEXUS_SPOOL_DIR"] = str(tmp_path / "spool")
    yield {**source.there.environment, **own}
    redis.close()
    with psycopg.connect(source.there.database, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def run(module: str, *arguments: str, of: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"nexus.{module}", *arguments]
    return subprocess.run(command, cwd=servers.ROOT, env=of, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backup"


def test_a_backup_under_traffic_is_restored_with_nothing_lost(source: Source, folder: Path, fresh: Fresh) -> None:
    here = source.there.environment
    with source.there.serving() as gateway:
        for _ in range(3):
            assert chat(gateway.url, source.key, "gpt-4o-mini").status_code == 200
        source.book()
        # These wait in Redis when it begins.
        for _ in range(2):
            assert chat(gateway.url, source.key, "gpt-4o-mini").status_code == 200
        before = used(gateway.url, source.key)
        with going_on(lambda: chat(gateway.url, source.key, "gpt-4o-mini")):
            done = run("backup", str(folder), of=here)
    assert done.returncode == 0, done.stderr
    assert run("backup", "--verify", str(folder), of=here).returncode == 0
    manifest = json.loads((folder / backup.MANIFEST).read_text())
    assert manifest["events_waiting"] >= 2

    restored = run("restore", str(folder), of=fresh)
    assert restored.returncode == 0, restored.stderr
    with serving("gateway", **fresh) as gateway:
        assert chat(gateway.url, source.key, "gpt-4o-mini").status_code == 200
        requests, tokens = used(gateway.url, source.key)
    # What had been answered before, whatever came while it was taken, and the one just now.
    assert requests >= before[0] + 1
    assert tokens > before[1]
    with psycopg.connect(fresh["DATABASE_URL"]) as connection:
        booked = connection.execute(
            "SELECT sum(requests) FROM billing_ledgerentry WHERE tenant_id = %s", [source.tenant_id]
        ).fetchone()
        rows = connection.execute(
            sql.SQL("SELECT count(*), count(DISTINCT id) FROM {}").format(
                sql.Identifier(source.schema, "analytics_usagerecord")
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
def taken(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup that nobody changes."""
    folder = tmp_path_factory.mktemp("taken") / "backup"
    done = run("backup", str(folder), of=source.there.environment)
    assert done.returncode == 0, done.stderr
    return folder


def test_what_is_there_is_not_overwritten_unless_it_is_said(taken: Path, fresh: Fresh) -> None:
    with pytest.raises(Trouble, match="not empty"):
        backup.back_up(taken)
    with psycopg.connect(fresh["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("CREATE TABLE here_before (id int)")
    refused = run("restore", str(taken), of=fresh)
    assert refused.returncode == 1 and "is not empty" in refused.stderr
    forced = run("restore", str(taken), "--force", of=fresh)
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


def test_without_the_keys_of_that_time_nothing_is_restored(source: Source, taken: Path, fresh: Fresh) -> None:
    written = b"".join(file.read_bytes() for file in taken.iterdir())
    assert source.there.environment["NEXUS_ENCRYPTION_KEYS"].encode() not in written
    others = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    refused = run("restore", str(taken), of={**fresh, "NEXUS_ENCRYPTION_KEYS": others})
    assert refused.returncode == 1 and "NEXUS_ENCRYPTION_KEYS lack 1" in refused.stderr
    with psycopg.connect(fresh["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT to_regclass('tenants_tenant')").fetchone() == (None,)


def test_a_backup_of_a_later_release_is_refused() -> None:
    restore._require_release({"migrations": backup.released()})
    with pytest.raises(Trouble, match="later release"):
        restore._require_release({"migrations": ["tenants.9999_next"]})
