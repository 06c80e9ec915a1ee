"""A second installation on the same machine: a database, a Redis and encryption keys of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tarfile
import tempfile
import urllib.parse
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from cryptography.fernet import Fernet

from nexus import postgres_tools
from tests import servers
from tests.own_redis import OwnRedis

ROOT = servers.ROOT


class Elsewhere(NamedTuple):
    database: str
    environment: dict[str, str]

    def manage(self, *words: str, ok: bool = True) -> str:
        """What the command says."""
        command = [sys.executable, "manage.py", *words]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=300)
        assert (done.returncode == 0) == ok, done.stdout + done.stderr
        return done.stdout + done.stderr

    def python(self, program: str) -> str:
        """What it prints."""
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def begin(self, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "manage.py", *words], cwd=ROOT, env=self.environment)

    @contextlib.contextmanager
    def connected(self) -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(self.database, autocommit=True) as connection:
            yield connection

    def ask(self, query: str, values: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        with self.connected() as connection:
            return connection.execute(query, values).fetchall()

    def serving(self) -> contextlib.AbstractContextManager[servers.Server]:
        return servers.gateway(**{name: self.environment[name] for name in _OWN})


_OWN = ("DATABASE_URL", "REDIS_URL", "NEXUS_SPOOL_DIR", "NEXUS_ENCRYPTION_KEYS", "NEXUS_SECRET_KEY")


@contextlib.contextmanager
def elsewhere() -> Iterator[Elsewhere]:
    """All of them have a workspace number 1: what one leaves in a shared Redis or spool would be the next one's."""
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(OwnRedis(Path(folder) / "redis")) as redis:
        own = {"REDIS_URL": redis.url, "NEXUS_SPOOL_DIR": str(Path(folder) / "spool")}
        with _database(own) as there:
            yield there


@contextlib.contextmanager
def _database(own: dict[str, str]) -> Iterator[Elsewhere]:
    parts = urllib.parse.urlsplit(os.environ["DATABASE_URL"])
    name = f"elsewhere_{uuid.uuid4().hex[:8]}"
    database = urllib.parse.urlunsplit(parts._replace(path=f"/{name}"))
    own |= {
        "DATABASE_URL": database,
        "NEXUS_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "NEXUS_SECRET_KEY": "elsewhere " * 8,
    }
    there = Elsewhere(database, {**os.environ, **own})
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        try:
            _build_as_here(there)
            yield there
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _build_as_here(there: Elsewhere) -> None:
    """What migrations take a minute for: the same tables in `public`, empty but for what migrations put there."""
    here = servers.test_database_url()
    with psycopg.connect(here) as connection, there.connected() as other:
        other.execute("DROP SCHEMA public CASCADE")
        extensions = connection.execute("SELECT extname FROM pg_extension WHERE extname <> 'plpgsql'").fetchall()
    filled = [f"--table=public.{table}" for table in ("django_migrations", "django_content_type", "billing_plan")]
    for what in (["--schema-only", "--schema=public"], ["--data-only", *filled]):
        dump = [postgres_tools.program("pg_dump"), "--no-owner", *what, here]
        statements = subprocess.run(dump, capture_output=True, check=True).stdout
        read = [postgres_tools.program("psql"), "--quiet", "--set=ON_ERROR_STOP=1", there.database]
        subprocess.run(read, input=statements, capture_output=True, check=True)
        with there.connected() as other:
            for (extension,) in extensions:
                other.execute(f'CREATE EXTENSION IF NOT EXISTS "{extension}" SCHEMA public')


def middle_of(file: Path, part: str) -> int:
    with tarfile.open(file) as tar:
        found = tar.getmember(part)
        return found.offset_data + found.size // 2


def damaged(file: Path, at: int) -> Path:
    """A copy with one byte changed."""
    content = bytearray(file.read_bytes())
    content[at] ^= 0xFF
    copy = file.with_suffix(".damaged")
    copy.write_bytes(content)
    return copy


def cut(file: Path, at: int) -> Path:
    copy = file.with_suffix(".cut")
    copy.write_bytes(file.read_bytes()[:at])
    return copy
