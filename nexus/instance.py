"""One running copy per `var` folder: its lock, record and secrets, and how another command finds or stops it.

The lock is the truth, since the kernel frees it when its holder dies; the record beside it says where to
look.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

from nexus.preflight import Trouble, say, step

ROOT = Path(__file__).resolve().parent.parent
STOP_TIMEOUT_S = 120


class Record(NamedTuple):
    """Who holds the lock."""

    pid: int
    url: str


class Instance:
    """The copy that lives in one `var` folder, running or not."""

    def __init__(self, var: Path, logs: Path | None = None) -> None:
        self.var = var.resolve()
        self.logs = logs or self.var / "log"
        self._run = self.var / "run"
        self._record = self._run / "instance.json"

    def make_folders(self) -> None:
        try:
            for folder in (self.var, self.logs, self._run):
                folder.mkdir(parents=True, exist_ok=True)
            # Keys, passwords and what users asked are in there, in files that many programs write.
            self.var.chmod(0o700)
            if not os.access(self.var, os.W_OK):
                raise PermissionError
        except OSError as error:
            reason = "permission is denied" if isinstance(error, PermissionError) else error.strerror
            raise Trouble(f"{self.var} cannot be written ({reason}): correct that, or set NEXUS_VAR.") from None

    @contextlib.contextmanager
    def held(self, url: str) -> Iterator[None]:
        """Holds the lock while the body runs; refuses when another copy does."""
        with open(self._run / "lock", "a", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                other = self.record()
                where = f" at {other.url} (process {other.pid})" if other else ""
                raise Trouble(f"Another copy runs from {self.var}{where}: use it, or stop it with bin/down.") from None
            self._record.write_text(json.dumps(Record(os.getpid(), url)._asdict()), encoding="utf-8")
            try:
                yield
            finally:
                self._record.unlink(missing_ok=True)

    def is_held(self) -> bool:
        try:
            with open(self._run / "lock", encoding="utf-8") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return False

    def record(self) -> Record | None:
        try:
            return Record(**json.loads(self._record.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def secrets(self) -> dict[str, str]:
        """What is made once and kept, readable by its owner only; the environment's own values win."""
        file = self.var / "secrets.env"
        if not file.exists():
            made = {
                "NEXUS_SECRET_KEY": secrets.token_urlsafe(48),
                "NEXUS_ENCRYPTION_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            }
            # Written whole under another name: a copy that is cut off must not leave half a key.
            draft = file.with_suffix(".new")
            draft.unlink(missing_ok=True)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
                out.writelines(f"{name}={value}\n" for name, value in made.items())
            draft.rename(file)
        return read_env_file(file)

    def strays(self) -> list[psutil.Process]:
        """Processes of this copy that its last holder left behind."""
        servers = processes_in(self.var / "postgres") + processes_in(self.var / "redis")
        return servers + _processes(lambda process: process.environ().get("NEXUS_INSTANCE") == str(self.var))


def processes_in(folder: Path) -> list[psutil.Process]:
    """Processes that work in a data folder: Postgres and Redis overwrite their environment, not that."""
    return _processes(lambda process: process.cwd() == str(folder))


def _processes(fits: Callable[[psutil.Process], bool]) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        # Others' processes may not be looked at, and any may be gone by now.
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and fits(process):
                found.append(process)
    return found


def read_env_file(file: Path) -> dict[str, str]:
    lines = file.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def end_processes(processes: list[psutil.Process], grace_s: float) -> None:
    """Asks each to stop, Postgres by its fast shutdown; kills what is left after the grace."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGINT if process.name() == "postgres" else signal.SIGTERM)
    _, left = psutil.wait_procs(processes, timeout=grace_s)
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=5)


def var_folder() -> Path:
    return Path(os.environ.get("NEXUS_VAR") or ROOT / "var").expanduser()


def stop(instance: Instance) -> None:
    """Stops the copy that holds the lock, and waits until it is gone."""
    record = instance.record()
    if not instance.is_held() or record is None:
        say(f"NexusGateway is not running from {instance.var}.")
        return
    with step(f"Stopping {record.url}"):
        os.kill(record.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while instance.is_held():
            if time.monotonic() > deadline:
                raise Trouble(f"Process {record.pid} did not stop in {STOP_TIMEOUT_S} s: kill -9 {record.pid}.")
            time.sleep(0.05)


if __name__ == "__main__":
    try:
        stop(Instance(var_folder()))
    except Trouble as trouble:
        sys.exit(str(trouble))
